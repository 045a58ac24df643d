//! Which topics the node is in, who is near on each, and what of their messages is taken.

use std::collections::{BTreeMap, BTreeSet};

use model::{EndpointKey, EntryId, SpaceId, topic_of_space, topic_of_thread};

use super::{bucket::Bucket, message::Message, seen::Seen};
use crate::{Follow, bounds};

/// Id of the topic of a space or thread.
pub fn topic_of(subject: &Follow) -> [u8; 32] {
    match subject {
        Follow::Space(space) => topic_of_space(space),
        Follow::Thread { root, .. } => topic_of_thread(root),
    }
}

/// What to do with bytes from a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Read it.
    Message(Follow, Message),
    /// Known, unreadable, or of a topic that was left: nothing.
    Dropped,
    /// Too many messages: the topic is to be left for a while.
    Flooded(Follow),
}

#[derive(Debug)]
struct Topic {
    subject: Follow,
    neighbors: BTreeSet<EndpointKey>,
    active_ms: u64,
    bucket: Bucket,
}

/// The topics a node is in.
#[derive(Debug)]
pub struct Topics {
    joined: BTreeMap<[u8; 32], Topic>,
    flooded: BTreeMap<Follow, u64>,
    seen: Seen,
    live_threads: usize,
}

impl Topics {
    /// In none yet; `live_threads`: topics of threads at once.
    pub fn new(live_threads: usize) -> Self {
        Self {
            joined: BTreeMap::new(),
            flooded: BTreeMap::new(),
            seen: Seen::new(bounds::SEEN_MESSAGES),
            live_threads: live_threads.min(bounds::LIVE_TOPICS),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.joined.len()
    }

    /// Whether in none.
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    /// All of them.
    pub fn subjects(&self) -> impl Iterator<Item = Follow> + '_ {
        self.joined.values().map(|topic| topic.subject)
    }

    /// Whether in a topic.
    pub fn contains(&self, subject: &Follow) -> bool {
        self.joined.contains_key(&topic_of(subject))
    }

    /// Joins a topic, or marks it as active. Gives whether it is new, and the topic to leave for it.
    pub fn touch(&mut self, subject: Follow, now_ms: u64) -> (bool, Option<Follow>) {
        if let Some(topic) = self.joined.get_mut(&topic_of(&subject)) {
            topic.active_ms = topic.active_ms.max(now_ms);
            return (false, None);
        }
        if self.flooded.contains_key(&subject) {
            return (false, None);
        }
        let evicted = match subject {
            Follow::Space(_) => None,
            Follow::Thread { .. } => match self.make_room(now_ms) {
                Ok(evicted) => evicted,
                Err(()) => return (false, None),
            },
        };
        let topic = Topic {
            subject,
            neighbors: BTreeSet::new(),
            active_ms: now_ms,
            bucket: Bucket::new(now_ms),
        };
        self.joined.insert(topic_of(&subject), topic);
        (true, evicted)
    }

    /// Gives up the thread that was quiet longest; refuses when none is quieter than the new one.
    fn make_room(&mut self, now_ms: u64) -> Result<Option<Follow>, ()> {
        let threads = self
            .joined
            .values()
            .filter(|topic| matches!(topic.subject, Follow::Thread { .. }));
        if threads.clone().count() < self.live_threads {
            return Ok(None);
        }
        let quietest = threads
            .min_by_key(|topic| (topic.active_ms, topic.subject))
            .filter(|topic| topic.active_ms <= now_ms)
            .map(|topic| topic.subject)
            .ok_or(())?;
        self.leave(&quietest);
        Ok(Some(quietest))
    }

    /// Leaves a topic; gives the neighbours it had.
    pub fn leave(&mut self, subject: &Follow) -> BTreeSet<EndpointKey> {
        let topic = self.joined.remove(&topic_of(subject));
        topic.map_or_else(BTreeSet::new, |topic| topic.neighbors)
    }

    /// A neighbour came or went; gives the topic's subject.
    pub fn neighbor(&mut self, topic: [u8; 32], peer: EndpointKey, up: bool) -> Option<Follow> {
        let topic = self.joined.get_mut(&topic)?;
        if up {
            topic.neighbors.insert(peer);
        } else {
            topic.neighbors.remove(&peer);
        }
        Some(topic.subject)
    }

    /// Neighbours on a topic.
    pub fn neighbors(&self, subject: &Follow) -> BTreeSet<EndpointKey> {
        let topic = self.joined.get(&topic_of(subject));
        topic.map_or_else(BTreeSet::new, |topic| topic.neighbors.clone())
    }

    /// On how many topics a peer is a neighbour.
    pub fn shared_with(&self, peer: EndpointKey) -> usize {
        let shared = self.joined.values().filter(|t| t.neighbors.contains(&peer));
        shared.count()
    }

    /// Subject of a topic that the node is in.
    pub fn subject(&self, topic: [u8; 32]) -> Option<Follow> {
        self.joined.get(&topic).map(|topic| topic.subject)
    }

    /// Judges bytes from a topic.
    pub fn admit(&mut self, topic: [u8; 32], bytes: &[u8], now_ms: u64) -> Admission {
        let Some(state) = self.joined.get_mut(&topic) else {
            return Admission::Dropped;
        };
        let subject = state.subject;
        if !state.bucket.take(1, now_ms) {
            return self.flood(subject, now_ms);
        }
        if !self.seen.insert(*blake3::hash(bytes).as_bytes()) {
            return Admission::Dropped;
        }
        match Message::decode(bytes) {
            Ok(message) => Admission::Message(subject, message),
            Err(_) => self.charge(subject, now_ms),
        }
    }

