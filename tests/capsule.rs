//! Threads and boards that leave one node as a file and arrive at another that never met it; and
//! files that lie.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use cid::Cid;
use cid::multihash::Multihash;
use serde_json::{Value, json};

use crate::car::{
    BLAKE3, Car, DAG_CBOR, RAW, SHA2_256, bytes_of, ended, import_lie, name, path_text,
};
use crate::node::{Node, eventually};
use crate::scene::{
    ARRIVES, Scene, board, fixtures, join, reply, shows, text, thread, thread_with, verified,
};

/// What a thread looks like, without what differs between nodes.
fn content(seen: &Value) -> Result<Vec<Value>> {
    let posts = seen["posts"].as_array().context("posts")?;
    Ok(posts
        .iter()
        .map(|post| {
            let media: Vec<_> = post["media"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|media| {
                    json!([
                        media["blob"],
                        media["name"],
                        media["type"],
                        media["thumb"],
                        media["size_bytes"]
                    ])
                })
                .collect();
            json!([
                post["id"],
                post["parent"],
                post["author"]["identity"],
                post["title"],
                post["body"],
                post["score"],
                post["time_ms"],
                post["verdict"],
                media
            ])
        })
        .collect())
}

/// A thread with a film and a picture, answers and votes of two people, written to a file.
struct Told {
    thread: String,
    blobs: Vec<String>,
    seen: Value,
    file: PathBuf,
}

fn told(scene: &Scene) -> Result<Told> {
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let media = fixtures()?;
    let board = board(&a)?;
    let files = [media.webm.as_path(), media.jpeg.as_path()];
    let (thread, blobs) = thread_with(&a, &board, "A film", &files)?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    let answer = reply(&b, &thread, "An answer from elsewhere.")?;
    shows(&a, &thread, 2)?;
    reply(&a, &answer, "And one to that.")?;
    for (node, post, dir) in [(&b, &thread, 1), (&a, &answer, 1), (&b, &answer, -1)] {
        let path = format!("/api/v1/votes/{post}");
        node.client()?
            .send_json("PUT", &path, &json!({"dir": dir}))?;
    }
    a.client()?
        .send_json("PUT", "/api/v1/profile", &json!({"name": "Ada"}))?;
    let path = format!("/api/v1/threads/{thread}");
    let seen = eventually("all votes at the node that exports", ARRIVES, || {
        let seen = a.client()?.get_json(&path)?;
        let scores = [&seen["posts"][0]["score"], &seen["posts"][1]["score"]];
        // The answer has one vote for it and one against, so that only the first post's tells.
        ensure!(scores == [1, 0], "{seen}");
        let state = a.client()?.get_json(&format!("/api/v1/entries/{answer}"))?;
        ensure!(state.is_object(), "{state}");
        Ok(Some(seen))
    })?;
    let file = scene.path("thread.car");
    let said = a.json(&["export", path_text(&file)?, &thread])?;
    ensure!(
        said["kind"] == "capsule"
            && said["files"].as_u64() >= Some(3)
            && said["lacking_files"] == 0,
        "{said}"
    );
    Ok(Told {
        thread,
        blobs,
        seen,
        file,
    })
}

#[test]
fn a_thread_travels_as_a_file() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let media = fixtures()?;
    // Nobody is there any more who could help: both other nodes are gone.
    let c = scene.node("c")?;
    let imported = c.json(&["import", path_text(&told.file)?])?;
    ensure!(
        imported[0]["threads"] == json!([told.thread]) && imported[0]["lacking_files"] == 0,
        "{imported}"
    );
    let seen = c
        .client()?
        .get_json(&format!("/api/v1/threads/{}", told.thread))?;
    ensure!(
        content(&seen)? == content(&told.seen)?,
        "another thread: {seen}\nand {}",
        told.seen
    );
    ensure!(seen["posts"][0]["author"]["name"] == "Ada", "{seen}");
    for (blob, file) in told.blobs.iter().zip([&media.webm, &media.jpeg]) {
        ensure!(
            bytes_of(&c, blob)? == fs::read(file)?,
            "other bytes of {blob}"
        );
    }
    let thumb = text(&seen["posts"][0]["media"][0], "thumb")?;
    ensure!(!bytes_of(&c, &thumb)?.is_empty(), "a thumbnail");
    verified(&c)?;

    let again = c.json(&["import", path_text(&told.file)?])?;
    ensure!(
        again[0]["entries"] == 0 && again[0]["known_entries"] == imported[0]["entries"],
        "{again}"
    );
    // What came by a file goes on by a file, the same but for the order of what has the same time.
    let onward = scene.path("onward.car");
    let said = c.json(&["export", path_text(&onward)?, &told.thread])?;
    ensure!(said["entries"] == imported[0]["entries"], "{said}");
    ensure!(
        Car::read(&onward)?.blocks.len() == Car::read(&told.file)?.blocks.len(),
        "something was lost"
    );
    let listed = c.json(&["space", "ls"])?;
    ensure!(
        listed[0]["title"] == "Films",
        "the board is followed: {listed}"
    );
    Ok(())
}

