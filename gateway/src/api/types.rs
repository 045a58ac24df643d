//! Requests and answers of `/api/v1`: shared by the routes, the pages' forms and the command line.
//!
//! Ids are CIDv1 text in JSON; sizes are bytes, times milliseconds.

use model::{BlobId, EntryId, SpaceId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use views::data::{Availability, Sort};

pub use super::error_code::ErrorCode;

/// Every failed request of the API answers with this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The failure.
    pub error: ErrorDetail,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable name.
    pub code: ErrorCode,
    /// What failed, why, and what to do.
    pub message: String,
}

/// What a ticket shall lead to; with neither: to this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TicketQuery {
    /// Space id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub space: Option<SpaceId>,
    /// Entry CID of a thread's first post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub root: Option<EntryId>,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketAnswer {
    /// Text that `datt join` and `datt up --peer` take.
    pub ticket: String,
}

/// Who may post on a board. A view and replication rule, never validity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Anybody.
    #[default]
    Open,
    /// Shown once approved.
    Approval,
    /// Members only.
    Members,
    /// Nobody for now.
    Closed,
}

impl Policy {
    /// The word in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approval => "approval",
            Self::Members => "members",
            Self::Closed => "closed",
        }
    }
}

/// A new board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSpace {
    /// Title, at most 100 bytes.
    pub title: String,
    /// Description, markdown.
    #[serde(default)]
    pub about: String,
    /// Rules, markdown.
    #[serde(default)]
    pub rules: String,
    /// BCP 47 language tag; empty: not said.
    #[serde(default)]
    pub lang: String,
    /// Who may post.
    #[serde(default)]
    pub policy: Policy,
    /// Never announced; the id is the capability.
    #[serde(default)]
    pub unlisted: bool,
    /// Schema text; none: the built-in forum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

/// A board was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpaceCreated {
    /// Space id.
    pub space: String,
    /// Ticket for others.
    pub ticket: String,
}

/// What to follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// Ticket, or the id of a space, thread or identity.
    pub target: String,
}

/// What is followed now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Joined {
    /// What it is.
    pub kind: JoinedKind,
    /// Its id.
    pub id: String,
}

/// Kinds of things to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JoinedKind {
    /// A board or another space.
    Space,
    /// A thread.
    Thread,
    /// A person or group.
    Identity,
}

/// Which threads, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ThreadsQuery {
    /// Of this board; none: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub space: Option<SpaceId>,
    /// Order.
    #[serde(default)]
    pub sort: Sort,
    /// Cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; the gateway has clamped it to 1..=200. None: the node's own page size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Part of a long list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; the gateway has clamped it to 1..=1000. None: the node's own page size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A new post: a thread (`space`, `title`) or a reply (`reply_to`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPost {
    /// Board of a new thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub space: Option<SpaceId>,
    /// Post that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reply_to: Option<EntryId>,
    /// Title of a new thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Link of a link post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Body, markdown.
    #[serde(default)]
    pub body: String,
    /// Media, already imported.
    #[serde(default)]
    pub media: Vec<MediaRef>,
    /// BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Covered until asked for.
    #[serde(default)]
    pub nsfw: bool,
}

/// A medium of a new post: a blob CID, or the same with name and description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum MediaRef {
    /// Blob CID.
    #[schema(value_type = String)]
    Blob(BlobId),
    /// Blob CID with name and description.
    Named(NamedMedia),
}

/// A medium with name and description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedMedia {
    /// Blob CID.
    #[schema(value_type = String)]
    pub blob: BlobId,
    /// File name; none: as it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description for those who can't see or hear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
}

impl MediaRef {
    /// The blob.
    pub fn blob(&self) -> BlobId {
        match self {
            Self::Blob(blob) => *blob,
            Self::Named(named) => named.blob,
        }
    }
}

/// A post was published: it is on disk, and on its way to peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// Entry CID.
    pub id: String,
    /// To how many it went, and who holds it.
    pub availability: Availability,
    /// What the author should know (no thumbnail: ffmpeg missing, ...).
    pub warnings: Vec<String>,
}

/// An edit of one's own post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// New body, markdown.
    pub body: String,
}

/// An entry was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// Entry CID.
    pub id: String,
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// -1, 0 (taken back) or 1.
    #[schema(minimum = -1, maximum = 1)]
    pub dir: i8,
}

