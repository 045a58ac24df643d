//! `datt get`: fetches a blob, block, or IPFS file or folder, and checks its hashes itself.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::Args;
use gateway::api::types::{BlobState, FetchProgress, FetchRequest};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::{BlobId, EntryId};
use serde_json::json;
use tokio::time::timeout;
use views::data::Publicity;

use super::{
    client::{Client, SILENCE},
    failure::CommandError,
    outcome::Outcome,
    progress::Progress,
    range::{ByteRange, RangeError},
    torrents::parse_publicity,
    words::size,
};

mod folder;
mod ipfs;
mod part;
mod torrent;

use ipfs::IpfsPath;
use part::Part;

#[derive(Clone, Debug, Args)]
pub(super) struct GetArgs {
    /// Blob, entry or payload; any IPFS CID, with a path below it if you like; a magnet link, or a
    /// .torrent file
    #[arg(value_name = "CID[/PATH]|MAGNET|FILE.torrent", value_parser = parse_wanted)]
    wanted: Wanted,
    /// File or folder to write, - for stdout; without it one named by the path or CID
    #[arg(short, long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    /// Trustless IPFS gateway to read from, instead of those of the configuration; may be given
    /// several times
    #[arg(long = "gateway", value_name = "URL")]
    gateways: Vec<String>,
    /// Peer of the torrent to begin with (address:port); may be given several times
    #[arg(long = "peer", value_name = "ADDRESS")]
    peers: Vec<String>,
    /// How far a torrent's files may travel afterwards: gateway, peers or swarm; without it they
    /// are given to the swarm they came from only
    #[arg(long, value_name = "PUBLICITY", value_parser = parse_publicity)]
    publicity: Option<Publicity>,
    /// Only these bytes, both ends included: 0-99, 100- or -500
    #[arg(long, value_name = "A-B", allow_hyphen_values = true)]
    range: Option<ByteRange>,
}

/// What to get.
#[derive(Clone, Debug)]
enum Wanted {
    /// From peers.
    Item(Item),
    /// From IPFS gateways.
    Ipfs(IpfsPath),
    /// From a swarm.
    Torrent(torrent::Named),
}

fn parse_wanted(text: &str) -> Result<Wanted, String> {
    if let Some(named) = torrent::Named::parse(text) {
        return Ok(Wanted::Torrent(named));
    }
    let path = IpfsPath::parse(text)?;
    let item = path.alone().and_then(|cid| {
        let blob = BlobId::try_from(cid).map(Item::Blob);
        blob.or_else(|_| EntryId::try_from(cid).map(Item::Block))
            .ok()
    });
    Ok(item.map_or(Wanted::Ipfs(path), Wanted::Item))
}

/// What peers are asked for: all of it is named by the BLAKE3 hash of its bytes.
#[derive(Clone, Copy, Debug)]
enum Item {
    Blob(BlobId),
    Block(EntryId),
}

impl Item {
    fn hash(&self) -> &[u8; 32] {
        match self {
            Self::Blob(id) => id.as_bytes(),
            Self::Block(id) => id.as_bytes(),
        }
    }

    fn cid(&self) -> String {
        match self {
            Self::Blob(id) => id.to_string(),
            Self::Block(id) => id.to_string(),
        }
    }
}

impl GetArgs {
    fn to_stdout(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
    }

    /// What clap can't check.
    pub(super) fn check(&self, json: bool) -> Result<(), CommandError> {
        if json && self.to_stdout() {
            return Err(CommandError::Usage(
                "--json and the bytes can't both go to stdout; write them to a file with -o FILE"
                    .to_owned(),
            ));
        }
        let is_torrent = matches!(self.wanted, Wanted::Torrent(_));
        if !is_torrent && (!self.peers.is_empty() || self.publicity.is_some()) {
            return Err(CommandError::Usage(
                "--peer and --publicity are for torrents: leave them out".to_owned(),
            ));
        }
        if !matches!(self.wanted, Wanted::Ipfs(_)) && !self.gateways.is_empty() {
            return Err(CommandError::Usage(
                "only IPFS CIDs come from gateways: leave --gateway out".to_owned(),
            ));
        }
        Ok(())
    }

    fn file(&self, item: Item) -> PathBuf {
        let named = self.output.clone();
        named.unwrap_or_else(|| PathBuf::from(item.cid()))
    }
}

pub(super) async fn run(client: &Client, args: &GetArgs) -> Result<Outcome, CommandError> {
    let item = match &args.wanted {
        Wanted::Item(item) => *item,
        Wanted::Ipfs(path) => return ipfs::run(client, args, path).await,
        Wanted::Torrent(named) => return torrent::run(client, args, named).await,
    };
    let range = match (item, args.range) {
        (Item::Blob(blob), range) => fetch(client, blob, range).await?,
        (Item::Block(_), None) => None,
        (Item::Block(_), Some(_)) => {
            return Err(CommandError::Usage(
                "entries and payloads are small: get them whole, without --range".to_owned(),
            ));
        }
    };
    let path = args.file(item);
    let mut bar = Progress::of_bytes("writing");
    match (range, args.to_stdout()) {
        (Some(range), true) => {
            let mut out = io::stdout().lock();
            copy_range(client, item, &path, range, &mut bar, &mut out).await?;
            flush(&mut out)?;
            Ok(nothing_to_say())
        }
        (None, true) => to_stdout(client, item, &mut bar).await,
        (Some(range), false) => range_to_file(client, item, &path, range, &mut bar).await,
        (None, false) => whole_to_file(client, item, &path, &mut bar).await,
    }
}

/// The bytes were the answer.
fn nothing_to_say() -> Outcome {
    Outcome::new(String::new(), &())
}

