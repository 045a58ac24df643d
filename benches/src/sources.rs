//! One fetch from several sources, each behind a narrow wire: against the best of them alone, and
//! with one killed half-way.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::files;
use crate::lan::{Machine, Running, Tracker, inside, quiet, sh};
use crate::node::{Node, Setup, eventually};
use crate::row::{Row, quantile};
use crate::seed::{laid_out, seeded, torrent_file};
use crate::stage::{Stage, arg, board, follow, post, seconds, text};
use crate::transfer::fetched;

/// Runs of each side.
const RUNS: usize = 3;
/// How long it may take until a new node has heard of all that hold the file.
const KNOWN: Duration = Duration::from_secs(90);

/// Nodes that hold a file and say so in a thread.
struct Scene<'a> {
    stage: &'a Stage,
    file: PathBuf,
    mib: f64,
    cap_mib: u32,
    blob: String,
    infohash: String,
    ticket: String,
    thread: String,
    sources: Vec<Source>,
}

/// A node that holds the file, on a machine of its own.
struct Source {
    node: Node,
    _machine: Machine,
    endpoint: String,
}

impl Source {
    fn new(machine: Machine, setup: Setup) -> Result<Self> {
        let node = machine.node(setup).start()?;
        let endpoint = text(&node.json(&["status"])?, "endpoint")?;
        Ok(Self {
            node,
            _machine: machine,
            endpoint,
        })
    }

    /// The same again, after it was killed.
    fn again(self) -> Result<Self> {
        Ok(Self {
            node: self.node.kill()?.start()?,
            ..self
        })
    }
}

impl<'a> Scene<'a> {
    /// One node that holds it.
    fn new(stage: &'a Stage, cap_mib: u32) -> Result<Self> {
        let file = stage.path("large.bin");
        let size_bytes = stage.large_bytes() / 4;
        files::make(&file, size_bytes)?;
        let machine = Machine::new(2, Some(cap_mib))?;
        let source = Source::new(machine, stage.setup("source-2"))?;
        let node = &source.node;
        let (space, ticket) = board(node)?;
        let (blob, infohash) = seeded(node, &file)?;
        let said = json!({"space": space, "title": "Large", "body": "",
            "media": [{"blob": blob, "publicity": "swarm"}]});
        let thread = post(&node.client()?, &said)?;
        Ok(Self {
            stage,
            file,
            #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
            mib: size_bytes as f64 / f64::from(1 << 20),
            cap_mib,
            blob,
            infohash,
            ticket,
            thread,
            sources: vec![source],
        })
    }

    /// One more, which fetches the file and promises to keep it.
    fn grow(&mut self, number: u8) -> Result<()> {
        let machine = Machine::new(number, Some(self.cap_mib))?;
        let setup = self.stage.setup(&format!("source-{number}"));
        // a source of one kind only
        let setup = setup.env("DATT_TORRENT_ENABLED", "false");
        let source = Source::new(machine, setup)?;
        let node = &source.node;
        follow(node, &self.ticket, &self.thread, 1)?;
        let path = format!("/api/v1/pins/{}", self.thread);
        let client = node.client()?;
        client.send_json("PUT", &path, &json!({"media": "all"}))?;
        eventually("the file on a source", KNOWN, || {
            let state = client.get_json(&format!("/api/v1/blobs/{}", self.blob))?;
            ensure!(state["complete"] == true, "{state}");
            Ok(Some(()))
        })?;
        self.sources.push(source);
        Ok(())
    }

    /// A node without the file that knows of all that hold it.
    fn reader(&self, name: &str, holders: usize) -> Result<Node> {
        let node = quiet(self.stage.setup(name))
            .env("DATT_TORRENT_TRACKERS", &Tracker::url())
            .start()?;
        follow(&node, &self.ticket, &self.thread, 1)?;
        let client = node.client()?;
        eventually("all that hold the file", KNOWN, || {
            let state = client.get_json(&format!("/api/v1/blobs/{}", self.blob))?;
            let known = state["availability"]["held_by"].as_u64();
            ensure!(known >= Some(holders as u64), "{state}");
            Ok(Some(()))
        })?;
        Ok(node)
    }

    /// Seconds that a new node takes to fetch it; `look` is told of every step.
    fn fetch(
        &self,
        name: &str,
        holders: usize,
        mut look: impl FnMut(&Node, f64) -> Result<()>,
    ) -> Result<f64> {
        let node = self.reader(name, holders)?;
        let ((), took) = seconds(|| fetched(&node, &self.blob, |part| look(&node, part)))?;
        for share in shares(&node, &self.blob)? {
            eprintln!("  {share:?}");
        }
        eprintln!("{name}: {took:.2} s, {:.1} MiB/s", self.mib / took);
        let (setup, ..) = node.stop()?;
        std::fs::remove_dir_all(setup.data())?;
        Ok(took)
    }

