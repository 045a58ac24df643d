//! What the gateway asks of the node behind it: one object-safe trait, and the errors it answers with.
//!
//! Read methods take a [`Viewer`]: strangers never see unlisted spaces, votes of the owner, or
//! anything else that belongs to the signed-in person. Write methods are called for the owner only;
//! the gateway has checked token or session, Host, Origin and CSRF before it calls them. A write
//! that returned `Ok` is on disk.

mod mirrors;
mod payments;
mod torrents;

use std::{fs::File, ops::Range, sync::Arc};

use bytes::Bytes;
use cid::Cid;
use futures_lite::stream;
use model::{BlobId, EntryId, IdentityId, SpaceId};
use tokio::sync::watch;
use views::data;

use crate::{
    api::types::{
        AddRequest, BlobAdded, BlobState, CarProgress, Denied, Edit, ErrorCode, EventQuery,
        FetchProgress, FetchRequest, ImportProgress, JoinRequest, Joined, MarkRequest, NewPost,
        NewSpace, PageQuery, PinRequest, ProfileEdit, Published, RetrieveProgress, RetrieveRequest,
        SpaceCreated, ThreadsQuery, TicketQuery, VerifyProgress, VoteRequest, Voted, Written,
    },
    ipfs::types::{CarRequest, IpfsListing, IpfsProvider, ResolvedPath},
};

pub use mirrors::Mirrors;
pub use payments::Payments;
pub use torrents::{TorrentFile, Torrents};

/// A future that a [`Node`] method returns.
pub type Reply<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, NodeError>> + Send + 'a>>;

/// Progress or bytes, one item at a time; an `Err` is the last item.
pub type Items<T> = stream::Boxed<Result<T, NodeError>>;

/// Bytes in order, in chunks of at most a mebibyte.
pub type ByteStream = Items<Bytes>;

/// For whom something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Anybody: public spaces only, nothing personal, nothing fetched unless the operator allows it.
    Stranger,
    /// The node's own person, by token or session.
    Owner,
}

impl Viewer {
    /// True for the node's own person.
    pub fn is_owner(self) -> bool {
        self == Self::Owner
    }
}

/// A blob (or an outboard) opened for reading.
#[derive(Clone, Debug)]
pub struct OpenBlob {
    /// Its whole length.
    pub size_bytes: u64,
    /// Where its bytes are.
    pub body: BlobBody,
}

/// Where the bytes of an opened blob are.
#[derive(Clone, Debug)]
pub enum BlobBody {
    /// Complete and verified in this file, from offset 0: the gateway reads it at any offset itself.
    /// Handles may be shared and cached by the node; the file is never written again.
    File(Arc<File>),
    /// Complete and verified in memory (small blobs kept inline by the store).
    Bytes(Bytes),
    /// Not complete here: ask [`Node::fetch_range`] for each range.
    Partial,
}

/// Events after a cursor, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// Matching events, at most as many as asked for. May be empty although `next` advanced.
    pub events: Vec<data::Event>,
    /// Cursor after the last event that was looked at, matching or not.
    pub next: String,
    /// The cursor asked for is of another epoch or too old: nothing can be resumed, `next` is now.
    pub reset: bool,
}

/// The node behind the gateway.
///
/// Deadlines: a read of something not held may look for it at peers, but answers within
/// ten seconds, with [`NodeError::NotHeld`] and the ways on when nobody had it.
pub trait Node: Torrents + Mirrors + Payments {
    /// `GET /api/v1/status`. A stranger gets it without peers and addresses.
    fn status(&self, viewer: Viewer) -> Reply<'_, data::Status>;

    /// `GET /api/v1/ticket`: how others reach this node, a space or a thread.
    fn ticket(&self, viewer: Viewer, query: TicketQuery) -> Reply<'_, String>;

    /// `GET /api/v1/spaces`: the boards followed.
    fn spaces(&self, viewer: Viewer) -> Reply<'_, Vec<data::Board>>;

    /// One board.
    fn space(&self, viewer: Viewer, space: SpaceId) -> Reply<'_, data::Board>;

