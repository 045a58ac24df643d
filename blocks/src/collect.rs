//! Collection on demand: blobs that no tag, temporary tag or running write protects are deleted.
//!
//! The store runs its collector in a loop of its own. Its protect callback is where it waits here:
//! a round begins when somebody asks, and has ended when the callback is entered again.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use iroh_blobs::store::{GcConfig, ProtectCb, ProtectOutcome};
use tokio::sync::watch;

use crate::error::StoreError;

/// Pause of the store's loop between two rounds; the callback does the waiting.
const LOOP_PAUSE: Duration = Duration::from_millis(1);

/// Asks for rounds of collection, and waits for them.
pub(crate) struct Collector {
    wanted: watch::Sender<u64>,
    done: watch::Receiver<u64>,
    stopping: Arc<AtomicBool>,
    callback: Weak<Callback>,
}

type Callback = <ProtectCb as Deref>::Target;

/// Holders of the callback while the loop lives: the store's options, and the loop.
const HOLDERS: usize = 2;
/// A loop that died of an error says nothing, so it is looked after this often.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl Collector {
    /// The collector and the configuration that makes a store obey it.
    pub(crate) fn new() -> (Self, GcConfig) {
        let (wanted, wanted_rx) = watch::channel(0);
        let (done_tx, done) = watch::channel(0);
        let stopping = Arc::new(AtomicBool::new(false));
        let started = Arc::new(AtomicU64::new(0));
        let stop = stopping.clone();
        let callback: ProtectCb = Arc::new(move |_| {
            done_tx.send_replace(started.load(Ordering::SeqCst));
            let (mut wanted, started) = (wanted_rx.clone(), started.clone());
            let stopping = stopping.clone();
            Box::pin(async move {
                let seen = started.load(Ordering::SeqCst);
                let next = wanted
                    .wait_for(|wanted| *wanted > seen || stopping.load(Ordering::SeqCst))
                    .await
                    .map_or(seen, |wanted| *wanted);
                started.store(next, Ordering::SeqCst);
                ProtectOutcome::Continue
            })
        });
        let collector = Self {
            wanted,
            done,
            stopping: stop,
            callback: Arc::downgrade(&callback),
        };
        let config = GcConfig {
            interval: LOOP_PAUSE,
            add_protected: Some(callback),
        };
        (collector, config)
    }

    /// Runs one whole round that begins after this call.
    pub(crate) async fn run(&self) -> Result<(), StoreError> {
        let mut round = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            round = *wanted;
        });
        let mut done = self.done.clone();
        let mut done = std::pin::pin!(done.wait_for(|done| *done >= round));
        loop {
            tokio::select! {
                ended = &mut done => return ended.map(|_| ()).map_err(|_| StoreError::Stopped),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if self.callback.strong_count() < HOLDERS {
                        return Err(StoreError::Stopped);
                    }
                }
            }
        }
    }

    /// Lets the loop go once the store is shut down: its next round fails and ends it.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wanted.send_modify(|wanted| *wanted += 1);
    }
}
