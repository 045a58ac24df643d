//! One download, from its link to its files.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use librqbit::{AddTorrent, AddTorrentOptions, AddTorrentResponse, ManagedTorrentState};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep, timeout_at},
};

use super::{
    Connected, DownloadOptions, DownloadProgress, Downloaded, Running, Wanted, part::Part,
};
use crate::{
    Info, Magnet, Metainfo,
    swarm::{
        SwarmError,
        check::{Check, CheckFault, hash_all},
        content::{Access, Content},
        engine::{Entrance, Handle, traffic},
        entry::{announced, lock},
        shared::Shared,
        storage::Lend,
        where_to::Reach,
    },
};

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// When nobody has the description, peers are asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// What is received without a piece getting complete counts as news up to so many pieces, and bytes:
/// then it is taken for garbage.
const PATIENCE_PIECES: u64 = 8;
const PATIENCE_BYTES: u64 = 64 << 20;
/// Complete downloads whose files turn out not to be are repaired so many times.
const REPAIRS: usize = 1;

/// A download and all that it needs.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) running: &'a Running,
    pub(super) options: &'a DownloadOptions,
    pub(super) into: &'a Path,
    pub(super) progress: &'a watch::Sender<DownloadProgress>,
}

impl Job<'_> {
    /// Gives the trackers that it was announced to, too.
    pub(super) async fn run(self, what: Wanted) -> Result<(Downloaded, Vec<String>), SwarmError> {
        let gate = self.shared.lock().gate(self.running.infohash);
        let _gate = gate.lock().await;
        let reach = Reach::of(self.shared.options.listen);
        let peers = reach.peers(&self.options.peers, what.peers()).await;
        let its = what.trackers().into_iter();
        let its = reach.trackers(its.filter(|_| self.options.use_its_trackers));
        let info = match what {
            Wanted::Metainfo(metainfo) => metainfo.info,
            Wanted::Magnet(magnet) => {
                let resolve = self.describe(magnet.infohash, &its, &peers);
                self.unless_cancelled(resolve).await?
            }
        };
        let (size, ready) = (info.length_bytes(), self.is_there(&info).await?);
        self.progress
            .send_modify(|now| now.total_bytes = Some(size));
        let trackers = self.trackers(&info, its);
        if !ready {
            self.fetch(&info, &trackers, &peers).await?;
        }
        self.progress.send_modify(|now| now.done_bytes = size);
        let files = Part::new(&info, self.into).final_paths();
        Ok((Downloaded { info, files }, trackers))
    }

    /// A private torrent is announced where it says, and nowhere else (BEP 27).
    fn trackers(self, info: &Info, its: Vec<String>) -> Vec<String> {
        if info.is_private() {
            return its.into_iter().take(1).collect();
        }
        let ours = self.shared.options.trackers.iter().cloned();
        Reach::of(self.shared.options.listen).trackers(its.into_iter().chain(ours))
    }

    /// Asks peers for the description (BEP 9) until one has it, or nobody did for too long.
    async fn describe(
        self,
        infohash: crate::InfoHash,
        its: &[String],
        peers: &[SocketAddr],
    ) -> Result<Info, SwarmError> {
        let options = &self.shared.options;
        let ours = Reach::of(options.listen).trackers(options.trackers.iter().cloned());
        let link = Magnet {
            trackers: its.iter().chain(&ours).cloned().collect(),
            ..Magnet::new(infohash)
        };
        if peers.is_empty() && link.trackers.is_empty() && options.dht.is_none() && !options.lsd {
            return Err(SwarmError::NoWay { infohash });
        }
        let after = self.options.stall_timeout;
        let deadline = Instant::now() + after;
        loop {
            self.unpaused().await;
            // apart: the engine panics over some descriptions
            let mut asking = JoinSet::new();
            asking.spawn(ask(Arc::clone(self.shared), link.clone(), peers.to_vec()));
            let asked = timeout_at(deadline, asking.join_next()).await;
            let cause = match asked {
                Err(_) | Ok(None) => return Err(SwarmError::Stalled { infohash, after }),
                Ok(Some(Ok(Ok(bytes)))) => return described(infohash, &bytes),
                Ok(Some(Ok(Err(cause)))) if is_for_want_of_peers(&cause) => {
                    sleep(ASK_AGAIN).await;
                    continue;
                }
                Ok(Some(Ok(Err(cause)))) => cause.into(),
                Ok(Some(Err(panic))) => panic.into(),
            };
            return Err(SwarmError::Unusable {
                infohash,
                source: cause,
            });
        }
    }

    /// Whether all files are there from an earlier time. Others in their place are not touched.
    async fn is_there(self, info: &Info) -> Result<bool, SwarmError> {
        let part = Part::new(info, self.into);
        let target = part.target();
        if target.symlink_metadata().is_err() {
            return Ok(false);
        }
        match self.hash(info, part.final_paths()).await? {
            true => Ok(true),
            false => Err(SwarmError::Exists {
                infohash: info.infohash(),
                path: target,
            }),
        }
    }

    async fn fetch(
        self,
        info: &Info,
        trackers: &[String],
        peers: &[SocketAddr],
    ) -> Result<(), SwarmError> {
        let part = Part::new(info, self.into);
        let folder = &self.shared.folder;
        if !part.make()? {
            folder.forget_held(info.infohash());
        }
        let is_remembered = folder.remembers_held(info.infohash());
        let mut repairs = 0..REPAIRS;
        loop {
            self.load(info, &part, trackers, peers).await?;
            // what was remembered of an earlier time may be more than what the disk kept
            if !is_remembered || self.hash(info, part.paths()).await? {
                return part.finish();
            }
            if repairs.next().is_none() {
                return Err(SwarmError::Download {
                    infohash: info.infohash(),
                    source: "the files are not what was written".into(),
                });
            }
        }
    }

    /// Has the engine load what lacks.
    async fn load(
        self,
        info: &Info,
        part: &Part<'_>,
        trackers: &[String],
        peers: &[SocketAddr],
    ) -> Result<(), SwarmError> {
        let infohash = info.infohash();
        let shared = self.shared;
        let content = Content::new(info, &part.paths(), Access::Write, &shared.open);
        let content = Arc::new(content);
        let entrance = Entrance {
            metainfo: announced(&Metainfo::new(info.clone()), trackers.to_vec()),
            content: Lend(Arc::clone(&content)),
            peers: peers.to_vec(),
            limits: *lock(&shared.torrent_limits),
            max_peers: shared.options.max_peers,
        };
        let added = shared.engine.add(entrance).await;
        let handle = added.map_err(|source| SwarmError::Enter {
            infohash,
            source: source.into(),
        })?;
        *lock(&self.running.live) = Some(Connected(Arc::clone(&handle)));
        let watched = self.watch(info, &handle);
        let done = self.unless_cancelled(watched).await;
        *lock(&self.running.live) = None;
        shared.engine.remove(infohash).await;
        content.close();
        done
    }

    /// Follows the engine until it is done.
    async fn watch(self, info: &Info, handle: &Handle) -> Result<(), SwarmError> {
        let infohash = info.infohash();
        let after = self.options.stall_timeout;
        let patience = PATIENCE_BYTES.max(PATIENCE_PIECES * u64::from(info.piece_bytes()));
        let mut is_paused = self.shared.is_paused.subscribe();
        let (mut news, mut done, mut received) = (Instant::now(), 0, 0);
        let mut since_done = 0;
        let mut tick = interval(LOOK);
        loop {
            tick.tick().await;
            let pause = *is_paused.borrow_and_update();
            self.follow_pause(handle, pause).await;
            let error = handle.with_state(|state| match state {
                ManagedTorrentState::Error(cause) => Some(format!("{cause:#}")),
                _ => None,
            });
            if let Some(cause) = error {
                let source = cause.into();
                return Err(SwarmError::Download { infohash, source });
            }
            let Some(live) = handle.live() else {
                // it is being checked, or swarms are paused
                news = Instant::now();
                continue;
            };
            let have = live.get_hns().unwrap_or_default();
            let now = traffic(handle);
            self.progress.send_modify(|progress| {
                progress.done_bytes = have.progress();
                progress.peers = now.peers;
                progress.rate_bytes_per_s = live.down_speed_estimator().bps();
            });
            if have.finished() {
                return Ok(());
            }
            if have.progress() > done {
                (done, since_done, news) = (have.progress(), 0, Instant::now());
            } else if now.received_bytes > received && since_done < patience {
                since_done += now.received_bytes - received;
                news = Instant::now();
            } else if news.elapsed() >= after {
                return Err(SwarmError::Stalled { infohash, after });
            }
            received = now.received_bytes;
        }
    }

    async fn follow_pause(self, handle: &Handle, is_paused: bool) {
        let session = self.shared.engine.session();
        // it fails while the pieces are looked at, and is tried again
        if is_paused && handle.live().is_some() {
            let _ = session.pause(handle).await;
        } else if !is_paused && handle.is_paused() {
            let _ = session.unpause(handle).await;
        }
    }

    async fn unpaused(self) {
        let mut is_paused = self.shared.is_paused.subscribe();
        // the sender lives as long as the session
        let _ = is_paused.wait_for(|is_paused| !is_paused).await;
    }

    /// Whether files have all their bytes.
    async fn hash(self, info: &Info, paths: Vec<std::path::PathBuf>) -> Result<bool, SwarmError> {
        let (info, folder) = (info.clone(), self.shared.folder.clone());
        let cancel = self.running.cancel.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let (info, paths, folder, cancel) = (&info, &paths, &folder, &cancel);
            hash_all(Check {
                info,
                paths,
                folder,
                cancel,
            })
        });
        match hashed.await.map_err(|_| SwarmError::Stopped)? {
            Ok(()) => Ok(true),
            Err(CheckFault::Bad(_)) => Ok(false),
            Err(_) => Err(SwarmError::Stopped),
        }
    }

    async fn unless_cancelled<T>(
        self,
        work: impl Future<Output = Result<T, SwarmError>>,
    ) -> Result<T, SwarmError> {
        let done = self.running.cancel.run_until_cancelled(work).await;
        done.unwrap_or(Err(SwarmError::Stopped))
    }
}

