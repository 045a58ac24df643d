//! A miner that makes the same chain from the same calls.

use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bitcoin::{
    Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    absolute::LockTime, blockdata::constants::genesis_block, transaction::Version,
};
use thiserror::Error;

use super::{
    branch::Branch,
    coinbase::{anyone, block_on},
};

/// Seconds between blocks.
const SPACING_S: u32 = 600;
/// Blocks on top of a coinbase before it may be spent (`COINBASE_MATURITY`).
const MATURITY: u32 = 100;
/// What a transaction of [`Miner::pay`] leaves to the miner, at least.
const FEE_SATS: u64 = 10_000;

/// The coins that may be spent don't suffice.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{wanted_sats} sats were to be paid, the matured coinbases hold {sats}: mine on")]
pub struct NotEnough {
    /// To be paid, fee included.
    pub wanted_sats: u64,
    /// Left in coinbases that may be spent.
    pub sats: u64,
}

/// Mines on regtest; its coinbases pay to OP_TRUE. Clones are the same one.
///
/// Equal seeds, times and calls give equal blocks. The block at height `h` bears the time
/// `time_s + 600 · h`.
#[derive(Clone, Debug)]
pub struct Miner(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    seed: u64,
    time_s: u32,
    /// Blocks mined so far: what tells rivals at one height apart.
    mined: u64,
    /// The chain with the most work.
    active: Branch,
    /// Where the next block goes.
    working: Branch,
    /// Blocks that were once on the active chain and aren't any more, or not yet.
    others: Vec<Arc<Block>>,
    /// Coins that transactions of this miner spend, mined or not.
    spent: BTreeSet<OutPoint>,
}

