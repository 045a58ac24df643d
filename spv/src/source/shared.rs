//! What the handle, the supervisor and the sources have in common.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use bitcoin::{Block, Txid, block::Header};
use tokio::sync::{broadcast, watch};

use super::{
    block::check_block,
    desk::Desk,
    error::{Lie, PeerFault},
    link::{Delivery, Offer, Request},
    options::{SpvOptions, Status},
};
use crate::chain::{ChainStore, Change, HeaderFault, StoreError, Tip};

/// Changes that a listener may be behind, before it has to judge everything anew.
const CHANGES: usize = 1_024;

pub(super) struct Shared {
    pub(super) options: SpvOptions,
    store: RwLock<ChainStore>,
    pub(super) tip: watch::Sender<Tip>,
    pub(super) changes: broadcast::Sender<Change>,
    desk: Mutex<Desk>,
    pub(super) bell: Condvar,
    /// Whether nothing runs any more.
    pub(super) ended: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(options: SpvOptions, store: ChainStore) -> Self {
        let tip = watch::Sender::new(store.chain().tip());
        Self {
            options,
            store: RwLock::new(store),
            tip,
            changes: broadcast::Sender::new(CHANGES),
            desk: Mutex::new(Desk::new()),
            bell: Condvar::new(),
            ended: watch::Sender::new(false),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self) -> RwLockReadGuard<'_, ChainStore> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a source is the present one.
    pub(super) fn is_present(&self, run: u64) -> bool {
        let desk = self.desk();
        desk.run == run && !desk.is_stopping
    }

    /// Takes headers, and tells everybody how the chain moved, in the order it did.
    pub(super) fn accept(&self, headers: &[Header]) -> Result<Change, StoreError> {
        let now_s = (self.options.now_s)();
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let result = store.accept(headers, now_s);
        let change = match &result {
            Ok(change) => change,
            Err(StoreError::Refused(refused)) => &refused.kept,
            Err(StoreError::Unwritten { change, .. }) => change,
        };
        if !change.is_empty() {
            // Who listens from a tip on hears what comes after it, not how it came to be.
            // Where nobody listens nobody needs to know.
            self.changes.send(change.clone()).ok();
            self.tip.send_replace(change.tip);
        }
        result
    }

    pub(super) fn offer(&self, peer: Option<SocketAddr>, headers: &[Header]) -> Offer {
        match self.accept(headers) {
            Ok(change) => {
                self.desk().is_useful = true;
                Offer::Taken(change)
            }
            Err(StoreError::Refused(refused)) => match &refused.fault {
                HeaderFault::Unconnected(_) => Offer::Unconnected,
                fault if fault.is_lie() => {
                    Offer::Lie(self.desk().note_lie(peer, Lie::Headers(refused)))
                }
                fault => {
                    tracing::debug!(target: "spv", ?peer, %fault, "headers_unjudged");
                    Offer::Unjudged
                }
            },
            Err(unwritten @ StoreError::Unwritten { .. }) => {
                tracing::warn!(target: "spv", error = %unwritten, "headers_unwritten");
                self.desk().last_error = Some(unwritten.to_string());
                Offer::Unjudged
            }
        }
    }

    pub(super) fn deliver(&self, peer: Option<SocketAddr>, block: &Block) -> Delivery {
        let hash = block.block_hash();
        if !self.desk().blocks.contains_key(&hash) {
            return Delivery::Unasked;
        }
        let checked = check_block(block);
        let mut desk = self.desk();
        match checked {
            Ok(()) => {
                desk.is_useful = true;
                desk.fulfil(&hash, block);
                Delivery::Taken
            }
            Err(fault) => {
                let lie = Lie::Block { block: hash, fault };
                let fault: PeerFault = desk.note_lie(peer, lie);
                desk.forged(&hash, &fault);
                drop(desk);
                self.bell.notify_all();
                Delivery::Lie(fault)
            }
        }
    }

    pub(super) fn announced(&self, transaction: &Txid, peers: u32) {
        if peers > 0 {
            self.desk().announced(transaction, peers);
        }
    }

    pub(super) fn set_peers(&self, run: u64, peers: u32, claimed_height: Option<u32>) {
        let mut desk = self.desk();
        if desk.run == run {
            desk.peers = peers;
            desk.claimed_height = claimed_height;
        }
    }

    pub(super) fn beat(&self, run: u64) {
        let mut desk = self.desk();
        if desk.run == run {
            desk.beat = Instant::now();
        }
    }

    pub(super) fn next(&self, run: u64, wait: Duration) -> Option<Request> {
        let end = Instant::now() + wait;
        let mut desk = self.desk();
        loop {
            if desk.run != run || desk.is_stopping {
                return Some(Request::Stop);
            }
            let now = Instant::now();
            desk.beat = now;
            let soonest = match desk.take(&self.options.patience) {
                Ok(request) => return Some(request),
                Err(soonest) => soonest,
            };
            let left = end.saturating_duration_since(now);
            if left.is_zero() {
                return None;
            }
            let waited = self.bell.wait_timeout(desk, left.min(soonest));
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn status(&self) -> Status {
        let (tip, has_minimum_work) = {
            let store = self.store();
            (store.chain().tip(), store.chain().has_minimum_work())
        };
        let desk = self.desk();
        Status {
            network: self.options.network,
            tip,
            peers: desk.peers,
            claimed_height: desk.claimed_height,
            source: desk.source,
            restarts: desk.restarts,
            last_error: desk.last_error.clone(),
            has_minimum_work,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