    /// Charges a topic for a message that was worth nothing, ten times over.
    pub fn charge(&mut self, subject: Follow, now_ms: u64) -> Admission {
        let Some(state) = self.joined.get_mut(&topic_of(&subject)) else {
            return Admission::Dropped;
        };
        if state.bucket.take(10, now_ms) {
            Admission::Dropped
        } else {
            self.flood(subject, now_ms)
        }
    }

    fn flood(&mut self, subject: Follow, now_ms: u64) -> Admission {
        self.flooded
            .insert(subject, now_ms + bounds::FLOOD_LEAVE_MS);
        Admission::Flooded(subject)
    }

    /// Topics left for flooding.
    pub fn flooded(&self) -> Vec<Follow> {
        self.flooded.keys().copied().collect()
    }

    /// Topics left for flooding whose time is over.
    pub fn calm(&mut self, now_ms: u64) -> Vec<Follow> {
        let over = self.flooded.iter().filter(|(_, until)| **until <= now_ms);
        let calm: Vec<Follow> = over.map(|(subject, _)| *subject).collect();
        for subject in &calm {
            self.flooded.remove(subject);
        }
        calm
    }

    /// Where an entry of a followed space is to be sent: its thread's topic when someone is there, else
    /// its space's.
    pub fn route(&self, space: SpaceId, root: Option<EntryId>) -> Vec<Follow> {
        if let Some(root) = root {
            let thread = Follow::Thread { space, root };
            if !self.neighbors(&thread).is_empty() {
                return vec![thread];
            }
        }
        let own = Follow::Space(space);
        if self.contains(&own) {
            vec![own]
        } else {
            Vec::new()
        }
    }

    /// The topics of all spaces: for what belongs to none of them, such as a person's new name.
    pub fn spaces(&self) -> Vec<Follow> {
        self.subjects()
            .filter(|subject| matches!(subject, Follow::Space(_)))
            .collect()
    }

    /// Remembers a hash among the messages; false when it was known.
    pub fn remember(&mut self, hash: [u8; 32]) -> bool {
        self.seen.insert(hash)
    }

    /// Whether a hash is remembered.
    pub fn remembers(&self, hash: &[u8; 32]) -> bool {
        self.seen.contains(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(number: u8) -> Follow {
        Follow::Thread {
            space: SpaceId::of(b"s"),
            root: EntryId::of(&[number]),
        }
    }

    fn peer(number: u8) -> EndpointKey {
        EndpointKey::from_bytes([number; 32])
    }

    #[test]
    fn the_quietest_thread_makes_room() {
        let mut topics = Topics::new(2);
        assert_eq!(
            topics.touch(Follow::Space(SpaceId::of(b"s")), 0),
            (true, None)
        );
        assert_eq!(topics.touch(thread(1), 10), (true, None));
        assert_eq!(topics.touch(thread(2), 20), (true, None));
        assert_eq!(topics.touch(thread(1), 30), (false, None));
        assert_eq!(topics.touch(thread(3), 40), (true, Some(thread(2))));
        assert_eq!(topics.touch(thread(4), 5), (false, None), "older than all");
        assert_eq!(topics.len(), 3);
    }

    #[test]
    fn entries_ride_on_the_space_where_the_thread_has_nobody() {
        let space = SpaceId::of(b"s");
        let mut topics = Topics::new(9);
        topics.touch(Follow::Space(space), 0);
        topics.touch(thread(1), 0);
        let root = Some(EntryId::of(&[1]));
        assert_eq!(topics.route(space, root), [Follow::Space(space)]);
        topics.neighbor(topic_of(&thread(1)), peer(1), true);
        assert_eq!(topics.route(space, root), [thread(1)]);
        assert_eq!(topics.route(space, None), [Follow::Space(space)]);
        let person = SpaceId::of(b"person");
        assert_eq!(topics.route(person, None), []);
        assert_eq!(topics.spaces(), [Follow::Space(space)]);
    }

    #[test]
    fn known_messages_and_garbage_are_dropped_and_a_flood_is_left() {
        let mut topics = Topics::new(9);
        let space = Follow::Space(SpaceId::of(b"s"));
        let topic = topic_of(&space);
        assert_eq!(topics.admit(topic, b"x", 0), Admission::Dropped);
        topics.touch(space, 0);
        let good = Message::Holdings(vec![vec![1]]);
        let first = topics.admit(topic, &good.encode(), 0);
        assert_eq!(first, Admission::Message(space, good.clone()));
        assert_eq!(topics.admit(topic, &good.encode(), 0), Admission::Dropped);
        let flooded = (0..10_000_u32)
            .find(|i| topics.admit(topic, &i.to_le_bytes(), 0) == Admission::Flooded(space));
        assert!(flooded.is_some_and(|count| u64::from(count) < bounds::TOPIC_BURST));
        topics.leave(&space);
        assert_eq!(topics.touch(space, 1), (false, None));
        assert_eq!(topics.calm(bounds::FLOOD_LEAVE_MS), [space]);
        assert_eq!(topics.touch(space, bounds::FLOOD_LEAVE_MS), (true, None));
    }
}
