//! The session.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::{Notify, broadcast, mpsc, watch},
    time::Instant,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use url::Url;

use super::{
    Download, DownloadOptions, Limits, Seed, SwarmError, SwarmEvent, SwarmOptions, Wanted, caps,
    engine::{Engine, Traffic},
    entry::{Entry, lock},
    folder::Folder,
    keeper,
    open::{MAX_OPEN, OpenFiles},
    refuse,
    shared::{Shared, State},
    where_to::Reach,
};
use crate::InfoHash;

/// Events that a listener may be behind.
const EVENTS: usize = 256;
/// Files that changed at once and are still to be looked at.
const CHANGES: usize = 256;

/// A session in swarms. Clones are the same one; it ends with the last.
#[derive(Clone, Debug)]
pub struct Swarm {
    shared: Arc<Shared>,
    _ends: Arc<DropGuard>,
}

/// What all torrents did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Payload sent.
    pub sent_bytes: u64,
    /// Payload received, what was thrown away included.
    pub received_bytes: u64,
    /// Torrents in the session.
    pub live_torrents: usize,
    /// Seeds on offer, in the session or not.
    pub offered_torrents: usize,
    /// Peers connected.
    pub peers: usize,
}

/// What one torrent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TorrentState {
    /// The torrent.
    pub infohash: InfoHash,
    /// Whether it is in the session.
    pub is_live: bool,
    /// Peers connected.
    pub peers: usize,
    /// Payload sent since it is offered or downloaded.
    pub sent_bytes: u64,
    /// Payload received since it is offered or downloaded.
    pub received_bytes: u64,
}

impl TorrentState {
    fn new(infohash: InfoHash, is_live: bool, traffic: Traffic) -> Self {
        let Traffic {
            peers,
            sent_bytes,
            received_bytes,
        } = traffic;
        Self {
            infohash,
            is_live,
            peers,
            sent_bytes,
            received_bytes,
        }
    }
}

impl Swarm {
    /// Starts listening, and what is switched on. Needs a runtime of many threads to read files while
    /// peers are served.
    ///
    /// # Errors
    /// When the folder, the address or a tracker's URL can't be used.
    pub async fn start(options: SwarmOptions) -> Result<Self, SwarmError> {
        if let Some(url) = options.trackers.iter().find(|url| Url::parse(url).is_err()) {
            return Err(SwarmError::Tracker { url: url.clone() });
        }
        let folder = Folder::open(&options.folder)?;
        let cancel = CancellationToken::new();
        let ends = Arc::new(cancel.clone().drop_guard());
        let engine = Engine::start(&options, &folder, cancel.child_token()).await?;
        let http = reqwest::Client::builder().build();
        let http = http.map_err(|source| SwarmError::Start {
            listen: options.listen,
            source: source.into(),
        })?;
        let (changed, changes) = mpsc::channel(CHANGES);
        let shared = Arc::new(Shared {
            folder,
            engine,
            http,
            open: Arc::new(OpenFiles::new(MAX_OPEN)),
            events: broadcast::channel(EVENTS).0,
            changed,
            cancel,
            tasks: TaskTracker::new(),
            look: Notify::new(),
            limits: watch::channel(options.limits).0,
            torrent_limits: Mutex::new(options.torrent_limits),
            is_paused: watch::channel(false).0,
            started: Instant::now(),
            state: Mutex::new(State::new(options.max_live)),
            options,
        });
        let keep = keeper::keep(Arc::clone(&shared), changes);
        shared.tasks.spawn(keep);
        let (session, limits) = (shared.engine.session().clone(), shared.limits.subscribe());
        let cancel = shared.cancel.clone();
        shared.tasks.spawn(async move {
            let keep = caps::keep(session, limits);
            cancel.run_until_cancelled(keep).await;
        });
        if let (false, Some(listen)) = (shared.options.utp, shared.engine.addr()) {
            let cancel = shared.cancel.clone();
            shared.tasks.spawn(async move {
                let refuse = refuse::refuse_all(listen);
                cancel.run_until_cancelled(refuse).await;
            });
        }
        Ok(Self {
            shared,
            _ends: ends,
        })
    }

