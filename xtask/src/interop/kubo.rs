//! Kubo as a process: a repository of its own, set up so that nothing leaves this machine.
//!
//! It has no listeners but its API and gateway on loopback, no peers, no bootstrap, no mDNS, no
//! DHT, no telemetry and no configuration from elsewhere; its only way to content that it lacks
//! is the one router it is told.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::Client;
use crate::node::eventually;

/// How long the daemon may take until its gateway answers.
const READY: Duration = Duration::from_secs(60);
/// The block that every gateway has: empty, raw, an identity CID.
const PROBE: &str = "/ipfs/bafkqaaa";

/// A repository and the program that works on it.
#[derive(Debug)]
pub struct Repo {
    binary: PathBuf,
    folder: PathBuf,
    certificate: Option<PathBuf>,
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    repo: Repo,
    child: Child,
    /// Where its gateway is, without a slash at the end.
    pub gateway: String,
}

impl Repo {
    /// An empty one, importing as the profile `unixfs-v1-2025` says (IPIP-499).
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(binary: &Path, folder: &Path) -> Result<Self> {
        let repo = Self {
            binary: binary.to_path_buf(),
            folder: folder.to_path_buf(),
            certificate: None,
        };
        repo.run(&["init", "--empty-repo", "--profile=test"])?;
        repo.configure(&[
            ("/Addresses/Swarm", json!([])),
            ("/Routing", json!({"Type": "none"})),
            ("/Provide", json!({"Enabled": false})),
            // (without Bitswap altogether, Kubo 0.38 asks nobody for anything, not over HTTPS either)
            ("/Bitswap", json!({"ServerEnabled": false})),
            ("/Version", json!({"SwarmCheckEnabled": false})),
            ("/Swarm/RelayClient", json!({"Enabled": false})),
            ("/Swarm/RelayService", json!({"Enabled": false})),
            (
                "/Plugins",
                json!({"Plugins": {"telemetry": {"Disabled": true}}}),
            ),
            (
                "/Import",
                json!({
                    "CidVersion": 1,
                    "HashFunction": "sha2-256",
                    "UnixFSRawLeaves": true,
                    "UnixFSChunker": "size-1048576",
                    "UnixFSFileMaxLinks": 1024,
                    "UnixFSDirectoryMaxLinks": 0,
                    "UnixFSHAMTDirectoryMaxFanout": 256,
                    "UnixFSHAMTDirectorySizeThreshold": "256KiB",
                }),
            ),
        ])?;
        Ok(repo)
    }

    /// Has it look for content at a `/routing/v1` endpoint (its base URL), and fetch over HTTPS
    /// from those that the endpoint names. The certificate, PEM, is believed.
    ///
    /// # Errors
    /// When its configuration can't be changed.
    pub fn retrieve_by(mut self, router: &str, certificate: Option<PathBuf>) -> Result<Self> {
        self.configure(&[
            (
                "/Routing",
                json!({"Type": "delegated", "DelegatedRouters": [router]}),
            ),
            (
                "/HTTPRetrieval",
                json!({"Enabled": true, "TLSInsecureSkipVerify": true}),
            ),
        ])?;
        self.certificate = certificate;
        Ok(self)
    }

    /// Adds a file or folder; its CID.
    ///
    /// # Errors
    /// When Kubo refuses.
    pub fn add(&self, path: &Path) -> Result<String> {
        let path = path.to_str().context("the path is not UTF-8")?;
        self.run(&["add", "--quieter", "--recursive", path])
    }

    /// The CID that a file or folder would have; nothing is stored.
    ///
    /// # Errors
    /// When Kubo refuses.
    pub fn name(&self, path: &Path) -> Result<String> {
        let path = path.to_str().context("the path is not UTF-8")?;
        self.run(&["add", "--quieter", "--recursive", "--only-hash", path])
    }

    /// Runs a command; what it says on standard output, trimmed.
    ///
    /// # Errors
    /// When it fails, with what it says on standard error.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args).output().context("starting ipfs")?;
        ensure!(
            output.status.success(),
            "ipfs {} ended with {}: {}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a command that writes bytes, into a file.
    ///
    /// # Errors
    /// When it fails, with what it says on standard error.
    pub fn write(&self, args: &[&str], into: &Path) -> Result<()> {
        let file = File::create(into).with_context(|| format!("making {}", into.display()))?;
        let output = self
            .command(args)
            .stdout(file)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(Child::wait_with_output)
            .context("running ipfs")?;
        ensure!(
            output.status.success(),
            "ipfs {} ended with {}: {}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Starts the daemon and waits until its gateway answers.
    ///
    /// # Errors
    /// When it ends or stays silent instead, with what it wrote.
    pub fn daemon(self) -> Result<Daemon> {
        let log = self.folder.with_extension("log");
        let out = File::create(&log)?;
        let child = self
            .command(&["daemon"])
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("starting ipfs daemon")?;
        let mut daemon = Daemon {
            repo: self,
            child,
            gateway: String::new(),
        };
        daemon.gateway = eventually("Kubo's gateway answers", READY, || daemon.look())
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(daemon)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .env("IPFS_PATH", &self.folder)
            .env("IPFS_TELEMETRY", "off")
            // loopback is never reached through a proxy, and nothing else is to be reached
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .stdin(Stdio::null());
        if let Some(certificate) = &self.certificate {
            command.env("SSL_CERT_FILE", certificate);
        }
        command
    }

    /// Sets parts of the configuration, named by JSON pointers (RFC 6901).
    fn configure(&self, parts: &[(&str, Value)]) -> Result<()> {
        let path = self.folder.join("config");
        let mut config: Value = serde_json::from_slice(&fs::read(&path)?)
            .with_context(|| format!("reading {}", path.display()))?;
        for (pointer, value) in parts {
            let Some((parent, name)) = pointer.rsplit_once('/') else {
                bail!("{pointer} names no part of a configuration");
            };
            config
                .pointer_mut(parent)
                .and_then(Value::as_object_mut)
                .with_context(|| format!("Kubo's configuration has no {parent}"))?
                .insert(name.to_owned(), value.clone());
        }
        fs::write(&path, serde_json::to_vec_pretty(&config)?)
            .with_context(|| format!("writing {}", path.display()))
    }
}

impl Daemon {
    /// The repository, for commands that the daemon carries out.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The gateway's address, once it answers.
    fn look(&mut self) -> Result<Option<String>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("ipfs daemon ended with {status}");
        }
        let Ok(said) = fs::read_to_string(self.repo.folder.join("gateway")) else {
            return Ok(None);
        };
        let url = said.trim().trim_end_matches('/').to_owned();
        let answer = Client::new(&url)?.get(PROBE)?;
        Ok((answer.status == 200).then_some(url))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .stderr(Stdio::null())
            .status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
