//! Nodes that were away, came late, or were cut off in the middle.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::node::eventually;
use crate::scene::{
    ARRIVES, Scene, board, holds, join, pin, post, reply, shows, thread, thread_with, verified,
};

#[test]
fn a_node_that_was_off_catches_up() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let old = thread(&a, &board, "Before")?;
    join(&b, &board.ticket)?;
    shows(&b, &old, 1)?;
    let (setup, ..) = b.stop()?;
    for number in 0..30 {
        reply(&a, &old, &format!("while you were away {number}"))?;
    }
    let new = thread(&a, &board, "While you were away")?;
    let b = setup.start()?;
    shows(&b, &old, 31)?;
    shows(&b, &new, 1)?;
    Ok(())
}

#[test]
fn both_sides_wrote_while_apart() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let thread = thread(&a, &board, "Apart")?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    let (away, ..) = b.stop()?;
    reply(&a, &thread, "from a, alone")?;
    let (home, ..) = a.stop()?;
    let b = away.start()?;
    reply(&b, &thread, "from b, alone")?;
    let a = home.start()?;
    shows(&a, &thread, 3)?;
    shows(&b, &thread, 3)?;
    Ok(())
}

#[test]
fn a_node_that_slept_heals() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let thread = thread(&a, &board, "Lid closed")?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    b.sleep(true)?;
    reply(&a, &thread, "into the void")?;
    let client = a.client()?;
    eventually("the sleeper is missed", ARRIVES, || {
        let status = client.get_json("/api/v1/status")?;
        let peers = status["peers"].as_array().context("peers")?;
        Ok(peers
            .iter()
            .all(|peer| peer["connected"] == false)
            .then_some(()))
    })?;
    b.sleep(false)?;
    shows(&b, &thread, 2)?;
    reply(&b, &thread, "awake")?;
    shows(&a, &thread, 3)?;
    Ok(())
}

#[test]
fn a_node_with_a_new_address_is_found_again() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let thread = thread(&a, &board, "Moved")?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    let (setup, ..) = b.stop()?;
    let free = std::net::UdpSocket::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let b = setup
        .env("DATT_NETWORK_UDP_PORT", &free.to_string())
        .start()?;
    reply(&a, &thread, "where are you?")?;
    shows(&b, &thread, 2)?;
    reply(&b, &thread, "here")?;
    shows(&a, &thread, 3)?;
    Ok(())
}

#[test]
fn a_late_joiner_gets_the_whole_thread() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Long")?;
    let mut last = thread.clone();
    for number in 0..300 {
        // half a chain, half a bush
        let to = if number % 2 == 0 { &thread } else { &last };
        last = reply(&a, to, &format!("number {number}"))?;
    }
    let b = scene.node("b")?;
    join(&b, &board.ticket)?;
    let seen = shows(&b, &thread, 301)?;
    ensure!(
        seen["posts"]
            .as_array()
            .is_some_and(|posts| !posts.is_empty()),
        "{seen}"
    );
    // and can go on from the page where it ends
    let mut count = seen["posts"].as_array().map_or(0, Vec::len);
    let mut next = seen["next"].as_str().map(str::to_owned);
    while let Some(after) = next {
        let page = b
            .client()?
            .get_json(&format!("/api/v1/threads/{thread}?after={after}"))?;
        count += page["posts"].as_array().context("posts")?.len();
        next = page["next"].as_str().map(str::to_owned);
    }
    ensure!(count == 301, "{count} posts over all pages");
    verified(&b)
}

#[test]
fn a_fetch_goes_on_where_it_was_cut_off() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let b = scene
        .setup("b")
        .env("DATT_AUTO_FETCH_MAX_BYTES", "0")
        .start()?;
    let board = board(&a)?;
    let file = scene.file("large.bin", 256 << 20)?;
    let (thread, blobs) = thread_with(&a, &board, "Large", &[&file])?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    let path = format!("/api/v1/blobs/{}", blobs[0]);
    pin(&b, &thread)?;
    let client = b.client()?;
    eventually("the fetch is under way", ARRIVES, || {
        let state = client.get_json(&path)?;
        if state["held_bytes"].as_u64() < Some(160 << 20) {
            bail!("{state}");
        }
        Ok(Some(()))
    })?;
    let (away, home) = (b.kill()?, a.kill()?);
    // alone, it has what it had verified, and nobody to ask
    let b = away.start()?;
    let state = b.client()?.get_json(&path)?;
    let kept = state["held_bytes"].as_u64().context("held_bytes")?;
    ensure!(kept >= 1 << 20, "what was verified wasn't kept: {state}");
    ensure!(
        state["complete"] == false,
        "the fetch was too quick to be cut off"
    );
    let _a = home.start()?;
    // a pin is a promise that survives
    holds(&b, &blobs[0])?;
    let whole = b.reader()?.get(&format!("/ipfs/{}", blobs[0]))?;
    ensure!(whole.body == fs::read(&file)?, "the file differs");
    verified(&b)
}

