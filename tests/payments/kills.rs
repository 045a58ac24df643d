//! `kill -9` in each state: nothing that was awaited or proved is lost.

use anyhow::Result;
use bitcoin::consensus::encode::serialize_hex;

use super::{Chain, SATS, SETTLED, offered};
use crate::node::Node;
use crate::purse::{counts, reaches};
use crate::scene::{Scene, verified};

/// Waits for a state, kills the node, starts it, and waits for the state again.
fn killed(node: Node, vote: &str, state: &str, confirmations: u32) -> Result<Node> {
    reaches(&node, vote, state, confirmations)?;
    let node = node.kill()?.start()?;
    reaches(&node, vote, state, confirmations)?;
    Ok(node)
}

#[test]
fn the_payers_node_is_killed_in_each_state() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let mut pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    let before = chain.miner.height();
    pair.payer = killed(pair.payer, &id, "unpaid", 0)?;
    pair.payer
        .json(&["pay", "status", "--tx", &serialize_hex(&paying)])?;
    pair.payer = killed(pair.payer, &id, "seen", 0)?;

    // mined while it is down
    let setup = pair.payer.kill()?;
    chain.mine(&paying);
    pair.payer = killed(setup.start()?, &id, "confirmed", 1)?;
    chain.miner.mine_many(SETTLED - 1);
    pair.payer = killed(pair.payer, &id, "settled", SETTLED)?;
    // without a proof in its rows it would know of no block that was taken back
    counts(&pair.payer, &id, SATS)?;

    // taken back, and mined again, while it is down
    let setup = pair.payer.kill()?;
    chain.compete(before, 8);
    pair.payer = killed(setup.start()?, &id, "disconnected", 0)?;
    let setup = pair.payer.kill()?;
    chain.mine(&paying);
    pair.payer = killed(setup.start()?, &id, "confirmed", 1)?;
    reaches(&pair.author, &id, "confirmed", 1)?;
    counts(&pair.author, &id, SATS)?;
    verified(&pair.payer)
}

#[test]
fn a_batch_outlives_the_node_that_made_it() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let mut pair = chain.pair(&scene)?;
    let asked = crate::purse::vote(&pair.payer, &pair.thread, SATS)?;
    let id = crate::scene::text(&asked, "vote")?;
    let batch = pair.payer.json(&["pay", "batch"])?;
    let paying = chain.miner.pay(crate::purse::outputs_of_batch(&batch)?)?;
    let setup = pair.payer.kill()?;
    chain.mine(&paying);
    pair.payer = killed(setup.start()?, &id, "confirmed", 1)?;
    reaches(&pair.author, &id, "confirmed", 1)?;
    Ok(())
}
