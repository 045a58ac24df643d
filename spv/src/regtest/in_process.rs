//! A source without a network.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bitcoin::{BlockHash, Transaction, hashes::Hash};

use super::miner::Miner;
use crate::source::{HeaderSource, Link, Offer, Request, SourceError};

/// How long it waits for a request before it looks at the miner again.
const TICK: Duration = Duration::from_millis(10);
/// Transactions that are kept.
const MAX_TRANSACTIONS: usize = 10_000;

/// Brings a miner's headers and blocks straight from it. Clones share what they received.
#[derive(Clone, Debug)]
pub struct InProcess {
    miner: Miner,
    received: Arc<Mutex<Vec<Transaction>>>,
}

impl InProcess {
    /// A source for a miner's chain.
    pub fn new(miner: &Miner) -> Self {
        Self {
            miner: miner.clone(),
            received: Arc::default(),
        }
    }

    /// Transactions that it was given.
    pub fn received(&self) -> Vec<Transaction> {
        let received = self.received.lock();
        received.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Offers what is missing there.
    fn catch_up(&self, link: &Link) {
        let chain = self.miner.active();
        while link.tip().hash != chain.tip_hash() {
            let headers = chain.after(&link.locator(), &BlockHash::all_zeros());
            match link.offer(None, &headers) {
                Offer::Taken(change) if !change.is_empty() => {}
                _ => return,
            }
        }
    }
}

impl HeaderSource for InProcess {
    fn name(&self) -> &'static str {
        "in process"
    }

    fn run(self: Box<Self>, link: Link) -> Result<(), SourceError> {
        loop {
            self.catch_up(&link);
            link.peers(1, Some(self.miner.height()));
            match link.next(TICK) {
                Some(Request::Stop) => return Ok(()),
                Some(Request::Block { hash, .. }) => match self.miner.find(&hash) {
                    Some(block) => {
                        link.deliver(None, &block);
                    }
                    None => link.unasked(&hash),
                },
                Some(Request::Submit(transaction)) => {
                    let received = self.received.lock();
                    let mut received = received.unwrap_or_else(PoisonError::into_inner);
                    if received.len() < MAX_TRANSACTIONS {
                        received.push((*transaction).clone());
                    }
                    drop(received);
                    link.announced(&transaction.compute_txid(), 1);
                }
                None => {}
            }
        }
    }
}