#[test]
fn collection_spares_what_is_pinned() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let file = scene.file("kept.bin", 1 << 20)?;
    let (thread, blobs) = thread_with(&a, &board, "Kept", &[&file])?;
    pin(&a, &thread)?;
    pin(&a, &blobs[0])?;
    let pins = a.json(&["pins"])?;
    ensure!(
        pins.as_array().is_some_and(|pins| pins.len() == 2),
        "{pins}"
    );
    a.json(&["unpin", &blobs[0]])?;
    let (setup, ..) = a.stop()?;
    let a = setup.start()?;
    holds(&a, &blobs[0])?;
    ensure!(
        a.json(&["pins"])?.as_array().map(Vec::len) == Some(1),
        "one pin is left"
    );
    Ok(())
}

#[test]
fn nobody_fills_another_ones_disk_with_words() -> Result<()> {
    let scene = Scene::new()?;
    let (a, c) = (scene.node("a")?, scene.node("c")?);
    let b = scene
        .setup("b")
        .env("DATT_BUDGETS_AUTHOR_BYTES", "60000")
        .start()?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Loud")?;
    for node in [&b, &c] {
        join(node, &board.ticket)?;
        shows(node, &thread, 1)?;
    }
    let loud = |numbers: std::ops::Range<u32>| -> Result<()> {
        for number in numbers {
            reply(&a, &thread, &format!("{number} {}", "loud ".repeat(2_000)))?;
        }
        Ok(())
    };
    let client = b.client()?;
    // others are heard all the same (not below the loud ones, which their entries follow)
    let heard = |title: &str| -> Result<u64> {
        let quiet = crate::scene::thread(&c, &board, title)?;
        eventually("the quiet one is heard", ARRIVES, || {
            Ok((client.get(&format!("/api/v1/posts/{quiet}"))?.status == 200).then_some(()))
        })?;
        let held = client.get_json(&format!("/api/v1/threads/{thread}"))?;
        held["total"].as_u64().context("how many posts are held")
    };
    loud(0..20)?;
    shows(&c, &thread, 21)?;
    let first = heard("Quiet")?;
    // What came before its parents has a budget of its own, and counts when they are there: all of
    // the first may stand, but then nothing more.
    loud(20..40)?;
    shows(&c, &thread, 41)?;
    let held = heard("Quiet too")?;
    ensure!(
        held <= first.max(11),
        "{held} posts of 10 kB in a budget of 60 kB, {first} of the first 20"
    );
    // what is written here has no budget
    reply(&b, &thread, "own words")?;
    verified(&b)
}

#[test]
fn the_quota_is_hard() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene
        .setup("a")
        .env("DATT_STORAGE_MAX_BYTES", "24 MiB")
        .start()?;
    let board = board(&a)?;
    let file = scene.file("too-large.bin", 32 << 20)?;
    let before = eventually("status", ARRIVES, || {
        Ok(Some(a.client()?.get_json("/api/v1/status")?))
    })?;
    let said = a.run(&["add", &file.to_string_lossy()])?;
    ensure!(
        said.code == 1 && said.stderr.contains("storage.max_bytes"),
        "{said:?}"
    );
    let answer = a
        .client()?
        .send("POST", "/api/v1/blobs?name=x", &[], &fs::read(&file)?)?;
    ensure!(answer.status == 507, "{answer:?}");
    let after = a.client()?.get_json("/api/v1/status")?;
    let grown = after["used_bytes"]
        .as_u64()
        .unwrap_or(0)
        .saturating_sub(before["used_bytes"].as_u64().unwrap_or(0));
    ensure!(grown < 1 << 20, "{grown} bytes were written all the same");
    // what fits still goes in
    post(
        &a,
        &json!({"space": board.space, "title": "Small", "body": "fits"}),
    )?;
    Ok(())
}
