//! Bytes under their IPFS names: blocks, files, directories, CARs, and who provides them.
//!
//! A block is looked for in this order: the index of the blob store, then entries and payloads.
//! The denylist is asked first, for each block on the way.

use std::{ops::Range, sync::Arc};

use blocks::{
    BlobStatus, Keep,
    dag::{
        self, BlockError, BlockSource, ExportRequest, Kind, NameFault, ResolveError, Resolved,
        Scope, WalkError,
    },
};
use bytes::Bytes;
use cid::Cid;
use futures_lite::{StreamExt, stream};
use gateway::{
    ipfs::types::{
        CarRequest, CarScope, IpfsListed, IpfsListing, IpfsProvider, PathKind, ResolvedPath,
    },
    node::{BlobBody, ByteStream, NodeError, OpenBlob, Viewer},
};
use model::{BlobId, EntryId, SpaceId};

use super::{authors, blobs};
use crate::{causes::with_causes, core::Core, denylist::honour};

/// Entries of a directory that a listing shows.
const LISTED: usize = 10_000;
/// Files with the same block of which one must explain why it is here, most.
const EXPLAINED: usize = 64;

/// What the gateway takes for a path, the walk does too.
const _: () = assert!(gateway::ipfs::address::MAX_SEGMENTS == dag::MAX_SEGMENTS);

/// The blocks that a viewer may read here.
pub struct NodeBlocks {
    core: Arc<Core>,
    viewer: Viewer,
}

impl NodeBlocks {
    /// What this viewer may read.
    pub fn new(core: &Arc<Core>, viewer: Viewer) -> Self {
        Self {
            core: Arc::clone(core),
            viewer,
        }
    }
}

impl BlockSource for NodeBlocks {
    async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        match self.core.block(cid).await {
            Err(BlockError::NotHeld(_)) => {}
            found => return found,
        }
        let Ok(id) = EntryId::try_from(cid) else {
            return Err(BlockError::NotHeld(*cid));
        };
        match blobs::block(&self.core, self.viewer, id).await {
            Ok(bytes) => Ok(bytes),
            Err(NodeError::NotFound(_)) => Err(BlockError::NotHeld(*cid)),
            Err(error) => Err(BlockError::Local {
                cid: *cid,
                source: error.into(),
            }),
        }
    }
}

/// Follows a path below a root.
pub async fn resolve(
    core: &Arc<Core>,
    viewer: Viewer,
    root: Cid,
    path: Vec<String>,
    local_only: bool,
) -> Result<ResolvedPath, NodeError> {
    honour::admit(core, &root, &path).await?;
    if path.is_empty()
        && let Some(size_bytes) = whole_file(core, viewer, &root, local_only).await?
    {
        return Ok(ResolvedPath {
            visited: vec![root],
            roots: vec![root],
            cid: root,
            kind: PathKind::File { size_bytes },
            remainder: Vec::new(),
        });
    }
    let found = dag::resolve(&NodeBlocks::new(core, viewer), root, &path).await;
    let Resolved {
        visited,
        roots,
        cid,
        kind,
        remainder,
    } = found.map_err(resolve_error)?;
    Ok(ResolvedPath {
        visited,
        roots,
        cid,
        kind: match kind {
            Kind::File { size_bytes } => PathKind::File { size_bytes },
            Kind::Directory { is_sharded } => PathKind::Directory { is_sharded },
            Kind::Symlink { target } => PathKind::Symlink { target },
            Kind::Data {
                codec,
                block_bytes,
                fault,
            } => PathKind::Data {
                codec,
                block_bytes,
                fault: fault.map(|fault| with_causes(&fault)),
            },
        },
        remainder,
    })
}

/// Size of a file that needs no walk: a blob, or a DAG whose bytes are one.
async fn whole_file(
    core: &Arc<Core>,
    viewer: Viewer,
    cid: &Cid,
    local_only: bool,
) -> Result<Option<u64>, NodeError> {
    if let Ok(blob) = BlobId::try_from(cid) {
        if local_only && !is_complete(core, blob).await? {
            return Err(not_held(cid));
        }
        return Ok(Some(blobs::open(core, viewer, blob).await?.size_bytes));
    }
    let file = core.blobs.file(cid).await;
    let file = file.map_err(|e| NodeError::local("look a file up", e))?;
    Ok(file.map(|file| file.size_bytes))
}

async fn is_complete(core: &Core, blob: BlobId) -> Result<bool, NodeError> {
    let status = core.blobs.status(blob).await;
    let status = status.map_err(|e| NodeError::local("look the blob up", e))?;
    Ok(matches!(status, BlobStatus::Complete { .. }))
}

