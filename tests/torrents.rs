//! Swarms: files seeded from the one copy, torrents of others downloaded, and not a packet before
//! somebody consented.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::node::{Node, eventually};
use crate::scene::{ARRIVES, Scene, board, noise, post, text};

/// Enough for an infohash.
const LENGTH: usize = 17 << 20;

/// Where peers of swarms reach a node.
fn torrent_addr(node: &Node) -> Result<String> {
    text(&node.json(&["status"])?, "torrent_addr")
}

/// Waits until the node seeds, or at least offers, a torrent.
fn offered(node: &Node, infohash: &str) -> Result<Value> {
    eventually("the torrent on offer", ARRIVES, || {
        let torrents = node.json(&["torrents"])?;
        let list = torrents.as_array().context("a list")?;
        Ok(list
            .iter()
            .find(|torrent| torrent["infohash"] == infohash)
            .cloned())
    })
}

/// Adds a file and lets it go into swarms; its blob id and infohash.
fn seeded(node: &Node, file: &Path) -> Result<(String, String)> {
    let added = node.json(&["add", "--publicity", "swarm", &file.to_string_lossy()])?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    offered(node, &infohash)?;
    Ok((text(&added[0], "blob")?, infohash))
}

/// Bytes on disk below a folder.
fn on_disk(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            on_disk(&entry.path())?
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(bytes)
}

/// Bytes that a process has read so far, from files and sockets.
fn bytes_read(node: &Node) -> Result<u64> {
    let table = fs::read_to_string(format!("/proc/{}/io", node.pid))?;
    let line = table.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(line.context("no rchar")?.parse()?)
}

/// Saves what the node hands out as `.torrent`.
fn torrent_file(scene: &Scene, node: &Node, infohash: &str) -> Result<String> {
    let answer = node.reader()?.get(&format!("/torrent/{infohash}"))?;
    ensure!(answer.status == 200, "{}", answer.text());
    let path = scene.path(&format!("{infohash}.torrent"));
    fs::write(&path, &answer.body)?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn a_file_is_seeded_from_its_one_copy_and_downloaded_elsewhere() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let file = scene.file("film.bin", LENGTH)?;
    let added = a.json(&["add", &file.to_string_lossy()])?;
    let blob = text(&added[0], "blob")?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    ensure!(
        a.reader()?.get(&format!("/torrent/{infohash}"))?.status == 404,
        "given away before its person consented"
    );
    let before = on_disk(&scene.path("a"))?;
    a.json(&["publicity", &blob, "swarm"])?;
    offered(&a, &infohash)?;
    let link = torrent_file(&scene, &a, &infohash)?;

    let to = scene.path("copy");
    let got = b.json(&[
        "get",
        &link,
        "--peer",
        &torrent_addr(&a)?,
        "-o",
        &to.to_string_lossy(),
    ])?;
    ensure!(fs::read(&to)? == fs::read(&file)?, "the file differs");
    ensure!(got["torrent"]["files"][0]["blob"] == blob, "{got}");
    let after = on_disk(&scene.path("a"))?;
    ensure!(
        after < before + (1 << 20),
        "{} bytes more on disk than before it was seeded",
        after - before
    );

    // out again: whoever asks from now on gets nothing
    a.json(&["publicity", &blob, "peers"])?;
    let torrents = a.json(&["torrents"])?;
    ensure!(torrents == json!([]), "{torrents}");
    Ok(())
}

#[test]
fn a_magnet_link_is_enough() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let file = scene.file("film.bin", LENGTH)?;
    let (_, infohash) = seeded(&a, &file)?;
    torrent_file(&scene, &a, &infohash)?;
    let magnet = format!("magnet:?xt=urn:btih:{infohash}&x.pe={}", torrent_addr(&a)?);
    let to = scene.path("copy");
    b.json(&["get", &magnet, "-o", &to.to_string_lossy()])?;
    ensure!(fs::read(&to)? == fs::read(&file)?, "the file differs");
    Ok(())
}

