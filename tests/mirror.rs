//! Asking a mirror to keep something, and having it prove that it delivers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::Client;
use crate::node::{Node, eventually};
use crate::scene::{ARRIVES, Scene, board, held_by, holds, text, thread_with, upload};

/// A node that takes requests of anybody, within a small room for each.
fn mirror(scene: &Scene, requester_bytes: &str) -> Result<Node> {
    scene
        .setup("mirror")
        .env("DATT_PIN_REQUESTS_ACCEPT", "anyone")
        .env("DATT_PIN_REQUESTS_REQUESTER_BYTES", requester_bytes)
        .start()
}

/// `datt pin --at` with `--json`; the answer, whatever it was.
fn ask(node: &Node, mirror: &str, what: &str, more: &[&str]) -> Result<Value> {
    let args = [&["pin", "--at", mirror, what, "--json"], more].concat();
    let said = node.run(&args)?;
    let answer: Value = serde_json::from_str(&said.stdout)
        .with_context(|| format!("{}{}", said.stdout, said.stderr))?;
    ensure!(
        said.code == i32::from(answer["accepted"] != true),
        "ended with {}: {answer}",
        said.code
    );
    Ok(answer)
}

/// Sums of an audit of one blob.
fn audit(client: &Client, about: &Value) -> Result<(u64, u64, Value)> {
    let rows = client.send_json("POST", "/api/v1/mirror/audit", about)?;
    let sum = |name: &str| {
        let rows = rows.as_array().into_iter().flatten();
        rows.filter_map(|row| row[name].as_u64()).sum::<u64>()
    };
    Ok((sum("answered"), sum("asked"), rows.clone()))
}

/// The file of a blob in a node's store.
fn stored(data: &Path, length: usize) -> Result<PathBuf> {
    fn find(folder: &Path, length: u64) -> Option<PathBuf> {
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                if let Some(found) = find(&path, length) {
                    return Some(found);
                }
            } else if path.extension().is_some_and(|kind| kind == "data")
                && entry.metadata().is_ok_and(|found| found.len() == length)
            {
                return Some(path);
            }
        }
        None
    }
    find(&data.join("blobs"), length as u64).context("the blob lies in a file")
}

#[test]
fn a_mirror_that_is_asked_keeps_a_thread_and_proves_that_it_delivers() -> Result<()> {
    const LENGTH: usize = 3_000_001;
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let b = mirror(&scene, "64MiB")?;
    let board = board(&a)?;
    let file = scene.file("film", LENGTH)?;
    let (thread, blobs) = thread_with(&a, &board, "Keep this", &[&file])?;

    let answer = ask(&a, &b.ticket, &thread, &[])?;
    ensure!(answer["accepted"] == true, "{answer}");
    ensure!(
        answer["max_bytes"].as_u64() >= Some(LENGTH as u64),
        "{answer}"
    );
    holds(&b, &blobs[0])?;
    held_by(&a, &blobs[0], 1)?;
    let pins = b.client()?.get_json("/api/v1/pins")?;
    let identity = text(&a.client()?.get_json("/api/v1/status")?, "identity")?;
    let pin = pins
        .as_array()
        .and_then(|pins| pins.iter().find(|pin| pin["id"] == thread));
    ensure!(pin.is_some_and(|pin| pin["asked_by"] == identity), "{pins}");
    let asked = a.client()?.get_json("/api/v1/mirror/requests")?;
    ensure!(
        asked[0]["accepted"] == true && asked[0]["is_ours"] == true,
        "{asked}"
    );

    let (answered, challenges, rows) =
        audit(&a.client()?, &json!({"id": thread, "challenges": 8}))?;
    ensure!(challenges == 8 && answered == 8, "{rows}");
    let results = scene.path("results.json");
    fs::write(&results, rows.to_string())?;
    let results = results.to_str().context("UTF-8")?;
    let checked = b.json(&["mirror", "audit", "--verify", results, "--json"])?;
    ensure!(checked["not_verified"] == 0, "{checked}");
    let said = a.run(&["mirror", "audit", "--last"])?;
    ensure!(
        said.stdout.contains("answered 8 of 8 challenges within"),
        "{}",
        said.stdout
    );

    // Once more renews; taken back, it goes.
    let again = ask(&a, &b.ticket, &thread, &["--until", "30d"])?;
    ensure!(
        again["accepted"] == true && again["until_ms"].is_u64(),
        "{again}"
    );
    a.json(&["unpin", "--at", &b.ticket, &thread, "--json"])?;
    let client = b.client()?;
    eventually("the pin is gone", ARRIVES, || {
        let pins = client.get_json("/api/v1/pins")?;
        Ok((pins == json!([])).then_some(()))
    })
}

