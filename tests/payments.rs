//! Paid votes, as people and other nodes meet them: a chain and its peers in this process, real
//! nodes that ask them.

mod chainless;
mod falsehoods;
mod forged;
mod kills;
mod page;
mod peers;
mod price;
mod proved;
mod received;
mod shown;
mod states;

use anyhow::{Result, ensure};
use bitcoin::{Block, Transaction};
use serde_json::Value;
use spv::regtest::{Behaviour, Miner, MockPeer};

use crate::node::Setup;
use crate::purse::{self, Pair, output_of, reaches, vote};
use crate::scene::{Scene, text};

/// Blocks before a test begins, so that coinbases may be spent.
const FIRST_BLOCKS: u32 = 120;
/// Confirmations of a settled payment.
const SETTLED: u32 = 6;
/// What a vote is paid.
const SATS: u64 = 5_000;

/// A chain, and a peer that shows it.
struct Chain {
    miner: Miner,
    peer: MockPeer,
}

impl Chain {
    fn new() -> Result<Self> {
        Self::seeded(1)
    }

    /// Another chain for another seed.
    fn seeded(seed: u64) -> Result<Self> {
        let miner = purse::miner(seed, FIRST_BLOCKS + purse::AHEAD)?;
        miner.mine_many(FIRST_BLOCKS);
        let peer = MockPeer::start(&miner, Behaviour::Honest)?;
        Ok(Self { miner, peer })
    }

    /// How a node of that name would be started, with the peer to ask.
    fn setup(&self, scene: &Scene, name: &str) -> Setup {
        let peers = [self.peer.address().to_string()];
        purse::on_chain(scene.setup(name), &peers)
    }

    /// Somebody who is paid and somebody who pays.
    fn pair(&self, scene: &Scene) -> Result<Pair> {
        Pair::meet(self.setup(scene, "author"), self.setup(scene, "payer"))
    }

    /// The transaction of a wallet that pays an unpaid vote.
    fn pays(&self, asked: &Value) -> Result<Transaction> {
        let [funding, paying] = purse::signed(&self.miner, vec![output_of(asked)?])?;
        self.mine(&funding);
        Ok(paying)
    }

    fn mine(&self, transaction: &Transaction) -> Block {
        self.miner.mine(vec![transaction.clone()])
    }

    /// A branch with nothing in it takes the place of what follows a height.
    fn compete(&self, after: u32, blocks: u32) {
        self.miner.fork_at(after);
        self.miner.mine_many(blocks);
    }
}

/// A vote on the pair's thread, and the transaction that pays it.
fn offered(chain: &Chain, pair: &Pair) -> Result<(String, Transaction)> {
    let asked = vote(&pair.payer, &pair.thread, SATS)?;
    ensure!(
        asked["state"] == "unpaid" && asked["counted_sats"] == 0,
        "{asked}"
    );
    Ok((text(&asked, "vote")?, chain.pays(&asked)?))
}

/// A vote on the pair's thread that one block says is paid, at both nodes.
fn confirmed(chain: &Chain, pair: &Pair) -> Result<String> {
    let (id, paying) = offered(chain, pair)?;
    chain.mine(&paying);
    both_reach(pair, &id, "confirmed", 1)?;
    Ok(id)
}

/// Both nodes of a pair show the vote that far.
fn both_reach(pair: &Pair, vote: &str, state: &str, confirmations: u32) -> Result<()> {
    for node in [&pair.payer, &pair.author] {
        reaches(node, vote, state, confirmations)?;
    }
    Ok(())
}

/// What a thread counts, at a node.
fn paid(node: &crate::node::Node, thread: &str) -> Result<Value> {
    let mut shown = node
        .client()?
        .get_json(&format!("/api/v1/threads/{thread}"))?;
    Ok(shown["posts"][0]["paid"].take())
}
