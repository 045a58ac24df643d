//! Not one packet about a file goes to a DHT, a tracker or the local network before its person
//! consented: everything that leaves a node is looked at, in a network that leads nowhere.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};

use crate::node::eventually;
use crate::scene::{ARRIVES, Scene, board, holds, join, post, shows, text, thread_with};

/// Enough for an infohash.
const LENGTH: usize = 17 << 20;
/// Where nobody is, though packets to it leave.
const NOWHERE: &str = "10.79.0.2";
/// Where the DHT is said to begin.
const DHT: &str = "10.79.0.2:6881";
/// Where peers announce themselves on the local network (BEP 14).
const LSD: &str = "239.192.152.143:6771";
/// A tracker that never answers.
const TRACKER: &str = "10.79.0.2:6969";
/// Starts the line of a packet.
const SAW: &str = "saw ";

/// A network namespace, and a program in it that tells of every packet sent.
struct Watched {
    holder: Child,
    watcher: Child,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Watched {
    fn new() -> Result<Self> {
        let network = format!(
            "ip link set lo up && ip link add out type veth peer name end \
             && ip link set end up && ip link set out up && ip addr add 10.79.0.1/24 dev out \
             && ip route add default via {NOWHERE} dev out \
             && ip neigh add {NOWHERE} lladdr 02:00:00:00:00:02 dev out && echo ready && exec cat"
        );
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", &network])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare")?;
        let mut ready = [0; 6];
        let mut stdout = holder.stdout.take().context("standard output is piped")?;
        stdout
            .read_exact(&mut ready)
            .context("no network namespace; this test needs root")?;
        let pid = holder.id().to_string();
        // this very program, doing nothing but looking
        let mut watcher = Command::new("nsenter")
            .args(["--net", "--target", &pid])
            .arg(std::env::current_exe()?)
            .args([
                "--exact",
                "consent::look_at_packets",
                "--ignored",
                "--nocapture",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("nsenter")?;
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let lines = watcher.stdout.take().context("standard output is piped")?;
        let into = Arc::clone(&seen);
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                if let Some((_, what)) = line.split_once(SAW) {
                    lock(&into).insert(what.to_owned());
                }
            }
        });
        let watched = Self {
            holder,
            watcher,
            seen,
        };
        eventually("the watcher sees packets", ARRIVES, || {
            let probe = Command::new("nsenter")
                .args(["--net", "--target", &pid, "bash", "-c"])
                .arg(format!("echo x > /dev/udp/{NOWHERE}/9"))
                .status()?;
            ensure!(probe.success(), "a probe could not be sent");
            Ok(watched.has(&format!("{NOWHERE}:9")).then_some(()))
        })?;
        Ok(watched)
    }

    fn enter(&self) -> [String; 4] {
        let pid = self.holder.id().to_string();
        ["nsenter", "--net", "--target", &pid].map(str::to_owned)
    }

    fn has(&self, address: &str) -> bool {
        lock(&self.seen).contains(address)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for child in [&mut self.watcher, &mut self.holder] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn lock(seen: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Destination of an IPv4 packet in an Ethernet frame, with the port of TCP and UDP.
fn destination(frame: &[u8]) -> Option<String> {
    let packet = frame.get(14..).filter(|_| frame[12..14] == [8, 0])?;
    let to = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?);
    let header_bytes = usize::from(packet.first()? & 0xf) * 4;
    let is_with_ports = matches!(packet.get(9)?, 6 | 17);
    let ports = packet.get(header_bytes..).filter(|_| is_with_ports)?;
    let port = u16::from_be_bytes(ports.get(2..4)?.try_into().ok()?);
    Some(format!("{to}:{port}"))
}

/// Not a test: what [`Watched`] runs in its network, until it is killed.
#[test]
#[ignore = "runs in a network namespace of another test"]
fn look_at_packets() -> Result<()> {
    // ETH_P_ALL, as the kernel wants it: in network order
    let every = Protocol::from(i32::from(3_u16.to_be()));
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(every))?;
    let mut frame = vec![0; 65_536];
    let mut told = BTreeSet::new();
    loop {
        let length = socket.read(&mut frame)?;
        if let Some(to) = destination(&frame[..length])
            && told.insert(to.clone())
        {
            println!("{SAW}{to}");
            std::io::stdout().flush()?;
        }
    }
}

