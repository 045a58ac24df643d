//! Writing a capsule, block by block, in constant memory but for the names of what goes in.

use std::{collections::BTreeSet, sync::Arc};

use blocks::{
    BlobStatus,
    dag::{self, BlockError},
};
use bytes::{Bytes, BytesMut};
use cid::Cid;
use database::{DatabaseError, Packet, PayloadState, Reader, Scope, Verdict};
use gateway::node::{ByteStream, NodeError};
use model::{BlobId, EntryId, IdentityId, Ipld, Payload, SpaceId};
use tokio::sync::mpsc;

use super::{
    landing::{is_denied, is_listed},
    marks::{Contents, End, FileMark, Mark, NAMED, What},
};
use crate::{
    core::Core,
    service::blobs::{driven, read_error},
};

/// Pieces of the stream that a slow reader may be behind.
const PIECES: usize = 4;
/// Small blocks are sent together, bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// Entries read at once.
const BATCH: usize = 128;
/// Threads of one space.
const THREADS: usize = 1_000_000;

/// What a capsule shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How much.
    pub what: What,
    /// Spaces, with all their threads.
    pub spaces: BTreeSet<SpaceId>,
    /// Single threads.
    pub threads: BTreeSet<EntryId>,
}

/// Authority logs and threads that go in, in order.
#[derive(Debug, Default)]
struct Plan {
    scopes: Vec<Scope>,
}

/// A capsule as a stream.
///
/// # Errors
/// When something isn't held, or there is too much to name.
pub async fn capsule(core: &Arc<Core>, wanted: Wanted) -> Result<ByteStream, NodeError> {
    if wanted.spaces.len() > NAMED || wanted.threads.len() > NAMED {
        return Err(NodeError::Invalid(format!(
            "a capsule names at most {NAMED} spaces and as many threads: export them by parts"
        )));
    }
    let contents = Contents {
        what: wanted.what,
        spaces: wanted.spaces.iter().copied().collect(),
        threads: wanted.threads.iter().copied().collect(),
    };
    let plan = core
        .store("plan the capsule", move |database| {
            Plan::of(&database.read()?, &wanted)
        })
        .await?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let core = Arc::clone(core);
    let work = async move {
        let mut writer = Writer::new(sender);
        match writer.capsule(&core, contents, plan).await {
            Ok(()) | Err(Stop::Gone) => {}
            Err(Stop::Node(error)) => {
                tracing::warn!(%error, "a capsule was broken off");
                writer.fail(error).await;
            }
        }
    };
    Ok(driven(receiver, work))
}

impl Plan {
    /// Identities first, which rest on nothing; then the spaces, then the threads.
    fn of(reader: &Reader<'_>, wanted: &Wanted) -> Result<Self, DatabaseError> {
        let mut spaces = wanted.spaces.clone();
        let mut threads = wanted.threads.clone();
        for root in &wanted.threads {
            spaces.extend(reader.space_of(root)?);
        }
        for space in &wanted.spaces {
            let digests = reader.digests(space, THREADS)?;
            threads.extend(digests.into_iter().map(|digest| digest.root));
        }
        let mut identities: BTreeSet<IdentityId> = BTreeSet::new();
        for space in &spaces {
            identities.extend(reader.space(space)?.map(|info| info.owner));
        }
        for root in &threads {
            identities.extend(reader.authors(root)?);
        }
        let authorities: BTreeSet<SpaceId> = identities.iter().map(IdentityId::space).collect();
        let rest = spaces.difference(&authorities).copied();
        let scopes = authorities
            .iter()
            .copied()
            .chain(rest)
            .map(Scope::Authority)
            .chain(threads.iter().copied().map(Scope::Thread))
            .collect();
        Ok(Self { scopes })
    }
}

/// Why writing stopped.
enum Stop {
    /// Nobody reads any more.
    Gone,
    /// The node failed.
    Node(NodeError),
}

