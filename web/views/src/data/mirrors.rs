//! Mirrors: what was promised, what is held, and who proves that it holds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What this node keeps for others, and who else does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorStatus {
    /// The rules of the configuration, in their order.
    pub rules: Vec<MirrorRule>,
    /// Room, and what fills it.
    pub quota: MirrorQuota,
    /// Blobs promised by pins, requests and rules together; each counts once.
    pub promised: u64,
    /// Of these, held in full.
    pub held: u64,
    /// Of these, not held in full.
    pub missing: u64,
    /// Bytes promised, as far as sizes are known.
    pub promised_bytes: u64,
    /// Of these, held and verified.
    pub held_bytes: u64,
    /// Of these, not here.
    pub missing_bytes: u64,
    /// Other mirrors of the same spaces.
    pub mirrors: Vec<Mirror>,
    /// What is promised and not here, longest missing first; bounded.
    #[serde(default)]
    pub missing_blobs: Vec<MissingBlob>,
    /// What an operator should look at; empty while all is well.
    #[serde(default)]
    pub problems: Vec<String>,
    /// When rules were evaluated last, Unix milliseconds; 0: never.
    pub evaluated_ms: u64,
}

/// A blob that is promised and not held in full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingBlob {
    /// CID of the blob.
    pub id: String,
    /// Who promised it: the id of a pin, or `rule 1`, in the order of the rules.
    pub promise: String,
    /// A post that names it.
    pub post: Option<String>,
    /// Its size as far as known.
    pub size_bytes: u64,
    /// Since when it should be here, Unix milliseconds.
    pub since_ms: u64,
    /// Endpoint ids, hex, of others that say they hold it.
    pub held_by: Vec<String>,
}

/// A rule of what is mirrored, and how it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorRule {
    /// `popular`, `all`, or the CID of a space, thread or identity.
    #[serde(rename = "match")]
    pub what: String,
    /// `none`, `thumbs` or `all`.
    pub media: String,
    /// Room for this rule; 0: no limit of its own.
    pub max_bytes: u64,
    /// Threads with a lower score are left out.
    pub min_score: Option<i64>,
    /// Threads without a post for this long are left out: `36h`, `30d`, `2w`.
    pub max_age: Option<String>,
    /// Enough when so many nodes hold a blob; 0: kept however many do.
    pub replicas: u32,
    /// Blobs that match.
    pub matched: u64,
    /// Of these, held in full.
    pub held: u64,
    /// Of these, wanted and not held in full.
    pub missing: u64,
    /// Of these that match, held by as many nodes as `replicas` asks for, at least by one.
    #[serde(default)]
    pub reached: u64,
    /// Bytes held for it.
    pub held_bytes: u64,
    /// Bytes wanted for it and not here.
    pub missing_bytes: u64,
    /// Blobs that went to make room, since the start.
    pub evicted: u64,
}

/// Room in the data folder, and what fills it: bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorQuota {
    /// Everything under the data folder.
    pub used_bytes: u64,
    /// The quota, `storage.max_bytes`.
    pub max_bytes: u64,
    /// Free on the disk.
    pub disk_free_bytes: u64,
    /// Entries and their indexes.
    pub entries_bytes: u64,
    /// Media pinned here, by the person or by request, and what the person uploaded.
    pub pinned_bytes: u64,
    /// Media kept by rules.
    pub mirrored_bytes: u64,
    /// Media that may go at any time.
    pub cached_bytes: u64,
}

/// Another mirror of spaces that this node mirrors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mirror {
    /// Endpoint id, hex.
    pub endpoint: String,
    /// Space ids.
    pub spaces: Vec<String>,
    /// Blobs that it says it holds.
    pub held: u64,
    /// Challenges that it answered right and in time.
    pub answered: u64,
    /// Challenges put to it.
    pub asked: u64,
    /// Its slowest right answer in time, milliseconds.
    pub within_ms: Option<u64>,
    /// When it was challenged last, Unix milliseconds.
    pub audited_ms: Option<u64>,
}

/// One round of challenges to a mirror. It proves delivery, not storage: somebody gave the bytes
/// within the deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Endpoint id of the mirror, hex.
    pub mirror: String,
    /// Endpoint id of who asked, hex.
    pub auditor: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// The space whose media were asked for, where there was one.
    pub space: Option<String>,
    /// CID of the thread whose media were asked for, or of the blob.
    #[serde(default)]
    pub id: Option<String>,
    /// Random ranges asked for.
    pub asked: u64,
    /// Answered with bytes that BLAKE3 proves, in time.
    pub answered: u64,
    /// Answered right but after the deadline.
    pub late: u64,
    /// Answered with bytes that don't match.
    pub wrong: u64,
    /// Not answered, or refused.
    pub unanswered: u64,
    /// The slowest right answer in time, milliseconds.
    pub within_ms: Option<u64>,
    /// The deadline, milliseconds.
    pub deadline_ms: u64,
    /// Why nothing could be asked.
    pub problem: Option<String>,
    /// The last failure, in words, and when it was, Unix milliseconds.
    #[serde(default)]
    pub failure: Option<(String, u64)>,
    /// The mirror counts among the holders: it didn't fail the last challenges in a row.
    #[serde(default)]
    pub is_counted: bool,
    /// The results, signed by the auditor, base64: anybody can check them.
    #[serde(default)]
    pub records: Vec<String>,
}

/// A promise that somebody asked for: by this node of a mirror, or by others of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PinAsked {
    /// Id of a thread, a space or a blob.
    pub id: String,
    /// `thread`, `space` or `blob`.
    pub kind: String,
    /// `none`, `thumbs` or `all`.
    pub media: String,
    /// The other side: an endpoint id where this node asked, an identity where it was asked.
    pub with: String,
    /// This node asked.
    pub is_ours: bool,
    /// The mirror promised it.
    pub accepted: bool,
    /// Why, or why not, in its words.
    pub reason: String,
    /// Bytes it may take at most.
    pub max_bytes: u64,
    /// When it was asked, Unix milliseconds.
    pub asked_ms: u64,
    /// Until when it is promised, Unix milliseconds; none: until taken back.
    pub until_ms: Option<u64>,
}
