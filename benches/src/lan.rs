//! A local network of this process's own: it stands at a switch, machines hang on it by wires that
//! may be narrow, and a tracker runs beside it.
//!
//! (Transmission takes no peers of 127.0.0.0/8, and caps of datt don't count loopback.)

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::http::Client;
use crate::node::{Setup, eventually};
use crate::stage::ARRIVES;

/// Address of this process.
pub const HERE: &str = "10.78.0.1";
/// Port of the tracker.
const TRACKER_PORT: u16 = 6969;
/// Port of nodes on machines, so that they are found again when they come back.
const NODE_PORT: &str = "4433";
/// Tells a process that it has a network of its own.
const INSIDE: &str = "DATT_BENCHES_LAN";
/// What a wire lets through at once, and how long packets wait for it.
const BURST: &str = "burst 256kb latency 50ms";

/// Does the measurement in a process with a network of its own, where a switch is; needs root.
pub fn inside(measure: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        sh(&format!(
            "ip link set lo up && ip link add hub type bridge && ip addr add {HERE}/24 dev hub \
             && ip link set hub up"
        ))?;
        return measure();
    }
    let status = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()
        .context("unshare")?;
    ensure!(status.success(), "inside a network of its own: {status}");
    Ok(())
}

/// One machine; gone when dropped.
#[derive(Debug)]
pub struct Machine {
    holder: Child,
    number: u8,
    /// Its address.
    pub address: String,
}

impl Machine {
    /// Hangs one on the switch; what it sends is capped, if so, at that many MiB a second.
    pub fn new(number: u8, cap_mib: Option<u32>) -> Result<Self> {
        let address = format!("10.78.0.{number}");
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare")?;
        let mut stdout = holder.stdout.take().context("standard output is piped")?;
        let machine = Self {
            holder,
            number,
            address,
        };
        stdout.read_exact(&mut [0; 6]).context("no namespace")?;
        let (id, address) = (machine.holder.id(), &machine.address);
        sh(&format!(
            "ip link add wire{number} type veth peer name end netns {id} \
             && ip link set wire{number} master hub && ip link set wire{number} up \
             && nsenter --net --target {id} sh -c 'ip link set lo up && \
             ip addr add {address}/24 dev end && ip link set end up'"
        ))?;
        if let Some(mib) = cap_mib {
            let bits = u64::from(mib) << 23;
            sh(&format!(
                "nsenter --net --target {id} tc qdisc add dev end root tbf rate {bits}bit {BURST}"
            ))?;
        }
        Ok(machine)
    }

    /// What a program on it is started with.
    pub fn enter(&self) -> [String; 4] {
        [
            "nsenter",
            "--net",
            "--target",
            &self.holder.id().to_string(),
        ]
        .map(str::to_owned)
    }

    /// A command on it.
    pub fn command(&self, program: &str) -> Command {
        let enter = self.enter();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]).arg(program).stdin(Stdio::null());
        command
    }

    /// Bytes that came over its wire so far.
    pub fn received(&self) -> Result<u64> {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.holder.id()))?;
        let line = table
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("end:"));
        let received = line.and_then(|line| line.split_whitespace().next());
        Ok(received.context("a count of bytes")?.parse()?)
    }

    /// A node on it, whose pages this process can read.
    pub fn node(&self, setup: Setup) -> Setup {
        let listen = format!("{}:0", self.address);
        quiet(setup)
            .env("DATT_NETWORK_UDP_PORT", NODE_PORT)
            .inside(self.enter())
            .args(["--http", &listen])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // goes by itself, too, but later: the name may be wanted again
        let _ = sh(&format!("ip link del wire{} 2>/dev/null", self.number));
    }
}

/// A node that uses this network and finds peers of swarms by trackers alone.
pub fn quiet(setup: Setup) -> Setup {
    setup
        .with_relays()
        .env("DATT_TORRENT_DHT", "false")
        .env("DATT_TORRENT_LSD", "false")
}

/// A program that is killed when dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// opentracker, beside this process. Debian's keeps to a list of torrents.
#[derive(Debug)]
pub struct Tracker {
    _child: Running,
    list: PathBuf,
    infohash: String,
}

impl Tracker {
    /// Starts it for one torrent.
    pub fn start(infohash: &str) -> Result<Self> {
        // it gives up its rights and reads the list then: a folder for everybody
        let list = std::env::temp_dir().join(format!("datt-tracked-{}", std::process::id()));
        fs::write(&list, format!("{infohash}\n"))?;
        let port = TRACKER_PORT.to_string();
        let child = Command::new("opentracker")
            .args(["-i", HERE, "-p", &port, "-P", &port, "-w"])
            .arg(&list)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("opentracker is missing; apt-get install opentracker")?;
        Ok(Self {
            _child: Running(child),
            list,
            infohash: infohash.to_owned(),
        })
    }

    /// Where peers announce themselves.
    pub fn url() -> String {
        format!("http://{HERE}:{TRACKER_PORT}/announce")
    }

    /// Waits until so many with all of the torrent are known (BEP 48).
    pub fn knows_seeds(&self, seeds: u32) -> Result<()> {
        let client = Client::new(&format!("http://{HERE}:{TRACKER_PORT}"))?;
        let escaped: String = self
            .infohash
            .as_bytes()
            .chunks(2)
            .map(|byte| format!("%{}", String::from_utf8_lossy(byte)))
            .collect();
        let wanted = format!("8:completei{seeds}e");
        eventually("the tracker knows the seeds", ARRIVES, || {
            let answer = client.get(&format!("/scrape?info_hash={escaped}"))?;
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            ensure!(said.contains(&wanted), "{said:?}");
            Ok(Some(()))
        })
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.list);
    }
}

/// Runs a line of shell that must succeed.
pub fn sh(script: &str) -> Result<()> {
    let output = Command::new("sh").args(["-c", script]).output()?;
    ensure!(
        output.status.success(),
        "`{script}` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
