//! Machines that are full, shared, broken or on the wrong time.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::node::{Node, Said, Setup, eventually};
use crate::scene::{ARRIVES, Scene, board, join, reply, shows, thread, upload, verified};

/// It must have failed, and said these words.
fn says(said: &Said, code: i32, words: &[&str]) -> Result<()> {
    let text = format!("{}{}", said.stdout, said.stderr);
    ensure!(said.code == code, "{said:?}");
    for word in words {
        ensure!(text.contains(word), "no {word:?} in {text}");
    }
    Ok(())
}

#[test]
fn one_folder_one_node() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    says(
        &scene.setup("a").refuse()?,
        1,
        &["in use by another node", "--data"],
    )?;
    ensure!(
        a.reader()?.get("/healthz")?.status == 200,
        "the first goes on"
    );
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let address = a.reader()?.authority().to_owned();
    let said = scene.setup("b").args(["--http", &address]).refuse()?;
    says(&said, 1, &[&address])
}

#[test]
fn a_folder_of_something_else_is_left_alone() -> Result<()> {
    let scene = Scene::new()?;
    fs::create_dir_all(scene.path("a"))?;
    fs::write(scene.path("a").join("thesis.txt"), "ten years of work")?;
    says(&scene.setup("a").refuse()?, 1, &["--data"])?;
    let left: Vec<_> = fs::read_dir(scene.path("a"))?.collect::<Result<_, _>>()?;
    ensure!(left.len() == 1, "something was written: {left:?}");
    Ok(())
}

#[test]
fn a_later_format_is_refused_untouched() -> Result<()> {
    let scene = Scene::new()?;
    let (setup, ..) = scene.node("a")?.stop()?;
    let marker = setup.data().join("format");
    fs::write(&marker, "datt 999\n")?;
    says(&setup.refuse()?, 1, &["999", "newer"])?;
    ensure!(
        fs::read_to_string(&marker)? == "datt 999\n",
        "the marker was changed"
    );
    Ok(())
}

/// The largest file below a path: where the entries are.
fn largest_file(folder: &Path) -> Result<std::path::PathBuf> {
    let mut found = None;
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else {
            let length = path.metadata()?.len();
            if found.as_ref().is_none_or(|(longest, _)| length > *longest) {
                found = Some((length, path));
            }
        }
    }
    Ok(found.context("no files there")?.1)
}

fn with_some_posts(scene: &Scene, store: &str) -> Result<(Setup, String)> {
    let a = scene.setup(store).args(["--store", store]).start()?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Fragile")?;
    for number in 0..20 {
        reply(&a, &thread, &format!("number {number}"))?;
    }
    Ok((a.stop()?.0, thread))
}

/// A damaged store must be refused with its name, or be repaired without losing a verified thread in silence.
fn told(setup: &Setup) -> Result<()> {
    match setup.clone().start() {
        Err(error) => {
            let text = format!("{error:#}").to_lowercase();
            ensure!(text.contains("store"), "which file? {text}");
            ensure!(!text.contains("panicked"), "{text}");
            ensure!(
                text.contains("backup") || text.contains("restore"),
                "what to do? {text}"
            );
            Ok(())
        }
        Ok(node) => {
            let said = node.run(&["verify"])?;
            ensure!(said.code == 4, "damage went unnoticed: {said:?}");
            Ok(())
        }
    }
}

#[test]
fn a_damaged_store_is_told() -> Result<()> {
    let scene = Scene::new()?;
    let (setup, _) = with_some_posts(&scene, "redb")?;
    let file = largest_file(&setup.data().join("store"))?;
    let whole = fs::read(&file)?;
    fs::write(&file, &whole[..whole.len() / 2])?;
    told(&setup).context("half of the file is missing")?;
    fs::write(&file, b"not a database")?;
    told(&setup).context("another file in its place")?;
    let mut flipped = whole.clone();
    flipped[..4096].fill(0xff);
    fs::write(&file, &flipped)?;
    told(&setup).context("the first page is overwritten")?;
    // and the right file works again: nothing else was touched
    fs::write(&file, &whole)?;
    verified(&setup.start()?)
}

#[test]
fn flipped_media_bytes_are_found() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let file = scene.file("media.bin", 1 << 20)?;
    let blob = crate::scene::text(&upload(&a, &file)?, "blob")?;
    let (setup, ..) = a.stop()?;
    let stored = largest_file(&setup.data().join("blobs").join("data"))
        .or_else(|_| largest_file(&setup.data().join("blobs")))?;
    let mut bytes = fs::read(&stored)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&stored, bytes)?;
    let a = setup.start()?;
    let said = a.run(&["verify"])?;
    ensure!(said.code == 4, "{said:?}");
    let text = format!("{}{}", said.stdout, said.stderr);
    ensure!(text.contains(&blob), "which blob? {text}");
    Ok(())
}

