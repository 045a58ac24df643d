//! One fetch of a blob at a time: who asks for it meanwhile waits for that one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use model::BlobId;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, watch};

use crate::progress::{Progress, ProgressSender};

#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<BTreeMap<BlobId, Weak<Flight>>>);

#[derive(Debug)]
pub(super) struct Flight {
    turn: Arc<Turn<()>>,
    progress: ProgressSender,
}

/// The right to fetch a blob.
#[derive(Debug)]
pub(super) struct Flying {
    flight: Arc<Flight>,
    _turn: OwnedMutexGuard<()>,
}

impl Flights {
    /// Waits until nobody else fetches the blob, showing the progress of who does.
    pub(super) async fn turn(&self, blob: BlobId, progress: &ProgressSender) -> Flying {
        let flight = self.flight(blob);
        let mut others = flight.progress.subscribe();
        let mut turn = std::pin::pin!(flight.turn.clone().lock_owned());
        loop {
            tokio::select! {
                biased;
                turn = &mut turn => return Flying { flight, _turn: turn },
                changed = others.changed() => if changed.is_ok() {
                    progress.send_replace(*others.borrow_and_update());
                },
            }
        }
    }

    fn flight(&self, blob: BlobId) -> Arc<Flight> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&blob).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight {
            turn: Arc::default(),
            progress: watch::Sender::new(Progress::default()),
        });
        flights.insert(blob, Arc::downgrade(&flight));
        flight
    }
}

impl Flying {
    /// Tells the caller and everyone who waits.
    pub(super) fn report(&self, to: &ProgressSender, progress: Progress) {
        to.send_replace(progress);
        self.flight.progress.send_replace(progress);
    }
}