impl From<NodeError> for Stop {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

/// The stream, and what was counted on the way.
struct Writer {
    sender: mpsc::Sender<Result<Bytes, NodeError>>,
    buffer: BytesMut,
    end: End,
    media: Vec<BlobId>,
    seen: BTreeSet<BlobId>,
}

/// Entries of a scope, with the media that those of them name which count.
struct Part {
    packets: Vec<(EntryId, Packet)>,
    media: Vec<BlobId>,
}

impl Writer {
    fn new(sender: mpsc::Sender<Result<Bytes, NodeError>>) -> Self {
        Self {
            sender,
            buffer: BytesMut::new(),
            end: End::default(),
            media: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    async fn capsule(
        &mut self,
        core: &Arc<Core>,
        contents: Contents,
        plan: Plan,
    ) -> Result<(), Stop> {
        let (root, bytes) = Mark::Contents(contents).block();
        self.buffer.extend_from_slice(&dag::car_header(&[root]));
        self.block(&root, bytes).await?;
        for scope in plan.scopes {
            self.scope(core, scope).await?;
        }
        for blob in std::mem::take(&mut self.media) {
            self.file(core, blob).await?;
        }
        let (cid, bytes) = Mark::End(self.end).block();
        self.block(&cid, bytes).await?;
        self.flush().await
    }

    /// The entries of an authority log or a thread, parents before children.
    async fn scope(&mut self, core: &Arc<Core>, scope: Scope) -> Result<(), Stop> {
        let ids = core
            .store("list the entries to export", move |database| {
                in_causal_order(&database.read()?, &scope)
            })
            .await?;
        for ids in ids.chunks(BATCH) {
            let ids = ids.to_vec();
            let Part { packets, media } = core
                .store("read the entries to export", move |database| {
                    Part::read(&database.read()?, &ids)
                })
                .await?;
            for (id, packet) in packets {
                if is_listed(core, &id.to_cid()) {
                    continue;
                }
                self.block(&id.to_cid(), packet.entry.into()).await?;
                self.end.entries += 1;
                if let Some(payload) = packet.payload {
                    let cid = model::PayloadId::of(&payload).to_cid();
                    self.block(&cid, payload.into()).await?;
                }
            }
            for blob in media {
                if self.seen.insert(blob) {
                    self.media.push(blob);
                }
            }
        }
        Ok(())
    }

    /// A file with its mark; one that isn't held in full, or isn't given, only counts.
    async fn file(&mut self, core: &Arc<Core>, blob: BlobId) -> Result<(), Stop> {
        let status = core.blobs.status(blob).await;
        let status = status.map_err(|error| NodeError::local("look the blob up", error))?;
        let BlobStatus::Complete { size_bytes } = status else {
            self.end.lacking += 1;
            return Ok(());
        };
        if is_denied(core, blob) {
            self.end.lacking += 1;
            return Ok(());
        }
        let unixfs = core.blobs.name(blob).await.map_err(read_error)?;
        if is_listed(core, &unixfs) {
            self.end.lacking += 1;
            return Ok(());
        }
        let mark = FileMark {
            blob,
            unixfs,
            size_bytes,
        };
        let (cid, bytes) = Mark::File(mark).block();
        self.block(&cid, bytes).await?;
        self.end.files += 1;
        // Depth first; a file of the profile has few levels of a bounded width.
        let mut waiting = vec![unixfs];
        while let Some(cid) = waiting.pop() {
            let bytes = core.blobs.block(&cid).await.map_err(block_error)?;
            let links = dag::links(&cid, &bytes)
                .map_err(|error| NodeError::local(format!("read the block {cid}"), error))?;
            waiting.extend(links.into_iter().rev());
            self.block(&cid, bytes).await?;
        }
        Ok(())
    }

    async fn block(&mut self, cid: &Cid, bytes: Bytes) -> Result<(), Stop> {
        self.buffer
            .extend_from_slice(&dag::car_frame(cid, bytes.len()));
        if bytes.len() >= PIECE_BYTES {
            self.flush().await?;
            return self.send(bytes).await;
        }
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        let bytes = self.buffer.split().freeze();
        self.send(bytes).await
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Stop> {
        self.sender.send(Ok(bytes)).await.map_err(|_| Stop::Gone)
    }

    async fn fail(&self, error: NodeError) {
        // Who read may have gone.
        let _ = self.sender.send(Err(error)).await;
    }
}

fn block_error(error: BlockError) -> NodeError {
    NodeError::local("read a file's blocks", error)
}

/// All entries of a scope: by time, those of one time by depth, so that parents come first.
fn in_causal_order(reader: &Reader<'_>, scope: &Scope) -> Result<Vec<EntryId>, DatabaseError> {
    let items = reader.items(scope)?;
    let mut ids = Vec::with_capacity(items.len());
    for same_time in items.chunk_by(|one, other| one.0 == other.0) {
        if let [(_, only)] = same_time {
            ids.push(*only);
            continue;
        }
        let mut deep = Vec::with_capacity(same_time.len());
        for (_, id) in same_time {
            let depth = reader.entry(id)?.map_or(0, |entry| entry.header().depth);
            deep.push((depth, *id));
        }
        deep.sort_unstable();
        ids.extend(deep.into_iter().map(|(_, id)| id));
    }
    Ok(ids)
}

impl Part {
    fn read(reader: &Reader<'_>, ids: &[EntryId]) -> Result<Self, DatabaseError> {
        let (mut packets, mut media) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(packet) = reader.packet(id)? else {
                continue;
            };
            let counts = reader.state(id)?.is_some_and(|state| {
                matches!(state.verdict, Verdict::Valid | Verdict::Disputed)
                    && state.payload == PayloadState::Held
                    && !state.table.starts_with('$')
            });
            let row = packet.payload.as_deref().filter(|_| counts);
            if let Some(Ok(payload)) = row.map(Payload::decode) {
                payload
                    .row()
                    .values()
                    .for_each(|value| blobs_in(value, &mut media));
            }
            packets.push((*id, packet));
        }
        Ok(Self { packets, media })
    }
}

/// The blobs that a value names. Values nest a few levels at most: the payload was decoded.
fn blobs_in(value: &Ipld, found: &mut Vec<BlobId>) {
    match value {
        Ipld::Link(cid) => found.extend(BlobId::try_from(cid).ok()),
        Ipld::List(list) => list.iter().for_each(|value| blobs_in(value, found)),
        Ipld::Map(map) => map.values().for_each(|value| blobs_in(value, found)),
        _ => {}
    }
}
