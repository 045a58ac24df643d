//! The light client against peers over loopback, and its supervisor.

mod liars;
mod network;
mod restarts;
mod supervising;

use std::{future::Future, path::Path, time::Duration};

use bitcoin::BlockHash;
use tokio::sync::broadcast;

use super::{Nakamoto, Spv, SpvOptions};
use crate::{
    Network,
    chain::Change,
    regtest::{Behaviour, Miner, MockPeer},
};

/// Time of regtest's height 0 in tests.
const START_S: u32 = 1_700_000_000;
/// The clock in tests: later than every block.
const NOW_S: u32 = 1_780_000_000;
/// Before this everything has happened.
const DEADLINE: Duration = Duration::from_secs(60);

fn options(folder: &Path, peers: &[&MockPeer]) -> SpvOptions {
    let mut options = SpvOptions::new(Network::Regtest, folder, || NOW_S);
    options.peers = peers.iter().map(|one| one.address()).collect();
    options.patience.restart = Duration::from_millis(20);
    options.patience.block_try = Duration::from_millis(500);
    options
}

fn with_nakamoto(options: SpvOptions) -> Spv {
    let source = Nakamoto::new(&options).unwrap();
    Spv::start(options, move || Box::new(source.clone())).unwrap()
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, what).await;
    done.expect("it took more than the deadline")
}

async fn reaches(spv: &Spv, tip: BlockHash) {
    let mut tips = spv.tip();
    let reached = tokio::time::timeout(DEADLINE, tips.wait_for(|one| one.hash == tip)).await;
    let reached = reached.map(|one| one.unwrap().height);
    assert!(reached.is_ok(), "{tip} is not reached: {:?}", spv.status());
}

/// The next change that moves something.
async fn moved(changes: &mut broadcast::Receiver<Change>) -> Change {
    in_time(changes.recv()).await.unwrap()
}

fn chain_of(blocks: u32) -> Miner {
    let miner = Miner::new(7, START_S);
    miner.mine_many(blocks);
    miner
}

fn peer(miner: &Miner, behaviour: Behaviour) -> MockPeer {
    MockPeer::start(miner, behaviour).unwrap()
}