    /// `POST /api/v1/spaces`.
    fn create_space(&self, space: NewSpace) -> Reply<'_, SpaceCreated>;

    /// `POST /api/v1/join`: follow a space, a thread or an identity.
    fn join(&self, request: JoinRequest) -> Reply<'_, Joined>;

    /// `GET /api/v1/threads`: of one board, or of all of them.
    fn threads(
        &self,
        viewer: Viewer,
        query: ThreadsQuery,
    ) -> Reply<'_, data::Page<data::ThreadSummary>>;

    /// `GET /api/v1/threads/{cid}`; the id of any post of the thread will do.
    fn thread(&self, viewer: Viewer, root: EntryId, page: PageQuery) -> Reply<'_, data::Thread>;

    /// `GET /api/v1/posts/{cid}`.
    fn post(&self, viewer: Viewer, post: EntryId) -> Reply<'_, data::Post>;

    /// `GET /api/v1/entries/{cid}`: how do I know?
    fn entry(&self, viewer: Viewer, entry: EntryId) -> Reply<'_, data::Provenance>;

    /// `POST /api/v1/posts`.
    fn publish(&self, post: NewPost) -> Reply<'_, Published>;

    /// `PUT /api/v1/posts/{cid}`: the author's own edit.
    fn revise(&self, post: EntryId, edit: Edit) -> Reply<'_, Written>;

    /// `PUT /api/v1/votes/{cid}`.
    fn vote(&self, post: EntryId, vote: VoteRequest) -> Reply<'_, Voted>;

    /// `PUT /api/v1/marks/{cid}`.
    fn mark(&self, post: EntryId, mark: MarkRequest) -> Reply<'_, Written>;

    /// `POST /api/v1/reports/{cid}`.
    fn report(&self, post: EntryId, why: String) -> Reply<'_, Written>;

    /// `POST /api/v1/blobs`: imports a stream. `size_bytes` is what the client announced, so that
    /// the quota is checked before anything is written; the stream itself is bounded by it.
    fn add_blob(
        &self,
        name: String,
        size_bytes: Option<u64>,
        body: ByteStream,
    ) -> Reply<'_, BlobAdded>;

    /// `POST /api/v1/blobs/path`: imports a file or folder of the node's machine; the last item is
    /// `Done` or `Album`.
    fn add_path(&self, request: AddRequest) -> Reply<'_, Items<ImportProgress>>;

    /// `GET /api/v1/export`: threads and spaces, or any other DAGs, as a CAR; with none the whole
    /// node. What isn't held is an error and no stream; later errors are the last item.
    fn export(&self, cids: Vec<Cid>) -> Reply<'_, ByteStream>;

    /// `POST /api/v1/import/path`: imports a CAR of the node's machine; the last item is `Done`.
    fn import_path(&self, path: String) -> Reply<'_, Items<CarProgress>>;

    /// `GET /api/v1/blobs/{cid}`.
    fn blob_state(&self, viewer: Viewer, blob: BlobId) -> Reply<'_, BlobState>;

    /// `POST /api/v1/blobs/{cid}/fetch`: fetches it, or a range of it; the last item is `Done`.
    /// Dropping the stream leaves what was verified in place.
    fn fetch_blob(&self, blob: BlobId, request: FetchRequest) -> Reply<'_, Items<FetchProgress>>;

    /// Opens a blob for `/ipfs/{cid}`. Where it isn't held, the size is asked of a peer.
    fn open_blob(&self, viewer: Viewer, blob: BlobId) -> Reply<'_, OpenBlob>;

    /// Verified bytes of exactly this range of a [`BlobBody::Partial`] blob, in order, beginning as
    /// soon as the first are verified. What is missing is fetched if the viewer may cause that.
    fn fetch_range(&self, viewer: Viewer, blob: BlobId, range: Range<u64>)
    -> Reply<'_, ByteStream>;

    /// `GET /blob/{cid}/outboard`: the BLAKE3 outboard in iroh-blobs' format, never `Partial`.
    fn outboard(&self, viewer: Viewer, blob: BlobId) -> Reply<'_, OpenBlob>;