#[test]
fn a_capsule_can_be_read_by_hand() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let car = Car::read(&told.file)?;
    let mut entries = 0;
    let mut file: Option<blake3::Hasher> = None;
    let mut hashes = Vec::new();
    for (cid, bytes) in &car.blocks {
        match cid.hash().code() {
            SHA2_256 => ensure!(name(cid.codec(), bytes)? == *cid, "{cid} lies"),
            BLAKE3 => ensure!(
                blake3::hash(bytes).as_bytes()[..] == *cid.hash().digest(),
                "{cid} lies"
            ),
            other => bail!("{cid} has the hash {other}"),
        }
        if cid.codec() == DAG_CBOR && cid.hash().code() == SHA2_256 {
            hashes.extend(file.take().map(|hash| hash.finalize()));
            file = bytes
                .windows(11)
                .any(|window| window == b"datt/file/1")
                .then(blake3::Hasher::new);
        } else if cid.codec() == RAW {
            file.as_mut()
                .context("raw blocks belong to a file")?
                .update(bytes);
        }
        entries += usize::from(
            cid.codec() == DAG_CBOR && bytes.first() == Some(&0x82) && bytes.get(1) != Some(&0x50),
        );
    }
    for blob in &told.blobs {
        let blob: Cid = blob.parse()?;
        ensure!(
            hashes
                .iter()
                .any(|hash| hash.as_bytes()[..] == *blob.hash().digest()),
            "no {blob}"
        );
    }
    ensure!(entries > 8, "only {entries} entries");
    Ok(())
}

#[test]
fn a_capsule_that_lies_fails_there_and_what_was_right_stays() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let car = Car::read(&told.file)?;
    let thread = format!("/api/v1/threads/{}", told.thread);
    let same_thread = |node: &Node| -> Result<()> {
        let seen = node.client()?.get_json(&thread)?;
        ensure!(content(&seen)? == content(&told.seen)?, "{seen}");
        verified(node)
    };
    let leaves: Vec<usize> = (0..car.blocks.len())
        .filter(|at| car.blocks[*at].0.codec() == RAW)
        .collect();
    let last = *leaves.last().context("media")?;

    // A byte of the last file is another: the block at that place is named.
    let mut lie = car.clone();
    lie.blocks[last].1[0] ^= 1;
    let at = format!("byte {}", car.offset(last));
    let cid = car.blocks[last].0.to_string();
    let node = import_lie(&scene, "flipped", &lie.bytes(), &[&at, &cid])?;
    same_thread(&node)?;
    ensure!(
        bytes_of(&node, &told.blobs[0])? == fs::read(&fixtures()?.webm)?,
        "the first file"
    );

    // Cut in the middle of a file, and right before the end.
    let whole = car.bytes();
    let node = import_lie(
        &scene,
        "cut",
        &whole[..car.offset(last) + 100],
        &["ends inside"],
    )?;
    same_thread(&node)?;
    let missing = told.blobs.last().context("media")?;
    let repaired = node.json(&["import", path_text(&told.file)?])?;
    ensure!(repaired[0]["entries"] == 0, "{repaired}");
    ensure!(!bytes_of(&node, missing)?.is_empty(), "the rest came");
    same_thread(&node)?;
    let end = car.offset(car.blocks.len() - 1);
    same_thread(&import_lie(
        &scene,
        "endless",
        &whole[..end],
        &["no last block"],
    )?)?;

    // A true block at the wrong place.
    let mut lie = car.clone();
    lie.blocks[last] = (
        name(RAW, b"true, and not asked for")?,
        b"true, and not asked for".to_vec(),
    );
    same_thread(&import_lie(&scene, "swapped", &lie.bytes(), &[&at, &cid])?)?;

    // A file whose mark claims another blob: its blocks are true, the claim isn't.
    let mut lie = car.clone();
    let mark = car.find(b"datt/file/1")?;
    let digest = told.blobs[0].parse::<Cid>()?.hash().digest().to_vec();
    let bytes = &mut lie.blocks[mark].1;
    let place = bytes
        .windows(32)
        .position(|window| window == digest)
        .context("the claim")?;
    bytes[place] ^= 1;
    lie.blocks[mark].0 = name(DAG_CBOR, &lie.blocks[mark].1)?;
    let words = ["that the capsule says", &told.blobs[0]];
    let node = import_lie(&scene, "claimed", &lie.bytes(), &words)?;
    // The file is the first: nothing of it stays, under neither name.
    same_thread(&node)?;
    ensure!(
        node.client()?
            .get(&format!("/api/v1/blobs/{}", told.blobs[0]))?
            .status
            == 404,
        "kept"
    );
    Ok(())
}