/// A vote was cast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Voted {
    /// Entry CID of the vote.
    pub id: String,
    /// Score of the post now.
    pub score: i64,
}

/// What a moderator can do to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkAct {
    /// Not shown.
    Hide,
    /// No replies.
    Lock,
    /// Kept on top.
    Pin,
    /// Covered.
    Nsfw,
}

impl MarkAct {
    /// The word in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hide => "hide",
            Self::Lock => "lock",
            Self::Pin => "pin",
            Self::Nsfw => "nsfw",
        }
    }
}

/// A moderator's mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    /// What.
    pub act: MarkAct,
    /// Take it back.
    #[serde(default)]
    pub off: bool,
    /// Why, for everybody to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A report to the moderators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Why.
    pub why: String,
}

/// File name of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UploadQuery {
    /// File name, without folders.
    #[serde(default)]
    pub name: String,
}

/// A file of the node's machine to import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PathRequest {
    /// Absolute path.
    pub path: String,
}

/// A blob was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobAdded {
    /// Blob CID.
    pub blob: String,
    /// File name.
    pub name: String,
    /// Media type by its first bytes.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Size.
    pub size_bytes: u64,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Playing time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Blob CID of the thumbnail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumb: Option<String>,
    /// Why something is missing, or what to know about the file.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Progress of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ImportProgress {
    /// Under way.
    Progress {
        /// `copy`, `hash`, `probe`, ...
        stage: String,
        /// Bytes done in this stage.
        done_bytes: u64,
        /// Bytes of this stage.
        total_bytes: u64,
    },
    /// Imported and on disk.
    Done(BlobAdded),
}

/// What is held of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobState {
    /// Blob CID.
    pub blob: String,
    /// Size; 0 while unknown.
    pub size_bytes: u64,
    /// Verified bytes held here.
    pub held_bytes: u64,
    /// All of it is held.
    pub complete: bool,
    /// Media type by its first bytes, or `application/octet-stream`. Filled by the gateway's sniffing.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Who else has it.
    pub availability: Availability,
}

/// What to fetch of a blob.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// First byte and the byte after the last; none: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u64>>)]
    pub range: Option<[u64; 2]>,
}

/// Progress of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum FetchProgress {
    /// Under way.
    Progress {
        /// Verified bytes held of what was asked.
        held_bytes: u64,
        /// Bytes asked for; 0 while unknown.
        total_bytes: u64,
    },
    /// All that was asked is held and verified.
    Done {
        /// Bytes held.
        held_bytes: u64,
        /// Size of the blob.
        total_bytes: u64,
    },
}

/// Which media a pin keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PinMedia {
    /// Entries only.
    None,
    /// Thumbnails and captions.
    Thumbs,
    /// All.
    #[default]
    All,
}

impl PinMedia {
    /// The word in requests and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Thumbs => "thumbs",
            Self::All => "all",
        }
    }
}

/// How to pin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// Which media.
    #[serde(default)]
    pub media: PinMedia,
    /// Byte limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// A new pin, by `POST /api/v1/pins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPin {
    /// CID of a thread, space or blob.
    pub id: String,
    /// Which media.
    #[serde(default)]
    pub media: PinMedia,
    /// Byte limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// An edit of one's own profile; absent fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileEdit {
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// About, markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Blob CID of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub avatar: Option<BlobId>,
    /// Where the identity can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homes: Option<Vec<String>>,
}

/// Follow or stop following.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowRequest {
    /// Follow.
    pub on: bool,
}

/// Progress of a check of everything held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum VerifyProgress {
    /// Under way.
    Progress {
        /// Items checked.
        checked: u64,
        /// Items to check.
        total: u64,
        /// `entries`, `blobs`, `indexes`.
        stage: String,
    },
    /// Everything was checked.
    Done {
        /// Nothing wrong.
        ok: bool,
        /// What is wrong, one sentence each, bounded.
        problems: Vec<String>,
    },
}

/// A one-time sign-in URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInUrl {
    /// Open it in a browser within ten minutes; it works once.
    pub url: String,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// After this one (`epoch:sequence`); none: from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Of this thread only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub root: Option<EntryId>,
    /// Of this space only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[param(value_type = Option<String>)]
    pub space: Option<SpaceId>,
}
