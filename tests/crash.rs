//! `kill -9` at random moments under load: nothing acknowledged is lost, what is left verifies.

use std::collections::BTreeMap;
use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::http::Client;
use crate::node::Node;
use crate::scene::{Scene, board, noise, text, verified};

/// Kills in an ordinary test run; `cargo xtask soak` asks for more.
const KILLS: u32 = 20;
/// Writers at work when the node is killed.
const WRITERS: u64 = 3;
/// Longest time a node lives, in milliseconds.
const LIFE_MS: u64 = 400;

#[test]
fn kills_redb() -> Result<()> {
    survives("redb")
}

#[test]
fn kills_sled() -> Result<()> {
    survives("sled")
}

/// What the node said is done.
#[derive(Debug, Default)]
struct Acknowledged {
    posts: Vec<String>,
    /// Blob and the seed of its bytes.
    blobs: BTreeMap<String, u64>,
    /// Vote on the thread, by what was asked last.
    vote: Option<i64>,
}

fn survives(store: &str) -> Result<()> {
    let kills = number("SOAK_KILLS")?.map_or(KILLS, |kills| u32::try_from(kills).unwrap_or(KILLS));
    let seed = match number("SOAK_SEED")? {
        Some(seed) => seed,
        None => clock_seed(),
    };
    println!("{store}: {kills} kills, SOAK_SEED={seed}");
    let scene = Scene::new()?;
    let mut node = scene.setup("a").args(["--store", store]).start()?;
    let board = board(&node)?;
    let thread = crate::scene::thread(&node, &board, "Under fire")?;
    let written = Mutex::new(Acknowledged::default());
    let count = AtomicU64::new(0);
    let mut checked = 0;
    for kill in 0..kills {
        let life_ms = random(seed, u64::from(kill)) % LIFE_MS;
        let setup = under_load(
            node,
            &thread,
            &written,
            &count,
            Duration::from_millis(life_ms),
        )?;
        node = setup
            .start()
            .with_context(|| format!("start after kill {kill}"))?;
        let written = written.lock().expect("no writer panicked");
        // what was written before earlier kills is looked at in the end
        lost_nothing(&node, &written, checked)
            .with_context(|| format!("after kill {kill}, SOAK_SEED={seed}"))?;
        checked = written.posts.len();
    }
    let written = written.into_inner().expect("no writer panicked");
    ensure!(
        written.posts.len() >= kills as usize / 2,
        "hardly anything was written: {}",
        written.posts.len()
    );
    lost_nothing(&node, &written, 0)?;
    verified(&node)?;
    println!(
        "{store}: {} posts, {} blobs",
        written.posts.len(),
        written.blobs.len()
    );
    Ok(())
}

/// Writes from several threads until the node is killed.
fn under_load(
    node: Node,
    thread_id: &str,
    written: &Mutex<Acknowledged>,
    count: &AtomicU64,
    life: Duration,
) -> Result<crate::node::Setup> {
    let client = node.client()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (client, over) = (&client, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    // an error means that the node is gone: that is what this is about
                    if write(client, thread_id, written, writer, number).is_err() {
                        return;
                    }
                }
            });
        }
        thread::sleep(life);
        let setup = node.kill();
        over.store(true, Ordering::Relaxed);
        setup
    })
}

fn write(
    client: &Client,
    thread: &str,
    written: &Mutex<Acknowledged>,
    writer: u64,
    number: u64,
) -> Result<()> {
    if writer == 0 {
        let bytes = noise(50_000, number);
        let added = client
            .send(
                "POST",
                &format!("/api/v1/blobs?name={number}.bin"),
                &[],
                &bytes,
            )?
            .json()?;
        let blob = text(&added, "blob")?;
        let post = json!({"reply_to": thread, "body": format!("file {number}"), "media": [blob]});
        let posted = client.send_json("POST", "/api/v1/posts", &post)?;
        let mut written = written.lock().expect("no writer panicked");
        written.blobs.insert(blob, number);
        written.posts.push(text(&posted, "id")?);
    } else if writer == 1 && number.is_multiple_of(5) {
        let dir = i64::from(number.is_multiple_of(10)) * 2 - 1;
        let mut written = written.lock().expect("no writer panicked");
        // in flight: either outcome is right until the answer is here
        written.vote = None;
        client.send_json(
            "PUT",
            &format!("/api/v1/votes/{thread}"),
            &json!({"dir": dir}),
        )?;
        written.vote = Some(dir);
    } else {
        let post = json!({"reply_to": thread, "body": format!("words {number}")});
        let posted = client.send_json("POST", "/api/v1/posts", &post)?;
        let id = text(&posted, "id")?;
        written.lock().expect("no writer panicked").posts.push(id);
    }
    Ok(())
}

fn lost_nothing(node: &Node, written: &Acknowledged, from: usize) -> Result<()> {
    let client = node.client()?;
    for id in &written.posts[from..] {
        let answer = client.get(&format!("/api/v1/posts/{id}"))?;
        ensure!(answer.status == 200, "post {id} is lost: {}", answer.text());
    }
    for (blob, seed) in &written.blobs {
        let answer = client.get(&format!("/ipfs/{blob}"))?;
        ensure!(
            answer.status == 200 && answer.body == noise(50_000, *seed),
            "blob {blob} is lost"
        );
    }
    if let (Some(vote), Some(post)) = (written.vote, written.posts.first()) {
        let thread = text(&client.get_json(&format!("/api/v1/posts/{post}"))?, "root")?;
        let seen = client.get_json(&format!("/api/v1/posts/{thread}"))?;
        ensure!(seen["score"] == vote, "the vote is lost: {}", seen["score"]);
    }
    Ok(())
}

fn number(name: &str) -> Result<Option<u64>> {
    env::var(name)
        .ok()
        .map(|value| value.parse().with_context(|| format!("{name}={value}")))
        .transpose()
}

fn random(seed: u64, step: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..].copy_from_slice(&step.to_le_bytes());
    let hash = blake3::hash(&bytes);
    u64::from_le_bytes(
        hash.as_bytes()[..8]
            .try_into()
            .expect("a hash has 32 bytes"),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "other moments in each run; printed, so that a run can be repeated"
)]
fn clock_seed() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_secs())
}