/// A small file system, unmounted when dropped. Needs root.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, size: &str) -> Result<Self> {
        fs::create_dir_all(at)?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status()?;
        ensure!(
            status.success(),
            "this test mounts a small disk, which needs root"
        );
        Ok(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // lazily: a killed node's last file may still be closing
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_loses_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let disk = scene.path("disk");
    let _mounted = SmallDisk::mount(&disk, "48m")?;
    let a = Setup::new(env!("CARGO_BIN_EXE_datt"), disk.join("a")).start()?;
    let board = board(&a)?;
    let thread = thread(&a, &board, "Little room")?;
    let mut kept = vec![reply(&a, &thread, "before")?];
    let file = scene.file("large.bin", 64 << 20)?;
    let said = a.run(&["add", &file.to_string_lossy()])?;
    ensure!(said.code == 1 && !said.stderr.is_empty(), "{said:?}");
    // fill what is left, then write
    fs::write(disk.join("ballast"), vec![0_u8; 64 << 20])
        .err()
        .context("the disk isn't full")?;
    for number in 0..50 {
        let body = json!({"reply_to": thread, "body": format!("{number} {}", "x".repeat(20_000))});
        let answer = a.client()?.send(
            "POST",
            "/api/v1/posts",
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )?;
        if answer.status / 100 == 2 {
            kept.push(crate::scene::text(&answer.json()?, "id")?);
        } else {
            ensure!(answer.json()?["error"]["message"].is_string(), "{answer:?}");
        }
    }
    fs::remove_file(disk.join("ballast"))?;
    let setup = a.kill()?;
    let a = setup.start()?;
    for id in &kept {
        ensure!(
            a.client()?.get(&format!("/api/v1/posts/{id}"))?.status == 200,
            "{id} is lost"
        );
    }
    reply(&a, &thread, "after")?;
    verified(&a)
}

/// A node whose clock runs ahead, by libfaketime.
fn clock_ahead(setup: Setup, by: &str) -> Result<Setup> {
    let library = fs::read_dir("/usr/lib")?
        .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .find(|path| path.is_file())
        .context("libfaketime is missing; `cargo xtask test` installs it")?;
    Ok(setup
        .env("LD_PRELOAD", &library.to_string_lossy())
        .env("FAKETIME", by)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
}

#[test]
fn a_clock_an_hour_ahead_is_told_and_its_posts_wait() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let early = thread(&a, &board, "On time")?;
    let b = clock_ahead(scene.setup("b"), "+1h")?.start()?;
    join(&b, &board.ticket)?;
    shows(&b, &early, 1)?;
    eventually("a warning about the clock", ARRIVES, || {
        let status = b.client()?.get_json("/api/v1/status")?;
        let skew = status["clock_skew_ms"].as_i64().unwrap_or(0);
        let warned = status["warnings"].to_string().contains("clock");
        if !warned || skew.abs() < 3_000_000 {
            bail!("{} {}", status["clock_skew_ms"], status["warnings"]);
        }
        Ok(Some(()))
    })?;
    let late = reply(&b, &early, "from the future")?;
    let on_time = reply(&a, &early, "from now")?;
    shows(&b, &early, 3)?;
    // by then the future one has arrived at a too, and is held back, not shown
    eventually("the future entry waits", ARRIVES, || {
        let status = a.client()?.get_json("/api/v1/status")?;
        Ok((status["pending"].as_u64() >= Some(1)).then_some(()))
    })?;
    ensure!(
        a.client()?.get(&format!("/api/v1/posts/{on_time}"))?.status == 200,
        "own posts go on"
    );
    let seen = a.client()?.get_json(&format!("/api/v1/threads/{early}"))?;
    ensure!(
        !seen["posts"].to_string().contains(&late),
        "shown before its time"
    );
    Ok(())
}

fn copied(from: &Setup, scene: &Scene, name: &str) -> Result<Setup> {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from.data())
        .arg(scene.path(name))
        .status()?;
    ensure!(status.success(), "copying the data folder");
    Ok(scene.setup(name))
}

#[test]
fn two_nodes_with_one_device_key_fork_only_their_own_feed() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let common = thread(&a, &board, "Common")?;
    let (first, ..) = a.stop()?;
    let second = copied(&first, &scene, "twin")?;
    let witness = scene.node("witness")?;

    // each writes while the other is off, both at the same place of the feed
    let one = first.start()?;
    let left = reply(&one, &common, "left")?;
    join(&witness, &board_ticket(&one, &board.space)?)?;
    shows(&witness, &common, 2)?;
    one.stop()?;
    let two = second.start()?;
    reply(&two, &common, "right")?;
    join(&witness, &board_ticket(&two, &board.space)?)?;
    eventually("the fork is seen", ARRIVES, || {
        let status = witness.client()?.get_json("/api/v1/status")?;
        if status["forks"].as_u64() != Some(1) {
            bail!("{status}");
        }
        Ok(Some(()))
    })?;
    let disputed = witness
        .client()?
        .get_json(&format!("/api/v1/posts/{left}"))?;
    ensure!(disputed["verdict"] == "disputed", "{disputed}");
    let common = witness
        .client()?
        .get_json(&format!("/api/v1/posts/{common}"))?;
    ensure!(
        common["verdict"] == "valid",
        "what came before stands: {common}"
    );
    let own = thread(&witness, &board, "Nobody else is harmed")?;
    ensure!(
        witness
            .client()?
            .get_json(&format!("/api/v1/posts/{own}"))?["verdict"]
            == "valid",
        "another's feed"
    );
    verified(&witness)
}

fn board_ticket(node: &Node, space: &str) -> Result<String> {
    let ticket = node
        .client()?
        .get_json(&format!("/api/v1/ticket?space={space}"))?;
    crate::scene::text(&ticket, "ticket")
}
