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
/// Messages about a person that go to the topics of boards within [`PERSONAL_MS`]; more are left to
/// sync.
const PERSONAL: u32 = 30;
/// How long those count, milliseconds.
const PERSONAL_MS: u64 = 60_000;
/// Topics that such a message goes to.
const PERSONAL_TOPICS: usize = 64;
/// Threads of an unlisted space that are looked through for whether a person wrote there.
const WROTE_THREADS: usize = 256;

/// What was told of persons lately.
#[derive(Debug, Default)]
pub(super) struct Personal {
    since_ms: u64,
    messages: u32,
}

impl Personal {
    /// Whether one more may go out.
    fn take(&mut self, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.since_ms) >= PERSONAL_MS {
            *self = Self {
                since_ms: now_ms,
                messages: 0,
            };
        }
        self.messages = self.messages.saturating_add(1);
        self.messages <= PERSONAL
    }
}

impl Node {
    pub(super) fn publish(
        &mut self,
        ids: &[EntryId],
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let mut places: BTreeMap<(SpaceId, Option<EntryId>, bool), Vec<Packet>> = BTreeMap::new();
        for packet in replica.packets(ids)?.into_iter().flatten() {
            if let Some(place) = place(&packet, replica)? {
                let space = place.space;
                if let Some(root) = place.root {
                    self.touch(Follow::Thread { space, root }, now_ms);
                    self.note_change(space, root, now_ms);
                }
                // Of a new thread nobody knows the topic yet.
                let root = place.root.filter(|_| !place.begins);
                let of_place = places.entry((space, root, place.personal)).or_default();
                of_place.push(packet);
            }
        }
        for ((space, root, personal), packets) in places {
            let mut topics = self.topics.route(space, root);
            let own = topics.len();
            if personal {
                topics.extend(self.topics_of_person(space, replica)?);
            }
            for message in Message::of_entries(space, root, packets) {
                let all = personal && self.personal.take(now_ms);
                let count = if all { topics.len() } else { own };
                self.broadcast(&topics[..count], &message);
            }
        }
        Ok(())
    }

    /// Where those are who may know a person: the topics of other spaces, of unlisted ones only when
    /// the person wrote there.
    fn topics_of_person(
        &self,
        person: SpaceId,
        replica: &dyn Replica,
    ) -> Result<Vec<Follow>, ReplicaError> {
        let mut topics = Vec::new();
        for subject in self.topics.spaces() {
            let space = subject.space();
            if topics.len() == PERSONAL_TOPICS {
                break;
            }
            let unlisted = self.unlisted.contains_key(&space) || replica.is_unlisted(space)?;
            if space != person && (!unlisted || wrote_in(person, space, replica)?) {
                topics.push(subject);
            }
        }
        Ok(topics)
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

/// Whether a person is among the authors of a space's newest threads.
fn wrote_in(person: SpaceId, space: SpaceId, replica: &dyn Replica) -> Result<bool, ReplicaError> {
    let mut digests = replica.digests(space)?;
    digests.sort_by_key(|digest| std::cmp::Reverse((digest.last_ms, digest.root)));
    for digest in digests.iter().take(WROTE_THREADS) {
        let authors = replica.thread_authors(digest.root)?;
        if authors.iter().any(|author| author.space() == person) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where an entry belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its space.
    pub space: SpaceId,
    /// Its thread, as far as is known here.
    pub root: Option<EntryId>,
    /// Whether it is the thread's first post.
    pub begins: bool,
    /// Whether it is in its author's own space: a name, a device.
    pub personal: bool,
}

/// An entry's place; none when it can't be read.
pub(super) fn place(packet: &Packet, replica: &dyn Replica) -> Result<Option<Place>, ReplicaError> {
    let Ok(entry) = Entry::decode(&packet.entry) else {
        return Ok(None);
    };
    let header = entry.header();
    let space = header.space.unwrap_or_else(|| SpaceId::from(entry.id()));
    if header.root.is_some() {
        return Ok(Some(Place {
            space,
            root: header.root,
            begins: false,
            personal: false,
        }));
    }
    let begins = replica.digest(entry.id())?.is_some();
    let own = header.identity.is_none_or(|author| author.space() == space);
    Ok(Some(Place {
        space,
        root: begins.then_some(entry.id()),
        begins,
        personal: own && !begins,
    }))
}
