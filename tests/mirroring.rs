//! Mirrors: rules are kept, within their room and the node's, and told of truthfully.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::node::{Node, Setup, eventually};
use crate::scene::{ARRIVES, Scene, board, holds, join, pin, shows, thread_with, verified};

const MIB: usize = 1 << 20;

/// A node that fetches nothing but what its rules ask for.
fn mirror(scene: &Scene, name: &str, rules: &str) -> Result<Setup> {
    let config = scene.path(&format!("{name}.toml"));
    fs::write(&config, rules)?;
    let config = config.to_string_lossy().into_owned();
    Ok(scene
        .setup(name)
        .args(["--config".to_owned(), config])
        .env("DATT_AUTO_FETCH_MAX_BYTES", "0"))
}

fn status(node: &Node) -> Result<Value> {
    node.json(&["mirror", "status"])
}

/// Waits until an evaluation says that of the first rule.
fn rule_says(node: &Node, what: &[(&str, u64)]) -> Result<Value> {
    eventually("the rule's sums", ARRIVES, || {
        let status = status(node)?;
        let rule = &status["rules"][0];
        if what.iter().any(|(name, count)| rule[*name] != *count) {
            bail!("{status}");
        }
        Ok(Some(status))
    })
}

#[test]
fn what_a_rule_asks_for_is_kept_counted_and_not_fetched_twice() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let b = mirror(&scene, "b", "[[mirror]]\nmatch = \"all\"\nreplicas = 2\n")?.start()?;
    join(&b, &board.ticket)?;
    let file = scene.file("film.bin", 3 * MIB)?;
    let (thread, blobs) = thread_with(&a, &board, "Film", &[&file])?;
    shows(&b, &thread, 1)?;
    holds(&b, &blobs[0])?;
    let seen = rule_says(
        &b,
        &[("matched", 1), ("held", 1), ("missing", 0), ("reached", 1)],
    )?;
    ensure!(seen["rules"][0]["held_bytes"] == 3 * MIB, "{seen}");
    ensure!(seen["promised"] == 1 && seen["missing"] == 0, "{seen}");
    ensure!(
        seen["quota"]["mirrored_bytes"].as_u64() >= Some(3 << 20),
        "{seen}"
    );
    // Nobody is there to fetch it from again.
    let (setup, ..) = b.stop()?;
    a.stop()?;
    let b = setup.start()?;
    rule_says(&b, &[("matched", 1), ("held", 1), ("missing", 0)])?;
    verified(&b)
}

#[test]
fn a_rule_keeps_to_its_room_and_two_mirrors_see_each_other() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let rules = format!(
        "[[mirror]]\nmatch = \"{}\"\nmax_bytes = \"4 MiB\"\n",
        board.space
    );
    let b = mirror(&scene, "b", &rules)?.start()?;
    let c = mirror(&scene, "c", "[[mirror]]\nmatch = \"popular\"\n")?.start()?;
    for node in [&b, &c] {
        join(node, &board.ticket)?;
    }
    let mut blobs = Vec::new();
    for number in 0..3 {
        let file = scene.file(&format!("film-{number}.bin"), 3 * MIB)?;
        // Not the same bytes each time.
        let mut bytes = fs::read(&file)?;
        bytes[0] ^= number + 1;
        fs::write(&file, bytes)?;
        let (_, of) = thread_with(&a, &board, &format!("Film {number}"), &[&file])?;
        blobs.extend(of);
    }
    for blob in &blobs {
        holds(&c, blob)?;
    }
    rule_says(&c, &[("matched", 3), ("held", 3)])?;
    let full = rule_says(&b, &[("matched", 3), ("held", 1), ("missing", 0)])?;
    ensure!(full["rules"][0]["held_bytes"] == 3 * MIB, "{full}");
    let own = c.json(&["status"])?["endpoint"].clone();
    eventually("the other mirror", ARRIVES, || {
        let status = status(&b)?;
        let mirrors = status["mirrors"].as_array().context("mirrors")?;
        let sees = mirrors
            .iter()
            .any(|other| other["endpoint"] == own && other["spaces"][0] == board.space.as_str());
        if !sees {
            bail!("{status}");
        }
        Ok(Some(()))
    })?;
    Ok(())
}

