//! A torrent on offer: into the session and out of it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{
    Seed, SwarmError, SwarmEvent, WithdrawReason,
    check::{Check, CheckFault},
    content::{Access, Changed, Content, Stamp},
    engine::{Entrance, Handle, Traffic, traffic},
    shared::Shared,
    storage::Lend,
};
use crate::{InfoHash, Metainfo};

/// What orders comings and goings of one torrent.
pub(super) type Gate = Arc<tokio::sync::Mutex<()>>;

/// A torrent on offer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) infohash: InfoHash,
    pub(super) seed: Seed,
    /// Trackers that it is announced to.
    pub(super) trackers: Vec<String>,
    /// It is offered no more.
    pub(super) cancel: CancellationToken,
    gate: Gate,
    live: Mutex<Option<Live>>,
    /// What it did when it was in before.
    past: Mutex<Traffic>,
    seen_sent_bytes: AtomicU64,
}

struct Live {
    handle: Handle,
    content: Arc<Content>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(super) fn new(seed: Seed, trackers: Vec<String>, gate: Gate) -> Self {
        Self {
            infohash: seed.metainfo.info.infohash(),
            seed,
            trackers,
            cancel: CancellationToken::new(),
            gate,
            live: Mutex::default(),
            past: Mutex::default(),
            seen_sent_bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.live().is_some()
    }

    /// What it did since it is offered.
    pub(super) fn traffic(&self) -> Traffic {
        let now = self.live().as_ref().map(|live| traffic(&live.handle));
        let now = now.unwrap_or_default();
        let past = *lock(&self.past);
        Traffic {
            peers: now.peers,
            sent_bytes: past.sent_bytes + now.sent_bytes,
            received_bytes: past.received_bytes + now.received_bytes,
        }
    }

    /// Whether it sent anything since this was asked last.
    pub(super) fn has_served(&self) -> bool {
        let sent_bytes = self.traffic().sent_bytes;
        self.seen_sent_bytes.swap(sent_bytes, Ordering::Relaxed) != sent_bytes
    }

    /// Whether it is the content that is in now that has changed.
    pub(super) fn is_of(&self, changed: Changed) -> bool {
        let live = self.live();
        live.as_ref()
            .is_some_and(|live| live.content.owner() == changed.owner)
    }

    /// Bytes of its files read since it came in.
    #[cfg(test)]
    pub(super) fn read_bytes(&self) -> u64 {
        let live = self.live();
        live.as_ref().map_or(0, |live| live.content.read_bytes())
    }

    /// Which content is in; another after it left and came back.
    #[cfg(test)]
    pub(super) fn owner(&self) -> Option<u64> {
        self.live().as_ref().map(|live| live.content.owner())
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        lock(&self.live)
    }
}

impl Shared {
    /// Brings a torrent in, in a task of its own: who asks may go away. Says whether it wasn't in.
    pub(super) async fn enter(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<bool, SwarmError> {
        let (shared, entry) = (Arc::clone(self), Arc::clone(entry));
        let task = self.tasks.spawn(async move { shared.bring(&entry).await });
        task.await.map_err(|_| SwarmError::Stopped)?
    }

    /// Puts a torrent out.
    pub(super) async fn leave(self: &Arc<Self>, entry: &Arc<Entry>) {
        let (shared, entry) = (Arc::clone(self), Arc::clone(entry));
        let task = self.tasks.spawn(async move {
            let _gate = entry.gate.lock().await;
            shared.put_out(&entry).await;
        });
        // a panic in there is the engine's, and was shown
        let _ = task.await;
    }

    async fn bring(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<bool, SwarmError> {
        let _gate = entry.gate.lock().await;
        let infohash = entry.infohash;
        if entry.is_live() {
            return Ok(false);
        }
        if self.lock().downloads.contains_key(&infohash) {
            return Err(SwarmError::Taken { infohash });
        }
        let access = Access::Read {
            stamps: self.check(entry).await?,
            changed: self.changed.clone(),
        };
        let info = &entry.seed.metainfo.info;
        let content = Content::new(info, &entry.seed.files, access, &self.open);
        let content = Arc::new(content);
        let added = self.engine.add(self.entrance(entry, &content)).await;
        let handle = added.map_err(|source| enter_fault(infohash, source))?;
        let ready = tokio::select! {
            ready = handle.wait_until_initialized() => ready,
            () = entry.cancel.cancelled() => Err(anyhow::anyhow!("withdrawn")),
        };
        if let Err(source) = ready {
            self.engine.remove(infohash).await;
            return Err(enter_fault(infohash, source));
        }
        if !handle.stats().finished {
            self.engine.remove(infohash).await;
            self.give_up(entry, WithdrawReason::Damaged);
            return Err(SwarmError::Withdrawn { infohash });
        }
        // looked at for a start; who asks for pieces opens them again
        content.close();
        *entry.live() = Some(Live { handle, content });
        if entry.cancel.is_cancelled() {
            self.put_out(entry).await;
            return Err(SwarmError::NotOffered { infohash });
        }
        Ok(true)
    }

    async fn check(&self, entry: &Arc<Entry>) -> Result<Vec<Option<Stamp>>, SwarmError> {
        let infohash = entry.infohash;
        let checked = {
            let (entry, folder) = (Arc::clone(entry), self.folder.clone());
            tokio::task::spawn_blocking(move || {
                let check = Check {
                    info: &entry.seed.metainfo.info,
                    paths: &entry.seed.files,
                    folder: &folder,
                    cancel: &entry.cancel,
                };
                check.run()
            })
            .await
        };
        match checked.map_err(|_| SwarmError::Stopped)? {
            Ok(stamps) if !entry.cancel.is_cancelled() => Ok(stamps),
            Ok(_) | Err(CheckFault::Cancelled) => Err(SwarmError::NotOffered { infohash }),
            Err(CheckFault::Bad(reason)) => {
                self.give_up(entry, reason);
                Err(SwarmError::Withdrawn { infohash })
            }
            Err(CheckFault::Record(source)) => Err(SwarmError::Folder {
                path: self.options.folder.clone(),
                source,
            }),
        }
    }

    fn entrance(&self, entry: &Entry, content: &Arc<Content>) -> Entrance {
        let trackers = entry.trackers.clone();
        Entrance {
            metainfo: announced(&entry.seed.metainfo, trackers),
            content: Lend(Arc::clone(content)),
            peers: Vec::new(),
            limits: *lock(&self.torrent_limits),
            max_peers: self.options.max_peers,
        }
    }

    async fn put_out(&self, entry: &Entry) {
        let Some(live) = entry.live().take() else {
            return;
        };
        {
            let now = traffic(&live.handle);
            let mut past = lock(&entry.past);
            past.sent_bytes += now.sent_bytes;
            past.received_bytes += now.received_bytes;
        }
        self.engine.remove(entry.infohash).await;
        live.content.close();
    }

    /// Takes a torrent back that can't be served, and says so.
    fn give_up(&self, entry: &Arc<Entry>, reason: WithdrawReason) {
        let infohash = entry.infohash;
        let mut state = self.lock();
        let is_it = state
            .seeds
            .get(&infohash)
            .is_some_and(|now| Arc::ptr_eq(now, entry));
        if is_it {
            state.seeds.remove(&infohash);
            state.rotation.withdraw(infohash);
            entry.cancel.cancel();
            // nobody may be listening
            let _ = self.events.send(SwarmEvent::Withdrawn { infohash, reason });
        }
    }
}

/// What the engine is told of a torrent: what it shares, and where it is announced. Other hints would
/// have it ask places that nobody chose.
pub(super) fn announced(metainfo: &Metainfo, trackers: Vec<String>) -> Metainfo {
    Metainfo {
        announce_list: trackers.into_iter().map(|tracker| vec![tracker]).collect(),
        ..Metainfo::new(metainfo.info.clone())
    }
}

fn enter_fault(infohash: InfoHash, source: anyhow::Error) -> SwarmError {
    let source = source.into();
    SwarmError::Enter { infohash, source }
}

/// What a panic left is as good as before.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