/// Has the node fetch what it doesn't hold; gives the range to read, none for all of it.
async fn fetch(
    client: &Client,
    blob: BlobId,
    range: Option<ByteRange>,
) -> Result<Option<(u64, u64)>, CommandError> {
    let range = match range {
        None => None,
        Some(range) => {
            let state: BlobState = client.get(&format!("/api/v1/blobs/{blob}")).await?;
            let usage = |error: RangeError| CommandError::Usage(error.to_string());
            Some(range.within(state.size_bytes).map_err(usage)?)
        }
    };
    let request = FetchRequest {
        range: range.map(|(start, end)| [start, end]),
    };
    let mut bar = Progress::of_bytes("fetching");
    let route = format!("/api/v1/blobs/{blob}/fetch");
    let mut events = client
        .events::<FetchProgress>(&route, Some(&request))
        .await?;
    while let Some(event) = events.next().await? {
        match event {
            FetchProgress::Progress {
                held_bytes,
                total_bytes,
            } => bar.set(held_bytes, total_bytes),
            FetchProgress::Done { .. } => return Ok(range),
        }
    }
    Err(events.cut_off())
}

async fn whole_to_file(
    client: &Client,
    item: Item,
    path: &Path,
    bar: &mut Progress,
) -> Result<Outcome, CommandError> {
    let mut part = Part::resume(path, &item.cid())?;
    let from = part.written();
    // A part that is already whole asks for a range that isn't there: one byte back avoids that.
    let resume_at = from.saturating_sub(1);
    let range = (from > 0).then(|| format!("bytes={resume_at}-"));
    part.cut_to(resume_at)?;
    let mut body = open(client, item, range, resume_at).await?;
    while let Some(bytes) = body.next().await? {
        part.write(&bytes)?;
        bar.set(part.written(), body.total_bytes);
    }
    let size_bytes = part.written();
    part.finish(item.hash())?;
    let json = json!({
        "cid": item.cid(), "file": path, "size_bytes": size_bytes, "verified": true,
    });
    let text = format!("{}: {}, verified", path.display(), size(size_bytes));
    Ok(Outcome::new(text, &json))
}

async fn range_to_file(
    client: &Client,
    item: Item,
    path: &Path,
    (start, end): (u64, u64),
    bar: &mut Progress,
) -> Result<Outcome, CommandError> {
    let mut part = Part::fresh(path, &format!("{}-{start}-{end}", item.cid()))?;
    copy_range(client, item, path, (start, end), bar, &mut part).await?;
    part.keep()?;
    let json = json!({
        "cid": item.cid(), "file": path, "size_bytes": end - start,
        "range": [start, end - 1], "verified": false,
    });
    let text = format!(
        "{}: bytes {start}-{} of the blob, verified by the node",
        path.display(),
        end - 1
    );
    Ok(Outcome::new(text, &json))
}

async fn copy_range(
    client: &Client,
    item: Item,
    path: &Path,
    (start, end): (u64, u64),
    bar: &mut Progress,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let range = format!("bytes={start}-{}", end - 1);
    let mut body = open(client, item, Some(range), start).await?;
    let mut written = 0;
    while let Some(bytes) = body.next().await? {
        out.write_all(&bytes)
            .map_err(CommandError::io("write to", path))?;
        written += bytes.len() as u64;
        bar.set(written, end - start);
    }
    if written != end - start {
        return Err(CommandError::NotVerified(format!(
            "the node sent {written} bytes instead of {}; try again",
            end - start
        )));
    }
    Ok(())
}

async fn to_stdout(
    client: &Client,
    item: Item,
    bar: &mut Progress,
) -> Result<Outcome, CommandError> {
    let mut body = open(client, item, None, 0).await?;
    let mut out = io::stdout().lock();
    let mut hasher = blake3::Hasher::new();
    while let Some(bytes) = body.next().await? {
        hasher.update(&bytes);
        out.write_all(&bytes)
            .map_err(CommandError::io("write to", "stdout"))?;
        bar.set(hasher.count(), body.total_bytes);
    }
    flush(&mut out)?;
    if hasher.finalize().as_bytes() != item.hash() {
        return Err(CommandError::NotVerified(
            "the bytes on stdout don't hash to that CID: throw them away; run `datt verify`"
                .to_owned(),
        ));
    }
    Ok(nothing_to_say())
}

fn flush(out: &mut impl Write) -> Result<(), CommandError> {
    out.flush().map_err(CommandError::io("write to", "stdout"))
}

/// The bytes of an answer, one part at a time.
struct Body {
    request: String,
    body: Incoming,
    total_bytes: u64,
}

async fn open(
    client: &Client,
    item: Item,
    range: Option<String>,
    offset: u64,
) -> Result<Body, CommandError> {
    let path = format!("/ipfs/{}", item.cid());
    let ranged = range.is_some();
    let response = client.bytes(&path, range).await?;
    let request = format!("GET {path}");
    if ranged && response.status() != http::StatusCode::PARTIAL_CONTENT {
        return Err(CommandError::Answer {
            request,
            reason: format!("status {} instead of a range", response.status()),
        });
    }
    let length = response
        .headers()
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    Ok(Body {
        request,
        total_bytes: length.map_or(0, |length| length.saturating_add(offset)),
        body: response.into_body(),
    })
}

impl Body {
    async fn next(&mut self) -> Result<Option<Bytes>, CommandError> {
        loop {
            let source: Box<dyn std::error::Error + Send + Sync> =
                match timeout(SILENCE, self.body.frame()).await {
                    Ok(None) => return Ok(None),
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => return Ok(Some(bytes)),
                        Err(_) => continue,
                    },
                    Ok(Some(Err(error))) => Box::new(error),
                    Err(late) => Box::new(late),
                };
            return Err(CommandError::Connection {
                request: self.request.clone(),
                source,
            });
        }
    }
}
