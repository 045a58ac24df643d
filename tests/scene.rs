//! What most tests begin with: nodes in a folder of their own, a board, a thread, files.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Client, Response};
use crate::media::Fixtures;
use crate::node::{Node, Setup, eventually};

/// How long something may take to reach another node on a machine that is busy with other tests.
pub const ARRIVES: Duration = Duration::from_secs(60);

/// A folder for the nodes of one test; gone with it.
#[derive(Debug)]
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).context("making a folder")?;
        Ok(Self { folder })
    }

    /// How a node of that name would be started.
    pub fn setup(&self, name: &str) -> Setup {
        Setup::new(env!("CARGO_BIN_EXE_datt"), self.path(name))
    }

    /// A running node of that name.
    pub fn node(&self, name: &str) -> Result<Node> {
        self.setup(name).start()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with bytes that don't repeat.
    pub fn file(&self, name: &str, length: usize) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, noise(length, name.len() as u64))?;
        Ok(path)
    }
}

/// Bytes that don't repeat and don't compress; the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut reader = blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof();
    reader.fill(&mut bytes);
    bytes
}

/// The media files, made once for all tests: whoever comes meanwhile waits.
pub fn fixtures() -> Result<&'static Fixtures> {
    static MADE: OnceLock<Fixtures> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../fixtures");
    let made = Fixtures::make(&folder)?;
    Ok(MADE.get_or_init(|| made))
}

/// A board: its id and ticket.
#[derive(Debug, Clone)]
pub struct Board {
    /// Space id.
    pub space: String,
    /// Leads other nodes to it.
    pub ticket: String,
}

/// Makes a board.
pub fn board(node: &Node) -> Result<Board> {
    let made = node.client()?.send_json(
        "POST",
        "/api/v1/spaces",
        &json!({"title": "Films", "about": "Moving *pictures*."}),
    )?;
    Ok(Board {
        space: text(&made, "space")?,
        ticket: text(&made, "ticket")?,
    })
}

/// Posts what the JSON says; the post's id.
pub fn post(node: &Node, what: &Value) -> Result<String> {
    text(
        &node.client()?.send_json("POST", "/api/v1/posts", what)?,
        "id",
    )
}

/// Starts a thread with a few words.
pub fn thread(node: &Node, board: &Board, title: &str) -> Result<String> {
    post(
        node,
        &json!({"space": board.space, "title": title, "body": "Some words."}),
    )
}

/// Answers a post.
pub fn reply(node: &Node, to: &str, words: &str) -> Result<String> {
    post(node, &json!({"reply_to": to, "body": words}))
}

/// Uploads a file as a browser or program would.
pub fn upload(node: &Node, file: &Path) -> Result<Value> {
    let name = file
        .file_name()
        .context("a file has a name")?
        .to_string_lossy();
    let path = format!("/api/v1/blobs?name={name}");
    let bytes = std::fs::read(file)?;
    let answer = node.client()?.send("POST", &path, &[], &bytes)?;
    ensure!(
        answer.status / 100 == 2,
        "upload answered {}: {}",
        answer.status,
        answer.text()
    );
    answer.json()
}

/// Starts a thread with files; its id and the files' blob ids.
pub fn thread_with(
    node: &Node,
    board: &Board,
    title: &str,
    files: &[&Path],
) -> Result<(String, Vec<String>)> {
    let blobs = files
        .iter()
        .map(|file| text(&upload(node, file)?, "blob"))
        .collect::<Result<Vec<_>>>()?;
    let body = json!({"space": board.space, "title": title, "body": "See below.", "media": blobs});
    Ok((post(node, &body)?, blobs))
}

/// Follows something.
pub fn join(node: &Node, ticket: &str) -> Result<Value> {
    node.client()?
        .send_json("POST", "/api/v1/join", &json!({"target": ticket}))
}

/// Promises to keep something with all its media.
pub fn pin(node: &Node, id: &str) -> Result<Value> {
    node.client()?.send_json(
        "PUT",
        &format!("/api/v1/pins/{id}"),
        &json!({"media": "all"}),
    )
}

/// Waits until the node shows that many posts of a thread; the thread.
pub fn shows(node: &Node, thread: &str, posts: u64) -> Result<Value> {
    let client = node.client()?;
    eventually(&format!("{posts} posts of the thread"), ARRIVES, || {
        let seen = client.get_json(&format!("/api/v1/threads/{thread}"))?;
        let total = seen["total"].as_u64().unwrap_or(0);
        if total < posts {
            bail!("{total} posts so far");
        }
        Ok(Some(seen))
    })
}

/// Waits until the node holds a blob in full.
pub fn holds(node: &Node, blob: &str) -> Result<()> {
    let client = node.client()?;
    eventually("the blob in full", ARRIVES, || {
        let state = client.get_json(&format!("/api/v1/blobs/{blob}"))?;
        if state["complete"] != true {
            bail!("{state}");
        }
        Ok(Some(()))
    })
}

/// Waits until the node knows of that many others that hold a blob in full.
pub fn held_by(node: &Node, blob: &str, others: u64) -> Result<()> {
    let client = node.client()?;
    eventually("others that hold the blob in full", ARRIVES, || {
        let state = client.get_json(&format!("/api/v1/blobs/{blob}"))?;
        if state["availability"]["held_by"].as_u64() < Some(others) {
            bail!("{state}");
        }
        Ok(Some(()))
    })
}

/// Checks everything the node holds.
pub fn verified(node: &Node) -> Result<()> {
    let said = node.run(&["verify", "--json"])?;
    ensure!(
        said.code == 0,
        "datt verify ended with {}: {}{}",
        said.code,
        said.stdout,
        said.stderr
    );
    Ok(())
}

/// A field of a JSON object that must be text.
pub fn text(value: &Value, name: &str) -> Result<String> {
    value[name]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {name} in {value}"))
}

/// A range of a blob as a player asks for it.
pub fn range(client: &Client, blob: &str, first: u64, last: u64) -> Result<Response> {
    client.get_range(&format!("/ipfs/{blob}"), first, last)
}
