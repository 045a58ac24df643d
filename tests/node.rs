//! A real `datt` process: started on a free port of loopback, spoken to, stopped, killed.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::http::Client;

/// How long a node may take until it is ready, on a machine busy with other tests.
const READY: Duration = Duration::from_secs(60);
/// How long it may take to stop; its own deadline is 8 seconds.
const STOPPED: Duration = Duration::from_secs(20);
/// Pause between two looks at something that sends no event.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How a node is to be started.
#[derive(Debug, Clone)]
pub struct Setup {
    binary: PathBuf,
    data: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    is_offline: bool,
}

/// A running node; killed when dropped.
#[derive(Debug)]
pub struct Node {
    setup: Setup,
    child: Child,
    /// Where its pages are, without a slash at the end.
    pub url: String,
    /// How other nodes reach it.
    pub ticket: String,
    /// Signs a browser in, once.
    pub sign_in_url: String,
    /// SHA-256 of its certificate, if it made one for itself.
    pub fingerprint: Option<String>,
    /// Process id: programs around datt must become datt, as `nsenter` does.
    pub pid: u32,
}

/// What a command of `datt` said.
#[derive(Debug)]
pub struct Said {
    /// Exit code; -1 when it was killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Setup {
    /// A node of its own in that folder, on loopback only, on any free port.
    pub fn new(binary: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            data: data.into(),
            args: Vec::new(),
            env: Vec::new(),
            wrapper: Vec::new(),
            is_offline: true,
        }
    }

    /// Adds arguments for `datt up`.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the node use relays, which it does not offline. Nothing says where others are, so that
    /// it goes on talking to this machine only.
    #[must_use]
    pub fn with_relays(mut self) -> Self {
        self.is_offline = false;
        self.env("DATT_NETWORK_MDNS", "false")
    }

    /// Runs the node inside another program, such as `nsenter`.
    #[must_use]
    pub fn inside<S: Into<String>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    fn command(&self) -> Command {
        let mut command = match self.wrapper.split_first() {
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        // settings of whoever runs the tests are not for these nodes
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("DATT_") {
                command.env_remove(name);
            }
        }
        command
            .env("DATT_DATA", &self.data)
            .env("XDG_CONFIG_HOME", self.data.with_extension("config"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn up(&self) -> Command {
        let mut command = self.command();
        command.args(["up", "--json"]);
        if self.is_offline {
            command.arg("--offline");
        }
        if !self.args.iter().any(|arg| arg == "--http") {
            command.args(["--http", "127.0.0.1:0"]);
        }
        command.args(&self.args);
        command
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends or stays silent instead, with what it wrote to its log.
    pub fn start(self) -> Result<Node> {
        fs::create_dir_all(&self.data)?;
        let log = self.log();
        let errors = File::options().create(true).append(true).open(&log)?;
        let mut child = self
            .up()
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let ready = match first_line(stdout) {
            Ok(line) => serde_json::from_str::<Value>(&line)
                .with_context(|| format!("the first line of datt up --json: {line:?}")),
            Err(error) => Err(error),
        };
        let text = |value: &Value, name: &str| -> Result<String> {
            value[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {name} in {value}"))
        };
        let started = ready.and_then(|value| {
            let url = text(&value, "url")?.trim_end_matches('/').to_owned();
            let fingerprint = text(&value, "certificate_sha256").ok();
            Ok((
                url,
                text(&value, "ticket")?,
                text(&value, "sign_in_url")?,
                fingerprint,
            ))
        });
        match started {
            Ok((url, ticket, sign_in_url, fingerprint)) => Ok(Node {
                setup: self,
                pid: child.id(),
                child,
                url,
                ticket,
                sign_in_url,
                fingerprint,
            }),
            Err(error) => {
                // already gone, or about to be
                let _ = child.kill();
                let status = child.wait()?;
                let said = fs::read_to_string(&log).unwrap_or_default();
                Err(error.context(format!("datt up ended with {status}; its log:\n{said}")))
            }
        }
    }

    /// Runs `datt up` that is expected to fail, and says how.
    ///
    /// # Errors
    /// When it can't be started, or still runs after the time a node has to get ready.
    pub fn refuse(&self) -> Result<Said> {
        fs::create_dir_all(&self.data)?;
        let mut child = self
            .up()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        if wait_for_exit(&mut child, READY)?.is_none() {
            child.kill()?;
            bail!("datt up runs, where it should have refused");
        }
        said(child)
    }

    /// Runs a command against this data folder, whether a node runs there or not.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn run<S: AsRef<str>>(&self, args: &[S]) -> Result<Said> {
        let output = self
            .command()
            .args(args.iter().map(AsRef::as_ref))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        said(output)
    }

    /// The same with something on standard input.
    ///
    /// # Errors
    /// When it can't be started, or doesn't read what it is given.
    pub fn run_with<S: AsRef<str>>(&self, args: &[S], input: &str) -> Result<Said> {
        let mut child = self
            .command()
            .args(args.iter().map(AsRef::as_ref))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.binary.display()))?;
        let mut stdin = child.stdin.take().context("standard input is piped")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        said(child)
    }

    /// Where its log goes.
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Node {
    /// Runs a command of `datt` against this node.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn run<S: AsRef<str>>(&self, args: &[S]) -> Result<Said> {
        self.setup.run(args)
    }

    /// The same with something on standard input.
    ///
    /// # Errors
    /// When it can't be started, or doesn't read what it is given.
    pub fn run_with<S: AsRef<str>>(&self, args: &[S], input: &str) -> Result<Said> {
        self.setup.run_with(args, input)
    }

    /// Runs a command with `--json` that must succeed.
    ///
    /// # Errors
    /// When it doesn't, or says something else than JSON.
    pub fn json<S: AsRef<str>>(&self, args: &[S]) -> Result<Value> {
        let mut all: Vec<&str> = vec!["--json"];
        all.extend(args.iter().map(AsRef::as_ref));
        let said = self.run(&all)?;
        if said.code != 0 {
            bail!(
                "datt {} ended with {}: {}{}",
                all.join(" "),
                said.code,
                said.stdout,
                said.stderr
            );
        }
        said.json()
    }

    /// A client that may read.
    ///
    /// # Errors
    /// When the node's URL isn't one.
    pub fn reader(&self) -> Result<Client> {
        Client::new(&self.url)
    }

    /// A client with the token of the data folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn client(&self) -> Result<Client> {
        let token = fs::read_to_string(self.setup.data.join("api-token"))
            .context("reading the API token")?;
        Ok(self
            .reader()?
            .with("authorization", &format!("Bearer {}", token.trim())))
    }

    /// `kill -9`, and waits for the end.
    ///
    /// # Errors
    /// When the process can't be waited for.
    pub fn kill(mut self) -> Result<Setup> {
        signal("KILL", self.pid)?;
        self.child.wait()?;
        Ok(self.setup.clone())
    }

    /// Puts it to sleep, as a closed lid does, or wakes it up.
    ///
    /// # Errors
    /// When the process isn't there.
    pub fn sleep(&self, asleep: bool) -> Result<()> {
        signal(if asleep { "STOP" } else { "CONT" }, self.pid)
    }

    /// Asks it to stop; how it ended, and how long it took.
    ///
    /// # Errors
    /// When it doesn't stop in time.
    pub fn stop(mut self) -> Result<(Setup, ExitStatus, Duration)> {
        let start = Instant::now();
        signal("TERM", self.pid)?;
        let status = wait_for_exit(&mut self.child, STOPPED)?.context("the node didn't stop")?;
        Ok((self.setup.clone(), status, start.elapsed()))
    }

    /// A line of `/proc/PID/status`, in KiB.
    ///
    /// # Errors
    /// When there is no such line.
    pub fn memory_kib(&self, line: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("no {line} in /proc/{}/status", self.pid))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // the process may end between the look and the signal
            let _ = signal("KILL", self.pid);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Said {
    /// Standard output as JSON.
    ///
    /// # Errors
    /// When it isn't.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {:?}", self.stdout))
    }
}

/// Looks again and again until there is an answer; the last error says what was missing.
///
/// # Errors
/// When there is none in time.
pub fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let seen = look();
        if let Ok(Some(answer)) = seen {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            return match seen {
                Err(error) => Err(error.context(format!("not within {within:?}: {what}"))),
                Ok(_) => bail!("not within {within:?}: {what}"),
            };
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn first_line(stdout: std::process::ChildStdout) -> Result<String> {
    let (send, receive) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        if let Some(Ok(line)) = lines.next() {
            // nobody waits any more when the node took too long
            let _ = send.send(line);
        }
        // goes on reading, so that the node never blocks on a full pipe
        lines.for_each(drop);
    });
    receive
        .recv_timeout(READY)
        .context("datt up didn't say that it is ready")
}

fn wait_for_exit(child: &mut Child, within: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn said(child: Child) -> Result<Said> {
    let output = child.wait_with_output()?;
    Ok(Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("no process {pid} to send {name} to");
    }
    Ok(())
}
