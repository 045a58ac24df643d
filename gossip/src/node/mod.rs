//! The node's part in the exchange: topics and schedule joined into one core.
//!
//! Whoever drives it hands in what happened and the time, carries out the outputs, and calls it with
//! [`Input::Tick`] a few times a second.

mod intake;
mod outflow;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use model::{EndpointKey, EntryId, SpaceId};

use crate::{
    Digest, Event, Fingerprint, Follow, Missing, Packet, Replica, ReplicaError, Scope, bounds,
    live::{Topics, topic_of},
    schedule::{Ending, Plan, Schedule, Start, scope_of},
    sync::News,
};

/// Without a tick for this long the machine slept, milliseconds.
const SLEPT_MS: u64 = 30_000;
/// Threads quiet for longer are not joined at the start, milliseconds.
const LIVE_AGE_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Peers invited to a topic at once.
const INVITED: usize = 8;
/// What pending entries wait for is chased again after this long, milliseconds; the double each time
/// that nothing of it came.
const CHASE_MS: u64 = 5_000;
/// Longest wait between chases, milliseconds.
const CHASE_MOST_MS: u64 = 10 * 60 * 1000;
/// How often topics without neighbours invite again, milliseconds.
const INVITE_MS: u64 = 5_000;

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The node starts: everything followed is joined.
    Start,
    /// Something is followed from now on, the replica wants it already; and peers that know of it.
    Follow(Follow, Vec<EndpointKey>),
    /// Something is followed no longer.
    Unfollow(Follow),
    /// A peer to try.
    Peer(EndpointKey),
    /// Entries that the replica has since just now: tell others.
    Publish(Vec<EntryId>),
    /// Holding statements to gossip, each with its thread, if any.
    Holdings(SpaceId, Vec<(Option<EntryId>, Vec<u8>)>),
    /// A direct neighbour on a topic came or went.
    Neighbor {
        /// The topic.
        topic: [u8; 32],
        /// Who.
        peer: EndpointKey,
        /// Came.
        up: bool,
    },
    /// Bytes from a topic.
    Received {
        /// The topic.
        topic: [u8; 32],
        /// The last hop: it only forwards.
        from: EndpointKey,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Messages of a topic were lost.
    Lagged {
        /// The topic.
        topic: [u8; 32],
    },
    /// Sync a scope with everyone who is up, now.
    Sync(Scope),
    /// News from a session: of ours, by its id, or from one that a peer opened.
    News {
        /// Ours.
        session: Option<u64>,
        /// With whom.
        peer: EndpointKey,
        /// What.
        news: Vec<News>,
    },
    /// A session of ours ended.
    Ended {
        /// Which.
        session: u64,
        /// With whom.
        peer: EndpointKey,
        /// How.
        ending: Ending,
    },
    /// A session that a peer opened ended with its lie.
    Lied {
        /// Who.
        peer: EndpointKey,
        /// What it did.
        reason: String,
    },
    /// The address changed.
    NetworkChange,
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Subscribe to a topic.
    Join {
        /// The topic.
        topic: [u8; 32],
        /// Whom to join through.
        peers: Vec<EndpointKey>,
    },
    /// Try more peers on a topic.
    Invite {
        /// The topic.
        topic: [u8; 32],
        /// Whom.
        peers: Vec<EndpointKey>,
    },
    /// Leave a topic.
    Leave {
        /// The topic.
        topic: [u8; 32],
    },
    /// Send a message to all on a topic.
    Broadcast {
        /// The topic.
        topic: [u8; 32],
        /// The message.
        bytes: Vec<u8>,
    },
    /// Open a session.
    Start(Start),
    /// Ban a peer until then, Unix milliseconds: no session in either direction.
    Ban {
        /// Who.
        peer: EndpointKey,
        /// Until when.
        until_ms: u64,
    },
    /// Tell the rest of the node.
    Event(Event),
}

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    up: bool,
    seen_ms: u64,
}

/// A digest heard of, to be checked again when gossip had its time.
#[derive(Clone, Copy, Debug)]
struct Rumor {
    space: SpaceId,
    digest: Digest,
    from: EndpointKey,
    due_ms: u64,
}

/// What is chased, and when next.
#[derive(Debug, Default)]
struct Chase {
    missing: Missing,
    due_ms: u64,
    wait_ms: u64,
}

/// The core.
#[derive(Debug)]
pub struct Node {
    me: EndpointKey,
    topics: Topics,
    schedule: Schedule,
    follows: BTreeSet<Follow>,
    /// Unlisted spaces that are followed, and who knows of them.
    unlisted: BTreeMap<SpaceId, BTreeSet<EndpointKey>>,
    peers: BTreeMap<EndpointKey, Peer>,
    bans: BTreeMap<EndpointKey, u64>,
    rumors: BTreeMap<EntryId, Rumor>,
    changed: BTreeMap<(SpaceId, EntryId), u64>,
    incoming: Vec<(EndpointKey, Follow, Packet)>,
    chase: Chase,
    personal: outflow::Personal,
    ticked_ms: u64,
    invited_ms: u64,
    outputs: Vec<Output>,
}