    /// The dag-cbor block with this CID, as received: an entry, or the payload of one.
    fn block(&self, viewer: Viewer, cid: EntryId) -> Reply<'_, Bytes>;

    /// Follows a path below an IPFS root. With `local_only` nothing is asked of others. What isn't
    /// held, and a name that doesn't exist, is [`NodeError::NotFound`] or [`NodeError::NotHeld`].
    fn ipfs_resolve(
        &self,
        viewer: Viewer,
        root: Cid,
        path: Vec<String>,
        local_only: bool,
    ) -> Reply<'_, ResolvedPath>;

    /// Opens a UnixFS file, a block without structure, or a blob. A file that is one blob is
    /// [`BlobBody::File`]; [`BlobBody::Partial`] is read with [`Node::ipfs_range`].
    fn ipfs_open(&self, viewer: Viewer, cid: Cid) -> Reply<'_, OpenBlob>;

    /// Verified bytes of exactly this range of what [`Node::ipfs_open`] opened, in order.
    fn ipfs_range(&self, viewer: Viewer, cid: Cid, range: Range<u64>) -> Reply<'_, ByteStream>;

    /// One block, verified. Blobs over two mebibytes are no blocks.
    fn ipfs_block(&self, viewer: Viewer, cid: Cid) -> Reply<'_, Bytes>;

    /// The entries of a UnixFS directory.
    fn ipfs_list(&self, viewer: Viewer, cid: Cid) -> Reply<'_, IpfsListing>;

    /// A CAR. Its first item is waited for: a root that isn't held, or a path that leads nowhere,
    /// is an error and no stream. A block that is missing later is the last item, an `Err`.
    fn ipfs_car(&self, viewer: Viewer, request: CarRequest) -> Reply<'_, ByteStream>;

    /// `GET /routing/v1/providers/{cid}`: this node, where it holds the block and may say so.
    fn ipfs_providers(&self, cid: Cid) -> Reply<'_, Vec<IpfsProvider>>;

    /// `POST /api/v1/ipfs/{cid}/fetch`: reads from trustless gateways what a path from a root names;
    /// the last item is `Done`. Dropping the stream leaves what was verified in place.
    fn retrieve(&self, root: Cid, request: RetrieveRequest) -> Reply<'_, Items<RetrieveProgress>>;

    /// `GET /api/v1/denylist`.
    fn denied(&self) -> Reply<'_, Denied>;

    /// `POST /api/v1/denylist`: refuses a CID, and removes its bytes.
    fn deny(&self, cid: Cid, reason: Option<String>) -> Reply<'_, ()>;

    /// `DELETE /api/v1/denylist/{cid}`.
    fn allow(&self, cid: Cid) -> Reply<'_, ()>;

    /// `GET /api/v1/pins`.
    fn pins(&self) -> Reply<'_, Vec<data::Pin>>;

    /// `PUT /api/v1/pins/{cid}`: `id` is a thread, space or blob CID in text form.
    fn pin(&self, id: String, request: PinRequest) -> Reply<'_, data::Pin>;

    /// `DELETE /api/v1/pins/{cid}`.
    fn unpin(&self, id: String) -> Reply<'_, ()>;

    /// `GET /api/v1/identities/{cid}`, with a page of its newest posts.
    fn profile(
        &self,
        viewer: Viewer,
        identity: IdentityId,
        page: PageQuery,
    ) -> Reply<'_, data::Profile>;

    /// `PUT /api/v1/profile`: the owner's own; absent fields stay as they are.
    fn set_profile(&self, edit: ProfileEdit) -> Reply<'_, Written>;

    /// `PUT /api/v1/follows/{identity}`.
    fn follow(&self, identity: IdentityId, on: bool) -> Reply<'_, Written>;

    /// `POST /api/v1/verify`: checks everything held; the last item is `Done`.
    fn verify(&self) -> Reply<'_, Items<VerifyProgress>>;

