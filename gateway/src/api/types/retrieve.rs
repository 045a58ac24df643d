//! Reading from IPFS gateways, and refusing what is denied.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to read of an IPFS root, and from whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrieveRequest {
    /// Segments of a path below the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Trustless gateways to ask; none: those of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
}

/// Progress of reading from gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RetrieveProgress {
    /// Under way.
    Progress {
        /// Verified bytes of blocks held.
        held_bytes: u64,
        /// Bytes of all blocks, as the root claims; 0 while unknown.
        total_bytes: u64,
    },
    /// A gateway did something wrong; what it sent of it was thrown away.
    Fault(GatewayFault),
    /// Everything is held and verified.
    Done(Retrieved),
}

/// What a gateway did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayFault {
    /// Its URL.
    pub gateway: String,
    /// CID of what was asked of it.
    pub cid: String,
    /// What it did.
    pub what: String,
    /// It isn't asked again for this.
    pub is_lie: bool,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retrieved {
    /// CID of what the path names.
    pub cid: String,
    /// What that is.
    pub kind: RetrievedKind,
    /// Bytes of the file, or of a block of data; 0 of everything else.
    pub size_bytes: u64,
    /// Blob CID, if it is a file that is one blob here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// Files below it that became blobs.
    pub files: u64,
    /// Bytes of blocks that came from gateways; 0 when everything was held.
    pub fetched_bytes: u64,
    /// What gateways did wrong meanwhile, bounded.
    pub faults: Vec<GatewayFault>,
}

/// What a CID names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetrievedKind {
    /// A UnixFS file, or bytes without structure.
    File,
    /// A UnixFS directory.
    Directory,
    /// A UnixFS symlink.
    Symlink,
    /// A block of data.
    Data,
}

/// What to deny, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// Any CID; its hash counts, under all names of the same bytes.
    pub cid: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is denied here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denied {
    /// Denied by the person, bounded.
    pub own: Vec<DeniedCid>,
    /// All lists in force, the last word last.
    pub lists: Vec<DenylistState>,
}

/// A CID that the person denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeniedCid {
    /// As it was written down.
    pub cid: String,
    /// Why.
    pub reason: String,
}

/// A denylist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DenylistState {
    /// Its file.
    pub file: String,
    /// Rules in force.
    pub rules: u32,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