/// Opens a file, a raw block or a blob.
pub async fn open(core: &Arc<Core>, viewer: Viewer, cid: Cid) -> Result<OpenBlob, NodeError> {
    honour::admit(core, &cid, &[]).await?;
    if let Ok(blob) = BlobId::try_from(&cid) {
        return blobs::open(core, viewer, blob).await;
    }
    let file = core.blobs.file(&cid).await;
    if let Some(file) = file.map_err(|e| NodeError::local("look a file up", e))? {
        match blobs::open(core, viewer, file.blob).await {
            Err(NodeError::NotHeld { .. }) => {}
            opened => return opened,
        }
    }
    let source = NodeBlocks::new(core, viewer);
    if cid.codec() == dag::codec::RAW {
        let bytes = source.block(&cid).await.map_err(block_error)?;
        return Ok(OpenBlob {
            size_bytes: bytes.len() as u64,
            body: BlobBody::Bytes(bytes),
        });
    }
    let found = dag::resolve(&source, cid, &[]).await;
    match found.map_err(resolve_error)?.kind {
        Kind::File { size_bytes } => Ok(OpenBlob {
            size_bytes,
            body: BlobBody::Partial,
        }),
        _ => Err(NodeError::Invalid(format!("{cid} is not a file"))),
    }
}

/// Bytes of a file that [`open`] could not give at once.
pub async fn range(
    core: &Arc<Core>,
    viewer: Viewer,
    cid: Cid,
    range: Range<u64>,
) -> Result<ByteStream, NodeError> {
    honour::admit(core, &cid, &[]).await?;
    if let Ok(blob) = BlobId::try_from(&cid) {
        return blobs::range(core, viewer, blob, range).await;
    }
    let bytes = dag::read(Arc::new(NodeBlocks::new(core, viewer)), cid, range);
    begun(bytes.map(|piece| piece.map_err(walk_error)).boxed()).await
}

/// One block.
pub async fn block(core: &Arc<Core>, viewer: Viewer, cid: Cid) -> Result<Bytes, NodeError> {
    if let Some(bytes) = dag::inline(&cid) {
        return Ok(bytes);
    }
    dag::check_name(&cid).map_err(|fault| name_error(&fault))?;
    let source = NodeBlocks::new(core, viewer);
    source.block(&cid).await.map_err(block_error)
}

/// The entries of a directory.
pub async fn list(core: &Arc<Core>, viewer: Viewer, cid: Cid) -> Result<IpfsListing, NodeError> {
    let listing = dag::list(&NodeBlocks::new(core, viewer), cid, LISTED).await;
    let listing = listing.map_err(walk_error)?;
    Ok(IpfsListing {
        entries: listing
            .entries
            .into_iter()
            .map(|entry| IpfsListed {
                name: entry.name,
                cid: entry.cid,
                size_bytes: entry.size_bytes,
            })
            .collect(),
        is_cut: listing.is_cut,
    })
}

/// A CAR. The path is followed before its first item, so that one which leads nowhere is an answer.
pub async fn car(
    core: &Arc<Core>,
    viewer: Viewer,
    request: CarRequest,
) -> Result<ByteStream, NodeError> {
    honour::admit(core, &request.root, &request.path).await?;
    let source = Arc::new(NodeBlocks::new(core, viewer));
    let wanted = ExportRequest {
        root: request.root,
        path: request.path,
        scope: match request.scope {
            CarScope::Block => Scope::Block,
            CarScope::Entity => Scope::Entity,
            CarScope::All => Scope::All,
        },
        bytes: request.bytes,
        duplicates: request.duplicates,
    };
    let bytes = dag::export(source, wanted);
    begun(bytes.map(|piece| piece.map_err(walk_error)).boxed()).await
}

/// Waits for the first item, so that what fails at once is an answer and no broken stream.
async fn begun(mut bytes: ByteStream) -> Result<ByteStream, NodeError> {
    match bytes.next().await {
        None => Ok(stream::empty().boxed()),
        Some(first) => {
            let first = first?;
            Ok(stream::once(Ok(first)).chain(bytes).boxed())
        }
    }
}

/// This node, if it holds the block and may say so.
pub async fn providers(core: &Arc<Core>, cid: Cid) -> Result<Vec<IpfsProvider>, NodeError> {
    let held = match NodeBlocks::new(core, Viewer::Stranger).block(&cid).await {
        Ok(_) => true,
        Err(BlockError::Local { source, .. }) => {
            return Err(NodeError::local("look a block up", source));
        }
        Err(_) => holds_blob(core, &cid).await?,
    };
    if !held || !may_announce(core, &cid).await? {
        return Ok(Vec::new());
    }
    let addr = multiaddr(&core.url);
    Ok(vec![IpfsProvider {
        id: peer_id(core.network.id().as_bytes()),
        addrs: addr.into_iter().collect(),
        protocols: vec!["transport-ipfs-gateway-http".to_owned()],
    }])
}

async fn holds_blob(core: &Core, cid: &Cid) -> Result<bool, NodeError> {
    match BlobId::try_from(cid) {
        Ok(blob) => Ok(core.denylist.check(cid, &[]).is_none() && is_complete(core, blob).await?),
        Err(_) => Ok(false),
    }
}

