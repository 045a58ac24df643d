//! Reading and writing threads.

use model::{BlobId, EntryId, SpaceId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use views::data::{Availability, Publicity, Sort};

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
    /// How far it may travel; none: as the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publicity: Option<Publicity>,
}

impl MediaRef {
    /// The blob.
    pub fn blob(&self) -> BlobId {
        match self {
            Self::Blob(blob) => *blob,
            Self::Named(named) => named.blob,
        }
    }

    /// How far it may travel, if that was said.
    pub fn publicity(&self) -> Option<Publicity> {
        match self {
            Self::Blob(_) => None,
            Self::Named(named) => named.publicity,
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
