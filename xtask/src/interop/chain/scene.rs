//! Where the checks take place: a chain that btcd keeps, and nodes of datt that ask it.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Block, Transaction, TxOut};
use spv::regtest::Miner;

use crate::interop::chain::btcd::Btcd;
use crate::interop::stage::Stage;
use crate::node::Setup;
use crate::purse::{self, Pair};

/// Blocks before the first check, so that coinbases may be spent.
const FIRST_BLOCKS: u32 = 120;

/// A check's own folder and programs.
#[derive(Debug)]
pub struct Place<'a> {
    stage: &'a Stage,
    binary: &'a Path,
    name: String,
}

impl<'a> Place<'a> {
    /// For a check of that name.
    pub fn new(stage: &'a Stage, binary: &'a Path, name: &str) -> Self {
        let name = format!("chain-{}", name.replace(' ', "-"));
        Self {
            stage,
            binary,
            name,
        }
    }

    /// A path for something of this check.
    pub fn path(&self, name: &str) -> PathBuf {
        self.stage.path(&format!("{}-{name}", self.name))
    }

    /// How a node of that name would be started, with peers for headers (`address:port`).
    pub fn setup<S: AsRef<str>>(&self, name: &str, peers: &[S]) -> Setup {
        let setup = self.stage.setup(&format!("{}-{name}", self.name));
        purse::on_chain(setup, peers)
    }

    /// A new chain of so many blocks.
    pub fn chain_of(&self, blocks: u32) -> Result<Chain> {
        let chain = Chain {
            btcd: Btcd::start(self.binary, &self.path("btcd"))?,
            miner: purse::miner(1, blocks + purse::AHEAD)?,
        };
        chain.bury(blocks)?;
        ensure!(
            chain.btcd.height()? == u64::from(blocks),
            "btcd has {} of {blocks} blocks",
            chain.btcd.height()?
        );
        Ok(chain)
    }

    /// A new chain with coins to spend.
    pub fn chain(&self) -> Result<Chain> {
        self.chain_of(FIRST_BLOCKS)
    }

    /// Somebody who is paid and somebody who pays, on a new chain.
    pub fn pair(&self) -> Result<(Chain, Pair)> {
        let chain = self.chain()?;
        let peers = [chain.btcd.address.as_str()];
        let pair = Pair::meet(self.setup("author", &peers), self.setup("payer", &peers))?;
        Ok((chain, pair))
    }
}

/// A chain that btcd keeps and this program extends.
#[derive(Debug)]
pub struct Chain {
    /// Keeps it.
    pub btcd: Btcd,
    /// Extends it.
    pub miner: Miner,
}

impl Chain {
    /// One block with transactions, on the branch that is worked on.
    pub fn mine(&self, transactions: Vec<Transaction>) -> Result<Block> {
        let block = self.miner.mine(transactions);
        self.btcd.submit(&serialize_hex(&block))?;
        Ok(block)
    }

    /// Blocks with nothing in them; the last one's hash.
    pub fn bury(&self, blocks: u32) -> Result<String> {
        for _ in 0..blocks {
            self.mine(Vec::new())?;
        }
        self.tip()
    }

    /// Has btcd come back after it was stopped, with all blocks that it had.
    pub fn revive(&mut self) -> Result<()> {
        self.btcd.start_again()?;
        for block in self.miner.blocks().iter().skip(1) {
            self.btcd.submit(&serialize_hex(block))?;
        }
        self.tip().map(drop)
    }

    /// Hash of the last block, on which btcd and the miner agree.
    pub fn tip(&self) -> Result<String> {
        let tip = self.miner.tip().block_hash().to_string();
        let best = self.btcd.best()?;
        ensure!(best == tip, "btcd's tip is {best}, the miner's {tip}");
        Ok(tip)
    }

    /// A branch of blocks with nothing in them that begins after a height; the tip afterwards.
    pub fn compete(&self, after: u32, blocks: u32) -> Result<String> {
        self.miner.fork_at(after);
        self.bury(blocks)
    }

    /// A transaction of a wallet that pays; nobody has it yet, and the wallet's coin is mined.
    pub fn signed(&self, outputs: Vec<TxOut>) -> Result<Transaction> {
        let [funding, paying] = purse::signed(&self.miner, outputs)?;
        self.mine(vec![funding])?;
        Ok(paying)
    }

    /// Pays, and has btcd wait for a block to take it into.
    pub fn pay(&self, outputs: Vec<TxOut>) -> Result<Transaction> {
        let paid = self.miner.pay(outputs)?;
        let txid = self.btcd.send(&serialize_hex(&paid))?;
        ensure!(txid == paid.compute_txid().to_string(), "it is {txid}");
        Ok(paid)
    }
}

/// A figure for the table.
pub fn milliseconds(since: std::time::Instant) -> String {
    format!("{} ms", since.elapsed().as_millis())
}
