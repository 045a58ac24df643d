//! What survives a crash: a replica, and what a test wants to know of it.

use gossip::{Follow, MemoryReplica, Packet, Replica};
use model::{EntryId, SpaceId};

/// A replica that the simulation can write to and look into.
pub trait Disk: Replica {
    /// Begins to want something.
    fn follow(&self, follow: Follow);

    /// Stores what this node's own people made.
    fn insert(&self, packet: Packet) -> EntryId;

    /// What a reader of the space would see: equal on all nodes once they converged.
    fn view(&self, space: SpaceId) -> Vec<u8>;
}

impl Disk for MemoryReplica {
    fn follow(&self, follow: Follow) {
        Self::follow(self, follow);
    }

    fn insert(&self, packet: Packet) -> EntryId {
        Self::insert(self, packet).expect("people write valid entries")
    }

    fn view(&self, space: SpaceId) -> Vec<u8> {
        let mut digests = self.digests(space).expect("memory does not fail");
        digests.sort_by_key(|digest| digest.root);
        format!("{digests:?}").into_bytes()
    }
}
