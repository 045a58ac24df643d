//! What is asked of the source, and who waits for it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bitcoin::{Block, BlockHash, Transaction, Txid};
use tokio::sync::oneshot;

use super::{
    error::{BlockError, Lie, PeerFault, SubmitError},
    link::Request,
    options::Patience,
};

/// Blocks that are asked for at once.
pub(super) const MAX_BLOCKS: usize = 64;
/// Who may wait for one block.
const MAX_WAITERS: usize = 64;
/// Forgeries of one block, after which it is given up.
const MAX_FORGED: u32 = 8;
/// Peers that are remembered as asked before, for one block.
const MAX_AVOIDED: usize = 32;
/// Transactions that are handed on at once.
pub(super) const MAX_TRANSACTIONS: usize = 64;
/// How long a transaction is handed to peers that come later.
const HANDED_ON: Duration = Duration::from_secs(3_600);
/// How soon a block is asked for again that no peer could be asked for.
const NOBODY_THERE: Duration = Duration::from_millis(300);

/// Requests, and the state of the source that works on them.
#[derive(Debug)]
pub(super) struct Desk {
    /// The source's number; links of others lead nowhere.
    pub(super) run: u64,
    pub(super) is_stopping: bool,
    pub(super) blocks: BTreeMap<BlockHash, Wanted>,
    transactions: VecDeque<Submission>,
    pub(super) peers: u32,
    pub(super) claimed_height: Option<u32>,
    /// When the source last gave a sign of life.
    pub(super) beat: Instant,
    /// The last source whose thread ended.
    pub(super) ended: Option<u64>,
    /// Whether the source brought anything since it started.
    pub(super) is_useful: bool,
    pub(super) source: Option<&'static str>,
    pub(super) restarts: u32,
    pub(super) last_error: Option<String>,
}

/// A block that somebody waits for.
#[derive(Debug)]
pub(super) struct Wanted {
    waiters: Vec<oneshot::Sender<Result<Block, BlockError>>>,
    /// When it is to be asked for.
    due: Instant,
    /// Who was asked, the last one last.
    avoid: Vec<SocketAddr>,
    forged: u32,
    pub(super) last: Option<PeerFault>,
}