#[test]
fn a_mirror_that_lost_the_bytes_fails_and_is_not_counted_until_it_answers() -> Result<()> {
    const LENGTH: usize = 2_000_003;
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let b = mirror(&scene, "64MiB")?;
    let file = scene.file("loose", LENGTH)?;
    let blob = text(&upload(&a, &file)?, "blob")?;
    let answer = ask(&a, &b.ticket, &blob, &[])?;
    ensure!(answer["accepted"] == true, "{answer}");
    holds(&b, &blob)?;
    held_by(&a, &blob, 1)?;
    let whole = json!({"id": blob, "challenges": 4});
    let (answered, challenges, rows) = audit(&a.client()?, &whole)?;
    ensure!((answered, challenges) == (4, 4), "{rows}");

    // Nobody else gives the bytes from here on: it can't make the loss good.
    let client = a.client()?;
    let publicity = format!("/api/v1/blobs/{blob}/publicity");
    client.send_json("PUT", &publicity, &json!({"publicity": "gateway"}))?;
    fs::write(stored(&scene.path("mirror"), LENGTH)?, vec![0; LENGTH])?;
    let (answered, challenges, rows) = audit(&client, &whole)?;
    ensure!((answered, challenges) == (0, 4), "{rows}");
    ensure!(rows[0]["is_counted"] == false, "{rows}");
    let state = client.get_json(&format!("/api/v1/blobs/{blob}"))?;
    ensure!(state["availability"]["held_by"] == 0, "{state}");
    let said = a.run(&["mirror", "audit", "--last"])?;
    ensure!(
        said.stdout.contains("not counted as a holder"),
        "{}",
        said.stdout
    );

    client.send_json("PUT", &publicity, &json!({"publicity": "peers"}))?;
    let answer = ask(&a, &b.ticket, &blob, &[])?;
    ensure!(answer["accepted"] == true, "{answer}");
    holds(&b, &blob)?;
    eventually("the mirror answers again", ARRIVES, || {
        let (answered, _, rows) = audit(&client, &json!({"id": blob, "challenges": 1}))?;
        if answered == 0 {
            bail!("{rows}");
        }
        Ok(Some(()))
    })?;
    held_by(&a, &blob, 1)
}

#[test]
fn a_mirror_refuses_by_its_policy_and_says_why() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let closed = scene.node("closed")?;
    let followed = scene
        .setup("followed")
        .env("DATT_PIN_REQUESTS_ACCEPT", "followed")
        .start()?;
    let blob = text(&upload(&a, &scene.file("thing", 100_000)?)?, "blob")?;
    for (mirror, why) in [(&closed, "takes no requests"), (&followed, "follows")] {
        let answer = ask(&a, &mirror.ticket, &blob, &[])?;
        ensure!(answer["accepted"] == false, "{answer}");
        ensure!(text(&answer, "reason")?.contains(why), "{answer}");
        let pins = mirror.client()?.get_json("/api/v1/pins")?;
        ensure!(pins == json!([]), "{pins}");
    }
    // Followed, it is taken; the gateway's URL leads to the mirror as its ticket does.
    let identity = text(&a.client()?.get_json("/api/v1/status")?, "identity")?;
    followed.client()?.send_json(
        "PUT",
        &format!("/api/v1/follows/{identity}"),
        &json!({"on": true}),
    )?;
    let answer = ask(&a, &followed.url, &blob, &[])?;
    ensure!(answer["accepted"] == true, "{answer}");
    holds(&followed, &blob)
}

