//! Seeding a large file to aria2, against Transmission seeding the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::files;
use crate::lan::{Machine, Running, Tracker, inside, quiet};
use crate::node::{Node, eventually};
use crate::row::Row;
use crate::stage::{ARRIVES, Stage, arg, seconds, text};

/// Turns of each; the best counts.
const TURNS: usize = 3;

pub fn run(stage: &Stage) -> Result<()> {
    inside(|| measure(stage))
}

fn measure(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    files::make(&file, stage.large_bytes())?;
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = stage.large_bytes() as f64 / f64::from(1 << 20);
    let machine = Machine::new(2, None)?;
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
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
        let rate = mib / downloaded(stage, &machine, &torrent)?;
        eprintln!("turn {turn}: Transmission {rate:.0} MiB/s");
        theirs = theirs.max(rate);
        drop((seed, tracker));

        let tracker = Tracker::start(&infohash)?;
        node = setup.start()?;
        tracker.knows_seeds(1)?;
        let rate = mib / downloaded(stage, &machine, &torrent)?;
        eprintln!("turn {turn}: datt {rate:.0} MiB/s");
        ours = ours.max(rate);
    }
    Row::new(
        "seed",
        format!("seeding {mib:.0} MiB to aria2, against Transmission"),
    )
    .ratio(ours, theirs, "MiB/s", 0.9);
    Ok(())
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

/// Seconds that aria2 takes to download, from its start to its end.
fn downloaded(stage: &Stage, machine: &Machine, torrent: &Path) -> Result<f64> {
    let folder = stage.path("aria2");
    let (output, took) = seconds(|| {
        machine
            .command("aria2c")
            .args([
                "--seed-time=0",
                "--file-allocation=none",
                "--enable-dht=false",
            ])
            .args(["--quiet", "-d", arg(&folder)?])
            .arg(torrent)
            .output()
            .context("aria2c is missing; apt-get install aria2")
    })?;
    ensure!(
        output.status.success(),
        "aria2 failed: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    fs::remove_dir_all(&folder)?;
    Ok(took)
}
