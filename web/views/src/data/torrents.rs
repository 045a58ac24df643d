//! Swarms: what goes into them, what comes out of them, and where bytes came from.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a file may travel. The order is that of reach.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Publicity {
    /// Over this node's web server only.
    Gateway,
    /// To other nodes of datt too.
    #[default]
    Peers,
    /// Into BitTorrent swarms too.
    Swarm,
}

impl Publicity {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Peers, Self::Swarm];

    /// The word in requests and forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Peers => "peers",
            Self::Swarm => "swarm",
        }
    }

    /// Who may carry it, in a few words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Gateway => "This node only",
            Self::Peers => "Other nodes",
            Self::Swarm => "BitTorrent too",
        }
    }
}

/// Text that is no [`Publicity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPublicity;

impl FromStr for Publicity {
    type Err = UnknownPublicity;

    fn from_str(text: &str) -> Result<Self, UnknownPublicity> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str() == text).ok_or(UnknownPublicity)
    }
}

/// What became of an author's word that an infohash names the same bytes as a blob CID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// The bytes were held against both names, or the infohash was computed here.
    Verified,
    /// The bytes aren't all here yet.
    #[default]
    Unchecked,
    /// The infohash is not that of these bytes.
    False,
}

/// A file's name in swarms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TorrentName {
    /// BitTorrent v1 infohash, 40 hex digits; `/torrent/{infohash}` gives the `.torrent`.
    pub infohash: String,
    /// Magnet link.
    pub magnet: String,
    /// Whether it names these bytes.
    pub claim: Claim,
    /// `/torrent/{infohash}` answers: this node has the metainfo and may give it away.
    pub has_file: bool,
}

/// A torrent that this node seeds, offers or downloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Torrent {
    /// BitTorrent v1 infohash, 40 hex digits.
    pub infohash: String,
    /// Name in the metainfo; the person's file name where there is one.
    pub name: String,
    /// Magnet link.
    pub magnet: String,
    /// Bytes of its files together.
    pub size_bytes: u64,
    /// Blob CIDs of its files, in their order; bounded.
    pub blobs: Vec<String>,
    /// It is in the session now; others come in when somebody asks for them.
    pub is_live: bool,
    /// Outside the active hours, or stopped by the person.
    pub is_paused: bool,
    /// Peers connected now.
    pub peers: u64,
    /// Sent to peers since the start.
    pub sent_bytes: u64,
    /// Received from peers since the start.
    pub received_bytes: u64,
    /// How far it may travel.
    pub publicity: Publicity,
    /// Whether its infohash names its blobs.
    pub claim: Claim,
}

/// What kind of source gave bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShareKind {
    /// Another node of datt.
    Peer,
    /// A peer of a BitTorrent swarm.
    Swarm,
    /// An HTTP gateway.
    Gateway,
}

/// How a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShareState {
    /// Being connected to.
    Connecting,
    /// Bytes are asked of it.
    Active,
    /// Connected; nothing is asked of it now.
    Idle,
    /// It failed, and is tried again later.
    Suspended,
    /// It sent bytes that don't match their hash, and is not asked again.
    Banned,
    /// It left, failed for good, or everything is here.
    Gone,
}

/// What one source gave of a blob, now and in the last minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Who: a shortened endpoint id, an address, a host.
    pub label: String,
    /// What kind of source.
    pub kind: ShareKind,
    /// Verified bytes that came from it.
    pub bytes: u64,
    /// Rate now.
    pub bytes_per_s: u64,
    /// How it is doing.
    pub state: ShareState,
    /// Bytes of each of the last seconds up to now, oldest first: from when the source was first
    /// asked, so that their number differs from source to source.
    pub samples: Vec<u64>,
}
