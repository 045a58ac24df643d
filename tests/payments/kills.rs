//! `kill -9` in each state: nothing that was awaited or proved is lost.

use anyhow::{Result, ensure};
use bitcoin::consensus::encode::serialize_hex;

use super::{Chain, SATS, SETTLED, offered};
use crate::node::{Node, eventually};
use crate::purse::{ARRIVES, counts, proofs_of, reaches};
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

#[test]
fn a_transaction_that_was_handed_in_is_announced_again_after_a_kill() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let mut pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    let digits = serialize_hex(&paying);
    pair.payer.json(&["pay", "status", "--tx", &digits])?;
    chain.peer.wait_received(1, ARRIVES);
    let setup = pair.payer.kill()?;
    chain.peer.forget_received();
    pair.payer = killed(setup.start()?, &id, "seen", 0)?;
    let again = chain.peer.wait_received(1, ARRIVES);
    ensure!(again == [paying], "it is not announced again");
    // one that never comes is given up, and the payment asked for anew
    pair.payer.json(&["pay", "status", &id, "--anyway"])?;
    reaches(&pair.payer, &id, "unpaid", 0)?;
    Ok(())
}

#[test]
fn a_proof_of_others_takes_no_ones_place() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let mut pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    eventually("the vote counts at the recipient's", ARRIVES, || {
        let thread = pair.author.json(&["thread", &pair.thread])?;
        Ok((thread["posts"][0]["score"] == 1).then_some(()))
    })?;
    let setup = pair.payer.kill()?;
    let block = chain.mine(&paying).block_hash().to_string();
    eventually("the recipient's proof", ARRIVES, || {
        let said = pair.author.run(&["pay", "prove", &id, "--block", &block])?;
        Ok((said.code == 0).then_some(()))
    })?;
    // who published that could take it back
    pair.payer = setup.start()?;
    eventually("the payer's own proof too", ARRIVES, || {
        let proofs = proofs_of(&pair.author, &id)?;
        Ok((proofs.len() == 2).then_some(()))
    })?;
    counts(&pair.author, &id, SATS)?;
    // a restart publishes no other
    pair.payer = killed(pair.payer.kill()?.start()?, &id, "confirmed", 1)?;
    eventually("both proofs at the payer's", ARRIVES, || {
        let proofs = proofs_of(&pair.payer, &id)?;
        ensure!(proofs.len() <= 2, "{} proofs", proofs.len());
        Ok((proofs.len() == 2).then_some(()))
    })?;
    Ok(())
}
