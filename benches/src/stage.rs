//! Where measurements take place: a scratch folder, the program, sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::Client;
use crate::kubo::{Daemon, Repo};
use crate::node::{Node, Setup, eventually};

/// Longest wait for something to reach another node.
pub const ARRIVES: Duration = Duration::from_secs(600);

/// The program under measurement and room to work in.
#[derive(Debug)]
pub struct Stage {
    datt: PathBuf,
    kubo: Option<PathBuf>,
    scratch: PathBuf,
    /// Small inputs: shows that everything runs, proves nothing.
    pub small: bool,
}

impl Stage {
    /// A clean scratch folder.
    pub fn new(
        datt: PathBuf,
        kubo: Option<PathBuf>,
        scratch: PathBuf,
        small: bool,
    ) -> Result<Self> {
        ensure!(datt.is_file(), "{} is not there", datt.display());
        let scratch = std::path::absolute(scratch)?.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        Ok(Self {
            datt,
            kubo,
            scratch,
            small,
        })
    }

    /// A path in the scratch folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// A node of that name with a large quota, logging errors only.
    pub fn setup(&self, name: &str) -> Setup {
        Setup::new(&self.datt, self.path(name))
            .env("DATT_LOG", "error")
            .env("DATT_AUTO_FETCH_MAX_BYTES", "0")
    }

    /// A running Kubo that holds the files, each under the CID that it has here; none where Kubo
    /// can't be had.
    pub fn kubo_with(&self, files: &[(&Path, &str)]) -> Result<Option<Daemon>> {
        let Some(binary) = &self.kubo else {
            return Ok(None);
        };
        let repo = Repo::new(binary, &self.path("kubo"))?;
        for (file, cid) in files {
            let theirs = repo.add(file)?;
            ensure!(theirs == *cid, "{theirs} in Kubo, {cid} here");
        }
        repo.daemon().map(Some)
    }

    /// Size of the large file: 1 GiB.
    pub fn large_bytes(&self) -> u64 {
        if self.small { 64 << 20 } else { 1 << 30 }
    }

    /// Entries of the large thread, threads of the long front page: 100,000.
    pub fn many(&self) -> u64 {
        if self.small { 2_000 } else { 100_000 }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Seconds that something takes.
pub fn seconds<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed().as_secs_f64()))
}

/// A new board: space id and ticket.
pub fn board(node: &Node) -> Result<(String, String)> {
    let made = node.json(&["space", "create", "--title", "Measured"])?;
    Ok((text(&made, "space")?, text(&made, "ticket")?))
}

/// Posts; the id.
pub fn post(client: &Client, what: &Value) -> Result<String> {
    text(&client.send_json("POST", "/api/v1/posts", what)?, "id")
}

/// Starts a thread; its id.
pub fn thread(client: &Client, space: &str, title: &str) -> Result<String> {
    post(
        client,
        &json!({"space": space, "title": title, "body": "Some words."}),
    )
}

/// Imports a file by its path; the blob's id.
pub fn add(node: &Node, file: &Path) -> Result<String> {
    text(&node.json(&["add", arg(file)?])?[0], "blob")
}

/// Imports a file by its path; its name in IPFS.
pub fn add_as_ipfs(node: &Node, file: &Path) -> Result<String> {
    text(&node.json(&["add", arg(file)?])?[0], "ipfs")
}

/// A path as an argument.
pub fn arg(path: &Path) -> Result<&str> {
    path.to_str()
        .context("the scratch folder's name is not UTF-8")
}

/// Has the node follow the ticket and waits until it shows so many posts of the thread.
pub fn follow(node: &Node, ticket: &str, thread: &str, posts: u64) -> Result<()> {
    let client = node.client()?;
    client.send_json("POST", "/api/v1/join", &json!({"target": ticket}))?;
    eventually("the thread", ARRIVES, || {
        let seen = client.get_json(&format!("/api/v1/threads/{thread}?limit=1"))?;
        let total = seen["total"].as_u64().unwrap_or(0);
        if total < posts {
            bail!("{total} of {posts} posts");
        }
        Ok(Some(()))
    })
}

/// A field that must be text.
pub fn text(value: &Value, name: &str) -> Result<String> {
    value[name]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {name} in {value}"))
}
