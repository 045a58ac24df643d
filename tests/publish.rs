//! The main path: publish on one node, verify and play from another, with the first one gone.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::node::Node;
use crate::scene::{
    Scene, board, fixtures, held_by, holds, join, noise, pin, range, reply, shows, text, thread,
    thread_with, upload, verified,
};

/// The most that stopping may take.
const STOP: Duration = Duration::from_secs(8);

#[test]
fn a_thread_with_a_video_outlives_its_node() -> Result<()> {
    let scene = Scene::new()?;
    let media = fixtures()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let (thread, blobs) = thread_with(&a, &board, "A film", &[&media.webm, &media.flac])?;
    reply(&a, &thread, "And an answer.")?;

    join(&b, &board.ticket)?;
    shows(&b, &thread, 2)?;
    pin(&b, &thread)?;
    for blob in &blobs {
        holds(&b, blob)?;
        held_by(&a, blob, 1)?;
    }
    a.kill()?;

    for (blob, file) in blobs.iter().zip([&media.webm, &media.flac]) {
        let bytes = fs::read(file)?;
        let whole = b.reader()?.get(&format!("/ipfs/{blob}"))?;
        ensure!(
            whole.status == 200 && whole.body == bytes,
            "the file differs"
        );
        let part = range(&b.reader()?, blob, 100_000, 165_535)?;
        ensure!(
            part.status == 206 && part.body == bytes[100_000..=165_535],
            "a range differs"
        );
    }
    // a third node that never met the first
    let c = scene.node("c")?;
    let ticket = b
        .client()?
        .get_json(&format!("/api/v1/ticket?root={thread}"))?;
    join(&c, &text(&ticket, "ticket")?)?;
    shows(&c, &thread, 2)?;
    let entry = c.client()?.get_json(&format!("/api/v1/entries/{thread}"))?;
    ensure!(
        entry["signature_ok"] == true && entry["payload_ok"] == true,
        "{entry}"
    );
    ensure!(entry["source"] != "this node", "{entry}");
    let start = range(&c.client()?, &blobs[0], 0, 999)?;
    ensure!(
        start.body == fs::read(&media.webm)?[..1000],
        "the third node plays something else"
    );
    verified(&b)?;
    verified(&c)
}

#[test]
fn what_is_written_on_either_node_reaches_the_other() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let thread = thread(&a, &board, "A talk")?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;

    let answer = reply(&b, &thread, "From the other side.")?;
    shows(&a, &thread, 2)?;
    b.client()?.send_json(
        "PUT",
        &format!("/api/v1/votes/{thread}"),
        &json!({"dir": 1}),
    )?;
    b.client()?.send_json(
        "PUT",
        &format!("/api/v1/posts/{answer}"),
        &json!({"body": "Said better."}),
    )?;
    let client = a.client()?;
    crate::node::eventually("vote and edit", crate::scene::ARRIVES, || {
        let first = client.get_json(&format!("/api/v1/posts/{thread}"))?;
        let second = client.get_json(&format!("/api/v1/posts/{answer}"))?;
        let done = first["score"] == 1 && second["body"] == "Said better.";
        Ok(done.then_some(()))
    })?;
    // voting again replaces the vote
    let again = b.client()?.send_json(
        "PUT",
        &format!("/api/v1/votes/{thread}"),
        &json!({"dir": -1}),
    )?;
    ensure!(again["score"] == -1, "{again}");
    Ok(())
}

#[test]
fn a_thread_made_later_reaches_those_who_follow_the_board() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let early = thread(&a, &board, "Early")?;
    join(&b, &board.ticket)?;
    shows(&b, &early, 1)?;
    let late = thread(&a, &board, "Late")?;
    shows(&b, &late, 1)?;
    let from_b = thread(&b, &board, "From b")?;
    shows(&a, &from_b, 1)?;
    Ok(())
}

#[test]
fn large_media_waits_until_asked_for() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let b = scene
        .setup("b")
        .env("DATT_AUTO_FETCH_MAX_BYTES", "100000")
        .start()?;
    let board = board(&a)?;
    let media = fixtures()?;
    let file = scene.file("large.bin", 8 << 20)?;
    let (thread, blobs) = thread_with(&a, &board, "Large and small", &[&file, &media.png])?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    holds(&b, &blobs[1])?;
    let path = format!("/api/v1/blobs/{}", blobs[0]);
    let before = b.client()?.get_json(&path)?;
    ensure!(
        before["held_bytes"].as_u64() < Some(1 << 20),
        "fetched unasked: {before}"
    );

    // a player that seeks fetches what it asks for, not the whole
    let bytes = fs::read(&file)?;
    let middle = range(&b.client()?, &blobs[0], 4_000_000, 4_065_535)?;
    ensure!(
        middle.status == 206 && middle.body == bytes[4_000_000..=4_065_535],
        "a range differs"
    );
    let after = b.client()?.get_json(&path)?;
    ensure!(after["complete"] == false, "{after}");
    pin(&b, &thread)?;
    holds(&b, &blobs[0])
}

