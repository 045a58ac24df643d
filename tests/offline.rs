//! `--offline` means that nothing leaves the machine: two nodes work together in a network whose
//! only way out is counted.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::node::{Setup, eventually};
use crate::scene::{ARRIVES, Scene, fixtures};

/// A network namespace with loopback and one more interface that leads to a dead end, with a
/// default route through it. (IPv6 is off on that one, since the kernel itself would talk there;
/// sockets are looked at besides.) Needs root.
struct Island(Child);

impl Island {
    fn new() -> Result<Self> {
        let network = "ip link set lo up && ip link add out type veth peer name end \
            && for end in out end; do echo 1 > /proc/sys/net/ipv6/conf/$end/disable_ipv6; ip link set $end up; done \
            && ip addr add 10.77.0.1/24 dev out && ip route add default via 10.77.0.2 dev out \
            && echo ready && exec cat";
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", network])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare")?;
        let mut ready = [0; 6];
        let mut stdout = child.stdout.take().context("standard output is piped")?;
        stdout
            .read_exact(&mut ready)
            .context("no network namespace; this test needs root")?;
        let island = Self(child);
        ensure!(
            island.counters("out").is_ok(),
            "the namespace has no way out to count"
        );
        Ok(island)
    }

    /// The setup, on the island.
    fn on(&self, setup: Setup) -> Setup {
        let pid = self.0.id().to_string();
        setup.inside(["nsenter", "--net", "--target", &pid])
    }

    /// Packets received and sent over an interface.
    fn counters(&self, interface: &str) -> Result<(u64, u64)> {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.0.id()))?;
        let line = table
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'))
            .with_context(|| format!("no {interface} in {table}"))?;
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map_while(|number| number.parse().ok())
            .collect();
        Ok((numbers[1], numbers[9]))
    }

    /// Other machines' addresses that a process of the island listens on or talks to.
    fn foreign_sockets(&self) -> Result<Vec<String>> {
        let mut foreign = Vec::new();
        for (table, own) in [
            ("tcp", "0100007F"),
            ("udp", "0100007F"),
            ("tcp6", ""),
            ("udp6", ""),
        ] {
            let text = fs::read_to_string(format!("/proc/{}/net/{table}", self.0.id()))?;
            for line in text.lines().skip(1) {
                let local = line.split_whitespace().nth(1).unwrap_or_default();
                let loopback6 = "00000000000000000000000001000000";
                if !(local.starts_with(loopback6) || (!own.is_empty() && local.starts_with(own))) {
                    foreign.push(format!("{table} {local}"));
                }
            }
        }
        Ok(foreign)
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_leaves_the_machine() -> Result<()> {
    let scene = Scene::new()?;
    let island = Island::new()?;
    let (_, before) = island.counters("out")?;
    let a = island.on(scene.setup("a")).start()?;
    let b = island.on(scene.setup("b")).start()?;
    let board = a.json(&["space", "create", "--title", "Cellar"])?;
    let space = crate::scene::text(&board, "space")?;
    let film = fixtures()?.webm.to_string_lossy();
    let posted = a.json(&[
        "post", "--space", &space, "--title", "Film", "--media", &film, "Look.",
    ])?;
    let thread = crate::scene::text(&posted, "id")?;
    b.json(&["join", &crate::scene::text(&board, "ticket")?])?;
    let seen = eventually("the thread on the other node", ARRIVES, || {
        b.json(&["thread", &thread]).map(Some)
    })?;
    let blob = crate::scene::text(&seen["posts"][0]["media"][0], "blob")?;
    b.json(&["get", &blob, "-o", &scene.path("film").to_string_lossy()])?;
    ensure!(
        fs::read(scene.path("film"))? == fs::read(&fixtures()?.webm)?,
        "the film differs"
    );

    let foreign = island.foreign_sockets()?;
    ensure!(
        foreign.is_empty(),
        "sockets that aren't on loopback: {foreign:?}"
    );
    let status = a.json(&["status"])?;
    ensure!(status["offline"] == true, "{status}");
    a.stop()?;
    b.stop()?;
    let (_, after) = island.counters("out")?;
    ensure!(
        after == before,
        "{} packets left the machine",
        after - before
    );
    Ok(())
}

#[test]
fn the_counter_would_tell() -> Result<()> {
    let island = Island::new()?;
    let (_, before) = island.counters("out")?;
    let pid = island.0.id().to_string();
    // a datagram into the dead end: at least the question who has that address
    let sent = Command::new("nsenter")
        .args([
            "--net",
            "--target",
            &pid,
            "bash",
            "-c",
            "echo x > /dev/udp/10.77.0.2/9",
        ])
        .status()?;
    ensure!(sent.success(), "sending a datagram");
    eventually("the packet is counted", ARRIVES, || {
        let (_, after) = island.counters("out")?;
        if after <= before {
            bail!("{before} then {after}");
        }
        Ok(Some(()))
    })
}
