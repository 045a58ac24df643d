//! What survives a crash: a replica, and what a test wants to know of it.

use gossip::{Follow, Packet, Replica};
use model::{EntryId, SpaceId};

/// A replica that the simulation can write to and look into.
pub trait Disk: Replica {
    /// Begins to want something.
    fn follow(&self, follow: Follow);

    /// Stores what this node's own people made.
    fn insert(&self, packet: Packet) -> EntryId;

    /// Whether an entry is held and counts, so that one can answer to it.
    fn counts(&self, id: EntryId) -> bool;

    /// What a reader of the space would see: equal on all nodes once they converged.
    fn view(&self, space: SpaceId) -> Vec<u8>;
}
