//! What this node tells others.

use std::collections::{BTreeMap, BTreeSet};

use model::{Entry, EntryId, SpaceId};

use super::{Node, Output};
use crate::{
    Follow, Packet, Replica, ReplicaError, bounds,
    live::{Message, topic_of},
    sync::digest_hash,
};

/// A thread's digest is announced at most once in this time, milliseconds.
const ANNOUNCE_MS: u64 = 1_000;
/// After a session it waits up to this long more, for others to say the same first, milliseconds.
const ECHO_MS: u64 = 1_000;

impl Node {
    pub(super) fn publish(
        &mut self,
        ids: &[EntryId],
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let mut places: BTreeMap<(SpaceId, Option<EntryId>), Vec<Packet>> = BTreeMap::new();
        for packet in replica.packets(ids)?.into_iter().flatten() {
            if let Some((space, root, begins)) = place(&packet, replica)? {
                if let Some(root) = root {
                    self.touch(Follow::Thread { space, root }, now_ms);
                    self.note_change(space, root, now_ms);
                }
                // Of a new thread nobody knows the topic yet.
                let root = root.filter(|_| !begins);
                places.entry((space, root)).or_default().push(packet);
            }
        }
        for ((space, root), packets) in places {
            let followed = self.follows.iter().any(|follow| follow.space() == space);
            let topics = if followed {
                self.topics.route(space, root)
            } else {
                self.topics.spaces()
            };
            for message in Message::of_entries(space, root, packets) {
                self.broadcast(&topics, &message);
            }
        }
        Ok(())
    }

    pub(super) fn announce_holdings(
        &mut self,
        space: SpaceId,
        statements: Vec<(Option<EntryId>, Vec<u8>)>,
    ) {
        let mut places: BTreeMap<Option<EntryId>, Vec<Vec<u8>>> = BTreeMap::new();
        for (root, statement) in statements {
            places.entry(root).or_default().push(statement);
        }
        for (root, statements) in places {
            let topics = self.topics.route(space, root);
            for message in Message::of_holdings(statements) {
                self.broadcast(&topics, &message);
            }
        }
    }

    fn broadcast(&mut self, topics: &[Follow], message: &Message) {
        let bytes = message.encode();
        // What we said ourselves need not be read when it comes back.
        self.topics.remember(*blake3::hash(&bytes).as_bytes());
        for subject in topics {
            let topic = topic_of(subject);
            let bytes = bytes.clone();
            self.outputs.push(Output::Broadcast { topic, bytes });
        }
    }

    /// A thread changed: those who are not on its topic hear of it by its digest, soon.
    pub(super) fn note_change(&mut self, space: SpaceId, root: EntryId, now_ms: u64) {
        let echo = ANNOUNCE_MS / 2 + self.schedule.spread(ECHO_MS);
        if self.changed.len() < bounds::AGENDA {
            self.changed.entry((space, root)).or_insert(now_ms + echo);
        }
    }

    /// Announces the digests of changed threads on their spaces' topics, unless others did.
    pub(super) fn announce_changes(
        &mut self,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let due: BTreeSet<(SpaceId, EntryId)> = self
            .changed
            .iter()
            .filter(|(_, due_ms)| **due_ms <= now_ms)
            .map(|(thread, _)| *thread)
            .collect();
        let mut spaces: BTreeMap<SpaceId, Vec<crate::Digest>> = BTreeMap::new();
        for (space, root) in due {
            self.changed.remove(&(space, root));
            if let Some(digest) = replica.digest(root)?
                && self.topics.remember(digest_hash(&digest))
            {
                spaces.entry(space).or_default().push(digest);
            }
        }
        for (space, digests) in spaces {
            let topic = Follow::Space(space);
            if self.topics.contains(&topic) {
                for message in Message::of_digests(space, &digests) {
                    self.broadcast(&[topic], &message);
                }
            }
        }
        Ok(())
    }
}

/// An entry's space and thread, and whether it is the thread's first post.
pub(super) fn place(
    packet: &Packet,
    replica: &dyn Replica,
) -> Result<Option<(SpaceId, Option<EntryId>, bool)>, ReplicaError> {
    let Ok(entry) = Entry::decode(&packet.entry) else {
        return Ok(None);
    };
    let header = entry.header();
    let space = header.space.unwrap_or_else(|| SpaceId::from(entry.id()));
    if header.root.is_some() {
        return Ok(Some((space, header.root, false)));
    }
    let begins = replica.digest(entry.id())?.is_some();
    Ok(Some((space, begins.then_some(entry.id()), begins)))
}
