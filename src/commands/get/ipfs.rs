//! Files and folders under IPFS names: the node reads them from gateways, this command checks every
//! block once more and writes them out.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use blocks::dag::{self, BlockError, BlockSource, Kind, MAX_BLOCK_BYTES, ResolveError, WalkError};
use bytes::Bytes;
use cid::Cid;
use futures_lite::StreamExt;
use gateway::api::types::{RetrieveProgress, RetrieveRequest, Retrieved};
use http_body_util::{BodyExt, Limited};
use serde_json::json;
use tokio::time::timeout;

use super::{
    super::{
        client::{Client, SILENCE},
        failure::CommandError,
        outcome::Outcome,
        progress::Progress,
        words::size,
    },
    GetArgs,
    folder::{self, Written},
    nothing_to_say,
};

/// A root, and segments below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IpfsPath {
    root: Cid,
    segments: Vec<String>,
}

impl IpfsPath {
    /// Reads `CID/path`, also with `/ipfs/` or `ipfs://` before it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bare = text
            .strip_prefix("/ipfs/")
            .or_else(|| text.strip_prefix("ipfs://"))
            .unwrap_or(text);
        let mut segments = bare.split('/').filter(|segment| !segment.is_empty());
        let root = segments.next().and_then(dag::parse_cid);
        let root = root.ok_or("write a CID, or CID/path")?;
        dag::check_name(&root).map_err(|fault| fault.to_string())?;
        Ok(Self {
            root,
            segments: segments.map(str::to_owned).collect(),
        })
    }

    /// The root, if there is no path.
    pub(super) fn alone(&self) -> Option<&Cid> {
        self.segments.is_empty().then_some(&self.root)
    }

    /// What it is called on disk: the last segment that is a safe name, else the CID.
    pub(super) fn name(&self) -> String {
        let last = self.segments.last().filter(|name| folder::is_safe(name));
        last.cloned().unwrap_or_else(|| self.root.to_string())
    }
}

/// Has the node read it, then writes it out.
pub(super) async fn run(
    client: &Client,
    args: &GetArgs,
    path: &IpfsPath,
) -> Result<Outcome, CommandError> {
    let retrieved = retrieve(client, args, path).await?;
    let answer = |reason: String| CommandError::Answer {
        request: format!("POST /api/v1/ipfs/{}/fetch", path.root),
        reason,
    };
    let cid = dag::parse_cid(&retrieved.cid);
    let cid = cid.ok_or_else(|| answer(format!("`{}` is not a CID", retrieved.cid)))?;
    let source = Arc::new(NodeSource {
        client: client.clone(),
    });
    // Not what the node says, but what the blocks themselves say.
    let resolved = dag::resolve(source.as_ref(), cid, &[]).await;
    let mut bar = Progress::of_bytes("writing");
    match resolved.map_err(resolve_error)?.kind {
        Kind::File { size_bytes }
        | Kind::Data {
            block_bytes: size_bytes,
            ..
        } => file(args, path, &source, &retrieved, (cid, size_bytes), &mut bar).await,
        Kind::Directory { .. } => {
            if args.to_stdout() || args.range.is_some() {
                return Err(CommandError::Usage(format!(
                    "{cid} is a folder: name one to write with -o DIR, without --range"
                )));
            }
            let target = args.output.clone().unwrap_or_else(|| path.name().into());
            let written = folder::write(source, cid, &target, &mut bar).await?;
            Ok(folder_outcome(&retrieved, &target, &written))
        }
        Kind::Symlink { target } => Err(CommandError::Usage(format!(
            "{cid} is a symlink to {target:?}; get what it points to"
        ))),
    }
}

async fn retrieve(
    client: &Client,
    args: &GetArgs,
    path: &IpfsPath,
) -> Result<Retrieved, CommandError> {
    let request = RetrieveRequest {
        path: path.segments.clone(),
        gateways: args.gateways.clone(),
    };
    let mut bar = Progress::of_bytes("fetching");
    let route = format!("/api/v1/ipfs/{}/fetch", path.root);
    let mut events = client
        .events::<RetrieveProgress>(&route, Some(&request))
        .await?;
    while let Some(event) = events.next().await? {
        match event {
            RetrieveProgress::Progress {
                held_bytes,
                total_bytes,
            } => bar.set(held_bytes, total_bytes),
            RetrieveProgress::Fault(fault) => {
                // Where nobody reads stderr, the faults are in the result.
                let _ = writeln!(
                    io::stderr().lock(),
                    "{}: {} ({})",
                    fault.gateway,
                    fault.what,
                    fault.cid
                );
            }
            RetrieveProgress::Done(retrieved) => return Ok(retrieved),
        }
    }
    Err(events.cut_off())
}

async fn file(
    args: &GetArgs,
    path: &IpfsPath,
    source: &Arc<NodeSource>,
    retrieved: &Retrieved,
    (cid, size_bytes): (Cid, u64),
    bar: &mut Progress,
) -> Result<Outcome, CommandError> {
    let range = match args.range {
        None => 0..size_bytes,
        Some(range) => {
            let range = range.within(size_bytes);
            let (start, end) = range.map_err(|error| CommandError::Usage(error.to_string()))?;
            start..end
        }
    };
    let length = range.end - range.start;
    if args.to_stdout() {
        let mut out = io::stdout().lock();
        let stdout = Path::new("stdout");
        copy(source, cid, range, &mut out, stdout, bar).await?;
        out.flush().map_err(CommandError::io("write to", stdout))?;
        return Ok(nothing_to_say());
    }
    let target = args.output.clone().unwrap_or_else(|| path.name().into());
    if target.is_dir() {
        return Err(CommandError::Usage(format!(
            "{} is a folder; name a file with -o",
            target.display()
        )));
    }
    let part = beside(&target, &cid);
    let mut out = File::create(&part).map_err(CommandError::io("write", &part))?;
    copy(source, cid, range, &mut out, &part, bar).await?;
    out.sync_all().map_err(CommandError::io("write", &part))?;
    std::fs::rename(&part, &target).map_err(CommandError::io("rename to", &target))?;
    let mut text = format!("{}: {}, verified", target.display(), size(length));
    text.push_str(&names(retrieved));
    let json = json!({
        "cid": retrieved.cid, "blob": retrieved.blob, "kind": retrieved.kind, "file": target,
        "size_bytes": length, "verified": true, "fetched_bytes": retrieved.fetched_bytes,
        "faults": retrieved.faults,
    });
    Ok(Outcome::new(text, &json))
}

