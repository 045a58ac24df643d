//! Bytes from peers: every one verified against its name before it is stored or handed on.
//!
//! All sources of a blob are asked at once, by one [`plan`] that everyone who wants any of the blob
//! shares ([`pull`]): iroh providers, and what a [`Finder`] brings. Raw bytes of the latter count
//! when an outboard agrees, or the whole hash if there is no outboard to be had.
//!
//! The size is proven first, then the quota is asked, then bytes are written. What is held already
//! is never asked for again, so a fetch goes on where it was interrupted, in this process or an
//! earlier one.

mod lane;
mod peer;
mod plan;
mod pull;
mod raw;
mod shares;
mod sink;
mod sizes;
mod source;
mod stream;
mod transfer;
mod whole;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use iroh::{Endpoint, EndpointId};
use model::BlobId;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::{Keep, QuotaError, ReadError, StoreError, Throttle, store::Blobs};

pub use lane::Lane;
pub use peer::PeerFault;
pub use source::{
    Finder, RawFault, RawOutboard, RawSource, Share, ShareState, SourceKind, SourceLabel,
};
pub use stream::VerifiedStream;

/// Providers asked for one blob; the rest of a longer list is left out.
const PROVIDERS: usize = 32;
/// A peer that sends nothing for this long is given up.
pub(crate) const DEFAULT_STALL: Duration = Duration::from_secs(15);

/// What to fetch, and within which bounds.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Whose turn it is.
    pub lane: Lane,
    /// Only these bytes, grown to whole groups; everything when `None`.
    pub range: Option<Range<u64>>,
    /// Most bytes that are fetched; a larger blob is refused when its size is known.
    pub max_bytes: u64,
    /// Why to keep what was fetched.
    pub keep: Keep,
    /// A peer that sends nothing for this long is given up.
    pub stall: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            lane: Lane::Bulk,
            range: None,
            max_bytes: u64::MAX,
            keep: Keep::Cache,
            stall: DEFAULT_STALL,
        }
    }
}

/// What a source did wrong during a fetch. Lies are to be remembered, the rest is bad luck.
#[derive(Clone, Debug)]
pub struct PeerReport {
    /// Who.
    pub source: SourceLabel,
    /// The provider, if the source is one.
    pub peer: Option<EndpointId>,
    /// What.
    pub fault: Arc<PeerFault>,
}

/// A fetch that succeeded.
#[derive(Debug)]
pub struct Fetched {
    /// Size of the whole blob, proven.
    pub size_bytes: u64,
    /// Bytes that came over the network now.
    pub fetched_bytes: u64,
    /// Sources that failed meanwhile.
    pub faults: Vec<PeerReport>,
}

/// Why a fetch failed. What arrived before stays, so that the next one goes on from there.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Nobody delivered.
    #[error("no peer delivered {blob}: {}", summary(faults))]
    NoPeer {
        /// The blob.
        blob: BlobId,
        /// Who was asked, and what went wrong.
        faults: Vec<PeerReport>,
    },
    /// More than the caller takes.
    #[error("{blob} needs {wanted_bytes} bytes, more than the {max_bytes} that may be fetched")]
    TooLarge {
        /// The blob.
        blob: BlobId,
        /// Bytes that are missing.
        wanted_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A range beyond the end.
    #[error("{blob} has {size_bytes} bytes: the range {start}-{end} is outside", start = range.start, end = range.end)]
    Range {
        /// The blob.
        blob: BlobId,
        /// Its size, proven.
        size_bytes: u64,
        /// What was asked for.
        range: Range<u64>,
    },
    /// Sources that nobody could verify group by group delivered another blob.
    #[error("what {} delivered is not {blob}", names(sources))]
    NotThatBlob {
        /// The blob.
        blob: BlobId,
        /// Who delivered.
        sources: Vec<SourceLabel>,
        /// Infohashes of torrents whose every piece came as it should be: who says that they are
        /// those of this blob, a manifest, says something false. Where there is none, nothing
        /// tells which of the sources was wrong.
        torrents: Vec<[u8; 20]>,
    },
    /// On the denylist.
    #[error("{0} is on this node's denylist")]
    Denied(BlobId),
    /// No room is allowed for it.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes held already can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl FetchError {
    /// What peers did wrong.
    pub fn faults(&self) -> &[PeerReport] {
        match self {
            Self::NoPeer { faults, .. } => faults,
            _ => &[],
        }
    }
}

fn names(sources: &[SourceLabel]) -> String {
    let names: Vec<String> = sources.iter().map(SourceLabel::to_string).collect();
    names.join(", ")
}

fn summary(faults: &[PeerReport]) -> String {
    if faults.is_empty() {
        return "nobody is known to have it".to_owned();
    }
    let each: Vec<String> = faults
        .iter()
        .map(|report| match report.peer {
            Some(peer) => format!("{} {}", peer.fmt_short(), report.fault),
            None => format!("{} {}", report.source, report.fault),
        })
        .collect();
    each.join("; ")
}

/// Fetches blobs into a store; clones share lanes and connections.
#[derive(Clone, Debug)]
pub struct Fetcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    blobs: Blobs,
    peers: peer::Peers,
    lanes: lane::Lanes,
    pulls: pull::Pulls,
    /// Pulls that run, and what they look after.
    tasks: Mutex<JoinSet<()>>,
    sizes: sizes::Sizes,
    shares: shares::Shares,
    finder: Found,
    throttle: OnceLock<Arc<dyn Throttle>>,
    started: tokio::time::Instant,
}

impl Inner {
    /// Runs something beside whoever asked for it; it goes on when that one has left.
    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

/// Who finds other sources, once somebody does.
#[derive(Default)]
struct Found(RwLock<Option<Arc<dyn Finder>>>);

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Found")
    }
}

impl Fetcher {
    /// Fetches into `blobs` through `endpoint`.
    pub fn new(blobs: Blobs, endpoint: Endpoint) -> Self {
        Self(Arc::new(Inner {
            blobs,
            peers: peer::Peers::new(endpoint),
            lanes: lane::Lanes::default(),
            pulls: pull::Pulls::default(),
            tasks: Mutex::default(),
            sizes: sizes::Sizes::default(),
            shares: shares::Shares::default(),
            finder: Found::default(),
            throttle: OnceLock::new(),
            started: tokio::time::Instant::now(),
        }))
    }

    /// Lets fetches that begin from now on use other sources than iroh providers.
    pub fn set_finder(&self, finder: Arc<dyn Finder>) {
        // The lock only guards one assignment.
        let mut found = self
            .0
            .finder
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *found = Some(finder);
    }

    /// Reads from iroh providers only as fast as `throttle` lets it; the first one stays.
    pub fn set_throttle(&self, throttle: Arc<dyn Throttle>) {
        self.0.throttle.get_or_init(|| throttle);
    }

    /// Where the bytes of a blob come from, and came from in the last minutes; those that gave
    /// most first.
    pub fn shares(&self, blob: BlobId) -> Vec<Share> {
        self.0.shares.of(blob, self.0.started.elapsed().as_secs())
    }

    /// The store.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }
}

impl Inner {
    fn finder(&self) -> Option<Arc<dyn Finder>> {
        // As above.
        let found = self.finder.0.read().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }
}
