//! What all parts of a session share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use tokio::{
    sync::{Notify, broadcast, mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Limits, SwarmEvent, SwarmOptions,
    content::Changed,
    download::Running,
    engine::Engine,
    entry::{Entry, Gate, lock},
    folder::Folder,
    open::OpenFiles,
    rotation::Rotation,
};
use crate::InfoHash;

/// What all parts of a session share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: SwarmOptions,
    pub(super) folder: Folder,
    pub(super) engine: Engine,
    /// Asks trackers about what isn't in the session.
    pub(super) http: reqwest::Client,
    pub(super) open: Arc<OpenFiles>,
    pub(super) events: broadcast::Sender<SwarmEvent>,
    pub(super) changed: mpsc::Sender<Changed>,
    /// The session ends.
    pub(super) cancel: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// The keeper has something to do.
    pub(super) look: Notify,
    pub(super) limits: watch::Sender<Limits>,
    pub(super) torrent_limits: Mutex<Limits>,
    pub(super) is_paused: watch::Sender<bool>,
    pub(super) started: Instant,
    pub(super) state: Mutex<State>,
}

/// What is offered and downloaded.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rotation: Rotation,
    pub(super) seeds: BTreeMap<InfoHash, Arc<Entry>>,
    pub(super) downloads: BTreeMap<InfoHash, Arc<Running>>,
    /// Of torrents that are or were there: who comes after one that goes waits for it.
    gates: BTreeMap<InfoHash, Weak<tokio::sync::Mutex<()>>>,
}

impl State {
    pub(super) fn new(max_live: usize) -> Self {
        Self {
            rotation: Rotation::new(max_live),
            seeds: BTreeMap::new(),
            downloads: BTreeMap::new(),
            gates: BTreeMap::new(),
        }
    }

    /// What orders comings and goings of a torrent.
    pub(super) fn gate(&mut self, infohash: InfoHash) -> Gate {
        if let Some(gate) = self.gates.get(&infohash).and_then(Weak::upgrade) {
            return gate;
        }
        if self.gates.len() > 2 * (self.seeds.len() + self.downloads.len()) {
            self.gates.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Gate::default();
        self.gates.insert(infohash, Arc::downgrade(&gate));
        gate
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Time since the start, ms.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