impl Node {
    /// A node that follows nothing until it starts. `seed` is for jitter; `live_threads`: topics of
    /// threads to be in at once.
    pub fn new(me: EndpointKey, seed: u64, live_threads: usize, now_ms: u64) -> Self {
        Self {
            me,
            topics: Topics::new(live_threads),
            schedule: Schedule::new(seed),
            follows: BTreeSet::new(),
            unlisted: BTreeMap::new(),
            peers: BTreeMap::new(),
            bans: BTreeMap::new(),
            rumors: BTreeMap::new(),
            changed: BTreeMap::new(),
            incoming: Vec::new(),
            chase: Chase::default(),
            personal: outflow::Personal::default(),
            ticked_ms: now_ms,
            invited_ms: now_ms,
            outputs: Vec::new(),
        }
    }

    /// Takes what happened; entries of all messages go to the replica as one batch.
    ///
    /// # Errors
    /// When the replica failed; what was not handled heals by the next check.
    pub fn handle(
        &mut self,
        inputs: Vec<Input>,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<Vec<Output>, ReplicaError> {
        for input in inputs {
            self.take(input, now_ms, replica)?;
        }
        self.submit(now_ms, replica)?;
        for start in self.schedule.start(now_ms) {
            self.outputs.push(Output::Start(start));
        }
        Ok(std::mem::take(&mut self.outputs))
    }

    /// The topics the node is in.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Sessions that the node opened and that are under way.
    pub fn sessions(&self) -> usize {
        self.schedule.running()
    }

    /// Known peers: whether each is up, and when it was last heard of.
    pub fn peers(&self) -> impl Iterator<Item = (EndpointKey, bool, u64)> + '_ {
        self.peers
            .iter()
            .map(|(key, peer)| (*key, peer.up, peer.seen_ms))
    }

