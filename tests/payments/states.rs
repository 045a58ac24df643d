//! Unpaid, seen, confirmed, settled, and back.

use anyhow::{Context, Result, ensure};
use bitcoin::consensus::encode::serialize_hex;
use serde_json::Value;

use super::{Chain, SATS, SETTLED, both_reach, offered, paid};
use crate::http::Events;
use crate::purse::{
    ARRIVES, counts, output_of, output_of_uri, outputs_of_batch, proofs_of, reaches, shown, signed,
    vote,
};
use crate::scene::{Scene, text};

/// Reads the stream until a vote's payment is that far.
fn told(events: &mut Events, vote: &str, state: &str) -> Result<Value> {
    let event = events
        .until(|event| {
            let told: Option<Value> = serde_json::from_str(&event.data).ok();
            told.is_some_and(|told| told["vote"] == vote && told["state"] == state)
        })
        .with_context(|| format!("waiting for {state}"))?;
    Ok(serde_json::from_str(&event.data)?)
}

#[test]
fn a_vote_paid_by_its_address_settles_and_goes_back_when_its_block_does() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    let path = format!("/api/v1/payments/events?post={}", pair.thread);
    let mut events = pair.payer.client()?.events(&path, &[])?;

    // only that a transaction was handed in, to this node alone
    let before = chain.miner.height();
    pair.payer
        .json(&["pay", "status", "--tx", &serialize_hex(&paying)])?;
    told(&mut events, &id, "seen")?;
    let handed = chain.peer.wait_received(1, ARRIVES);
    ensure!(handed == [paying.clone()], "{handed:?}");
    ensure!(
        shown(&pair.payer, &id)?["counted_sats"] == 0,
        "counted too early"
    );

    chain.mine(&paying);
    ensure!(told(&mut events, &id, "confirmed")?["confirmations"] == 1);
    both_reach(&pair, &id, "confirmed", 1)?;
    chain.miner.mine_many(SETTLED - 1);
    told(&mut events, &id, "settled")?;
    both_reach(&pair, &id, "settled", SETTLED)?;
    for node in [&pair.payer, &pair.author] {
        let counts = paid(node, &pair.thread)?;
        ensure!(counts["sats"] == SATS && counts["votes"] == 1, "{counts}");
    }
    let first = proofs_of(&pair.author, &id)?;
    ensure!(!first.is_empty(), "the proof travelled");

    chain.compete(before, 8);
    told(&mut events, &id, "disconnected")?;
    both_reach(&pair, &id, "disconnected", 0)?;
    let counts = paid(&pair.author, &pair.thread)?;
    ensure!(
        counts["sats"] == 0 && counts["pending_sats"] == SATS,
        "{counts}"
    );

    chain.mine(&paying);
    told(&mut events, &id, "confirmed")?;
    both_reach(&pair, &id, "confirmed", 1)?;
    let second = proofs_of(&pair.author, &id)?;
    ensure!(
        second.iter().any(|proof| !first.contains(proof)),
        "a proof of the new block"
    );
    ensure!(paid(&pair.author, &pair.thread)?["sats"] == SATS);
    Ok(())
}

#[test]
fn a_payment_that_nobody_told_of_is_found_in_its_block() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let (id, paying) = offered(&chain, &pair)?;
    chain.miner.mine_many(3);
    chain.mine(&paying);
    chain.miner.mine_many(1);
    both_reach(&pair, &id, "confirmed", 2)
}

