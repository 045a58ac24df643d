//! Paying: a vote by its address, many by one transaction, and the proof of it.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bitcoin::consensus::encode::serialize_hex;
use serde_json::Value;

use crate::interop::chain::scene::{Place, milliseconds};
use crate::interop::stage::{arg, text};
use crate::node::eventually;
use crate::purse::{ARRIVES, Pair, counts, output_of, outputs_of_batch, proofs_of, reaches, vote};

/// What a vote is paid.
pub const SATS: u64 = 2_500;
/// Votes in a batch, on posts of the one and of the other.
const POSTS: [usize; 2] = [12, 5];
/// Confirmations of a settled payment.
const SETTLED: u32 = 6;

/// Any wallet pays the URI: seen, confirmed, settled, at the payer's and at the author's.
pub fn by_address(place: &Place) -> Result<String> {
    let (chain, pair) = place.pair()?;
    let asked = vote(&pair.payer, &pair.thread, SATS)?;
    let id = text(&asked, "vote")?;
    let paid = chain.signed(vec![output_of(&asked)?])?;
    reaches(&pair.payer, &id, "unpaid", 0)?;
    // the payer's node knows of it first, and hands it on
    pair.payer
        .json(&["pay", "status", "--tx", &serialize_hex(&paid)])?;
    reaches(&pair.payer, &id, "seen", 0)?;
    let txid = paid.compute_txid().to_string();
    eventually("the transaction at btcd", ARRIVES, || {
        Ok(chain.btcd.awaits(&txid)?.then_some(()))
    })?;
    let start = Instant::now();
    chain.mine(vec![paid])?;
    reaches(&pair.payer, &id, "confirmed", 1)?;
    let proved = milliseconds(start);
    reaches(&pair.author, &id, "confirmed", 1)?;
    let told = milliseconds(start);
    chain.bury(SETTLED - 1)?;
    for node in [&pair.payer, &pair.author] {
        counts(node, &id, SATS)?;
        let seen = reaches(node, &id, "settled", SETTLED)?;
        ensure!(seen["txid"] == txid, "{seen}");
    }
    Ok(format!(
        "proved {proved} after the block, {told} at the other node; settled at {SETTLED}"
    ))
}

/// Votes on posts of two people, all in one transaction.
pub fn by_batch(place: &Place) -> Result<String> {
    let (chain, pair) = place.pair()?;
    let peers = [chain.btcd.address.as_str()];
    let other = pair.third(place.setup("third", &peers))?;
    let mut votes = Vec::new();
    for (count, writer) in POSTS.into_iter().zip([&pair.author, &other]) {
        for number in 0..count {
            let post = pair.reply(writer, &format!("Number {number}"))?;
            votes.push(text(&vote(&pair.payer, &post, SATS)?, "vote")?);
        }
    }
    let batch = pair.payer.json(&["pay", "batch"])?;
    ensure!(
        batch["votes"].as_array().map(Vec::len) == Some(votes.len()),
        "{batch}"
    );
    let outputs = outputs_of_batch(&batch)?;
    ensure!(outputs.len() == POSTS.len() + 1, "{batch}");
    let paid = chain.pay(outputs)?;
    let start = Instant::now();
    chain.mine(vec![paid])?;
    chain.bury(SETTLED - 1)?;
    for id in &votes {
        reaches(&pair.payer, id, "settled", SETTLED)?;
    }
    let proved = milliseconds(start);
    for node in [&pair.author, &other] {
        for id in &votes {
            counts(node, id, SATS)?;
        }
    }
    Ok(format!(
        "{} votes, {} people, one transaction: proved {proved} after the block, {} everywhere",
        votes.len(),
        POSTS.len(),
        milliseconds(start)
    ))
}

/// The proof as a file is checked by the headers on disk, with no node running.
pub fn proof_file(place: &Place) -> Result<String> {
    let (chain, pair) = place.pair()?;
    let id = settled(&chain.miner, &pair, |txs| chain.mine(txs).map(drop))?;
    let proofs = proofs_of(&pair.author, &id)?;
    let bytes = proofs.first().context("the author has no proof")?;
    let file = place.path("proof");
    fs::write(&file, bytes)?;
    let (setup, ..) = pair.author.stop()?;
    let verify = ["--json", "pay", "verify", arg(&file)?];
    let start = Instant::now();
    let said = setup.run(&verify)?;
    let took = milliseconds(start);
    ensure!(said.code == 0, "ended with {}: {said:?}", said.code);
    let report: Value = said.json()?;
    ensure!(
        report["vote"] == *id && report["sats"] == SATS && report["confirmations"] == SETTLED,
        "{report}"
    );
    let mut altered = bytes.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    fs::write(&file, &altered)?;
    let said = setup.run(&verify)?;
    ensure!(said.code == 4, "an altered one ended with {said:?}");
    Ok(format!("{} bytes, checked in {took}", bytes.len()))
}

/// A vote that is paid and settled at both nodes; its id.
pub fn settled(
    miner: &spv::regtest::Miner,
    pair: &Pair,
    mine: impl Fn(Vec<bitcoin::Transaction>) -> Result<()>,
) -> Result<String> {
    let asked = vote(&pair.payer, &pair.thread, SATS)?;
    let id = text(&asked, "vote")?;
    mine(vec![miner.pay(vec![output_of(&asked)?])?])?;
    for _ in 1..SETTLED {
        mine(Vec::new())?;
    }
    for node in [&pair.payer, &pair.author] {
        reaches(node, &id, "settled", SETTLED)?;
    }
    Ok(id)
}
