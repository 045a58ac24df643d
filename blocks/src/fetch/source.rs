//! Where bytes of a blob come from besides iroh providers, and what became of each source.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use model::BlobId;
use n0_future::{boxed::BoxFuture, stream::Boxed};
use thiserror::Error;
use tokio::sync::watch;

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A provider reached by iroh.
    Peer,
    /// A peer of a BitTorrent swarm.
    Swarm,
    /// A gateway reached by HTTP.
    Gateway,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "peer",
            Self::Swarm => "swarm",
            Self::Gateway => "gateway",
        })
    }
}

/// The name of a source, for people and for telling sources apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceLabel {
    /// What it is.
    pub kind: SourceKind,
    /// Endpoint id in hexadecimal, socket address, or host.
    pub name: String,
}

impl fmt::Display for SourceLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A way to raw bytes of one blob that nobody has verified yet.
pub trait RawSource: Send + Sync + 'static {
    /// Its name.
    fn label(&self) -> SourceLabel;

    /// Byte ranges that it has, as they become known; `None` for all.
    fn has(&self) -> watch::Receiver<Option<Vec<Range<u64>>>>;

    /// Size of the whole blob as the source claims it; needed only where nobody can prove it.
    fn size_bytes(&self) -> Option<u64> {
        None
    }

    /// The infohash of the torrent that it sends bytes of, if of one in pieces of
    /// [`crate::PIECE_BYTES`].
    fn torrent(&self) -> Option<[u8; 20]> {
        None
    }

    /// SHA-1 of that torrent's pieces in order (BEP 3), held against the infohash already; none when
    /// they can't be had.
    fn pieces(&self) -> BoxFuture<Option<Vec<[u8; 20]>>> {
        Box::pin(std::future::ready(None))
    }

    /// Bytes of a range in order, in pieces of any length. Dropping the stream cancels it; the
    /// stream reads no further ahead than a few pieces.
    fn read(&self, range: Range<u64>) -> Boxed<Result<Bytes, RawFault>>;
}

/// What went wrong with a [`RawSource`].
#[derive(Debug, Error)]
pub enum RawFault {
    /// It doesn't have the bytes.
    #[error("does not have it")]
    NotHeld,
    /// It doesn't serve them to this node.
    #[error("refuses to serve it")]
    Refused,
    /// It has too much to do; worth asking later.
    #[error("is busy")]
    Busy,
    /// It can't be reached.
    #[error("can't be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It sent what its own protocol shows to be wrong.
    #[error("sent something wrong: {0}")]
    Lied(&'static str),
    /// The connection broke.
    #[error("broke off")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Somebody's outboard of a blob, unverified: hash pairs of 64 bytes in pre-order down to groups of
/// 16 KiB, without a size prefix.
pub struct RawOutboard {
    /// Who sends it.
    pub label: SourceLabel,
    /// Size of the blob as the sender claims it.
    pub size_bytes: u64,
    /// The pairs, in pieces of any length.
    pub pairs: Boxed<Result<Bytes, RawFault>>,
}

impl fmt::Debug for RawOutboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawOutboard")
            .field("label", &self.label)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

/// Finds sources other than iroh providers.
pub trait Finder: Send + Sync + 'static {
    /// Sources of a blob, each as soon as it is found. `size_bytes` is given once it is proven. The
    /// stream ends when nothing more is to be expected, and is dropped when nobody needs more.
    fn sources(&self, blob: BlobId, size_bytes: Option<u64>) -> Boxed<Arc<dyn RawSource>>;

    /// Outboards of a blob, likeliest first; the next one is taken only when one fails.
    fn outboards(&self, blob: BlobId) -> Boxed<RawOutboard>;
}

/// What a source is doing for a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareState {
    /// Being connected to.
    Connecting,
    /// Asked for something now.
    Active,
    /// Connected, and not asked for anything.
    Idle,
    /// Failed, to be tried again later.
    Suspended,
    /// Sent wrong bytes, and is asked for nothing more.
    Banned,
    /// No longer a source: it left, failed for good, or the fetch has ended.
    Gone,
}

/// What came from one source of a blob, now and in the last minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub source: SourceLabel,
    /// Verified bytes that came from it.
    pub bytes: u64,
    /// Verified bytes a second, now.
    pub bytes_per_s: u64,
    /// What it is doing.
    pub state: ShareState,
    /// Verified bytes of each of the last seconds, oldest first.
    pub history: Vec<u64>,
}