#[derive(Debug)]
struct Submission {
    txid: Txid,
    transaction: Arc<Transaction>,
    waiter: Option<oneshot::Sender<u32>>,
    /// The source that knows of it.
    given: Option<u64>,
    since: Instant,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            run: 0,
            is_stopping: false,
            blocks: BTreeMap::new(),
            transactions: VecDeque::new(),
            peers: 0,
            claimed_height: None,
            beat: Instant::now(),
            ended: None,
            is_useful: false,
            source: None,
            restarts: 0,
            last_error: None,
        }
    }

    /// Puts a block on the list.
    pub(super) fn want(
        &mut self,
        hash: BlockHash,
        waiter: oneshot::Sender<Result<Block, BlockError>>,
    ) -> Result<(), BlockError> {
        if self.is_stopping {
            return Err(BlockError::Stopped);
        }
        self.forget_abandoned();
        let count = self.blocks.len();
        if !self.blocks.contains_key(&hash) && count >= MAX_BLOCKS {
            return Err(BlockError::Busy(count));
        }
        let wanted = self.blocks.entry(hash).or_insert_with(|| Wanted {
            waiters: Vec::new(),
            due: Instant::now(),
            avoid: Vec::new(),
            forged: 0,
            last: None,
        });
        if wanted.waiters.len() >= MAX_WAITERS {
            return Err(BlockError::Busy(count));
        }
        wanted.waiters.push(waiter);
        Ok(())
    }

    /// Puts a transaction on the list; one that is there already is handed on again.
    pub(super) fn submit(
        &mut self,
        transaction: Transaction,
        waiter: oneshot::Sender<u32>,
    ) -> Result<(), SubmitError> {
        if self.is_stopping {
            return Err(SubmitError::Stopped);
        }
        let now = Instant::now();
        let txid = transaction.compute_txid();
        self.transactions
            .retain(|one| one.txid != txid && now.duration_since(one.since) < HANDED_ON);
        let count = self.transactions.len();
        if count >= MAX_TRANSACTIONS {
            return Err(SubmitError::Busy(count));
        }
        self.transactions.push_back(Submission {
            txid,
            transaction: Arc::new(transaction),
            waiter: Some(waiter),
            given: None,
            since: now,
        });
        Ok(())
    }

    /// What the source is to do now; else how long until there may be something.
    pub(super) fn take(&mut self, patience: &Patience) -> Result<Request, Duration> {
        self.forget_abandoned();
        let now = Instant::now();
        let mut soonest = patience.block_try;
        for (hash, wanted) in &mut self.blocks {
            if wanted.due <= now {
                wanted.due = now + patience.block_try;
                return Ok(Request::Block {
                    hash: *hash,
                    avoid: wanted.avoid.clone(),
                });
            }
            soonest = soonest.min(wanted.due - now);
        }
        let run = self.run;
        let mut transactions = self.transactions.iter_mut();
        if let Some(one) = transactions.find(|one| one.given != Some(run)) {
            one.given = Some(run);
            return Ok(Request::Submit(Arc::clone(&one.transaction)));
        }
        Err(soonest)
    }

    /// A block was asked from a peer.
    pub(super) fn asked(&mut self, hash: &BlockHash, peer: SocketAddr) {
        if let Some(wanted) = self.blocks.get_mut(hash) {
            wanted.avoid(peer);
        }
    }

    /// Nobody was there to ask a block from.
    pub(super) fn unasked(&mut self, hash: &BlockHash) {
        if let Some(wanted) = self.blocks.get_mut(hash) {
            wanted.due = Instant::now() + NOBODY_THERE;
        }
    }

    /// The connections of a source were lost: all is asked for, and handed on, again.
    pub(super) fn lost(&mut self, run: u64) {
        if run != self.run {
            return;
        }
        let now = Instant::now();
        self.blocks.values_mut().for_each(|one| one.due = now);
        self.transactions
            .iter_mut()
            .for_each(|one| one.given = None);
    }

    /// A true block came.
    pub(super) fn fulfil(&mut self, hash: &BlockHash, block: &Block) {
        let Some(wanted) = self.blocks.remove(hash) else {
            return;
        };
        for waiter in wanted.waiters {
            // Whoever stopped waiting needs no answer.
            waiter.send(Ok(block.clone())).ok();
        }
    }

    /// A forged block came: it is asked for again, unless that happened too often.
    pub(super) fn forged(&mut self, hash: &BlockHash, fault: &PeerFault) {
        let Some(wanted) = self.blocks.get_mut(hash) else {
            return;
        };
        wanted.forged += 1;
        wanted.due = Instant::now();
        wanted.last = Some(fault.clone());
        if let Some(peer) = fault.peer {
            wanted.avoid(peer);
        }
        if wanted.forged < MAX_FORGED {
            return;
        }
        let tries = wanted.forged;
        for waiter in wanted.waiters.drain(..) {
            let given_up = BlockError::Forged {
                block: *hash,
                tries,
                last: Box::new(fault.clone()),
            };
            waiter.send(Err(given_up)).ok();
        }
        self.blocks.remove(hash);
    }

    /// A transaction was announced to peers.
    pub(super) fn announced(&mut self, txid: &Txid, peers: u32) {
        let mut transactions = self.transactions.iter_mut();
        let found = transactions.find(|one| one.txid == *txid);
        if let Some(waiter) = found.and_then(|one| one.waiter.take()) {
            waiter.send(peers).ok();
        }
    }

    /// Notes a lie, for people.
    pub(super) fn note_lie(&mut self, peer: Option<SocketAddr>, fault: Lie) -> PeerFault {
        let fault = PeerFault { peer, fault };
        self.last_error = Some(fault.to_string());
        fault
    }

    /// Lets go of everybody who waits.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.transactions.clear();
    }

    fn forget_abandoned(&mut self) {
        self.blocks.retain(|_, wanted| {
            wanted.waiters.retain(|one| !one.is_closed());
            !wanted.waiters.is_empty()
        });
    }
}

impl Wanted {
    fn avoid(&mut self, peer: SocketAddr) {
        self.avoid.retain(|one| *one != peer);
        self.avoid.push(peer);
        if self.avoid.len() > MAX_AVOIDED {
            self.avoid.remove(0);
        }
    }
}
