//! What this node keeps for others, what it sends at most, and what it asks of other mirrors.

use gateway::api::types::PinMedia;
use serde::{Deserialize, Serialize};

use super::{GIB, MIB, size};

/// Caps over everything that leaves or reaches this machine: iroh, the relay, HTTP and BitTorrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traffic {
    /// Sent, bytes a second; 0: no cap.
    #[serde(with = "size")]
    pub max_out_bytes_per_s: u64,
    /// Received, bytes a second; 0: no cap.
    #[serde(with = "size")]
    pub max_in_bytes_per_s: u64,
    /// Sent in a calendar month (UTC), bytes; 0: no cap.
    #[serde(with = "size")]
    pub max_month_bytes: u64,
}

/// A rule of what is mirrored; rules are tried in their order, each post goes by the first that
/// matches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorRule {
    /// `popular`, `all`, or the CID of a space, thread or identity.
    #[serde(rename = "match")]
    pub what: String,
    /// Which media.
    #[serde(default)]
    pub media: PinMedia,
    /// Room for this rule, bytes; what matches least goes first. 0: only `storage.max_bytes` bounds it.
    #[serde(default, with = "size")]
    pub max_bytes: u64,
    /// Threads with a lower score are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_score: Option<i64>,
    /// Threads without a post for this long are left out: `36h`, `30d`, `2w`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// Enough when so many nodes hold a blob, this one included: what is rarer comes first, what more hold may
    /// go. 0: kept however many hold it.
    #[serde(default)]
    pub replicas: u32,
}

/// Who may ask this node to pin something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// Nobody.
    #[default]
    Nobody,
    /// Identities that this node's person follows.
    Followed,
    /// Everybody.
    Anyone,
}

/// Requests of others to pin something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PinRequests {
    /// Who may ask.
    pub accept: Accept,
    /// Room for what one requester asks for, bytes.
    #[serde(with = "size")]
    pub requester_bytes: u64,
    /// Room for all of them together, bytes.
    #[serde(with = "size")]
    pub total_bytes: u64,
    /// Largest single request, bytes.
    #[serde(with = "size")]
    pub item_bytes: u64,
}

/// Challenges to mirrors of what this node cares about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Seconds between two rounds; 0: only `datt mirror audit` asks.
    pub every_s: u64,
    /// An answer after this many milliseconds doesn't count.
    pub deadline_ms: u64,
}

impl Default for PinRequests {
    fn default() -> Self {
        Self {
            accept: Accept::Nobody,
            requester_bytes: GIB,
            total_bytes: 10 * GIB,
            item_bytes: 512 * MIB,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            every_s: 3_600,
            deadline_ms: 5_000,
        }
    }
}