    /// Where peers reach this node.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.shared.engine.addr()
    }

    /// What happens by itself, from now on.
    pub fn events(&self) -> broadcast::Receiver<SwarmEvent> {
        self.shared.events.subscribe()
    }

    /// Adds or replaces what may be seeded; not in the session until its turn comes or
    /// [`Self::wake`] takes it in. Whoever offers it has checked its bytes; from then on, files whose
    /// size or time changes are checked here, after a restart too.
    ///
    /// It is announced to [`SwarmOptions::trackers`] only, whatever its hints say.
    pub fn offer(&self, seed: Seed) {
        let trackers = self.shared.options.trackers.iter().cloned();
        let trackers = if seed.metainfo.info.is_private() {
            Vec::new()
        } else {
            Reach::of(self.shared.options.listen).trackers(trackers)
        };
        self.shared.offer(seed, trackers);
    }

    /// Takes a seed back, or ends a download: it is out of the session when this returns.
    pub async fn withdraw(&self, infohash: InfoHash) {
        self.shared.withdraw(infohash).await;
    }

    /// Takes an offered torrent into the session now, because someone asked for its `.torrent` or
    /// magnet link. Says whether it wasn't in. While swarms are paused, its turn is noted only.
    ///
    /// # Errors
    /// When it isn't offered, or its files are not what they were.
    pub async fn wake(&self, infohash: InfoHash) -> Result<bool, SwarmError> {
        self.shared.wake(infohash).await
    }

    /// Downloads a torrent of others into a folder, and picks up what is there of it. What isn't
    /// complete lies in a hidden folder inside, what is there of other things stays as it is.
    ///
    /// # Errors
    /// When it is offered or being downloaded already, or the folder can't be used.
    pub async fn download(
        &self,
        what: Wanted,
        into: &Path,
        options: DownloadOptions,
    ) -> Result<Download, SwarmError> {
        self.shared.start_download(what, into, options).await
    }

    /// Looks for peers of a torrent over what is switched on: in the DHT and on the local network
    /// without announcing anything; trackers tell only those who join them, so this node joins. Ends
    /// when the receiver is dropped.
    #[expect(
        clippy::unused_async,
        reason = "as searches that start at once may not be"
    )]
    pub async fn find_peers(&self, infohash: InfoHash) -> mpsc::Receiver<SocketAddr> {
        self.shared.find(infohash)
    }

    /// Changes the caps of all torrents together. Less than 16 KiB a second is taken as that.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.limits.send_replace(limits);
    }

    /// Changes the caps of each torrent; seeds in the session leave it for a moment. Downloads that
    /// run keep theirs. A torrent that was idle may send a second's worth at once.
    pub fn set_torrent_limits(&self, limits: Limits) {
        let before = std::mem::replace(&mut *lock(&self.shared.torrent_limits), limits);
        if before != limits {
            self.shared.renew();
        }
    }

    /// Leaves all swarms until [`Self::resume`].
    pub fn pause(&self) {
        self.shared.is_paused.send_replace(true);
        self.shared.look.notify_one();
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.shared.is_paused.send_replace(false);
        self.shared.look.notify_one();
    }

    /// Whether swarms are left for now.
    pub fn is_paused(&self) -> bool {
        *self.shared.is_paused.borrow()
    }

    /// What all torrents did since the start.
    pub fn totals(&self) -> Totals {
        let stats = self.shared.engine.session().stats_snapshot();
        let torrents = self.torrents();
        Totals {
            sent_bytes: stats.counters.uploaded_bytes,
            received_bytes: stats.counters.fetched_bytes,
            live_torrents: torrents.iter().filter(|torrent| torrent.is_live).count(),
            offered_torrents: self.shared.lock().seeds.len(),
            peers: usize::try_from(stats.peers.live).unwrap_or(usize::MAX),
        }
    }

    /// What each torrent does: seeds on offer and downloads, by infohash.
    pub fn torrents(&self) -> Vec<TorrentState> {
        let state = self.shared.lock();
        let seeds = state.seeds.values();
        let seeds =
            seeds.map(|entry| TorrentState::new(entry.infohash, entry.is_live(), entry.traffic()));
        let downloads = state.downloads.values();
        let downloads = downloads.map(|running| {
            let traffic = running.traffic();
            TorrentState::new(
                running.infohash,
                traffic.is_some(),
                traffic.unwrap_or_default(),
            )
        });
        let mut torrents: Vec<_> = seeds.chain(downloads).collect();
        torrents.sort_by_key(|torrent| torrent.infohash);
        torrents
    }

    /// Leaves all swarms and closes the port.
    pub async fn stop(&self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.engine.session().stop().await;
    }

    #[cfg(test)]
    pub(super) fn entry(&self, infohash: InfoHash) -> Option<Arc<Entry>> {
        self.shared.lock().seeds.get(&infohash).cloned()
    }
}

