//! Blocks that are taken back, and nodes that were away in between.

use std::time::Instant;

use anyhow::{Result, ensure};
use bitcoin::Transaction;

use crate::interop::chain::scene::{Chain, Place, milliseconds};
use crate::interop::stage::text;
use crate::node::Node;
use crate::purse::{Pair, counts, output_of, proofs_of, reaches, vote};

/// What a vote is paid.
const SATS: u64 = 5_000;

/// A vote, and a transaction that pays it.
fn offered(chain: &Chain, pair: &Pair) -> Result<(String, Transaction)> {
    let asked = vote(&pair.payer, &pair.thread, SATS)?;
    let paid = chain.signed(vec![output_of(&asked)?])?;
    Ok((text(&asked, "vote")?, paid))
}

/// Six blocks give way to eight: what was settled isn't any more, until it is mined again.
pub fn taken_back(place: &Place) -> Result<String> {
    let (chain, pair) = place.pair()?;
    let (id, paid) = offered(&chain, &pair)?;
    let before = chain.miner.height();
    chain.mine(vec![paid.clone()])?;
    chain.bury(5)?;
    for node in [&pair.payer, &pair.author] {
        reaches(node, &id, "settled", 6)?;
    }
    let first = proofs_of(&pair.author, &id)?;

    let start = Instant::now();
    chain.compete(before, 8)?;
    for node in [&pair.payer, &pair.author] {
        let seen = reaches(node, &id, "disconnected", 0)?;
        ensure!(seen["counted_sats"] == 0, "{seen}");
    }
    let seen = milliseconds(start);
    ensure!(
        chain.btcd.awaits(&paid.compute_txid().to_string())?,
        "btcd doesn't wait for the transaction any more"
    );

    let start = Instant::now();
    chain.mine(vec![paid])?;
    for node in [&pair.payer, &pair.author] {
        reaches(node, &id, "confirmed", 1)?;
        counts(node, &id, SATS)?;
    }
    let again = milliseconds(start);
    let proofs = proofs_of(&pair.author, &id)?;
    ensure!(
        proofs.iter().any(|proof| !first.contains(proof)),
        "there is no new proof"
    );
    Ok(format!(
        "6 blocks gave way to 8: taken back in {seen}, proved anew in {again} at both nodes"
    ))
}

/// Stops and starts the payer's node, and waits for a state.
fn restarted(node: Node, vote: &str, state: &str, confirmations: u32) -> Result<Node> {
    reaches(&node, vote, state, confirmations)?;
    let (setup, ..) = node.stop()?;
    let node = setup.start()?;
    reaches(&node, vote, state, confirmations)?;
    Ok(node)
}

/// The payer's node is stopped and started in each state, and misses blocks while it is away.
pub fn restarts(place: &Place) -> Result<String> {
    let (chain, mut pair) = place.pair()?;
    let (id, paid) = offered(&chain, &pair)?;
    let before = chain.miner.height();
    pair.payer = restarted(pair.payer, &id, "unpaid", 0)?;
    pair.payer.json(&[
        "pay",
        "status",
        "--tx",
        &bitcoin::consensus::encode::serialize_hex(&paid),
    ])?;
    pair.payer = restarted(pair.payer, &id, "seen", 0)?;

    // mined while it is away
    let (setup, ..) = pair.payer.stop()?;
    chain.mine(vec![paid.clone()])?;
    pair.payer = restarted(setup.start()?, &id, "confirmed", 1)?;
    chain.bury(5)?;
    pair.payer = restarted(pair.payer, &id, "settled", 6)?;
    // without a proof in its rows it would know of no block that was taken back
    counts(&pair.payer, &id, SATS)?;

    // taken back while it is away, and mined again while it is away
    let (setup, ..) = pair.payer.stop()?;
    chain.compete(before, 8)?;
    pair.payer = restarted(setup.start()?, &id, "disconnected", 0)?;
    let (setup, ..) = pair.payer.stop()?;
    chain.mine(vec![paid])?;
    pair.payer = restarted(setup.start()?, &id, "confirmed", 1)?;
    reaches(&pair.author, &id, "confirmed", 1)?;
    counts(&pair.author, &id, SATS)?;
    Ok("unpaid, seen, confirmed, settled, disconnected: 8 restarts, nothing forgotten".to_owned())
}