impl Miner {
    /// A miner before its first block; `time_s` is that of height 0, in seconds since 1970.
    pub fn new(seed: u64, time_s: u32) -> Self {
        let start = Branch::of_genesis(genesis_block(bitcoin::Network::Regtest));
        let state = State {
            seed,
            time_s,
            mined: 0,
            active: start.clone(),
            working: start,
            others: Vec::new(),
            spent: BTreeSet::new(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            moved: Condvar::new(),
        }))
    }

    /// Mines one block with transactions, on the branch that is worked on.
    ///
    /// The branch becomes the chain that peers show once it has more work than the present one.
    pub fn mine(&self, transactions: Vec<Transaction>) -> Block {
        let mut state = self.state();
        let block = state.mine(transactions);
        self.0.moved.notify_all();
        block
    }

    /// Mines empty blocks, and hands out their hashes. Peers hear of the last one only.
    pub fn mine_many(&self, blocks: u32) -> Vec<BlockHash> {
        let mut state = self.state();
        let hashes = (0..blocks)
            .map(|_| state.mine(Vec::new()).block_hash())
            .collect();
        self.0.moved.notify_all();
        hashes
    }

    /// Makes the next blocks compete: they go on top of the active chain's block at a height.
    pub fn fork_at(&self, height: u32) {
        let mut state = self.state();
        let left = std::mem::take(&mut state.working);
        state.keep(&left);
        state.working = state.active.until(height);
    }

    /// A transaction that spends matured coinbases of the branch that is worked on, pays the
    /// outputs and returns the rest to OP_TRUE. It isn't mined yet; its coins are taken.
    pub fn pay(&self, outputs: Vec<TxOut>) -> Result<Transaction, NotEnough> {
        self.state().pay(outputs)
    }

    /// Takes one matured coinbase, for a transaction made elsewhere.
    pub fn coin(&self) -> Option<(OutPoint, TxOut)> {
        let mut state = self.state();
        let coin = state.coins().next()?;
        state.spent.insert(coin.0);
        Some(coin)
    }

    /// The active chain, the network's first block included.
    pub fn blocks(&self) -> Vec<Block> {
        let state = self.state();
        state
            .active
            .blocks()
            .iter()
            .map(|one| (**one).clone())
            .collect()
    }

    /// The active chain's last block.
    pub fn tip(&self) -> Block {
        let state = self.state();
        let tip = state.active.tip().map(|one| (**one).clone());
        tip.unwrap_or_else(|| genesis_block(bitcoin::Network::Regtest))
    }

    /// Height of the active chain's last block.
    pub fn height(&self) -> u32 {
        self.state().active.height()
    }

    /// The active chain's block at a height.
    pub fn block_at(&self, height: u32) -> Option<Block> {
        let state = self.state();
        let block = state.active.blocks().get(height as usize)?;
        Some((**block).clone())
    }

    pub(super) fn active(&self) -> Branch {
        self.state().active.clone()
    }

    pub(super) fn find(&self, hash: &BlockHash) -> Option<Arc<Block>> {
        let state = self.state();
        let mut others = state.others.iter();
        let found = state.active.find(hash).or_else(|| state.working.find(hash));
        found
            .or_else(|| others.find(|one| one.block_hash() == *hash))
            .cloned()
    }

    /// The active chain's tip, when it is another one than `shown`, waiting for a while.
    pub(super) fn moved_from(&self, shown: &BlockHash, wait: Duration) -> Option<Branch> {
        let state = self.state();
        let (state, _) = self
            .0
            .moved
            .wait_timeout_while(state, wait, |one| one.active.tip_hash() == *shown)
            .unwrap_or_else(PoisonError::into_inner);
        (state.active.tip_hash() != *shown).then(|| state.active.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn mine(&mut self, transactions: Vec<Transaction>) -> Block {
        let height = self.working.height() + 1;
        let time_s = self.time_s + SPACING_S * height;
        self.mined += 1;
        let extra = self.seed.rotate_left(32) ^ self.mined;
        let parent = self.working.tip().map(|one| one.header);
        let parent = parent.unwrap_or_else(|| genesis_block(bitcoin::Network::Regtest).header);
        for transaction in &transactions {
            let inputs = transaction.input.iter();
            self.spent.extend(inputs.map(|one| one.previous_output));
        }
        let block = block_on(&parent, height, time_s, extra, transactions);
        let extends = self.working.tip_hash() == self.active.tip_hash();
        self.working.push(block.clone());
        if extends {
            self.active.push(block.clone());
        } else if self.working.height() > self.active.height() {
            let old = std::mem::replace(&mut self.active, self.working.clone());
            self.keep(&old);
        }
        block
    }

    /// Remembers the blocks of a branch that are not on the active chain.
    fn keep(&mut self, branch: &Branch) {
        let gone = branch.since(&self.active);
        self.others.extend(gone.iter().cloned());
    }

    /// Coinbases of the branch worked on that the next block may spend, oldest first.
    fn coins(&self) -> impl Iterator<Item = (OutPoint, TxOut)> + '_ {
        let next = self.working.height() + 1;
        let matured = next.saturating_sub(MATURITY) as usize;
        let blocks = self.working.blocks().iter().take(matured + 1).skip(1);
        let coins = blocks.filter_map(|block| {
            let coinbase = block.txdata.first()?;
            let output = coinbase.output.first()?;
            Some((OutPoint::new(coinbase.compute_txid(), 0), output.clone()))
        });
        coins.filter(|(outpoint, output)| {
            output.value > Amount::ZERO && !self.spent.contains(outpoint)
        })
    }

    fn pay(&mut self, mut outputs: Vec<TxOut>) -> Result<Transaction, NotEnough> {
        let paid: u64 = outputs.iter().map(|one| one.value.to_sat()).sum();
        let wanted_sats = paid + FEE_SATS;
        let mut sats = 0;
        let mut taken = Vec::new();
        for (outpoint, output) in self.coins() {
            if sats >= wanted_sats {
                break;
            }
            sats += output.value.to_sat();
            taken.push(outpoint);
        }
        if sats < wanted_sats {
            return Err(NotEnough { wanted_sats, sats });
        }
        self.spent.extend(taken.iter().copied());
        if sats > wanted_sats {
            outputs.push(TxOut {
                value: Amount::from_sat(sats - wanted_sats),
                script_pubkey: anyone(),
            });
        }
        let input = |previous_output| TxIn {
            previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        };
        Ok(Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: taken.into_iter().map(input).collect(),
            output: outputs,
        })
    }
}