    /// Banned peers, and until when, Unix milliseconds.
    pub fn bans(&self) -> impl Iterator<Item = (EndpointKey, u64)> + '_ {
        self.bans.iter().map(|(peer, until_ms)| (*peer, *until_ms))
    }

    /// Until when a peer is banned, Unix milliseconds.
    pub fn banned_until(&self, peer: EndpointKey) -> Option<u64> {
        self.bans.get(&peer).copied()
    }

    fn take(
        &mut self,
        input: Input,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        match input {
            Input::Start => {
                for subject in replica.followed()? {
                    self.follow(subject, now_ms, replica)?;
                }
            }
            Input::Follow(subject, peers) => {
                let space = subject.space();
                if replica.is_unlisted(space)? && !peers.is_empty() {
                    self.trust(space, &peers);
                }
                self.follow(subject, now_ms, replica)?;
                for peer in peers {
                    self.meet(peer, now_ms);
                }
            }
            Input::Unfollow(subject) => self.unfollow(subject, replica)?,
            Input::Peer(peer) => self.meet(peer, now_ms),
            Input::Publish(ids) => self.publish(&ids, now_ms, replica)?,
            Input::Holdings(space, statements) => self.announce_holdings(space, statements),
            Input::Neighbor { topic, peer, up } => self.neighbor(topic, peer, up, now_ms),
            Input::Received { topic, from, bytes } => {
                self.received(topic, from, &bytes, now_ms, replica)?;
            }
            Input::Lagged { topic } => self.check(topic, now_ms),
            Input::Sync(scope) => {
                for peer in self.peers_up() {
                    self.plan(peer, Plan::Scope(scope.clone()), now_ms);
                }
            }
            Input::News {
                session,
                peer,
                news,
            } => self.news(session, peer, news, now_ms, replica)?,
            Input::Ended {
                session,
                peer,
                ending,
            } => self.ended(session, peer, ending, now_ms, replica)?,
            Input::Lied { peer, reason } => self.ban(peer, reason, now_ms),
            Input::NetworkChange => self.network_change(now_ms),
            Input::Tick => self.tick(now_ms, replica)?,
        }
        Ok(())
    }

    fn follow(
        &mut self,
        subject: Follow,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        self.follows.insert(subject);
        let space = subject.space();
        self.recheck_unlisted(replica)?;
        self.touch(Follow::Space(space), now_ms);
        match subject {
            Follow::Thread { .. } => self.touch(subject, now_ms),
            Follow::Space(_) => {
                let mut digests = replica.digests(space)?;
                digests.retain(|digest| digest.last_ms + LIVE_AGE_MS >= now_ms);
                digests.sort_by_key(|digest| std::cmp::Reverse((digest.last_ms, digest.root)));
                for digest in digests.into_iter().take(bounds::LIVE_TOPICS) {
                    let root = digest.root;
                    let active_ms = digest.last_ms.min(now_ms);
                    self.touch(Follow::Thread { space, root }, active_ms);
                }
            }
        }
        self.schedule.follow(subject, now_ms);
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.plan(peer, Plan::Scope(scope_of(&subject)), now_ms);
        }
        Ok(())
    }

    fn unfollow(&mut self, subject: Follow, replica: &dyn Replica) -> Result<(), ReplicaError> {
        self.follows.remove(&subject);
        self.schedule.unfollow(&subject);
        for topic in self.topics.subjects().collect::<Vec<_>>() {
            let space = topic.space();
            let still = match topic {
                Follow::Space(_) => self.follows.iter().any(|other| other.space() == space),
                Follow::Thread { root, .. } => replica.wants_thread(space, root)?,
            };
            if space == subject.space() && !still {
                self.leave(&topic);
            }
        }
        Ok(())
    }

    /// Joins a topic if it isn't, and marks it as active.
    fn touch(&mut self, subject: Follow, active_ms: u64) {
        let (joined, evicted) = self.topics.touch(subject, active_ms);
        if let Some(evicted) = evicted {
            let topic = topic_of(&evicted);
            self.outputs.push(Output::Leave { topic });
        }
        if joined {
            let peers = self.invitees(&subject);
            let topic = topic_of(&subject);
            self.outputs.push(Output::Join { topic, peers });
        }
    }

    fn leave(&mut self, subject: &Follow) {
        let neighbors = self.topics.leave(subject);
        let topic = topic_of(subject);
        self.outputs.push(Output::Leave { topic });
        for peer in neighbors {
            self.weigh(peer);
        }
    }

    /// Whom to join a topic through: for a thread, first the neighbours on its space's topic.
    fn invitees(&mut self, subject: &Follow) -> Vec<EndpointKey> {
        let mut peers: Vec<EndpointKey> = match subject {
            Follow::Space(_) => Vec::new(),
            Follow::Thread { space, .. } => {
                let near = self.topics.neighbors(&Follow::Space(*space));
                near.into_iter().take(INVITED).collect()
            }
        };
        let mut others: Vec<EndpointKey> = self.peers.keys().copied().collect();
        others.retain(|peer| !peers.contains(peer) && self.may_tell(subject.space(), *peer));
        while peers.len() < INVITED
            && let Some(peer) = self.schedule.pick(&others)
        {
            others.retain(|other| *other != peer);
            peers.push(peer);
        }
        peers
    }

    fn tick(&mut self, now_ms: u64, replica: &dyn Replica) -> Result<(), ReplicaError> {
        let slept = now_ms.saturating_sub(self.ticked_ms) > SLEPT_MS;
        self.ticked_ms = now_ms;
        if slept {
            self.network_change(now_ms);
        }
        self.bans.retain(|_, until_ms| *until_ms > now_ms);
        for subject in self.topics.calm(now_ms) {
            self.touch(subject, now_ms);
        }
        if now_ms.saturating_sub(self.invited_ms) >= INVITE_MS {
            self.invited_ms = now_ms;
            self.recheck_unlisted(replica)?;
            self.invite_lonely();
            for subject in self.topics.flooded() {
                self.check_with_someone(&subject, now_ms);
            }
        }
        for subject in self.schedule.due_checks(now_ms) {
            self.check_around(&subject, now_ms);
        }
        self.weigh_rumors(now_ms, replica)?;
        self.chase_missing(now_ms, replica)?;
        self.announce_changes(now_ms, replica)
    }

    /// Whether a space is unlisted shows once its genesis is there. Until then it counts as such,
    /// unless it was followed by its bare id: then nobody is known to know of it, and all are asked.
    fn recheck_unlisted(&mut self, replica: &dyn Replica) -> Result<(), ReplicaError> {
        let spaces: BTreeSet<SpaceId> = self.follows.iter().map(Follow::space).collect();
        for space in spaces {
            if !replica.is_unlisted(space)? {
                self.unlisted.remove(&space);
            } else if !self.unlisted.contains_key(&space)
                && replica.authority_fingerprint(space)? != Fingerprint::EMPTY
            {
                let near = self.topics.neighbors(&Follow::Space(space));
                self.unlisted.insert(space, near);
            }
        }
        Ok(())
    }

    /// Topics without a neighbour try other peers.
    fn invite_lonely(&mut self) {
        for subject in self.topics.subjects().collect::<Vec<_>>() {
            if self.topics.neighbors(&subject).is_empty() {
                self.invite(&subject);
            }
        }
    }

    fn invite(&mut self, subject: &Follow) {
        let peers = self.invitees(subject);
        if !peers.is_empty() {
            let topic = topic_of(subject);
            self.outputs.push(Output::Invite { topic, peers });
        }
    }

    fn network_change(&mut self, now_ms: u64) {
        self.chase = Chase::default();
        self.schedule.reset(now_ms);
        for subject in self.topics.subjects().collect::<Vec<_>>() {
            self.invite(&subject);
        }
    }
}
