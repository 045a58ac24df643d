//! Gossip topics: derived, never the bare CID, so that a topic does not reveal what it is about.

use crate::{EntryId, SpaceId};

/// Topic of a thread.
pub fn topic_of_thread(root: &EntryId) -> [u8; 32] {
    blake3::derive_key("datt 2026 gossip topic of a thread", root.as_bytes())
}

/// Topic of a space's digests.
pub fn topic_of_space(space: &SpaceId) -> [u8; 32] {
    blake3::derive_key("datt 2026 gossip topic of a space", space.as_bytes())
}
