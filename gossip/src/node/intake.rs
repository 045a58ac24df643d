//! What comes over topics.

use model::{EndpointKey, Entry, EntryId, SpaceId};

use super::{Node, Output, Rumor, outflow::place};
use crate::{
    Channel, Digest, Event, Fingerprint, Follow, HoldingOutcome, Outcome, Packet, Replica,
    ReplicaError, Scope, bounds,
    live::{Admission, Message},
    schedule::Plan,
    sync::digest_hash,
};

/// Gossip gets this long to bring what a digest tells of, before it is synced; the same again is
/// spread, milliseconds.
const RUMOR_MS: u64 = 400;
/// Digests waiting to be checked.
const RUMORS: usize = 4_096;
/// Entries handed to the replica at once.
const INCOMING: usize = bounds::BATCH_PACKETS;

impl Node {
    pub(super) fn received(
        &mut self,
        topic: [u8; 32],
        from: EndpointKey,
        bytes: &[u8],
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let (subject, message) = match self.topics.admit(topic, bytes, now_ms) {
            Admission::Message(subject, message) => (subject, message),
            Admission::Dropped => return Ok(()),
            Admission::Flooded(subject) => {
                self.leave(&subject);
                return Ok(());
            }
        };
        self.heard(from, now_ms);
        match message {
            Message::Entries(packets) => {
                for packet in packets {
                    if self.concerns(&packet, replica)? {
                        self.incoming.push((from, subject, packet));
                    }
                }
                if self.incoming.len() >= INCOMING {
                    self.submit(now_ms, replica)?;
                }
            }
            Message::Announce { space, root, ids } => {
                self.announced(from, space, root, ids, now_ms, replica)?;
            }
            Message::Digests { space, digests } => {
                for digest in digests {
                    self.hear_digest(from, space, digest, now_ms, replica)?;
                }
            }
            Message::Holdings(statements) => {
                self.take_holdings(statements, subject, now_ms, replica)?
            }
        }
        Ok(())
    }

    /// Authority entries are taken of spaces that are followed and of people that are known here:
    /// others come with what they wrote.
    fn concerns(&self, packet: &Packet, replica: &dyn Replica) -> Result<bool, ReplicaError> {
        let Ok(entry) = Entry::decode(&packet.entry) else {
            // For the replica to judge: it costs the topic something.
            return Ok(true);
        };
        let header = entry.header();
        let space = header.space.unwrap_or_else(|| SpaceId::from(entry.id()));
        if header.root.is_some() || self.follows.iter().any(|follow| follow.space() == space) {
            return Ok(true);
        }
        Ok(replica.authority_fingerprint(space)? != Fingerprint::EMPTY)
    }

    fn announced(
        &mut self,
        from: EndpointKey,
        space: SpaceId,
        root: Option<EntryId>,
        ids: Vec<EntryId>,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let mut ids = replica.lacking(&ids)?;
        match root {
            Some(root) if replica.wants_thread(space, root)? => {}
            Some(_) => return Ok(()),
            None if self.follows.contains(&Follow::Space(space)) => {}
            None if self.follows.iter().any(|follow| follow.space() == space) => {
                // First posts; the board's own rows come with its threads.
                let mut wanted = Vec::new();
                for id in ids {
                    if replica.wants_thread(space, id)? {
                        wanted.push(id);
                    }
                }
                ids = wanted;
            }
            None if replica.authority_fingerprint(space)? == Fingerprint::EMPTY => return Ok(()),
            None => {}
        }
        if !ids.is_empty() {
            let subject = match root {
                Some(root) => Follow::Thread { space, root },
                None => Follow::Space(space),
            };
            self.plan(from, Plan::Fetch { ids, subject }, now_ms);
        }
        Ok(())
    }

    /// Hands entries from topics to the replica, those of one deliverer at a time.
    pub(super) fn submit(
        &mut self,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let incoming = std::mem::take(&mut self.incoming);
        for group in incoming.chunk_by(|a, b| a.0 == b.0) {
            let Some((from, ..)) = group.first() else {
                continue;
            };
            let packets = group.iter().map(|(_, _, packet)| packet.clone()).collect();
            let outcomes = replica.submit(*from, Channel::Gossip, packets)?;
            let mut ids = Vec::new();
            for ((_, topic, packet), outcome) in group.iter().zip(outcomes) {
                let id = packet.id();
                if let Outcome::Accepted | Outcome::Pending { .. } | Outcome::HeldForFuture =
                    &outcome
                {
                    ids.push(id);
                }
                let thread = thread_of(packet, replica)?;
                self.landed(*from, *topic, thread, outcome, now_ms);
            }
            if !ids.is_empty() {
                let peer = *from;
                self.outputs
                    .push(Output::Event(Event::NewEntries { peer, ids }));
            }
        }
        Ok(())
    }