    /// Events after `query.cursor`, at most `limit`, straight from the store. With no cursor:
    /// none, and `next` is now.
    fn events(&self, viewer: Viewer, query: EventQuery, limit: usize) -> Reply<'_, EventBatch>;

    /// Changes whenever an event was committed (the value is its sequence number). Subscribers
    /// then read on by cursor, so a slow one loses nothing and costs no buffer.
    fn event_head(&self) -> watch::Receiver<u64>;
}

/// Why the node could not do what was asked. Every message says what failed, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// There is no such thing, or the viewer may not know that there is.
    #[error("{0}")]
    NotFound(String),
    /// It isn't held here and no peer delivered it within the deadline.
    #[error("{what} is not held here and nobody delivered it in time{}", ways_on(.ways))]
    NotHeld {
        /// What was asked for, with its id.
        what: String,
        /// Sentences: what the person can do now.
        ways: Vec<String>,
    },
    /// The request makes no sense as it stands.
    #[error("{0}")]
    Invalid(String),
    /// It collides with what is held: not the author, locked thread, already so.
    #[error("{0}")]
    Conflict(String),
    /// Over a limit of the protocol or of the configuration.
    #[error("{what} is {size_bytes} bytes, over the limit of {limit_bytes}; make it smaller")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The byte quota of the data folder would be exceeded; nothing was written.
    #[error(
        "{needed_bytes} bytes don't fit: {used_bytes} of storage.max_bytes = {max_bytes} are used; \
         unpin something or raise storage.max_bytes"
    )]
    QuotaExceeded {
        /// Bytes that were to be written.
        needed_bytes: u64,
        /// Bytes used under the data folder.
        used_bytes: u64,
        /// The quota.
        max_bytes: u64,
    },
    /// On this node's denylist.
    #[error("{id} is on this node's denylist and is not served here: {reason}")]
    Denied {
        /// What is denied.
        id: String,
        /// The operator's reason.
        reason: String,
    },
    /// Needs the token or a session.
    #[error("{0}")]
    Unauthorized(String),
    /// The owner's identity has no right to do this.
    #[error("{0}")]
    Forbidden(String),
    /// Bytes don't match their hash, or a signature fails.
    #[error("{0}")]
    NotVerified(String),
    /// Too much at once; the same request may succeed later.
    #[error("{what}; try again in {retry_after_s} s")]
    Busy {
        /// What is exhausted.
        what: String,
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// The node is starting, stopping, or a part of it is switched off.
    #[error("{0}")]
    Unavailable(String),
    /// A part of a standard that this node doesn't have.
    #[error("{0}")]
    NotImplemented(String),
    /// A CID of a codec or hash function that this node doesn't read.
    #[error("{0}")]
    Unsupported(String),
    /// A fault of this machine: disk full, store corrupt, child process failed.
    #[error("cannot {act}: {source}")]
    Local {
        /// What the node tried to do.
        act: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl NodeError {
    /// A local fault while doing `act` ("store the entry").
    pub fn local(
        act: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Local {
            act: act.into(),
            source: source.into(),
        }
    }

    /// The API's error code; it decides HTTP status and exit code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::NotHeld { .. } => ErrorCode::NotHeld,
            Self::Invalid(_) => ErrorCode::Invalid,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::QuotaExceeded { .. } => ErrorCode::QuotaExceeded,
            Self::Denied { .. } => ErrorCode::Denied,
            Self::Unauthorized(_) => ErrorCode::Unauthorized,
            Self::Forbidden(_) => ErrorCode::Forbidden,
            Self::NotVerified(_) => ErrorCode::NotVerified,
            Self::Busy { .. } => ErrorCode::Busy,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::NotImplemented(_) => ErrorCode::NotImplemented,
            Self::Unsupported(_) => ErrorCode::Unsupported,
            Self::Local { .. } => ErrorCode::Local,
        }
    }
}

fn ways_on(ways: &[String]) -> String {
    if ways.is_empty() {
        String::new()
    } else {
        format!(". {}", ways.join(". "))
    }
}