#[test]
fn an_album_is_a_torrent_of_several_files() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let folder = scene.path("album");
    fs::create_dir_all(folder.join("side b"))?;
    for (name, length) in [
        ("one.bin", 9 << 20),
        ("note.txt", 100),
        ("side b/two.bin", 8 << 20),
    ] {
        fs::write(folder.join(name), noise(length, length as u64))?;
    }
    let added = a.json(&["add", "--publicity", "swarm", &folder.to_string_lossy()])?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    offered(&a, &infohash)?;
    let link = torrent_file(&scene, &a, &infohash)?;
    let to = scene.path("copy");
    let got = b.json(&[
        "get",
        &link,
        "--peer",
        &torrent_addr(&a)?,
        "-o",
        &to.to_string_lossy(),
    ])?;
    ensure!(got["torrent"]["ipfs"] == added[0]["ipfs"], "{got}");
    for name in ["one.bin", "note.txt", "side b/two.bin"] {
        ensure!(
            fs::read(to.join(name))? == fs::read(folder.join(name))?,
            "{name} differs"
        );
    }
    Ok(())
}

#[test]
fn an_album_that_is_taken_out_is_seeded_no_longer() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let folder = scene.path("album");
    fs::create_dir_all(&folder)?;
    for (name, length) in [("one.bin", 9 << 20), ("two.bin", 8 << 20)] {
        fs::write(folder.join(name), noise(length, length as u64))?;
    }
    let added = a.json(&["add", "--publicity", "swarm", &folder.to_string_lossy()])?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    offered(&a, &infohash)?;
    torrent_file(&scene, &a, &infohash)?;

    a.json(&["torrents", "rm", &infohash])?;
    let torrents = a.json(&["torrents"])?;
    ensure!(torrents == json!([]), "{torrents}");
    let answer = a.reader()?.get(&format!("/torrent/{infohash}"))?;
    ensure!(answer.status == 404, "{}", answer.text());
    let again = a.run(&["torrents", "rm", &infohash])?;
    ensure!(again.code == 3, "{} {}", again.code, again.stderr);
    let to = scene.path("copy");
    a.json(&[
        "get",
        &text(&added[0], "ipfs")?,
        "-o",
        &to.to_string_lossy(),
    ])?;
    ensure!(
        fs::read(to.join("one.bin"))? == fs::read(folder.join("one.bin"))?,
        "the bytes went, too"
    );
    Ok(())
}

#[test]
fn the_torrent_of_a_file_goes_by_its_publicity() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let file = scene.file("film.bin", LENGTH)?;
    let (blob, infohash) = seeded(&a, &file)?;
    let said = a.run(&["torrents", "rm", &infohash])?;
    let instead = format!("datt publicity {blob} peers");
    ensure!(
        said.code == 1 && said.stderr.contains(&instead),
        "{} {}",
        said.code,
        said.stderr
    );
    offered(&a, &infohash)?;
    Ok(())
}

#[test]
fn a_download_that_was_refused_is_finished_when_there_is_room() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let folder = scene.path("album");
    fs::create_dir_all(&folder)?;
    for (name, length) in [("one.bin", 4 << 20), ("two.bin", 16 << 20)] {
        fs::write(folder.join(name), noise(length, length as u64))?;
    }
    let added = a.json(&["add", "--publicity", "swarm", &folder.to_string_lossy()])?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    offered(&a, &infohash)?;
    let link = torrent_file(&scene, &a, &infohash)?;
    let (peer, to) = (torrent_addr(&a)?, scene.path("copy"));
    let out = to.to_string_lossy().into_owned();
    let get = ["get", &link, "--peer", &peer, "-o", &out];

    // enough for the download and one of its files, not for both
    let small = scene.setup("b").env("DATT_STORAGE_MAX_BYTES", "32 MiB");
    let b = small.start()?;
    let said = b.run(&get)?;
    ensure!(
        said.code == 1 && said.stderr.contains("storage.max_bytes"),
        "{} {}",
        said.code,
        said.stderr
    );
    let incoming = scene.path("b").join("torrents/incoming");
    let came = on_disk(&incoming)?;
    ensure!(came >= 20 << 20, "only {came} bytes are left of what came");
    let (setup, _, _) = b.stop()?;

    let b = setup.env("DATT_STORAGE_MAX_BYTES", "1 GiB").start()?;
    // what was imported before is lost from the folder: it begins anew
    let root = incoming.join(&infohash).join(text(&added[0], "ipfs")?);
    fs::remove_file(root.join("one.bin"))?;
    b.json(&get)?;
    for name in ["one.bin", "two.bin"] {
        ensure!(
            fs::read(to.join(name))? == fs::read(folder.join(name))?,
            "{name} differs"
        );
    }
    ensure!(
        !incoming.join(&infohash).exists(),
        "what was imported is left behind"
    );
    Ok(())
}