    fn landed(
        &mut self,
        from: EndpointKey,
        topic: Follow,
        thread: Option<Follow>,
        outcome: Outcome,
        now_ms: u64,
    ) {
        match outcome {
            Outcome::Accepted | Outcome::HeldForFuture => {
                if let Some(thread) = thread {
                    self.touch(thread, now_ms);
                }
            }
            Outcome::Pending {
                entries,
                authorities,
            } => {
                if let Some(thread) = thread {
                    self.touch(thread, now_ms);
                }
                if !authorities.is_empty() {
                    let mut spaces = authorities;
                    spaces.sort_unstable();
                    spaces.dedup();
                    spaces.truncate(bounds::AUTHORITIES);
                    self.plan(from, Plan::Scope(Scope::Authorities(spaces)), now_ms);
                }
                if !entries.is_empty() {
                    let ids = entries;
                    let subject = thread.unwrap_or(topic);
                    self.plan(from, Plan::Fetch { ids, subject }, now_ms);
                }
            }
            // Not held against the deliverer: it forwards before it judges.
            Outcome::Invalid { .. } => {
                if let Admission::Flooded(subject) = self.topics.charge(topic, now_ms) {
                    self.leave(&subject);
                }
            }
            Outcome::Duplicate | Outcome::Refused => {}
        }
    }

    fn take_holdings(
        &mut self,
        statements: Vec<Vec<u8>>,
        topic: Follow,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        for statement in statements {
            match replica.receive_holding(&statement)? {
                HoldingOutcome::Fresh => self
                    .outputs
                    .push(Output::Event(Event::HoldingReceived(statement))),
                HoldingOutcome::Known => {}
                HoldingOutcome::Invalid => {
                    if let Admission::Flooded(subject) = self.topics.charge(topic, now_ms) {
                        self.leave(&subject);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn hear_digest(
        &mut self,
        from: EndpointKey,
        space: SpaceId,
        digest: Digest,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        self.topics.remember(digest_hash(&digest));
        if !replica.wants_thread(space, digest.root)? || !self.is_behind(&digest, replica)? {
            return Ok(());
        }
        if self.rumors.len() < RUMORS {
            let due_ms = now_ms + RUMOR_MS + self.schedule.spread(RUMOR_MS);
            let rumor = Rumor {
                space,
                digest,
                from,
                due_ms,
            };
            self.rumors.insert(digest.root, rumor);
        }
        Ok(())
    }

    /// Who has more entries than the digest tells of is ahead: the other side will notice.
    fn is_behind(&self, digest: &Digest, replica: &dyn Replica) -> Result<bool, ReplicaError> {
        Ok(match replica.digest(digest.root)? {
            None => true,
            Some(ours) => ours.fingerprint != digest.fingerprint && ours.entries <= digest.entries,
        })
    }

    /// Digests whose time has come, and that still differ: sync those threads.
    pub(super) fn weigh_rumors(
        &mut self,
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), ReplicaError> {
        let due = self.rumors.iter().filter(|(_, r)| r.due_ms <= now_ms);
        let due: Vec<Rumor> = due.map(|(_, rumor)| *rumor).collect();
        for rumor in due {
            let root = rumor.digest.root;
            self.rumors.remove(&root);
            if self.is_behind(&rumor.digest, replica)? {
                let scope = Scope::thread(rumor.space, root);
                self.plan(rumor.from, Plan::Scope(scope), now_ms);
                self.schedule.quicken(&Follow::Space(rumor.space), now_ms);
            }
        }
        Ok(())
    }
}

/// The thread of an entry, if it is in one or begins one.
fn thread_of(packet: &Packet, replica: &dyn Replica) -> Result<Option<Follow>, ReplicaError> {
    let place = place(packet, replica)?;
    Ok(place.and_then(|place| {
        Some(Follow::Thread {
            space: place.space,
            root: place.root?,
        })
    }))
}
