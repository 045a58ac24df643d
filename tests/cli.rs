//! Every command, with its JSON and its exit codes.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::node::{Node, Said};
use crate::scene::{Scene, fixtures, text};

/// A CID that is well-formed and belongs to nothing.
pub const NOBODY: &str = "bafyr4iaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn ended(said: &Said, code: i32) -> Result<()> {
    ensure!(said.code == code, "expected {code}: {said:?}");
    Ok(())
}

/// Runs with and without `--json`: the same code; the JSON.
fn both(node: &Node, args: &[&str], code: i32) -> Result<Value> {
    let plain = node.run(args)?;
    ended(&plain, code)?;
    if code == 0 {
        ensure!(!plain.stdout.trim().is_empty(), "{args:?} says nothing");
        ensure!(
            !plain.stdout.contains('\u{1b}'),
            "colours in a pipe: {plain:?}"
        );
    } else {
        ensure!(plain.stderr.starts_with("error: "), "{plain:?}");
    }
    let mut with_json = vec!["--json"];
    with_json.extend(args);
    let said = node.run(&with_json)?;
    ended(&said, code)?;
    let value = said.json()?;
    if code != 0 {
        ensure!(
            value["error"]["message"].is_string() && value["error"]["code"].is_string(),
            "{value}"
        );
    }
    Ok(value)
}

#[test]
fn every_command_does_what_it_says() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let media = fixtures()?;
    let film = media.webm.to_string_lossy();

    let board = a.json(&[
        "space",
        "create",
        "--title",
        "Films",
        "--about",
        "Moving pictures",
    ])?;
    let space = text(&board, "space")?;
    ensure!(text(&board, "ticket")?.starts_with("datt"), "{board}");
    ensure!(
        both(&a, &["space", "ls"], 0)?[0]["title"] == "Films",
        "the board is listed"
    );
    ensure!(
        text(&both(&a, &["ticket"], 0)?, "ticket")?.starts_with("datt"),
        "a ticket"
    );

    let posted = a.json(&[
        "post",
        "--space",
        &space,
        "--title",
        "A film",
        "--media",
        &film,
        "--media",
        &media.png.to_string_lossy(),
        "Look.",
    ])?;
    let thread = text(&posted, "id")?;
    ensure!(posted["availability"]["held_by"] == 0, "{posted}");
    let plain = a.run(&["post", "--reply-to", &thread, "An answer."])?;
    ended(&plain, 0)?;
    ensure!(plain.stdout.contains("keep this node running"), "{plain:?}");
    let answer = plain
        .stdout
        .lines()
        .next()
        .context("the id comes first")?
        .to_owned();

    ensure!(
        both(&a, &["vote", &answer, "up"], 0)?["score"] == 1,
        "voting twice counts once"
    );
    ensure!(
        both(&a, &["vote", &answer, "down"], 0)?["score"] == -1,
        "a vote is replaced"
    );
    ensure!(
        both(&a, &["vote", &answer, "clear"], 0)?["score"] == 0,
        "a vote is taken back"
    );

    let seen = both(&a, &["thread", &thread], 0)?;
    ensure!(
        seen["total"] == 2 && seen["posts"][1]["id"] == *answer,
        "{seen}"
    );
    ensure!(
        seen["posts"][0]["media"][0]["duration_ms"].as_u64() > Some(19_000),
        "{seen}"
    );

    ensure!(
        both(
            &a,
            &["pin", &thread, "--media", "thumbs", "--max-bytes", "10MB"],
            0
        )?["media"]
            == "thumbs",
        "a pin"
    );
    ensure!(
        both(&a, &["pins"], 0)?[0]["id"] == *thread,
        "the pin is listed"
    );
    both(&a, &["unpin", &thread], 0).or_else(|_| a.json(&["pin", &thread]))?;
    let status = both(&a, &["status"], 0)?;
    ensure!(
        status["offline"] == true && status["entries"].as_u64() > Some(2),
        "{status}"
    );
    ensure!(
        both(&a, &["identity", "show"], 0)?["devices"]
            .as_array()
            .map(Vec::len)
            == Some(1),
        "one device"
    );
    ensure!(
        text(&both(&a, &["signin"], 0)?, "url")?.starts_with(&a.url),
        "a link to this node"
    );
    ensure!(both(&a, &["verify"], 0)?["ok"] == true, "all is well");
    Ok(())
}