/// Where something is written until it is whole.
pub(super) fn beside(target: &Path, cid: &Cid) -> PathBuf {
    target.with_file_name(format!(".{cid}.part"))
}

fn names(retrieved: &Retrieved) -> String {
    let mut text = format!("\nIPFS {}", retrieved.cid);
    if let Some(blob) = &retrieved.blob {
        text.push_str(&format!("\nblob {blob}"));
    }
    for fault in &retrieved.faults {
        let line = format!(
            "\ngateway {}: {} ({})",
            fault.gateway, fault.what, fault.cid
        );
        text.push_str(&line);
    }
    text
}

fn folder_outcome(retrieved: &Retrieved, target: &Path, written: &Written) -> Outcome {
    let mut text = format!(
        "{}: {} files, {}, verified",
        target.display(),
        written.files,
        size(written.bytes)
    );
    text.push_str(&names(retrieved));
    for note in &written.notes {
        text.push_str(&format!("\n{note}"));
    }
    let json = json!({
        "cid": retrieved.cid, "kind": retrieved.kind, "folder": target, "files": written.files,
        "size_bytes": written.bytes, "verified": true, "notes": written.notes,
        "fetched_bytes": retrieved.fetched_bytes, "faults": retrieved.faults,
    });
    Outcome::new(text, &json)
}

/// Streams bytes of a file.
pub(super) async fn copy<S: BlockSource + 'static>(
    source: &Arc<S>,
    cid: Cid,
    range: std::ops::Range<u64>,
    out: &mut impl Write,
    to: &Path,
    bar: &mut Progress,
) -> Result<(), CommandError> {
    let length = range.end - range.start;
    let bytes = dag::read(Arc::clone(source), cid, range);
    let mut bytes = std::pin::pin!(bytes);
    let mut written = 0;
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(walk_error)?;
        out.write_all(&piece)
            .map_err(CommandError::io("write to", to))?;
        written += piece.len() as u64;
        bar.set(written, length);
    }
    if written != length {
        return Err(CommandError::NotVerified(format!(
            "{cid} has {written} bytes instead of {length}; try again"
        )));
    }
    Ok(())
}

/// Blocks of the running node, each checked against its name.
#[derive(Debug)]
pub(super) struct NodeSource {
    client: Client,
}

impl BlockSource for NodeSource {
    async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        let local = |source: Box<dyn std::error::Error + Send + Sync>| BlockError::Local {
            cid: *cid,
            source,
        };
        let route = format!("/ipfs/{cid}?format=raw");
        let response = self.client.bytes(&route, None).await;
        let response = response.map_err(|error| local(error.into()))?;
        let body = Limited::new(response.into_body(), MAX_BLOCK_BYTES).collect();
        let bytes = match timeout(SILENCE, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return Err(local(error)),
            Err(late) => return Err(local(late.into())),
        };
        dag::verify(cid, &bytes).map_err(BlockError::Fault)?;
        Ok(bytes)
    }
}

fn block_error(error: BlockError) -> CommandError {
    match error {
        BlockError::Fault(fault) => CommandError::NotVerified(format!(
            "the node sent wrong bytes: {fault}; run `datt verify`"
        )),
        BlockError::Local { cid, source } => match source.downcast::<CommandError>() {
            Ok(error) => *error,
            Err(source) => CommandError::Connection {
                request: format!("GET /ipfs/{cid}?format=raw"),
                source,
            },
        },
        error => CommandError::NotVerified(error.to_string()),
    }
}

pub(super) fn walk_error(error: WalkError) -> CommandError {
    match error {
        WalkError::Block(error) => block_error(error),
        error => unreadable(error),
    }
}

pub(super) fn resolve_error(error: ResolveError) -> CommandError {
    match error {
        ResolveError::Block(error) => block_error(error),
        error => unreadable(error),
    }
}

/// With its causes: what is wrong with a node is said by them.
fn unreadable(error: impl Into<anyhow::Error>) -> CommandError {
    CommandError::NotVerified(format!("it can't be read: {:#}", error.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_are_read_in_every_form() {
        let cid = "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8";
        for (text, segments, name) in [
            (cid.to_owned(), 0, cid),
            (format!("/ipfs/{cid}/"), 0, cid),
            (format!("ipfs://{cid}/a//b.txt"), 2, "b.txt"),
            (format!("{cid}/.."), 1, cid),
        ] {
            let path = IpfsPath::parse(&text).unwrap();
            assert_eq!(
                (path.segments.len(), path.name().as_str()),
                (segments, name)
            );
            assert_eq!(path.alone().is_some(), segments == 0);
        }
        for text in [
            "",
            "/ipfs/",
            "nonsense",
            "/ipns/example.org",
            "https://a.example/ipfs/x",
        ] {
            assert!(IpfsPath::parse(text).is_err(), "{text}");
        }
        // a libp2p key names no block
        let key = "k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf";
        assert!(IpfsPath::parse(key).is_err());
    }
}
