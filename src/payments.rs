//! Paid votes on the node's side: which payment rows are true by the headers held here, what this
//! node waits to see paid, and what pages and lists show of it.
//!
//! `spv` says whether a proof holds on the chain; who was to be paid, by which key, for which vote
//! is said by rows and judged here. All of it can be rebuilt from entries and headers but for what
//! is awaited: that is in `payments.json`.

pub mod awaited;
pub mod batch;
pub mod facts;
mod feed;
mod holders;
pub mod index;
pub mod keys;
pub mod offering;
pub mod proof;
pub mod published;
pub mod ranking;
mod reading;
mod run;
mod scan;
mod sums;
#[cfg(test)]
mod tests;
mod totals;
mod watch;
mod written;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use model::EntryId;
use spv::{Network, chain::HeaderChain, source::Spv};
use tokio::sync::{Notify, broadcast};

use crate::{
    config,
    data_folder::{DataFolder, FolderError},
};
use awaited::Awaited;
use facts::VoteFacts;
pub use feed::{current_key, key_state, vote_facts};
use index::Index;
use proof::View;
use ranking::{Ranking, Weights};
pub(crate) use reading::is_recent;
pub use run::{run, tell_offers};
pub use sums::VoteSum;
pub(crate) use watch::{own_row, proving_rows};

/// Changes that a slow reader may lag behind before it has to read anew.
const CHANGES: usize = 1_024;

/// A vote's payment got further, or back.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The vote.
    pub vote: EntryId,
    /// What rows say of it.
    pub facts: VoteFacts,
    /// What its proofs add up to; none where only this node's own offer changed.
    pub sum: Option<VoteSum>,
}

/// The ranking, and what it was made of.
#[derive(Debug)]
struct Ranked {
    generation: u64,
    weights: Arc<Weights>,
    ranking: Arc<Ranking>,
}

/// The node's side of paid votes.
#[derive(Debug)]
pub struct Payments {
    /// Chain of the configuration.
    pub network: Option<Network>,
    /// Confirmations from which a payment is settled.
    pub settled: u32,
    /// What is awaited.
    pub awaited: Awaited,
    /// Something is awaited that wasn't, or no longer.
    pub look: Notify,
    /// Rows that are missing in the index may count now.
    reread: Notify,
    /// Why there is no header chain though one was asked for.
    failure: Mutex<Option<String>>,
    index: Mutex<Index>,
    spv: OnceLock<Spv>,
    changes: broadcast::Sender<Changed>,
    weights: Mutex<Option<Arc<Weights>>>,
    /// As strangers see it, and as the node's person does.
    ranked: Mutex<[Option<Ranked>; 2]>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is derived, or changed in single steps: usable after a panic.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Payments {
    /// Reads what is awaited.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(config: &config::Payments, folder: &DataFolder) -> Result<Self, FolderError> {
        Ok(Self {
            network: config.network.network(),
            settled: config.settled_confirmations,
            awaited: Awaited::open(folder)?,
            look: Notify::new(),
            reread: Notify::new(),
            failure: Mutex::default(),
            index: Mutex::default(),
            spv: OnceLock::new(),
            changes: broadcast::Sender::new(CHANGES),
            weights: Mutex::default(),
            ranked: Mutex::default(),
        })
    }

    /// The light client, while it runs.
    pub fn spv(&self) -> Option<&Spv> {
        self.spv.get()
    }

    /// Why there is no header chain though one was asked for.
    pub fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// Reads the proofs.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Changes from now on. Who lags has to read anew.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// The chain to judge by, as it is now.
    pub fn view<T>(&self, judge: impl FnOnce(&View<'_, HeaderChain>) -> T) -> T {
        let Some(spv) = self.spv.get() else {
            return judge(&View::None);
        };
        let chain = spv.chain();
        if chain.has_minimum_work() {
            judge(&View::Chain(&chain))
        } else {
            judge(&View::Young(&chain))
        }
    }

    /// Changes the index, judges what is new in it, and tells what stands otherwise then.
    fn update(&self, change: impl FnOnce(&mut Index)) {
        let changes = self.view(|view| {
            let mut index = lock(&self.index);
            change(&mut index);
            index.judge_fresh(view);
            index.take_changes(self.settled)
        });
        self.tell(changes);
    }

    /// The chain has moved: judges everything anew.
    fn judge(&self) {
        let (changes, is_lost) = self.view(|view| {
            let mut index = lock(&self.index);
            index.judge_all(view);
            let is_lost = matches!(view, View::Chain(_)) && index.has_any_lost();
            (index.take_changes(self.settled), is_lost)
        });
        self.tell(changes);
        if is_lost {
            self.reread.notify_one();
        }
    }

    fn tell(&self, changes: Vec<(EntryId, VoteFacts, VoteSum)>) {
        for (vote, facts, sum) in changes {
            // Nobody may be listening.
            let _ = self.changes.send(Changed {
                vote,
                facts,
                sum: Some(sum),
            });
        }
    }

    /// An own offer changed: seen, found, held by another node.
    pub fn tell_offer(&self, vote: EntryId, facts: VoteFacts) {
        let sum = self.index().sum(&vote, self.settled);
        // Nobody may be listening.
        let _ = self.changes.send(Changed { vote, facts, sum });
    }

    /// The reader's follow graph; `read` makes it anew where it changed.
    ///
    /// # Errors
    /// What `read` says.
    pub fn weights<E>(&self, read: impl FnOnce() -> Result<Weights, E>) -> Result<Arc<Weights>, E> {
        if let Some(weights) = &*lock(&self.weights) {
            return Ok(Arc::clone(weights));
        }
        let weights = Arc::new(read()?);
        *lock(&self.weights) = Some(Arc::clone(&weights));
        Ok(weights)
    }

    fn forget_weights(&self) {
        *lock(&self.weights) = None;
    }

    /// Threads by verified sats, as weighed.
    pub fn ranking(&self, weights: &Arc<Weights>) -> Arc<Ranking> {
        let index = self.index();
        let mut ranked = lock(&self.ranked);
        let ranked = &mut ranked[usize::from(weights.me.is_some())];
        if let Some(known) = ranked
            && known.generation == index.generation()
            && known.weights == *weights
        {
            return Arc::clone(&known.ranking);
        }
        let ranking = Arc::new(Ranking::new(&index, weights));
        *ranked = Some(Ranked {
            generation: index.generation(),
            weights: Arc::clone(weights),
            ranking: Arc::clone(&ranking),
        });
        ranking
    }

    /// Whether a payment for a vote on this post is proved or awaited.
    pub fn is_about(&self, post: &EntryId) -> bool {
        let is_proved = self.index().votes_on(post).next().is_some();
        is_proved
            || self
                .awaited
                .with(|state| state.offers.values().any(|offer| offer.post == *post))
    }
}
