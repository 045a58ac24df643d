//! Peers that die, and peers that lie.

use std::time::Duration;

use anyhow::{Result, ensure};
use spv::regtest::{Behaviour, MockPeer};

use super::{Chain, SETTLED, both_reach, offered};
use crate::node::eventually;
use crate::purse::{self, ARRIVES, Pair, follows, status};
use crate::scene::Scene;

/// What liars tell.
const LIES: [Behaviour; 6] = [
    Behaviour::StaleTip,
    Behaviour::LowerWork,
    Behaviour::ForgedBlocks,
    Behaviour::ForgedHeaders,
    Behaviour::Silent,
    Behaviour::Garbage,
];

#[test]
fn headers_go_on_when_the_peer_comes_back() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let node = chain.setup(&scene, "a").start()?;
    follows(&node, &chain.miner.tip().block_hash().to_string())?;
    for _ in 0..3 {
        chain.peer.hang_up();
        chain.miner.mine_many(1);
        follows(&node, &chain.miner.tip().block_hash().to_string())?;
    }
    // a page is quick meanwhile, whatever the source does
    let start = std::time::Instant::now();
    status(&node)?;
    ensure!(start.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[test]
fn among_liars_a_vote_is_paid_and_settles() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let liars = LIES
        .into_iter()
        .map(|lie| MockPeer::start(&chain.miner, lie))
        .collect::<std::io::Result<Vec<_>>>()?;
    let mut peers: Vec<String> = liars
        .iter()
        .map(|liar| liar.address().to_string())
        .collect();
    peers.push(chain.peer.address().to_string());
    let setup = |name| purse::on_chain(scene.setup(name), &peers);
    let pair = Pair::meet(setup("author"), setup("payer"))?;
    let (id, paying) = offered(&chain, &pair)?;
    chain.mine(&paying);
    chain.miner.mine_many(SETTLED - 1);
    both_reach(&pair, &id, "settled", SETTLED)?;
    let tip = chain.miner.tip().block_hash().to_string();
    follows(&pair.payer, &tip)?;
    ensure!(
        liars.iter().any(|liar| liar.connections() > 0),
        "nobody lied"
    );
    Ok(())
}

#[test]
fn a_node_whose_peers_are_all_gone_says_so() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let node = chain.setup(&scene, "a").start()?;
    let tip = chain.miner.tip().block_hash().to_string();
    follows(&node, &tip)?;
    let Chain { peer, .. } = chain;
    drop(peer);
    let seen = eventually("no peers", ARRIVES, || {
        let seen = status(&node)?;
        Ok((seen["peers"] == 0).then_some(seen))
    })?;
    ensure!(seen["tip"]["hash"] == tip, "the headers stay: {seen}");
    ensure!(
        seen["warnings"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        "{seen}"
    );
    Ok(())
}