/// Whether strangers may hear that this is held: only what is known to be here for another reason
/// than an unlisted board. A block of a file is here because the file is.
async fn may_announce(core: &Arc<Core>, cid: &Cid) -> Result<bool, NodeError> {
    let local = |error| NodeError::local("look up why a block is kept", error);
    let blobs = core.blobs.blobs_below(cid).await.map_err(local)?;
    if !blobs.is_empty() {
        let mut kept = core.blobs.kept().await.map_err(local)?;
        for blob in blobs.into_iter().take(EXPLAINED) {
            let kept = kept.remove(&blob).unwrap_or_default();
            if may_announce_blob(core, blob, &kept).await? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if let Ok(id) = EntryId::try_from(cid)
        && let Some(seen) = blobs::may_see_block(core, Viewer::Stranger, id).await?
    {
        return Ok(seen);
    }
    core.blobs.is_taken_in(cid).await.map_err(local)
}

async fn may_announce_blob(
    core: &Arc<Core>,
    blob: BlobId,
    kept: &[Keep],
) -> Result<bool, NodeError> {
    let mut spaces = Core::lock(&core.holdings).spaces_of(&blob);
    let mut entries = Vec::new();
    let mut is_given = false;
    for keep in kept {
        match keep {
            Keep::Post { entry, .. } => entries.push(*entry),
            // Pinned for a thread or a board; else a person gave or pinned these very bytes.
            Keep::Pin { target } => match target.parse::<EntryId>() {
                Ok(entry) => entries.push(entry),
                Err(_) => is_given = true,
            },
            Keep::Mirror | Keep::Cache | Keep::Partial => {}
        }
    }
    if entries.is_empty() && spaces.is_empty() {
        return Ok(is_given);
    }
    let node = Arc::clone(core);
    core.store("look up where a file was posted", move |database| {
        let reader = database.read()?;
        for entry in entries {
            // A genesis names no space: it is one.
            let space = reader.space_of(&entry)?;
            spaces.insert(space.unwrap_or_else(|| SpaceId::from(entry)));
        }
        for space in &spaces {
            if authors::may_see(&node, &reader, Viewer::Stranger, space)? {
                return Ok::<_, database::DatabaseError>(true);
            }
        }
        Ok(false)
    })
    .await
}

/// Peer id of libp2p: the identity multihash of a protobuf with the Ed25519 key, in base58.
fn peer_id(key: &[u8; 32]) -> String {
    const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    let mut bytes = PREFIX.to_vec();
    bytes.extend(key);
    cid::multibase::encode(cid::multibase::Base::Base58Btc, bytes)
        .trim_start_matches('z')
        .to_owned()
}

/// The multiaddress of a web server, as delegated routing wants it (IPIP-417): `/tls/http`.
fn multiaddr(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let (tls, default_port) = match uri.scheme_str()? {
        "https" => ("/tls", 443),
        _ => ("", 80),
    };
    let host = uri.host()?.trim_matches(['[', ']']);
    let kind = match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => "ip4",
        Ok(std::net::IpAddr::V6(_)) => "ip6",
        Err(_) => "dns",
    };
    let port = uri.port_u16().unwrap_or(default_port);
    Some(format!("/{kind}/{host}/tcp/{port}{tls}/http"))
}

fn not_held(cid: &Cid) -> NodeError {
    NodeError::NotFound(format!(
        "the block {cid} is not held here; `datt get {cid}` looks for it at the gateways of the \
         configuration"
    ))
}

fn name_error(fault: &NameFault) -> NodeError {
    NodeError::Unsupported(fault.to_string())
}

/// What a reader hears of a block that can't be had.
pub fn block_error(error: BlockError) -> NodeError {
    match error {
        BlockError::NotHeld(cid) => not_held(&cid),
        BlockError::Denied { cid, reason } => NodeError::Denied {
            id: cid.to_string(),
            reason,
        },
        BlockError::Fault(dag::BlockFault::Name(fault)) => name_error(&fault),
        BlockError::Fault(fault) => NodeError::NotVerified(fault.to_string()),
        BlockError::Local { cid, source } => {
            NodeError::local(format!("read the block {cid}"), source)
        }
    }
}

fn resolve_error(error: ResolveError) -> NodeError {
    match error {
        ResolveError::Block(error) => block_error(error),
        ResolveError::NoLink { .. } | ResolveError::ThroughFile { .. } => {
            NodeError::NotFound(error.to_string())
        }
        error => NodeError::Invalid(with_causes(&error)),
    }
}

fn walk_error(error: WalkError) -> NodeError {
    match error {
        WalkError::Block(error) => block_error(error),
        WalkError::Resolve(error) => resolve_error(error),
        error => NodeError::Invalid(with_causes(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_server_has_a_multiaddress() {
        let table = [
            (
                "https://forum.example",
                "/dns/forum.example/tcp/443/tls/http",
            ),
            ("https://127.0.0.1:8420", "/ip4/127.0.0.1/tcp/8420/tls/http"),
            ("http://[::1]:80/", "/ip6/::1/tcp/80/http"),
        ];
        for (url, expected) in table {
            assert_eq!(multiaddr(url).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_peer_id_is_the_one_that_libp2p_makes_of_the_key() {
        // In base58: 00 24 08 01 12 20, then the key of all zeros.
        let known = "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw";
        assert_eq!(peer_id(&[0; 32]), known);
    }
}
