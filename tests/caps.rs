//! The caps on traffic, measured on the interface that leads out of the machine.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::node::{Node, Setup, eventually};
use crate::scene::{ARRIVES, Scene, text};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const MIB: u64 = 1 << 20;
/// Of the measured node: what it may send in a second.
const CAP_BYTES: u64 = 4 * MIB;
/// How long is measured.
const MEASURED: Duration = Duration::from_secs(10);

/// Two network namespaces, and a cable of 1500-byte packets between them. Needs root.
struct Cable {
    server: Child,
    client: Child,
}

impl Cable {
    const SERVER: &str = "10.78.0.1";

    fn new() -> Result<Self> {
        let cable = Self {
            client: namespace()?,
            server: namespace()?,
        };
        let there = cable.client.id();
        // One segment a packet: the headers of each are counted.
        let near = format!(
            "ip link set lo up && ip link add out type veth peer name in netns {there} \
             && ip link set out gso_max_segs 1 && ip addr add {}/24 dev out && ip link set out up",
            Self::SERVER
        );
        let far = "ip link set lo up && ip link set in gso_max_segs 1 \
                   && ip addr add 10.78.0.2/24 dev in && ip link set in up";
        for (side, script) in [(&cable.server, near.as_str()), (&cable.client, far)] {
            let status = enter(side, &["sh", "-c", script]).status()?;
            ensure!(status.success(), "{script}: {status}");
        }
        Ok(cable)
    }

    /// The node that is measured; others reach it over the cable.
    fn server(&self, scene: &Scene) -> Setup {
        let listen = format!("{}:0", Self::SERVER);
        inside(&self.server, scene.setup("server"))
            .with_relays()
            .args(["--http", &listen])
    }

    fn client(&self, scene: &Scene, name: &str) -> Setup {
        inside(&self.client, scene.setup(name))
            .with_relays()
            .env("DATT_AUTO_FETCH_MAX_BYTES", "0")
    }

    /// Bytes that left over the cable.
    fn sent(&self) -> Result<u64> {
        let path = format!("/proc/{}/net/dev", self.server.id());
        let table = fs::read_to_string(path)?;
        let line = table
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("out:"))
            .with_context(|| format!("no interface in {table}"))?;
        let sent = line
            .split_whitespace()
            .nth(8)
            .context("a column of bytes")?;
        Ok(sent.parse()?)
    }

    /// Asks for a path of the node on the other end, and keeps what is answered.
    fn get(&self, node: &Node, path: &str, into: &Path) -> Result<Child> {
        let authority = node.url.trim_start_matches("http://");
        let (host, port) = authority.split_once(':').context("host and port")?;
        let script = format!(
            "exec 3<>/dev/tcp/{host}/{port} && \
             printf 'GET {path} HTTP/1.1\\r\\nHost: {authority}\\r\\nConnection: close\\r\\n\\r\\n' >&3 \
             && exec cat <&3 > '{}'",
            into.display()
        );
        enter(&self.client, &["bash", "-c", &script])
            .spawn()
            .context("a download over HTTP")
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for side in [&mut self.server, &mut self.client] {
            let _ = side.kill();
            let _ = side.wait();
        }
    }
}