#[test]
fn an_entry_that_nobody_signed_is_refused() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let mut car = Car::read(&told.file)?;
    // The last entry of all: its signature is its last 64 bytes.
    let at = car
        .blocks
        .iter()
        .rposition(|(cid, bytes)| {
            cid.codec() == DAG_CBOR && bytes.first() == Some(&0x82) && bytes.get(1) != Some(&0x50)
        })
        .context("an entry")?;
    let bytes = &mut car.blocks[at].1;
    *bytes.last_mut().context("a signature")? ^= 1;
    let hash = Multihash::wrap(BLAKE3, blake3::hash(bytes).as_bytes())?;
    car.blocks[at].0 = Cid::new_v1(DAG_CBOR, hash);
    let words = [
        format!("byte {}", car.offset(at)),
        car.blocks[at].0.to_string(),
    ];
    let words = [words[0].as_str(), words[1].as_str(), "signature"];
    let node = import_lie(&scene, "forged", &car.bytes(), &words)?;
    let seen = node
        .client()?
        .get_json(&format!("/api/v1/threads/{}", told.thread))?;
    ensure!(seen["total"] == 3, "what was signed is here: {seen}");
    verified(&node)
}

#[test]
fn a_whole_board_travels_and_an_unlisted_one_only_by_its_name() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let listed = board(&a)?;
    let first = thread(&a, &listed, "First")?;
    let second = thread(&a, &listed, "Second")?;
    reply(&a, &second, "An answer.")?;
    let made = a.client()?.send_json(
        "POST",
        "/api/v1/spaces",
        &json!({"title": "Hidden", "unlisted": true}),
    )?;
    let hidden = text(&made, "space")?;
    let secret = crate::scene::post(
        &a,
        &json!({"space": hidden, "title": "Secret", "body": "Psst."}),
    )?;

    let node_file = scene.path("node.car");
    let said = a.json(&["export", path_text(&node_file)?])?;
    ensure!(
        said["spaces"].as_array().is_some_and(
            |spaces| spaces.contains(&json!(listed.space)) && !spaces.contains(&json!(hidden))
        ),
        "{said}"
    );
    let b = scene.node("b")?;
    let imported = b.json(&["import", path_text(&node_file)?])?;
    ensure!(imported[0]["spaces"] == json!([listed.space]), "{imported}");
    for (thread, posts) in [(&first, 1), (&second, 2)] {
        let seen = b.client()?.get_json(&format!("/api/v1/threads/{thread}"))?;
        ensure!(seen["total"] == posts, "{seen}");
    }
    ensure!(
        b.run(&["thread", &secret])?.code == 3,
        "the unlisted board stayed at home"
    );
    let boards = b.json(&["space", "ls"])?;
    ensure!(boards[0]["title"] == "Films", "{boards}");

    let space_file = scene.path("hidden.car");
    let said = a.json(&["export", path_text(&space_file)?, &hidden])?;
    ensure!(said["spaces"] == json!([hidden]), "{said}");
    b.json(&["import", path_text(&space_file)?])?;
    let seen = b.client()?.get_json(&format!("/api/v1/threads/{secret}"))?;
    ensure!(seen["total"] == 1, "{seen}");
    ensure!(
        b.reader()?
            .get(&format!("/api/v1/threads/{secret}"))?
            .status
            == 404,
        "it is unlisted there too"
    );
    verified(&b)
}

#[test]
fn an_export_is_whole_or_not_there() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let file = scene.path("nothing.car");
    let nobody = crate::cli::NOBODY;
    ended(
        &a.run(&["export", path_text(&file)?, nobody])?,
        3,
        &[nobody],
    )?;
    ended(&a.run(&["export", path_text(&file)?, "not-a-cid"])?, 2, &[])?;
    ended(&a.run(&["--json", "export", "-"])?, 2, &["stdout"])?;
    let stranger = a.reader()?.get("/api/v1/export")?;
    ensure!(stranger.status == 401, "{}", stranger.text());
    ended(
        &a.run(&["export", path_text(&scene.path(""))?])?,
        2,
        &["folder"],
    )?;
    let left: Vec<_> = fs::read_dir(scene.path(""))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(!left.iter().any(|name| name.contains(".car")), "{left:?}");
    Ok(())
}

#[test]
fn media_that_were_held_anyway_are_kept_by_an_import_too() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let media = fixtures()?;
    let (thread, blobs) = thread_with(&a, &board, "A picture", &[media.jpeg.as_path()])?;
    let file = scene.path("thread.car");
    a.json(&["export", path_text(&file)?, &thread])?;
    // Given up by hand until nothing is left to give up; the post keeps it for now.
    let unpin = || a.run(&["unpin", &blobs[0]]);
    while unpin()?.code == 0 {}
    ensure!(!bytes_of(&a, &blobs[0])?.is_empty(), "held by the post");
    let imported = a.json(&["import", path_text(&file)?])?;
    ensure!(
        imported[0]["files"].to_string().contains(&blobs[0]),
        "{imported}"
    );
    ended(&unpin()?, 0, &[]).context("what was imported is given up by hand")?;
    verified(&a)
}
