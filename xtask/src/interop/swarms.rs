//! BitTorrent clients with their default settings, and a tracker: each takes from datt and gives to
//! it, in two network namespaces of this program's own that lead nowhere else.
//!
//! (On loopback alone, Transmission takes no peers: it holds addresses of 127.0.0.0/8 for a mistake.)

mod client;
mod network;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::interop::corpus;
use crate::interop::report::{Line, Outcome};
use crate::interop::stage::{Stage, add, arg, same_bytes, text};
use crate::node::{Node, Setup, eventually};
use crate::packages::{ARIA2, IP, OPENTRACKER, TRANSMISSION, UNSHARE, is_root, require};

use client::{ARRIVES, Client};
use network::{HERE, Network, THERE, Tracker};

/// A check of this module: its name, and what carries it out.
type Check = (&'static str, &'static str, fn(&Stage) -> Result<String>);

/// The checks, by peer.
pub const CHECKS: [Check; 8] = [
    ("aria2", "downloads by .torrent", |stage| {
        down(stage, Client::Aria2, false)
    }),
    ("aria2", "downloads by magnet link", |stage| {
        down(stage, Client::Aria2, true)
    }),
    ("aria2", "downloads from the web seed alone", web_seed),
    ("aria2", "seeds to datt", |stage| up(stage, Client::Aria2)),
    ("Transmission", "downloads by .torrent", |stage| {
        down(stage, Client::Transmission, false)
    }),
    (
        "Transmission",
        "downloads by magnet link, uTP off",
        |stage| down(stage, Client::TransmissionByTcp, true),
    ),
    ("Transmission", "seeds to datt", |stage| {
        up(stage, Client::Transmission)
    }),
    ("opentracker", "brings two nodes together", two_nodes),
];

/// Port of the web server of the node here.
const HTTP_PORT: u16 = 8420;

/// Carries out checks; where this machine can't, says why.
pub fn run(stage: &Stage, checks: &[Check]) -> Vec<Line> {
    let tools = [ARIA2, TRANSMISSION, OPENTRACKER, UNSHARE, IP];
    let problem = if is_root() {
        require(&tools).err().map(|error| format!("{error:#}"))
    } else {
        Some("network namespaces need root".to_owned())
    };
    let run = |(peer, name, check): &Check| {
        println!("── {peer}: {name}");
        let outcome = match &problem {
            Some(problem) => {
                Outcome::Skipped(problem.lines().next().unwrap_or_default().to_owned())
            }
            None => Outcome::of(check(stage)),
        };
        println!("   {outcome}");
        Line::new(peer, name, outcome)
    };
    checks.iter().map(run).collect()
}

/// Bytes of the file that travels.
fn file_bytes(stage: &Stage) -> u64 {
    let mebibytes = if stage.short { 24 } else { 1024 };
    (mebibytes << 20) + 54_321
}

/// A node that seeds a file, with a tracker beside it.
struct Scene {
    network: Network,
    _tracker: Tracker,
    node: Node,
    file: PathBuf,
    infohash: String,
    magnet: String,
}

impl Scene {
    fn new(stage: &Stage, name: &str, with_web_seed: bool) -> Result<Self> {
        let file = stage.path("film.bin");
        if !file.is_file() {
            corpus::file(&file, file_bytes(stage), 11)?;
        }
        let network = Network::new()?;
        let infohash = infohash_of(stage, &file)?;
        let tracker = Tracker::start(&network, &infohash)?;
        let mut setup = online(stage, &network, name);
        setup = if with_web_seed {
            setup.env(
                "DATT_HTTP_PUBLIC_URL",
                &format!("http://{HERE}:{HTTP_PORT}"),
            )
        } else {
            setup.env("DATT_TORRENT_TRACKERS", &tracker.url())
        };
        let node = setup
            .args(["--http", &format!("{HERE}:{HTTP_PORT}")])
            .start()?;
        let added = node.json(&["add", "--publicity", "swarm", arg(&file)?])?;
        let magnet = text(&added[0]["torrent"], "magnet")?;
        let scene = Self {
            network,
            _tracker: tracker,
            node,
            file,
            infohash,
            magnet,
        };
        scene.is_seeded(with_web_seed)?;
        Ok(scene)
    }

    /// Waits until the torrent is in the session, and the tracker knows of it.
    fn is_seeded(&self, with_web_seed: bool) -> Result<()> {
        eventually("the torrent in the session", ARRIVES, || {
            let torrents = self.node.json(&["torrents"])?;
            Ok((torrents[0]["is_live"] == true).then_some(()))
        })?;
        if with_web_seed {
            return Ok(());
        }
        eventually("the tracker knows the seed", ARRIVES, || {
            let answer = self.network.scrape(&self.infohash)?;
            Ok(answer.contains("8:completei1e").then_some(()))
        })
    }

    /// URL of the `.torrent`.
    fn link(&self) -> String {
        format!(
            "http://{HERE}:{HTTP_PORT}/torrent/{}.torrent",
            self.infohash
        )
    }
}