async fn ask(
    shared: Arc<Shared>,
    link: Magnet,
    peers: Vec<SocketAddr>,
) -> anyhow::Result<bytes::Bytes> {
    let options = AddTorrentOptions {
        list_only: true,
        // else the engine looks for a name of its own
        output_folder: Some(".".to_owned()),
        initial_peers: Some(peers),
        ..AddTorrentOptions::default()
    };
    let link = AddTorrent::from_url(link.to_string());
    let session = shared.engine.session();
    match session.add_torrent(link, Some(options)).await? {
        AddTorrentResponse::ListOnly(listed) => Ok(listed.torrent_bytes),
        _ => anyhow::bail!("the torrent is in the session already"),
    }
}

/// Reads what peers said: strictly, before a single path is made.
fn described(infohash: crate::InfoHash, bytes: &[u8]) -> Result<Info, SwarmError> {
    let metainfo = Metainfo::decode(bytes);
    let info = metainfo.map(|metainfo| metainfo.info);
    let info = info.map_err(|source| SwarmError::Description { infohash, source })?;
    if info.infohash() == infohash {
        return Ok(info);
    }
    Err(SwarmError::Unusable {
        infohash,
        source: "its hash is another".into(),
    })
}

/// The engine says so only in words.
fn is_for_want_of_peers(cause: &anyhow::Error) -> bool {
    cause.to_string().contains("stream exhausted")
}