impl Shared {
    /// Puts a torrent on offer, announced to these trackers.
    pub(super) fn offer(self: &Arc<Self>, seed: Seed, trackers: Vec<String>) {
        let infohash = seed.metainfo.info.infohash();
        let mut state = self.lock();
        state.rotation.offer(infohash, seed.rarity);
        if let Some(entry) = state.seeds.get(&infohash)
            && entry.seed.files == seed.files
            && entry.trackers == trackers
        {
            return;
        }
        let gate = state.gate(infohash);
        let entry = Arc::new(Entry::new(seed, trackers, gate));
        let before = state.seeds.insert(infohash, entry);
        if let Some(before) = before {
            let now_ms = self.now_ms();
            state.rotation.is_out(infohash, now_ms);
            before.cancel.cancel();
            self.part_with(before);
        }
        drop(state);
        self.look.notify_one();
    }

    async fn withdraw(self: &Arc<Self>, infohash: InfoHash) {
        let (entry, running) = {
            let mut state = self.lock();
            state.rotation.withdraw(infohash);
            let running = state.downloads.get(&infohash).cloned();
            (state.seeds.remove(&infohash), running)
        };
        if let Some(entry) = entry {
            entry.cancel.cancel();
            self.leave(&entry).await;
            self.folder.forget_stamps(infohash);
        }
        if let Some(running) = running {
            running.cancel.cancel();
            running.ended.cancelled().await;
        }
        self.look.notify_one();
    }

    async fn wake(self: &Arc<Self>, infohash: InfoHash) -> Result<bool, SwarmError> {
        let now_ms = self.now_ms();
        let entry = {
            let mut state = self.lock();
            state.rotation.demand(infohash, now_ms);
            let entry = state.seeds.get(&infohash).cloned();
            entry.ok_or(SwarmError::NotOffered { infohash })?
        };
        if self.cancel.is_cancelled() {
            return Err(SwarmError::Stopped);
        }
        if entry.is_live() || *self.is_paused.borrow() {
            return Ok(false);
        }
        let (leave, enter) = self.decide();
        for leaver in leave {
            self.leave(&leaver).await;
        }
        // others whose turn this is come in by themselves
        for other in enter {
            if other.infohash != infohash {
                let shared = Arc::clone(self);
                self.tasks.spawn(async move { shared.come(&other).await });
            }
        }
        let entered = self.enter(&entry).await;
        if entered.is_err() {
            let now_ms = self.now_ms();
            self.lock().rotation.is_out(infohash, now_ms);
        }
        entered
    }

    /// Has all seeds leave, to come back under other caps.
    fn renew(self: &Arc<Self>) {
        let mut live: Vec<_> = self.lock().seeds.values().cloned().collect();
        live.retain(|entry| entry.is_live());
        for entry in live {
            let shared = Arc::clone(self);
            self.tasks.spawn(async move {
                shared.leave(&entry).await;
                // Only now: who was told before that it is out might find it still in.
                let now_ms = shared.now_ms();
                shared.lock().rotation.is_out(entry.infohash, now_ms);
                shared.look.notify_one();
            });
        }
    }

    /// Puts a torrent out while nobody waits.
    fn part_with(self: &Arc<Self>, entry: Arc<Entry>) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move { shared.leave(&entry).await });
    }
}