#[test]
fn each_requester_has_a_room_of_his_own_that_outlives_restarts() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, mirror(&scene, "300000")?);
    let c = scene.node("c")?;
    let first = text(&upload(&a, &scene.file("one", 150_000)?)?, "blob")?;
    let second = text(&upload(&a, &scene.file("second", 160_000)?)?, "blob")?;
    let answer = ask(&a, &b.ticket, &first, &[])?;
    ensure!(answer["accepted"] == true, "{answer}");
    holds(&b, &first)?;
    let (setup, ..) = b.stop()?;
    let b = setup.start()?;
    let answer = ask(&a, &b.ticket, &second, &[])?;
    ensure!(answer["accepted"] == false, "{answer}");
    ensure!(
        text(&answer, "reason")?.contains("are left of this requester's room"),
        "{answer}"
    );
    let large = ask(&a, &b.ticket, &second, &["--max-bytes", "1GiB"])?;
    ensure!(
        text(&large, "reason")?.contains("a single request"),
        "{large}"
    );
    // Another has a room of his own, and what was taken back is free again.
    let other = text(&upload(&c, &scene.file("other", 150_000)?)?, "blob")?;
    let answer = ask(&c, &b.ticket, &other, &[])?;
    ensure!(answer["accepted"] == true, "{answer}");
    a.json(&["unpin", "--at", &b.ticket, &first, "--json"])?;
    let answer = ask(&a, &b.ticket, &second, &[])?;
    ensure!(answer["accepted"] == true, "{answer}");
    holds(&b, &second)?;
    holds(&b, &other)
}

#[test]
fn an_unlisted_board_is_told_to_a_mirror_only_when_it_is_written_out() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, mirror(&scene, "64MiB")?);
    let body = json!({"title": "Cellar", "unlisted": true});
    let made = a.client()?.send_json("POST", "/api/v1/spaces", &body)?;
    let board = crate::scene::Board {
        space: text(&made, "space")?,
        ticket: text(&made, "ticket")?,
    };
    let file = scene.file("secret", 50_000)?;
    let (thread, blobs) = thread_with(&a, &board, "Between us", &[&file])?;
    let said = a.run(&["pin", "--at", &b.ticket, &thread])?;
    ensure!(
        said.code != 0 && said.stderr.contains("--space"),
        "{said:?}"
    );
    let answer = ask(&a, &b.ticket, &thread, &["--space", &board.space])?;
    ensure!(answer["accepted"] == true, "{answer}");
    holds(&b, &blobs[0])
}

#[test]
fn strangers_to_the_protocol_are_turned_away() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, mirror(&scene, "64MiB")?);
    let blob = text(&upload(&a, &scene.file("x", 20_000)?)?, "blob")?;
    let said = a.run(&["pin", "--at", "nonsense", &blob])?;
    ensure!(said.stderr.contains("is no mirror"), "{said:?}");
    let unknown = "ab".repeat(32);
    let said = a.run(&["pin", "--at", &unknown, &blob])?;
    ensure!(said.stderr.contains("never met"), "{said:?}");
    let said = a.run(&["pin", "--at", &a.ticket, &blob])?;
    ensure!(said.stderr.contains("this node itself"), "{said:?}");
    let said = a.run(&["unpin", "--at", &b.ticket, &blob, "--json"])?;
    ensure!(
        said.stdout.contains("isn't kept for this requester"),
        "{said:?}"
    );
    Ok(())
}
