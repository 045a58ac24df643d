//! Two network namespaces with a wire between them, and a tracker on this side of it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Address of this side, where datt and the tracker are.
pub const HERE: &str = "10.78.0.1";
/// Address of the other side.
pub const THERE: &str = "10.78.0.2";
/// Port of the tracker.
const TRACKER_PORT: u16 = 6969;

/// A program in a namespace of its own, which ends with its standard input.
#[derive(Debug)]
struct Namespace(Child);

impl Namespace {
    fn new() -> Result<Self> {
        let mut child = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo ready && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare")?;
        let mut ready = [0; 6];
        let stdout = child.stdout.as_mut().context("standard output is piped")?;
        let read = stdout.read_exact(&mut ready);
        let namespace = Self(child);
        read.context("no network namespace")?;
        Ok(namespace)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn enter(&self) -> [String; 4] {
        ["nsenter", "--net", "--target", &self.pid()].map(str::to_owned)
    }

    fn run(&self, script: &str) -> Result<String> {
        let enter = self.enter();
        let output = Command::new(&enter[0])
            .args(&enter[1..])
            .args(["sh", "-c", script])
            .output()
            .context("nsenter")?;
        ensure!(
            output.status.success(),
            "`{script}` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both sides, and the wire.
#[derive(Debug)]
pub struct Network {
    here: Namespace,
    there: Namespace,
}

impl Network {
    /// Makes them; needs root.
    pub fn new() -> Result<Self> {
        let (here, there) = (Namespace::new()?, Namespace::new()?);
        here.run(&format!(
            "ip link add out type veth peer name end && ip link set end netns {} \
             && ip addr add {HERE}/24 dev out && ip link set out up",
            there.pid()
        ))?;
        there.run(&format!(
            "ip addr add {THERE}/24 dev end && ip link set end up"
        ))?;
        Ok(Self { here, there })
    }

    /// What a program on this side is started with.
    pub fn here(&self) -> [String; 4] {
        self.here.enter()
    }

    /// What a program on the other side is started with.
    pub fn there(&self) -> [String; 4] {
        self.there.enter()
    }

    /// What the tracker says of a torrent (BEP 48): bencode, what can be printed of it.
    pub fn scrape(&self, infohash: &str) -> Result<String> {
        let bytes: Vec<&str> = (0..infohash.len())
            .step_by(2)
            .filter_map(|at| infohash.get(at..at + 2))
            .collect();
        let request = format!(
            "exec 3<>/dev/tcp/{HERE}/{TRACKER_PORT}; \
             printf 'GET /scrape?info_hash=%%{} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3 | tr -cd '[:print:]'",
            bytes.join("%%")
        );
        self.here
            .run(&format!("bash -c '{}'", request.replace('\'', "'\\''")))
    }
}

/// opentracker. Debian's keeps to a list of torrents.
#[derive(Debug)]
pub struct Tracker {
    child: Child,
    list: PathBuf,
}

impl Tracker {
    /// Starts it on this side, for one torrent.
    pub fn start(network: &Network, infohash: &str) -> Result<Self> {
        // it gives up its rights and reads the list then: a folder for everybody
        let list =
            std::env::temp_dir().join(format!("opentracker-{}-{infohash}", std::process::id()));
        fs::write(&list, format!("{infohash}\n")).context("writing the tracker's list")?;
        let port = TRACKER_PORT.to_string();
        let enter = network.here();
        let child = Command::new(&enter[0])
            .args(&enter[1..])
            .args(["opentracker", "-i", HERE, "-p", &port, "-P", &port, "-w"])
            .arg(&list)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("opentracker")?;
        Ok(Self { child, list })
    }

    /// Where peers announce themselves.
    pub fn url(&self) -> String {
        format!("http://{HERE}:{TRACKER_PORT}/announce")
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.list);
    }
}