    /// Kills the source that gave a fetch most so far; which.
    fn kill_fastest(&self, node: &Node) -> Result<usize> {
        let mut shares = shares(node, &self.blob)?;
        shares.sort_by_key(|share| share["bytes"].as_u64());
        let fastest = shares.last().context("no source yet")?;
        let label = text(fastest, "label")?;
        let at = self
            .sources
            .iter()
            .position(|source| source.endpoint == label);
        let at = at.with_context(|| format!("no source is {label}"))?;
        sh(&format!("kill -9 {}", self.sources[at].node.pid))?;
        Ok(at)
    }
}

/// Several nodes and peers of the swarm, against one node.
pub fn several(stage: &Stage) -> Result<()> {
    inside(|| {
        let mut scene = Scene::new(stage, 30)?;
        let torrent = torrent_file(stage, &scene.sources[0].node, &scene.infohash)?;
        let mut alone = 0.0_f64;
        for run in 0..RUNS {
            let took = scene.fetch(&format!("alone-{run}"), 1, |_, _| Ok(()))?;
            alone = alone.max(scene.mib / took);
        }
        scene.grow(3)?;
        scene.grow(4)?;
        let tracker = Tracker::start(&scene.infohash)?;
        let _peers = [5, 6]
            .into_iter()
            .map(|number| aria2(&scene, number, &torrent))
            .collect::<Result<Vec<_>>>()?;
        tracker.knows_seeds(2)?;
        let mut together = Vec::new();
        for run in 0..RUNS {
            let took = scene.fetch(&format!("together-{run}"), 3, |_, _| Ok(()))?;
            together.push(scene.mib / took);
        }
        Row::new(
            "sources",
            format!(
                "fetch of {:.0} MiB from 3 nodes and 2 peers of the swarm, {} MiB/s each, against the best alone",
                scene.mib, scene.cap_mib
            ),
        )
        .ratio(quantile(&mut together, 0.5), alone, "MiB/s", 3.0);
        Ok(())
    })
}

/// Five nodes, of which the one that gave most dies half-way.
pub fn kill(stage: &Stage) -> Result<()> {
    inside(|| {
        let mut scene = Scene::new(stage, 15)?;
        for number in 3..=6 {
            scene.grow(number)?;
        }
        let (mut whole, mut killed) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            whole.push(scene.fetch(&format!("whole-{run}"), 5, |_, _| Ok(()))?);
            let mut victim = None;
            killed.push(scene.fetch(&format!("killed-{run}"), 5, |node, part| {
                if part >= 0.5 && victim.is_none() {
                    victim = Some(scene.kill_fastest(node)?);
                }
                Ok(())
            })?);
            let at = victim.context("the fetch was over before anybody died")?;
            let dead = scene.sources.remove(at);
            scene.sources.push(dead.again()?);
        }
        let ratio = quantile(&mut killed, 0.5) / quantile(&mut whole, 0.5);
        Row::new(
            "kill",
            "fetch from 5 nodes of which the fastest dies half-way, against none",
        )
        .below(ratio, 1.25, "× the time");
        Ok(())
    })
}

/// Where a fetch got its bytes, source by source.
fn shares(node: &Node, blob: &str) -> Result<Vec<Value>> {
    let path = format!("/api/v1/blobs/{blob}/sources");
    let shares = node.client()?.get_json(&path)?;
    shares.as_array().cloned().context("a list of sources")
}

/// aria2 on a machine of its own, with the file from the start.
fn aria2(scene: &Scene<'_>, number: u8, torrent: &Path) -> Result<(Machine, Running)> {
    let machine = Machine::new(number, Some(scene.cap_mib))?;
    let folder = scene.stage.path(&format!("aria2-{number}"));
    laid_out(&folder, torrent, &scene.file)?;
    let tracker = format!("--bt-tracker={}", Tracker::url());
    let child = machine
        .command("aria2c")
        .args(["--seed-ratio=0", "-V", "--enable-dht=false", "--quiet"])
        .args(["--listen-port=51413", &tracker, "-d", arg(&folder)?])
        .arg(torrent)
        .stdout(Stdio::null())
        .spawn()
        .context("aria2c is missing; apt-get install aria2")?;
    Ok((machine, Running(child)))
}