#[test]
fn an_identity_is_pinned_with_what_it_posted() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let b = mirror(&scene, "b", "")?.start()?;
    join(&b, &board.ticket)?;
    let file = scene.file("old.bin", 2 * MIB)?;
    let (thread, old) = thread_with(&a, &board, "Before", &[&file])?;
    shows(&b, &thread, 1)?;
    let identity = a.json(&["status"])?["identity"].clone();
    let identity = identity.as_str().context("an identity")?;
    let pinned = pin(&b, identity)?;
    ensure!(pinned["kind"] == "identity", "{pinned}");
    holds(&b, &old[0])?;
    let file = scene.file("new.bin", MIB)?;
    let (_, new) = thread_with(&a, &board, "After", &[&file])?;
    holds(&b, &new[0])?;
    let pins = b.json(&["pins"])?;
    ensure!(
        pins[0]["promised_bytes"] == 3 * MIB && pins[0]["missing"] == 0,
        "{pins}"
    );
    let said = b.run(&["unpin", identity])?;
    ensure!(said.code == 0, "{said:?}");
    Ok(())
}

#[test]
fn rules_that_nobody_understands_stop_the_start() -> Result<()> {
    let scene = Scene::new()?;
    for (rules, word) in [
        ("[[mirror]]\nmatch = \"everything\"\n", "everything"),
        (
            "[[mirror]]\nmatch = \"all\"\nmax_age = \"30 days\"\n",
            "30d",
        ),
    ] {
        let said = mirror(&scene, "a", rules)?.refuse()?;
        ensure!(
            said.code != 0 && said.stdout.contains(word) && said.stdout.contains("rule 1"),
            "{said:?}"
        );
    }
    Ok(())
}

/// Bytes on disk of a folder with everything in it, as `du` counts them.
fn on_disk(path: &Path) -> u64 {
    let own = fs::symlink_metadata(path).map_or(0, |meta| meta.blocks() * 512);
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    own + below.map(|entry| on_disk(&entry.path())).sum::<u64>()
}

/// The most that lay in a folder until it was told to end.
fn watch(folder: PathBuf, is_over: Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut most = 0;
        while !is_over.load(Ordering::SeqCst) {
            most = most.max(on_disk(&folder));
        }
        most
    })
}

#[test]
fn a_mirror_of_more_than_fits_is_never_over_its_quota() -> Result<()> {
    const QUOTA_BYTES: u64 = 32 << 20;
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let board = board(&a)?;
    let setup = mirror(&scene, "b", "[[mirror]]\nmatch = \"all\"\n")?
        .env("DATT_STORAGE_MAX_BYTES", "32 MiB");
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = watch(setup.data().to_owned(), Arc::clone(&is_over));
    let b = setup.start()?;
    join(&b, &board.ticket)?;
    for number in 0..12_u8 {
        let file = scene.file(&format!("film-{number}.bin"), 5 * MIB)?;
        let mut bytes = fs::read(&file)?;
        bytes[0] ^= number + 1;
        fs::write(&file, bytes)?;
        thread_with(&a, &board, &format!("Film {number}"), &[&file])?;
    }
    let filled = eventually("rules fill the room", ARRIVES, || {
        let status = status(&b)?;
        let rule = &status["rules"][0];
        if rule["matched"] != 12 || rule["missing"] != 0 || rule["held"].as_u64() < Some(4) {
            bail!("{status}");
        }
        Ok(Some(status))
    });
    is_over.store(true, Ordering::SeqCst);
    let most = watching.join().ok().context("the watch ended")?;
    let filled = filled?;
    ensure!(
        most <= QUOTA_BYTES + QUOTA_BYTES / 100,
        "{most} bytes lay on the disk: {filled}"
    );
    Ok(())
}