#[test]
fn one_transaction_pays_many_votes_of_several_people() -> Result<()> {
    const REPLIES: usize = 6;
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let third = pair.third(chain.setup(&scene, "third"))?;
    let mut votes = Vec::new();
    for number in 0..REPLIES {
        let writer = if number % 3 == 0 {
            &third
        } else {
            &pair.author
        };
        let post = pair.reply(writer, &format!("Number {number}"))?;
        let asked = vote(&pair.payer, &post, SATS + number as u64)?;
        votes.push((text(&asked, "vote")?, SATS + number as u64));
    }
    let batch = pair.payer.json(&["pay", "batch"])?;
    let outputs = outputs_of_batch(&batch)?;
    ensure!(outputs.len() == 3, "two people and the commitment: {batch}");
    let total: u64 = votes.iter().map(|(_, sats)| sats).sum();
    ensure!(batch["total_sats"] == total, "{batch}");
    let paying = chain.miner.pay(outputs)?;
    chain.mine(&paying);
    chain.miner.mine_many(1);
    for (id, sats) in &votes {
        for node in [&pair.payer, &pair.author, &third] {
            counts(node, id, *sats)?;
            reaches(node, id, "confirmed", 2)?;
        }
    }
    // what was paid is not offered again
    let said = pair.payer.run(&["--json", "pay", "batch"])?;
    ensure!(
        said.code != 0 || said.json()?["votes"].as_array().is_some_and(Vec::is_empty),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn the_address_is_shown_once_another_node_holds_the_vote() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let asked = pair
        .payer
        .json(&["vote", &pair.thread, "up", "--pay", "700"])?;
    let id = text(&asked, "vote")?;
    let seen = crate::node::eventually("the URI", ARRIVES, || {
        let seen = shown(&pair.payer, &id)?;
        Ok(seen["uri"].is_string().then_some(seen))
    })?;
    ensure!(seen["held_by"].as_u64() >= Some(1), "{seen}");
    let output = output_of_uri(&text(&seen, "uri")?)?;
    ensure!(output.value.to_sat() == 700, "{output:?}");
    // it is nobody else's to see
    let told = pair
        .author
        .client()?
        .get(&format!("/api/v1/payments/{id}"))?;
    ensure!(
        told.status == 404 || told.json()?["uri"].is_null(),
        "{}",
        told.text()
    );
    Ok(())
}

#[test]
fn what_is_missing_of_a_payment_is_asked_for_and_paid_in_a_batch() -> Result<()> {
    const FIRST: u64 = SATS - 200;
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let asked = vote(&pair.payer, &pair.thread, SATS)?;
    let id = text(&asked, "vote")?;
    ensure!(asked["due_sats"] == SATS, "{asked}");
    let mut output = output_of(&asked)?;
    output.value = bitcoin::Amount::from_sat(FIRST);
    let [funding, paying] = signed(&chain.miner, vec![output])?;
    chain.mine(&funding);
    chain.mine(&paying);
    both_reach(&pair, &id, "confirmed", 1)?;
    let partly = pair.payer.json(&["pay", "status", &id])?;
    ensure!(partly["due_sats"] == SATS - FIRST, "{partly}");
    ensure!(
        partly["uri"].is_null(),
        "too little for an output: {partly}"
    );
    let public = pair.author.json(&["pay", "status", &id])?;
    ensure!(public["due_sats"] == 0, "{public}");
    // with another vote for the same person it is enough
    let post = pair.reply(&pair.author, "Another")?;
    let other = text(&vote(&pair.payer, &post, SATS)?, "vote")?;
    let batch = pair.payer.json(&["pay", "batch"])?;
    ensure!(batch["total_sats"] == SATS - FIRST + SATS, "{batch}");
    let [funding, paying] = signed(&chain.miner, outputs_of_batch(&batch)?)?;
    chain.mine(&funding);
    let digits = serialize_hex(&paying);
    pair.payer.json(&["pay", "status", "--tx", &digits])?;
    // what was handed in is paid by no other batch
    let said = pair.payer.run(&["--json", "pay", "batch"])?;
    ensure!(said.code != 0, "{said:?}");
    chain.mine(&paying);
    for node in [&pair.payer, &pair.author] {
        counts(node, &id, SATS)?;
        counts(node, &other, SATS)?;
    }
    let all = pair.payer.json(&["pay", "status", &id])?;
    ensure!(all["due_sats"] == 0, "{all}");
    Ok(())
}
