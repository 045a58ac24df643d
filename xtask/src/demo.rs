//! `cargo xtask up --demo`: what datt is for, shown with three real nodes on this machine.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::media::Fixtures;
use crate::node::{Node, Setup, eventually};
use crate::workspace::Workspace;

/// How long copying a few megabytes between three nodes may take.
const COPIED: Duration = Duration::from_secs(120);

/// Plays the whole story. With `exit`, ends when it is told; else the two nodes left run on.
///
/// # Errors
/// When any part of the story isn't true.
pub fn run(workspace: &Workspace, binary: &Path, exit: bool) -> Result<()> {
    let folder = workspace.target.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
    }
    println!("── making a film and a speech");
    let media = Fixtures::make(&workspace.target.join("fixtures"))?;
    println!("── starting three nodes in {}", folder.display());
    let start = |name: &str| Setup::new(binary, folder.join(name)).start();
    let a = start("a")?;
    let b = start("b")?;
    let c = start("c")?;
    println!("   a: {}\n   b: {}\n   c: {}", a.url, b.url, c.url);

    let (ticket, thread) = publish(&a, &media)?;
    println!("── b and c join by ticket:\n   {ticket}");
    for node in [&b, &c] {
        node.json(&["join", &ticket])?;
        eventually("the thread reaches the node", COPIED, || {
            Ok(node.json(&["thread", &thread]).ok())
        })?;
        node.json(&["pin", &thread, "--media", "all"])?;
    }
    let film = film_of(&a, &thread)?;
    held_in_full(&a, &film)?;

    println!("── a is killed");
    a.kill()?;
    let original = fs::read(&media.webm)?;
    for node in [&b, &c] {
        plays(node, &film, &original)?;
        println!("   still plays from {}/t/{thread}", node.url);
    }
    println!("   sign in at b: {}", b.sign_in_url);
    if exit {
        for node in [b, c] {
            node.stop()?;
        }
        return Ok(());
    }
    println!("── b and c run until Ctrl-C, which reaches them, too");
    loop {
        thread::park();
    }
}

/// Creates a board and a thread with media and replies on the node: the board's ticket and the thread's id.
fn publish(node: &Node, media: &Fixtures) -> Result<(String, String)> {
    println!("── publishing on a");
    let board = node.json(&["space", "create", "--title", "Demo: films and voices"])?;
    let space = text(&board, "space")?;
    let mut post = vec![
        "post",
        "--space",
        space,
        "--title",
        "A film that outlives its node",
    ];
    let files: Vec<&str> = [&media.webm, &media.flac]
        .into_iter()
        .map(|path| {
            path.to_str()
                .context("the target folder's name is not UTF-8")
        })
        .collect::<Result<_>>()?;
    for file in &files {
        post.extend(["--media", file]);
    }
    post.push("Published on node **a**. Kill it, and watch the film from b or c.");
    let posted = node.json(&post)?;
    let thread = text(&posted, "id")?.to_owned();
    for (file, words) in [
        (&media.jpeg, "A picture, too."),
        (&media.png, "And a drawing with transparency."),
        (
            &media.mp4_moov_last,
            "The same as MP4, with its index at the end.",
        ),
        (&media.mp4_rotated, "And one that was filmed upright."),
    ] {
        let file = file
            .to_str()
            .context("the target folder's name is not UTF-8")?;
        node.json(&["post", "--reply-to", &thread, "--media", file, words])?;
    }
    node.json(&["vote", &thread, "up"])?;
    Ok((text(&board, "ticket")?.to_owned(), thread))
}

/// Blob id of the first file of the thread's first post.
fn film_of(node: &Node, thread: &str) -> Result<String> {
    let thread = node
        .reader()?
        .get_json(&format!("/api/v1/threads/{thread}"))?;
    Ok(text(&thread["posts"][0]["media"][0], "blob")?.to_owned())
}

/// Waits until the node says that the two others hold the blob in full.
fn held_in_full(node: &Node, blob: &str) -> Result<()> {
    println!("── waiting until b and c hold the film in full");
    let client = node.reader()?;
    let availability = eventually("two others hold the film in full", COPIED, || {
        let status = client.get_json(&format!("/api/v1/blobs/{blob}"))?;
        let availability = status["availability"].clone();
        Ok((availability["held_by"].as_u64() >= Some(2)).then_some(availability))
    })?;
    println!(
        "   sent to {}, held in full by {}",
        availability["sent_to"], availability["held_by"]
    );
    Ok(())
}

/// Reads the film's middle and the whole of it as a player would.
fn plays(node: &Node, blob: &str, original: &[u8]) -> Result<()> {
    let client = node.reader()?;
    let path = format!("/ipfs/{blob}");
    let (first, last) = (original.len() / 2, original.len() / 2 + 65_535);
    let part = client.get_range(&path, first as u64, last as u64)?;
    ensure!(
        part.status == 206,
        "a range of the film: status {}",
        part.status
    );
    ensure!(
        part.body == original[first..=last],
        "a range of the film differs"
    );
    ensure!(client.get(&path)?.body == original, "the film differs");
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name]
        .as_str()
        .with_context(|| format!("no {name} in {value}"))
}