#[test]
fn nothing_is_told_of_a_file_before_its_person_consents() -> Result<()> {
    let watched = Watched::new()?;
    let scene = Scene::new()?;
    let a = scene
        .setup("a")
        .with_relays()
        .env("DATT_TORRENT_DHT_NODES", DHT)
        .env(
            "DATT_TORRENT_TRACKERS",
            &format!("http://{TRACKER}/announce"),
        )
        .inside(watched.enter())
        .start()?;
    let board = a.json(&["space", "create", "--title", "Films"])?;
    let space = text(&board, "space")?;
    let file = scene.file("film.bin", LENGTH)?;
    let path = file.to_string_lossy();
    a.json(&[
        "post", "--space", &space, "--title", "Film", "--media", &path, "Look.",
    ])?;
    let added = a.json(&["add", &path])?;
    let blob = text(&added[0], "blob")?;
    let infohash = text(&added[0]["torrent"], "infohash")?;
    ensure!(a.json(&["torrents"])? == json!([]), "it is in a swarm");
    // an unlisted board's file stays out even if somebody asks for it
    let hidden = a.json(&["space", "create", "--title", "Cellar", "--unlisted"])?;
    let hidden = text(&hidden, "space")?;
    let secret = scene.file("secret.bin", LENGTH)?;
    let posted = a.json(&[
        "post",
        "--space",
        &hidden,
        "--title",
        "S",
        "--media",
        &secret.to_string_lossy(),
        "Psst.",
    ])?;
    let thread = a.json(&["thread", &text(&posted, "id")?])?;
    let secret = text(&thread["posts"][0]["media"][0], "blob")?;
    let refused = a.run(&["publicity", &secret, "swarm"])?;
    ensure!(refused.code == 2, "{} {}", refused.code, refused.stdout);
    for place in [DHT, TRACKER, LSD] {
        ensure!(!watched.has(place), "a packet went to {place}");
    }

    a.json(&["publicity", &blob, "swarm"])?;
    for place in [DHT, TRACKER, LSD] {
        eventually(&format!("a packet to {place}"), ARRIVES, || {
            Ok(watched.has(place).then_some(()))
        })?;
    }
    let torrents = a.json(&["torrents"])?;
    ensure!(
        torrents[0]["infohash"] == infohash.as_str() && torrents[1].is_null(),
        "{torrents}"
    );
    Ok(())
}

#[test]
fn files_of_unlisted_boards_stay_out_of_swarms_after_a_restart_too() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let hidden = a.json(&["space", "create", "--title", "Cellar", "--unlisted"])?;
    let hidden = text(&hidden, "space")?;
    let file = scene.file("secret.bin", LENGTH)?;
    let added = a.json(&["add", &file.to_string_lossy()])?;
    let blob = text(&added[0], "blob")?;
    let said = json!({"space": hidden, "title": "S", "body": "Psst.",
        "media": [{"blob": blob, "publicity": "swarm"}]});
    let answer = a.client()?.send_json("POST", "/api/v1/posts", &said)?;
    let warnings = answer["warnings"].to_string();
    ensure!(warnings.contains("unlisted"), "{answer}");
    let stays_out = |node: &crate::node::Node| -> Result<()> {
        let refused = node.run(&["publicity", &blob, "swarm"])?;
        ensure!(refused.code == 2, "{} {}", refused.code, refused.stdout);
        let torrents = node.json(&["torrents"])?;
        ensure!(torrents == json!([]), "{torrents}");
        Ok(())
    };
    stays_out(&a)?;
    let (setup, ..) = a.stop()?;
    let a = setup.start()?;
    stays_out(&a)
}

#[test]
fn who_posts_the_file_of_somebody_else_does_not_consent_for_him() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let file = scene.file("film.bin", LENGTH)?;
    let (thread, blobs) = thread_with(&a, &board, "Mine", &[&file])?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    holds(&b, &blobs[0])?;
    let said = json!({"reply_to": thread, "body": "Spread it!",
        "media": [{"blob": blobs[0], "publicity": "swarm"}]});
    post(&b, &said)?;
    shows(&a, &thread, 2)?;
    let of = |node: &crate::node::Node| node.json(&["publicity", &blobs[0]]);
    ensure!(
        text(&of(&b)?, "publicity")? == "swarm",
        "he may for himself"
    );
    let torrents = a.json(&["torrents"])?;
    ensure!(torrents == json!([]), "{torrents}");
    ensure!(text(&of(&a)?, "publicity")? == "peers", "{}", of(&a)?);
    Ok(())
}