#[test]
fn files_come_back_as_they_went_in() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let file = scene.file("some.bin", 300_000)?;
    let bytes = fs::read(&file)?;
    let added = a.json(&["add", &file.to_string_lossy()])?;
    let blob = text(&added[0], "blob")?;
    ensure!(added[0]["size_bytes"] == 300_000, "{added}");

    let out = scene.path("out.bin");
    let got = a.json(&["get", &blob, "-o", &out.to_string_lossy()])?;
    ensure!(got["verified"] == true && fs::read(&out)? == bytes, "{got}");
    for (range, expected) in [
        ("0-99", &bytes[..100]),
        ("299900-", &bytes[299_900..]),
        ("-500", &bytes[299_500..]),
        ("1000-1000", &bytes[1000..=1000]),
    ] {
        a.json(&[
            "get",
            &blob,
            &format!("--range={range}"),
            "-o",
            &out.to_string_lossy(),
        ])?;
        ensure!(fs::read(&out)? == expected, "range {range}");
    }
    ended(
        &a.run(&[
            "get",
            &blob,
            "--range=400000-",
            "-o",
            &out.to_string_lossy(),
        ])?,
        2,
    )?;
    ensure!(
        fs::read(&out)? == bytes[1000..=1000],
        "a failed get leaves the file alone"
    );
    Ok(())
}

#[test]
fn failures_have_their_codes() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    both(&a, &["thread", NOBODY], 3)?;
    both(&a, &["vote", NOBODY, "up"], 3)?;
    both(&a, &["add", "/no/such/file"], 3)?;
    both(&a, &["post", "--reply-to", NOBODY, "Hello?"], 3)?;
    for wrong in [
        &["thread", "not-a-cid"][..],
        &["vote", NOBODY, "sideways"],
        &["post", "no space"],
        &["get", "x"],
        &["frobnicate"],
        &["post", "--space", "x", "y"],
        &["pin", NOBODY, "--max-bytes", "many"],
        &[],
    ] {
        let said = a.run(wrong)?;
        ensure!(
            said.code == 2 && !said.stderr.is_empty(),
            "{wrong:?}: {said:?}"
        );
    }
    both(&a, &["join", "datt-not-a-ticket"], 2)?;
    let setup = a.kill()?;
    for command in [
        &["status"][..],
        &["thread", NOBODY],
        &["verify"],
        &["ticket"],
        &["signin"],
    ] {
        let said = setup.run(command)?;
        ended(&said, 5)?;
        ensure!(said.stderr.contains("datt up"), "what to do: {said:?}");
    }
    Ok(())
}

#[test]
fn settings_are_read_in_order() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene.path("datt.toml");
    fs::write(
        &config,
        "store = \"sled\"\n[storage]\nmax_bytes = \"1 GiB\"\n",
    )?;
    let config = config.to_string_lossy().into_owned();
    let a = scene
        .setup("a")
        .args(["--config", &config])
        .env("DATT_STORAGE_MAX_BYTES", "2 GiB")
        .start()?;
    let status = a.json(&["status"])?;
    ensure!(status["store"] == "sled", "from the file: {status}");
    ensure!(
        status["max_bytes"] == 2_u64 << 30,
        "the environment is stronger: {status}"
    );
    let b = scene
        .setup("b")
        .args(["--config", &config, "--store", "redb"])
        .start()?;
    ensure!(
        b.json(&["status"])?["store"] == "redb",
        "the flag is stronger"
    );

    fs::write(&config, "stor = \"sled\"\n")?;
    let said = scene.setup("c").args(["--config", &config]).refuse()?;
    ended(&said, 2)?;
    ensure!(
        said.stdout.contains("stor") || said.stderr.contains("stor"),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn the_documented_settings_are_the_defaults() -> Result<()> {
    let scene = Scene::new()?;
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.toml");
    let documented = scene
        .setup("a")
        .args(["--config", config])
        .start()?
        .json(&["status"])?;
    let plain = scene.node("b")?.json(&["status"])?;
    for field in ["store", "max_bytes"] {
        ensure!(
            documented[field] == plain[field],
            "{field}: {} and {}",
            documented[field],
            plain[field]
        );
    }
    Ok(())
}
