//! Where an entry comes from, and why it counts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Author, Verdict};

/// "How do I know?": everything this node can show for an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provenance {
    /// Entry CID.
    pub id: String,
    /// Length of the entry.
    pub size_bytes: u64,
    /// Author.
    pub author: Author,
    /// Device key that signed, hex.
    pub device: String,
    /// Ed25519 signature, hex.
    pub signature: String,
    /// The signature was checked again for this answer.
    pub signature_ok: bool,
    /// Position in the device's feed in this space.
    pub seq: u64,
    /// Entry before it in that feed.
    pub backlink: Option<String>,
    /// Causal parents.
    pub parents: Vec<String>,
    /// Causal depth.
    pub depth: u64,
    /// Thread.
    pub root: Option<String>,
    /// Space.
    pub space: Option<String>,
    /// Grant cited.
    pub grant: Option<String>,
    /// Schema CID and its name.
    pub schema: String,
    /// Table of the schema.
    pub table: String,
    /// Author's clock.
    pub time_ms: u64,
    /// Payload CID.
    pub payload: String,
    /// Claimed payload size.
    pub payload_bytes: u64,
    /// The payload is held and hashes to its CID.
    pub payload_ok: bool,
    /// Verdict.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub verdict_reason: String,
    /// Where it came from: `this node`, or the peer's endpoint id.
    pub source: String,
    /// When it arrived by this node's clock.
    pub received_ms: u64,
    /// Other nodes known to hold its thread in full: endpoint ids.
    pub held_by: Vec<String>,
}
