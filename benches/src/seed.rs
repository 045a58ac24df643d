//! Seeding a large file to aria2, against Transmission seeding the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::files;
use crate::lan::{Machine, Running, Tracker, inside, quiet};
use crate::node::{Node, eventually};
use crate::row::Row;
use crate::stage::{ARRIVES, Stage, arg, text};

/// Turns of each; the best counts.
const TURNS: usize = 3;
/// More than talk before the file: it comes now.
const FIRST_BYTES: u64 = 1 << 20;

pub fn run(stage: &Stage) -> Result<()> {
    inside(|| measure(stage))
}

fn measure(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    files::make(&file, stage.large_bytes())?;
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = stage.large_bytes() as f64 / f64::from(1 << 20);
    let machine = Machine::new(2, None)?;
    let (mut ours, mut theirs) = ([0.0_f64; 2], [0.0_f64; 2]);
    let mut node = seeder(stage)?;
    let (_, infohash) = seeded(&node, &file)?;
    let torrent = torrent_file(stage, &node, &infohash)?;
    let folder = stage.path("transmission");
    for turn in 0..TURNS {
        // with a tracker of its own, so that each is the only one it knows
        let (setup, ..) = node.stop()?;
        let tracker = Tracker::start(&infohash)?;
        let seed = transmission(&folder, &torrent, &file)?;
        tracker.knows_seeds(1)?;
        let rates = downloaded(stage, &machine, &torrent)?;
        eprintln!("turn {turn}: Transmission {rates:.1?} MiB/s");
        theirs = best(theirs, rates);
        drop((seed, tracker));

        let tracker = Tracker::start(&infohash)?;
        node = setup.start()?;
        tracker.knows_seeds(1)?;
        let rates = downloaded(stage, &machine, &torrent)?;
        eprintln!("turn {turn}: datt {rates:.1?} MiB/s");
        ours = best(ours, rates);
    }
    for (at, from) in ["from its start", "from the first bytes"]
        .into_iter()
        .enumerate()
    {
        let what = format!("seeding {mib:.0} MiB to aria2, {from}, against Transmission");
        Row::new("seed", what).ratio(ours[at], theirs[at], "MiB/s", 0.9);
    }
    Ok(())
}

fn best(so_far: [f64; 2], now: [f64; 2]) -> [f64; 2] {
    [so_far[0].max(now[0]), so_far[1].max(now[1])]
}

fn seeder(stage: &Stage) -> Result<Node> {
    quiet(stage.setup("seeder"))
        .env("DATT_TORRENT_TRACKERS", &Tracker::url())
        .start()
}

/// Adds a file and waits until it is seeded; its blob and infohash.
pub fn seeded(node: &Node, file: &Path) -> Result<(String, String)> {
    let added = node.json(&["add", "--publicity", "swarm", arg(file)?])?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    eventually("the torrent in the session", ARRIVES, || {
        let torrents = node.json(&["torrents"])?;
        let is_live =
            |torrent: &Value| torrent["infohash"] == *infohash && torrent["is_live"] == true;
        Ok(torrents
            .as_array()
            .context("a list")?
            .iter()
            .any(is_live)
            .then_some(()))
    })?;
    Ok((text(&added[0], "blob")?, infohash))
}

/// Saves what the node hands out as `.torrent`.
pub fn torrent_file(stage: &Stage, node: &Node, infohash: &str) -> Result<PathBuf> {
    let answer = node.reader()?.get(&format!("/torrent/{infohash}"))?;
    ensure!(answer.status == 200, "no .torrent: {}", answer.text());
    let path = stage.path("file.torrent");
    fs::write(&path, &answer.body)?;
    Ok(path)
}

/// Puts the file where a client looks for it: in a folder, under the name in the torrent.
pub fn laid_out(folder: &Path, torrent: &Path, file: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let bytes = fs::read(torrent)?;
    let said = String::from_utf8_lossy(&bytes);
    let (_, rest) = said.split_once("4:name").context("a torrent has a name")?;
    let (length, rest) = rest.split_once(':').context("a length before the name")?;
    let name = rest
        .get(..length.parse()?)
        .context("a name of that length")?;
    if !folder.join(name).exists() {
        fs::hard_link(file, folder.join(name))?;
    }
    Ok(())
}

/// transmission-cli with the settings it comes with, in this process's place of the network.
fn transmission(folder: &Path, torrent: &Path, file: &Path) -> Result<Running> {
    laid_out(folder, torrent, file)?;
    let settings = folder.with_extension("settings");
    fs::create_dir_all(&settings)?;
    let child = Command::new("transmission-cli")
        .args([
            "-v",
            "-p",
            "51413",
            "-g",
            arg(&settings)?,
            "-w",
            arg(folder)?,
        ])
        .arg(torrent)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("transmission-cli is missing; apt-get install transmission-cli")?;
    Ok(Running(child))
}

/// MiB a second at which aria2 downloads: from its start to its end, and from when bytes come at
/// all, since both sides let a new peer wait for its turn.
fn downloaded(stage: &Stage, machine: &Machine, torrent: &Path) -> Result<[f64; 2]> {
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = stage.large_bytes() as f64 / f64::from(1 << 20);
    let folder = stage.path("aria2");
    let before = machine.received()?;
    let start = Instant::now();
    let child = machine
        .command("aria2c")
        .args([
            "--seed-time=0",
            "--file-allocation=none",
            "--enable-dht=false",
        ])
        .args(["--quiet", "-d", arg(&folder)?])
        .arg(torrent)
        .spawn()
        .context("aria2c is missing; apt-get install aria2")?;
    let mut running = Running(child);
    let mut first = None;
    let status = eventually("aria2 has it all", ARRIVES, || {
        if first.is_none() && machine.received()? > before + FIRST_BYTES {
            first = Some(Instant::now());
        }
        Ok(running.0.try_wait()?)
    })?;
    let rates = [Some(start), first].map(|from| {
        let seconds = from.map_or(f64::NAN, |from| from.elapsed().as_secs_f64());
        mib / seconds
    });
    ensure!(status.success(), "aria2 ended with {status}");
    fs::remove_dir_all(&folder)?;
    Ok(rates)
}