/// A node on this side that isn't offline, and finds peers by trackers alone.
fn online(stage: &Stage, network: &Network, name: &str) -> Setup {
    stage
        .setup(name)
        .with_relays()
        .env("DATT_TORRENT_DHT", "false")
        .env("DATT_TORRENT_LSD", "false")
        .inside(network.here())
}

/// The infohash of a file: the same on every node.
fn infohash_of(stage: &Stage, file: &Path) -> Result<String> {
    let node = stage.setup("hasher").start()?;
    let added = add(&node, file)?;
    text(&added["torrent"], "infohash")
}

fn rate(bytes: u64, start: Instant) -> String {
    let seconds = start.elapsed().as_secs_f64();
    let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    format!(
        "{mebibytes} MiB in {seconds:.1} s, {:.0} MiB/s with starting up",
        f64::from(mebibytes) / seconds
    )
}

/// A client downloads from datt.
fn down(stage: &Stage, client: Client, by_magnet: bool) -> Result<String> {
    let scene = Scene::new(stage, &format!("seed-{client}-{by_magnet}"), false)?;
    let folder = stage.path(&format!("down-{client}-{by_magnet}"));
    let link = match (client, by_magnet) {
        (_, true) => scene.magnet.clone(),
        (Client::Aria2 | Client::TransmissionByTcp, false) => scene.link(),
        (Client::Transmission, false) => {
            fs::create_dir_all(&folder)?;
            let saved = client.save_torrent(&scene.network, &folder, &scene.link())?;
            arg(&saved)?.to_owned()
        }
    };
    let start = Instant::now();
    let (got, _node) = match client {
        Client::Aria2 | Client::TransmissionByTcp => {
            (client.download(&scene.network, &folder, &link)?, scene.node)
        }
        // it has to be called: it asks by uTP with encryption first, and by nothing else then
        Client::Transmission => {
            let (setup, ..) = scene.node.stop()?;
            let running = client.begin(&scene.network, &folder, &link)?;
            eventually("the tracker knows who wants it", ARRIVES, || {
                let answer = scene.network.scrape(&scene.infohash)?;
                Ok((!answer.contains("10:incompletei0e")).then_some(()))
            })?;
            let node = setup.start()?;
            (client.finish(running, &folder)?, node)
        }
    };
    let figures = rate(file_bytes(stage), start);
    same_bytes(&scene.file, &got)?;
    fs::remove_file(got)?;
    Ok(figures)
}

/// aria2 with nothing but the URL that the `.torrent` names.
fn web_seed(stage: &Stage) -> Result<String> {
    let scene = Scene::new(stage, "seed-web", true)?;
    let folder = stage.path("down-web");
    let start = Instant::now();
    let got = Client::Aria2.download(&scene.network, &folder, &scene.link())?;
    let figures = rate(file_bytes(stage), start);
    same_bytes(&scene.file, &got)?;
    let torrents = scene.node.json(&["torrents"])?;
    ensure!(
        torrents[0]["sent_bytes"] == 0,
        "it came from the swarm: {torrents}"
    );
    fs::remove_file(got)?;
    Ok(figures)
}

/// datt downloads from a client that has the file.
fn up(stage: &Stage, client: Client) -> Result<String> {
    let scene = Scene::new(stage, &format!("origin-{client}"), false)?;
    let folder = stage.path(&format!("up-{client}"));
    // the quickest way to have the file there under its name
    let got = Client::Aria2.download(&scene.network, &folder, &scene.link())?;
    let torrent = client.save_torrent(&scene.network, &folder, &scene.link())?;
    same_bytes(&scene.file, &got)?;
    let Scene {
        network,
        _tracker,
        node,
        file,
        ..
    } = scene;
    // nobody else has it now
    node.stop()?;
    let (_seed, port) = client.seed(&network, &folder, &torrent)?;
    let node = online(stage, &network, &format!("reader-{client}"))
        .args(["--http", &format!("{HERE}:{HTTP_PORT}")])
        .start()?;
    let to = stage.path(&format!("read-{client}.bin"));
    let peer = format!("{THERE}:{port}");
    let start = Instant::now();
    node.json(&["get", arg(&torrent)?, "--peer", &peer, "-o", arg(&to)?])
        .with_context(|| format!("datt downloads from {client}"))?;
    let figures = rate(file_bytes(stage), start);
    same_bytes(&file, &to)?;
    fs::remove_file(to)?;
    Ok(figures)
}

/// Two nodes that know nothing of each other but the tracker.
fn two_nodes(stage: &Stage) -> Result<String> {
    let scene = Scene::new(stage, "seed-two", false)?;
    let other = stage
        .setup("reader-two")
        .with_relays()
        .env("DATT_TORRENT_DHT", "false")
        .env("DATT_TORRENT_LSD", "false")
        .inside(scene.network.there())
        .args(["--http", &format!("{THERE}:{HTTP_PORT}")])
        .start()?;
    let to = stage.path("read-two.bin");
    let start = Instant::now();
    other.json(&["get", &scene.magnet, "-o", arg(&to)?])?;
    let figures = rate(file_bytes(stage), start);
    same_bytes(&scene.file, &to)?;
    fs::remove_file(to)?;
    Ok(figures)
}