#[test]
fn media_is_described_and_has_thumbnails() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let media = fixtures()?;
    for (file, kind, size, seconds, thumb) in [
        (&media.webm, "video/webm", Some((640, 360)), Some(20), true),
        (
            &media.mp4_moov_last,
            "video/mp4",
            Some((640, 360)),
            Some(8),
            true,
        ),
        (
            &media.mp4_rotated,
            "video/mp4",
            Some((360, 640)),
            Some(8),
            true,
        ),
        (&media.flac, "audio/flac", None, Some(10), false),
        (&media.jpeg, "image/jpeg", Some((1600, 1200)), None, true),
        (&media.png, "image/png", Some((320, 240)), None, true),
    ] {
        let added = upload(&a, file)?;
        ensure!(added["type"] == kind, "{added}");
        let pixels = added["width"].as_u64().zip(added["height"].as_u64());
        ensure!(pixels == size, "{added}");
        let length = added["duration_ms"].as_u64().map(|ms| ms / 1000);
        ensure!(length == seconds, "{added}");
        ensure!(added["thumb"].is_string() == thumb, "{added}");
        if thumb {
            let picture = a
                .reader()?
                .get(&format!("/ipfs/{}", text(&added, "thumb")?))?;
            let kind = picture.header("content-type").unwrap_or_default();
            ensure!(
                picture.status == 200 && kind.starts_with("image/"),
                "{kind}"
            );
            ensure!(
                picture.body.len() < 200_000,
                "a thumbnail of {} bytes",
                picture.body.len()
            );
        }
    }
    Ok(())
}

#[test]
fn an_unlisted_board_is_for_those_who_have_its_ticket() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let body = json!({"title": "Cellar", "unlisted": true});
    let made = a.client()?.send_json("POST", "/api/v1/spaces", &body)?;
    let board = crate::scene::Board {
        space: text(&made, "space")?,
        ticket: text(&made, "ticket")?,
    };
    let thread = thread(&a, &board, "Between us")?;
    let entry = a.client()?.get(&format!("/ipfs/{thread}?format=raw"))?;
    let payload = model::Entry::decode(&entry.body)?.header().payload;
    let own = a.client()?.get(&format!("/ipfs/{payload}?format=raw"))?;
    ensure!(own.text().contains("Between us"), "{}", own.status);
    for path in [
        format!("/t/{thread}"),
        format!("/s/{}", board.space),
        format!("/e/{thread}"),
        format!("/ipfs/{thread}"),
        format!("/ipfs/{payload}"),
        format!("/ipfs/{payload}?format=raw"),
        format!("/ipfs/{payload}?format=car"),
        format!("/api/v1/threads/{thread}"),
        format!("/api/v1/posts/{thread}"),
    ] {
        let stranger = a.reader()?.get(&path)?;
        ensure!(
            (400..500).contains(&stranger.status),
            "{path}: {}",
            stranger.status
        );
        ensure!(!stranger.text().contains("Between us"), "{path}");
    }
    for cid in [thread.clone(), payload.to_string()] {
        let said = a.reader()?.get(&format!("/routing/v1/providers/{cid}"))?;
        ensure!(!said.text().contains("\"ID\""), "{}", said.text());
    }
    let front = a.reader()?.get("/")?.text() + &a.reader()?.get("/api/v1/threads")?.text();
    ensure!(
        !front.contains("Between us") && !front.contains("Cellar"),
        "listed"
    );
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    Ok(())
}

/// Whether a stranger is told that the node has a block.
fn is_announced(node: &Node, cid: &str) -> Result<bool> {
    let said = node
        .reader()?
        .get(&format!("/routing/v1/providers/{cid}"))?;
    Ok(said.text().contains("transport-ipfs-gateway-http"))
}

#[test]
fn who_provides_a_block_does_not_give_an_unlisted_board_away() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let listed = board(&a)?;
    let body = json!({"title": "Cellar", "unlisted": true});
    let made = a.client()?.send_json("POST", "/api/v1/spaces", &body)?;
    let unlisted = crate::scene::Board {
        space: text(&made, "space")?,
        ticket: text(&made, "ticket")?,
    };
    for (board, file, seen) in [(&listed, "shown", true), (&unlisted, "hidden", false)] {
        let path = scene.file(file, (1 << 20) + 3)?;
        let bytes = fs::read(&path)?;
        let (thread, blobs) = thread_with(&a, board, file, &[&path])?;
        let entry = a.client()?.get(&format!("/ipfs/{thread}?format=raw"))?;
        let payload = model::Entry::decode(&entry.body)?.header().payload;
        let leaves: Vec<&[u8]> = bytes.chunks(1 << 20).collect();
        let mut builder = blocks::dag::FileBuilder::new();
        let mut names = vec![thread, payload.to_string(), board.space.clone()];
        names.extend(blobs);
        for leaf in leaves {
            let cid = crate::car::name(crate::car::RAW, leaf)?;
            builder.leaf(cid, leaf.len() as u64, &mut |_, _| {});
            names.push(cid.to_string());
        }
        names.push(builder.finish(&mut |_, _| {}).cid.to_string());
        for name in names {
            ensure!(is_announced(&a, &name)? == seen, "{file}: {name}");
        }
    }
    // What a person added is told of, and so is the folder around it.
    let folder = scene.path("album");
    fs::create_dir(&folder)?;
    fs::write(folder.join("own"), noise(1000, 5))?;
    let added = a.json(&["add", folder.to_str().context("UTF-8")?])?;
    let album = text(&added[0], "ipfs")?;
    ensure!(is_announced(&a, &album)?, "{album}");
    ensure!(!is_announced(&a, "bafkqaaa")?, "nobody needs to be asked");
    Ok(())
}

#[test]
fn a_node_stops_in_time_and_comes_back_with_everything() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Still here")?;
    // an open event stream must not hold it up
    let _listening = a.client()?.events("/api/v1/events", &[])?;
    let (setup, status, took) = a.stop()?;
    ensure!(status.success(), "ended with {status}");
    ensure!(took < STOP, "took {took:?}");
    let again = setup.start()?;
    shows(&again, &thread, 1)?;
    verified(&again)
}
