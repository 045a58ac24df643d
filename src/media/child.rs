//! A child process that may use little: time, memory, output, and no network or other files.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    path::Path,
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

/// Address space a child has, bytes.
const MEMORY_BYTES: u64 = 1536 * 1024 * 1024;
/// Files a child may have open.
const FILES: u64 = 64;
/// What is read of a child's complaints, bytes.
const COMPLAINT_BYTES: u64 = 2048;

/// The child's standard input, opened again so that it can be read at any place.
pub(super) const INPUT: &str = "file:/dev/stdin";

/// Why a child gave nothing.
#[derive(Debug, Error)]
pub(super) enum ChildError {
    #[error("{0} is not installed: install it with apt-get install ffmpeg")]
    NotInstalled(String),
    #[error("{0} took more than {1:?}")]
    Slow(String, Duration),
    #[error("{0} gave more than {1} bytes")]
    Long(String, u64),
    #[error("{0}: {1}")]
    Failed(String, String),
    #[error("{0} could not be run: {1}")]
    Io(String, #[source] io::Error),
}

/// A program and the time that it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program<'a> {
    path: &'a Path,
    timeout: Duration,
}

impl<'a> Program<'a> {
    /// The program at `path`, or else that of this name wherever it is found.
    pub(super) fn new(path: Option<&'a Path>, name: &'a str, timeout_s: u64) -> Self {
        Self {
            path: path.unwrap_or(Path::new(name)),
            timeout: Duration::from_secs(timeout_s),
        }
    }

    /// Runs it with `input` as its standard input; gives at most `max_bytes` of its output.
    pub(super) async fn run(
        self,
        arguments: &[&str],
        input: &File,
        max_bytes: u64,
    ) -> Result<Bytes, ChildError> {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let mut child = self.spawn(&name, arguments, input)?;
        limit(&child, self.timeout.as_secs());
        let result = tokio::time::timeout(self.timeout, collect(&mut child, max_bytes)).await;
        // Whatever it still does is of no use.
        child.kill().await.ok();
        match result {
            Err(_) => Err(ChildError::Slow(name, self.timeout)),
            Ok(Err(error)) => Err(ChildError::Io(name, error)),
            Ok(Ok((output, _))) if output.len() as u64 > max_bytes => {
                Err(ChildError::Long(name, max_bytes))
            }
            Ok(Ok((output, None))) => Ok(output.into()),
            Ok(Ok((_, Some(complaint)))) => Err(ChildError::Failed(name, complaint)),
        }
    }

    fn spawn(self, name: &str, arguments: &[&str], input: &File) -> Result<Child, ChildError> {
        let failed = |error| ChildError::Io(name.to_owned(), error);
        let mut input = input.try_clone().map_err(failed)?;
        input.seek(SeekFrom::Start(0)).map_err(failed)?;
        let spawned = Command::new(self.path)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::from(input))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        spawned.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ChildError::NotInstalled(name.to_owned()),
            _ => failed(error),
        })
    }
}

/// Its output, and its complaint if it failed.
async fn collect(child: &mut Child, max_bytes: u64) -> io::Result<(Vec<u8>, Option<String>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (output, complaint) = tokio::join!(
        read(stdout, max_bytes.saturating_add(1), false),
        read(stderr, COMPLAINT_BYTES, true)
    );
    let (output, complaint) = (output?, complaint?);
    if output.len() as u64 > max_bytes {
        return Ok((output, None));
    }
    if child.wait().await?.success() {
        return Ok((output, None));
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it failed without a word").trim();
    Ok((output, Some(last.replace(INPUT, "the file"))))
}

/// Reads the first bytes of a pipe, and the rest into nothing if it is to be drained.
async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    max_bytes: u64,
    drain: bool,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(max_bytes).read_to_end(&mut bytes).await?;
        if drain {
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
        }
    }
    Ok(bytes)
}

/// Bounds what a child may use. It runs for a moment before this; the timeout bounds that, too.
fn limit(child: &Child, cpu_seconds: u64) {
    let Some(pid) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    else {
        return;
    };
    let limits = [
        (Resource::As, MEMORY_BYTES),
        (Resource::Cpu, cpu_seconds),
        (Resource::Nofile, FILES),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        // It may have ended already.
        prlimit(Some(pid), resource, limit).ok();
    }
}