fn namespace() -> Result<Child> {
    let mut child = Command::new("unshare")
        .args(["--net", "sh", "-c", "echo ready && exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("unshare")?;
    let mut ready = [0; 6];
    let mut stdout = child.stdout.take().context("standard output is piped")?;
    stdout
        .read_exact(&mut ready)
        .context("no network namespace; this test needs root")?;
    Ok(child)
}

fn enter(side: &Child, args: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["--net", "--target", &side.id().to_string()])
        .args(args)
        .stdin(Stdio::null());
    command
}

fn inside(side: &Child, setup: Setup) -> Setup {
    let pid = side.id().to_string();
    setup.inside(["nsenter", "--net", "--target", &pid])
}

/// A thread with a file on the server, known to the client: the file's blob.
fn shared(scene: &Scene, server: &Node, client: &Node, bytes: u64) -> Result<String> {
    let film = scene.file("film.bin", usize::try_from(bytes)?)?;
    let film = film.to_string_lossy();
    let board = server.json(&["space", "create", "--title", "Films"])?;
    let space = text(&board, "space")?;
    let posted = server.json(&[
        "post", "--space", &space, "--title", "Film", "--media", &film, "Look.",
    ])?;
    let thread = text(&posted, "id")?;
    client.json(&["join", &text(&board, "ticket")?])?;
    let seen = eventually("the thread on the other node", ARRIVES, || {
        client.json(&["thread", &thread]).map(Some)
    })?;
    text(&seen["posts"][0]["media"][0], "blob")
}

/// A file that the server seeds, and a magnet link that leads to it there.
fn seeded(scene: &Scene, cable: &Cable, server: &Node) -> Result<String> {
    let file = scene.file("seeded.bin", usize::try_from(96 * MIB)?)?;
    let file = file.to_string_lossy();
    let added = server.json(&["add", "--publicity", "swarm", &file])?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    let link = scene.path("link");
    eventually("the torrent on offer", ARRIVES, || {
        // Whoever asks for it brings it into the session.
        cable
            .get(server, &format!("/torrent/{infohash}"), &link)?
            .wait()?;
        let answer = fs::read(&link)?;
        Ok(answer.starts_with(b"HTTP/1.1 200").then_some(()))
    })?;
    let address = text(&server.json(&["status"])?, "torrent_addr")?;
    let (_, port) = address.rsplit_once(':').context("address and port")?;
    Ok(format!(
        "magnet:?xt=urn:btih:{infohash}&x.pe={}:{port}",
        Cable::SERVER
    ))
}

/// What a node sent by each network: iroh, HTTP, BitTorrent.
fn sent_by(node: &Node) -> Result<[u64; 3]> {
    let status = node.json(&["status"])?;
    let samples = status["traffic"].as_array().context("samples of traffic")?;
    let sum = |way: &str| {
        let sent = |sample: &Value| sample["ways"][way]["out_bytes"].as_u64();
        samples.iter().filter_map(sent).sum()
    };
    Ok([sum("peers"), sum("http"), sum("torrent")])
}

#[test]
fn what_is_sent_keeps_the_cap_on_the_interface() -> Result<()> {
    let scene = Scene::new()?;
    let cable = Cable::new()?;
    let cap = CAP_BYTES.to_string();
    let server = cable
        .server(&scene)
        .env("DATT_TRAFFIC_MAX_OUT_BYTES_PER_S", &cap)
        .start()?;
    let client = cable.client(&scene, "client").start()?;
    let leecher = cable.client(&scene, "leecher").start()?;
    let blob = shared(&scene, &server, &client, 96 * MIB)?;
    let magnet = seeded(&scene, &cable, &server)?;

    let before = cable.sent()?;
    client.json(&["pin", &blob])?;
    let mut downloads = Vec::new();
    for number in 0..3 {
        let into = scene.path(&format!("over-http-{number}"));
        downloads.push(cable.get(&server, &format!("/ipfs/{blob}"), &into)?);
    }
    let copy = scene.path("copy");
    let measured = thread::scope(|scope| {
        scope.spawn(|| leecher.run(&["get", &magnet, "-o", &copy.to_string_lossy()]));
        let measured = measure(&cable, before).and_then(|measured| {
            // The chart of the node is drawn every five seconds.
            let all = eventually("every way in the chart", ARRIVES, || {
                let sent = sent_by(&server)?;
                Ok(sent.iter().all(|bytes| *bytes > MIB).then_some(sent))
            })?;
            Ok((measured, all))
        });
        let pid = leecher.pid.to_string();
        Command::new("kill").args(["-9", &pid]).status()?;
        measured
    });
    for download in &mut downloads {
        download.kill()?;
        download.wait()?;
    }
    let ((bytes, seconds), ways) = measured?;
    let rate = bytes as f64 / seconds / CAP_BYTES as f64;
    ensure!(rate <= 1.05, "{rate:.3} of the cap was sent");
    ensure!(rate >= 0.8, "only {rate:.3} of the cap was used");
    let all: u64 = ways.iter().sum();
    for (way, sent) in ["iroh", "HTTP", "BitTorrent"].into_iter().zip(ways) {
        let share = sent as f64 / all as f64;
        ensure!(
            share >= 0.15,
            "{way} has {share:.2} of it, where three share: {ways:?}"
        );
    }
    Ok(())
}

#[test]
fn what_is_received_keeps_the_cap_too() -> Result<()> {
    let scene = Scene::new()?;
    let cable = Cable::new()?;
    let server = cable.server(&scene).start()?;
    let client = cable
        .client(&scene, "client")
        .env("DATT_TRAFFIC_MAX_IN_BYTES_PER_S", &CAP_BYTES.to_string())
        .start()?;
    let blob = shared(&scene, &server, &client, 96 * MIB)?;
    let before = cable.sent()?;
    client.json(&["pin", &blob])?;
    let (bytes, seconds) = measure(&cable, before)?;
    let rate = bytes as f64 / seconds / CAP_BYTES as f64;
    ensure!(rate <= 1.05, "{rate:.3} of the cap was received");
    ensure!(rate >= 0.8, "only {rate:.3} of the cap was used");
    Ok(())
}

/// Bytes and seconds, from a second after the first MiB has gone.
fn measure(cable: &Cable, before: u64) -> Result<(u64, f64)> {
    eventually("the transfers begin", ARRIVES, || {
        Ok((cable.sent()? >= before + MIB).then_some(()))
    })?;
    thread::sleep(Duration::from_secs(1));
    let (from, began) = (cable.sent()?, Instant::now());
    thread::sleep(MEASURED);
    let bytes = cable.sent()? - from;
    Ok((bytes, began.elapsed().as_secs_f64()))
}

#[test]
fn when_the_month_is_used_up_files_wait_for_the_next_and_pages_go_on() -> Result<()> {
    let scene = Scene::new()?;
    let cable = Cable::new()?;
    let month = (24 * MIB).to_string();
    let capped = |setup: Setup| setup.env("DATT_TRAFFIC_MAX_MONTH_BYTES", &month);
    let server = capped(cable.server(&scene)).start()?;
    let client = cable.client(&scene, "client").start()?;
    let blob = shared(&scene, &server, &client, 64 * MIB)?;
    let path = format!("/ipfs/{blob}");

    let whole = scene.path("whole");
    cable.get(&server, &path, &whole)?.wait()?;
    let got = fs::metadata(&whole)?.len();
    ensure!(
        (16 * MIB..24 * MIB).contains(&got),
        "{got} bytes came before the month was over"
    );
    refused(&cable, &scene, &server, &path)?;
    let page = scene.path("page");
    cable.get(&server, "/", &page)?.wait()?;
    let page = fs::read_to_string(page)?;
    ensure!(page.starts_with("HTTP/1.1 200"), "{page}");
    eventually("a warning", ARRIVES, || {
        let status = server.json(&["status"])?;
        let warnings = status["warnings"].to_string();
        Ok(warnings.contains("max_month_bytes").then_some(()))
    })?;

    // Neither a stop nor a crash begins the month anew.
    let again = capped(server.stop()?.0).start()?;
    refused(&cable, &scene, &again, &path)?;
    let again = capped(again.kill()?).start()?;
    refused(&cable, &scene, &again, &path)?;
    Ok(())
}

fn refused(cable: &Cable, scene: &Scene, node: &Node, path: &str) -> Result<()> {
    let into = scene.path("refusal");
    cable.get(node, path, &into)?.wait()?;
    let answer = fs::read_to_string(into)?.to_lowercase();
    ensure!(
        answer.starts_with("http/1.1 503") && answer.contains("retry-after: "),
        "{answer}"
    );
    Ok(())
}
