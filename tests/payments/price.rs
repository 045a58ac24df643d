//! What boards ask strangers for, and lists by what was paid: views of one node, never validity.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::{Chain, SATS, SETTLED, both_reach, offered};
use crate::node::{Node, eventually};
use crate::purse::{ARRIVES, Pair, output_of, reaches};
use crate::scene::{Scene, post, shows, text};

/// What posting costs strangers.
const PRICE: u64 = 1_000;

/// Waits until a node shows a post of the thread with that price on it, or with none.
fn folded(node: &Node, thread: &str, post: &str, price: Option<u64>) -> Result<()> {
    let client = node.client()?;
    eventually("the post's price", ARRIVES, || {
        let seen = client.get_json(&format!("/api/v1/threads/{thread}"))?;
        let posts = seen["posts"].as_array().into_iter().flatten();
        let Some(found) = posts.clone().find(|one| one["id"] == post) else {
            bail!("no such post: {seen}");
        };
        if found["unpaid_price"] != json!(price) {
            bail!("{found}");
        }
        Ok(Some(()))
    })
}

#[test]
fn a_board_folds_posts_of_strangers_away_until_they_are_paid_for() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let board = json!({"title": "Films", "price_sats": PRICE});
    let pair = Pair::on_board(
        chain.setup(&scene, "author"),
        chain.setup(&scene, "payer"),
        &board,
    )?;
    let third = pair.third(chain.setup(&scene, "third"))?;
    let advert = post(
        &pair.payer,
        &json!({"reply_to": pair.thread, "body": "Buy this."}),
    )?;
    shows(&pair.author, &pair.thread, 2)?;
    shows(&third, &pair.thread, 2)?;
    // the owner's own post costs nothing, and one's own are always shown
    folded(&third, &pair.thread, &pair.thread, None)?;
    folded(&pair.payer, &pair.thread, &advert, None)?;
    for node in [&pair.author, &third] {
        folded(node, &pair.thread, &advert, Some(PRICE))?;
    }

    // too little, then enough
    let before = chain.miner.height();
    for (sats, price) in [(PRICE - 1, Some(PRICE)), (PRICE, None)] {
        let sats = sats.to_string();
        let asked = pair.payer.json(&[
            "vote", &advert, "up", "--pay", &sats, "--to", "board", "--anyway",
        ])?;
        let id = text(&asked, "vote")?;
        chain
            .miner
            .mine(vec![chain.miner.pay(vec![output_of(&asked)?])?]);
        for node in [&pair.author, &third] {
            reaches(node, &id, "confirmed", 1)?;
            folded(node, &pair.thread, &advert, price)?;
        }
    }
    chain.compete(before, 8);
    for node in [&pair.author, &third] {
        folded(node, &pair.thread, &advert, Some(PRICE))?;
    }
    Ok(())
}

fn order(node: &Node, space: &str, sort: &str) -> Result<Vec<Value>> {
    let path = format!("/api/v1/threads?space={space}&sort={sort}");
    let page = node.client()?.get_json(&path)?;
    let threads = page["items"].as_array().cloned().unwrap_or_default();
    Ok(threads
        .into_iter()
        .map(|mut one| one["root"].take())
        .collect())
}

#[test]
fn threads_are_listed_by_what_was_proved() -> Result<()> {
    let scene = Scene::new()?;
    let chain = Chain::new()?;
    let pair = chain.pair(&scene)?;
    let newer = json!({"space": pair.space, "title": "Newer", "body": "And liked."});
    let newer = post(&pair.author, &newer)?;
    shows(&pair.payer, &newer, 1)?;
    let (id, paying) = offered(&chain, &pair)?;
    chain.mine(&paying);
    chain.miner.mine_many(SETTLED - 1);
    both_reach(&pair, &id, "settled", SETTLED)?;
    for node in [&pair.author, &pair.payer] {
        let by_sats = order(node, &pair.space, "sats")?;
        ensure!(by_sats == [json!(pair.thread), json!(newer)], "{by_sats:?}");
        let by_time = order(node, &pair.space, "new")?;
        ensure!(by_time == [json!(newer), json!(pair.thread)], "{by_time:?}");
        let page = node.reader()?.get("/?sort=sats")?.text();
        ensure!(page.contains("moved"), "the page says what a proof shows");
        let seen = node.client()?.get_json(&format!("/api/v1/payments/{id}"))?;
        ensure!(seen["counted_sats"] == SATS, "{seen}");
    }
    Ok(())
}