#[test]
fn after_a_restart_nothing_is_hashed_again() -> Result<()> {
    const LARGE: usize = 96 << 20;
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let file = scene.file("film.bin", LARGE)?;
    let (_, infohash) = seeded(&a, &file)?;
    torrent_file(&scene, &a, &infohash)?;
    let (setup, _, _) = a.stop()?;
    let a = setup.start()?;
    torrent_file(&scene, &a, &infohash)?;
    eventually("the torrent in the session", ARRIVES, || {
        let torrent = offered(&a, &infohash)?;
        Ok((torrent["is_live"] == true).then_some(()))
    })?;
    let read = bytes_read(&a)?;
    ensure!(
        read < (LARGE / 2) as u64,
        "{read} bytes were read after the restart"
    );
    Ok(())
}

#[test]
fn a_post_names_the_torrent_of_its_film() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let file = scene.file("film.bin", LENGTH)?;
    let (blob, infohash) = seeded(&a, &file)?;
    let said = json!({"space": board.space, "title": "A film", "body": "Look.",
        "media": [{"blob": blob, "publicity": "swarm"}]});
    let thread = post(&a, &said)?;
    let seen = a.client()?.get_json(&format!("/api/v1/threads/{thread}"))?;
    let named = &seen["posts"][0]["media"][0]["torrent"];
    ensure!(
        named["infohash"] == infohash.as_str() && named["claim"] == "verified",
        "{named}"
    );
    Ok(())
}

#[test]
fn torrents_that_make_no_sense_are_refused() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let good = "5aa3aa9a0ea0e9a1b1cb91f8c8a3b2d9f2a4bf2d";
    for (link, code) in [
        ("magnet:?dn=nothing".to_owned(), 2),
        (format!("magnet:?xt=urn:btih:{}", &good[1..]), 2),
        (
            format!("magnet:?xt=urn:btih:{good}&xt=urn:btih:{}", "0".repeat(40)),
            2,
        ),
    ] {
        let said = a.run(&["get", &link])?;
        ensure!(said.code == code, "{link}: {} {}", said.code, said.stderr);
    }
    let pieces = |count: usize| vec![b'x'; count * 20];
    let torrent = |piece_bytes: i64, name: &str, count: usize| {
        let mut bytes = b"d4:infod6:lengthi3000000e".to_vec();
        bytes.extend(format!("4:name{}:{name}", name.len()).bytes());
        bytes.extend(format!("12:piece lengthi{piece_bytes}e").bytes());
        bytes.extend(format!("6:pieces{}:", count * 20).bytes());
        bytes.extend(pieces(count));
        bytes.extend(b"ee");
        bytes
    };
    for (what, bytes) in [
        ("no pieces", torrent(0, "a", 3)),
        ("a way out", torrent(1 << 20, "..", 3)),
        ("too few hashes", torrent(1 << 20, "a", 2)),
        ("too many hashes", torrent(1 << 20, "a", 4)),
        ("an absurd piece", torrent(1 << 40, "a", 1)),
        ("no bencode", b"hello".to_vec()),
    ] {
        let path = scene.path("bad.torrent");
        fs::write(&path, bytes)?;
        let said = a.run(&["get", &path.to_string_lossy()])?;
        ensure!(said.code == 2, "{what}: {} {}", said.code, said.stderr);
    }
    let lonely = format!("magnet:?xt=urn:btih:{good}");
    let said = a.run(&["get", &lonely])?;
    ensure!(
        said.code == 3 && said.stderr.contains("peers"),
        "a torrent without peers: {} {}",
        said.code,
        said.stderr
    );
    if scene.path("bad.torrent").is_dir() {
        bail!("something was written");
    }
    Ok(())
}
