//! aria2 and Transmission, as their packages set them up.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::interop::stage::arg;
use crate::interop::swarms::network::Network;
use crate::node::eventually;

/// How long something small may take on a busy machine.
pub const ARRIVES: Duration = Duration::from_secs(60);
/// How long a download may take.
const DOWNLOADED: Duration = Duration::from_secs(300);
/// Where a seeding client listens.
const SEED_PORT: u16 = 51_413;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// aria2c.
    Aria2,
    /// transmission-cli, which is Transmission without a window.
    Transmission,
    /// The same with uTP switched off, as one does for magnet links: 3.00 hangs up on whoever calls it
    /// before it has the description, and calls by uTP with encryption itself.
    TransmissionByTcp,
}

/// A running client; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    command: Command,
}

impl Running {
    /// Starts it again if it has ended. transmission-cli takes a torrent that stands still for a
    /// moment, as one does between its description and its first check, for one that was stopped.
    fn go_on(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            self.child = self.command.spawn()?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aria2 => "aria2",
            Self::Transmission => "Transmission",
            Self::TransmissionByTcp => "Transmission-tcp",
        })
    }
}

impl Client {
    /// Downloads into a folder; the file.
    pub fn download(self, network: &Network, folder: &Path, link: &str) -> Result<PathBuf> {
        let running = self.begin(network, folder, link)?;
        self.finish(running, folder)
    }

    /// Begins to download into a folder.
    pub fn begin(self, network: &Network, folder: &Path, link: &str) -> Result<Running> {
        fs::create_dir_all(folder)?;
        match self {
            Self::Aria2 => self.start(network, folder, &["--seed-time=0", link]),
            Self::Transmission | Self::TransmissionByTcp => {
                let script = folder.with_extension("sh");
                let done = done(folder);
                fs::write(&script, format!("#!/bin/sh\ntouch '{}'\n", done.display()))?;
                make_executable(&script)?;
                self.start(network, folder, &["-f", arg(&script)?, link])
            }
        }
    }

    /// Waits for the end of a download; the file.
    pub fn finish(self, mut running: Running, folder: &Path) -> Result<PathBuf> {
        let ended = eventually(&format!("{self} to finish"), DOWNLOADED, || match self {
            Self::Aria2 => match running.child.try_wait()? {
                Some(status) if status.success() => Ok(Some(())),
                Some(status) => bail!("{status}: {}", said(folder)),
                None => Ok(None),
            },
            Self::Transmission | Self::TransmissionByTcp if done(folder).is_file() => Ok(Some(())),
            Self::Transmission | Self::TransmissionByTcp => running.go_on().map(|()| None),
        });
        ended.with_context(|| said(folder))?;
        let file = fs::read_dir(folder)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ending| ending == "bin"));
        file.with_context(|| format!("{self} left no file in {}", folder.display()))
    }

    /// Saves a `.torrent` beside the folder.
    pub fn save_torrent(self, network: &Network, folder: &Path, link: &str) -> Result<PathBuf> {
        let torrent = folder.with_extension("torrent");
        let name = torrent.file_name().context("a folder has a name")?;
        let parent = folder.parent().context("a folder lies in one")?;
        let to = ["--follow-torrent=false", "-d", arg(parent)?, "-o"];
        let enter = network.there();
        let status = Command::new(&enter[0])
            .args(&enter[1..])
            .arg("aria2c")
            .args(to)
            .arg(name)
            .arg(link)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("the .torrent could not be had: {status}");
        }
        Ok(torrent)
    }

    /// Seeds what was downloaded into a folder; with the port where it listens.
    pub fn seed(self, network: &Network, folder: &Path, torrent: &Path) -> Result<(Running, u16)> {
        let port = SEED_PORT.to_string();
        let torrent = arg(torrent)?;
        let running = match self {
            Self::Aria2 => {
                let listen = format!("--listen-port={port}");
                self.start(network, folder, &["--seed-ratio=0", "-V", &listen, torrent])?
            }
            Self::Transmission | Self::TransmissionByTcp => {
                self.start(network, folder, &["-p", &port, torrent])?
            }
        };
        Ok((running, SEED_PORT))
    }

    fn start(self, network: &Network, folder: &Path, args: &[&str]) -> Result<Running> {
        let enter = network.there();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]);
        match self {
            Self::Aria2 => command.args(["aria2c", "-d", arg(folder)?]),
            Self::Transmission | Self::TransmissionByTcp => {
                let settings = folder.with_extension("settings");
                fs::create_dir_all(&settings)?;
                if self == Self::TransmissionByTcp {
                    fs::write(settings.join("settings.json"), "{\"utp-enabled\": false}")?;
                }
                command.args([
                    "transmission-cli",
                    "-g",
                    arg(&settings)?,
                    "-w",
                    arg(folder)?,
                ])
            }
        };
        let log = File::create(log(folder))?;
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("starting {self}"))?;
        Ok(Running { child, command })
    }
}

/// Made by Transmission's script when a download has ended.
fn done(folder: &Path) -> PathBuf {
    folder.with_extension("done")
}

fn log(folder: &Path) -> PathBuf {
    folder.with_extension("client.log")
}

/// The end of what a client said.
fn said(folder: &Path) -> String {
    let text = fs::read(log(folder)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).replace('\r', "\n");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}
