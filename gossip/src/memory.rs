//! A replica in memory: for tests, simulations and nodes that keep nothing.
//!
//! Verifies and files entries, and knows what they wait for; it has no schema and folds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{EndpointKey, Entry, EntryId, Header, Holding, IdentityId, Payload, SpaceId};

use crate::{
    Channel, Content, Digest, Fingerprint, Follow, HoldingOutcome, Item, Missing, Outcome, Packet,
    Replica, ReplicaError,
};

/// Table of first posts.
const POST_TABLE: &str = "post";

/// Entries in memory.
#[derive(Debug, Default)]
pub struct MemoryReplica {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    follows: BTreeSet<Follow>,
    unlisted: BTreeSet<SpaceId>,
    entries: BTreeMap<EntryId, Stored>,
    threads: BTreeMap<EntryId, Thread>,
    authority: BTreeMap<SpaceId, BTreeSet<Item>>,
    holdings: BTreeSet<Vec<u8>>,
}

#[derive(Debug)]
struct Stored {
    packet: Packet,
    header: Header,
}

#[derive(Debug)]
struct Thread {
    space: SpaceId,
    items: BTreeSet<Item>,
    authors: BTreeSet<IdentityId>,
}

impl MemoryReplica {
    /// Empty, following nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to want something.
    pub fn follow(&self, follow: Follow) {
        self.state().follows.insert(follow);
    }

    /// Keeps a space's id from those who don't know it.
    pub fn unlist(&self, space: SpaceId) {
        self.state().unlisted.insert(space);
    }

    /// Stores what this node made itself.
    ///
    /// # Errors
    /// When it is refused: the reason.
    pub fn insert(&self, packet: Packet) -> Result<EntryId, String> {
        let id = packet.id();
        match self.state().submit(vec![packet]).pop() {
            Some(Outcome::Invalid { reason }) => Err(reason),
            Some(Outcome::Refused) => Err("not followed".to_owned()),
            _ => Ok(id),
        }
    }

    /// How many entries are held.
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops a payload and keeps the entry.
    pub fn withhold(&self, id: EntryId) {
        if let Some(stored) = self.state().entries.get_mut(&id) {
            stored.packet.content = Content::Withheld;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an entry belongs.
enum Place {
    Authority(SpaceId),
    Thread { space: SpaceId, root: EntryId },
}

fn place(id: EntryId, header: &Header) -> Place {
    let space = header.space.unwrap_or_else(|| SpaceId::from(id));
    match header.root {
        Some(root) => Place::Thread { space, root },
        None if header.table == POST_TABLE => Place::Thread { space, root: id },
        None => Place::Authority(space),
    }
}

impl State {
    fn wants_thread(&self, space: SpaceId, root: EntryId) -> bool {
        self.follows.contains(&Follow::Space(space))
            || self.follows.contains(&Follow::Thread { space, root })
    }

    fn submit(&mut self, packets: Vec<Packet>) -> Vec<Outcome> {
        let filed: Vec<_> = packets
            .into_iter()
            .map(|packet| (packet.id(), self.file(packet)))
            .collect();
        // Only now: a batch may hold children before their parents.
        filed
            .into_iter()
            .map(|(id, outcome)| match outcome {
                Outcome::Accepted => self.standing(id),
                other => other,
            })
            .collect()
    }

    fn file(&mut self, packet: Packet) -> Outcome {
        let id = packet.id();
        if let Some(stored) = self.entries.get_mut(&id) {
            let lacks = stored.packet.content == Content::Withheld;
            if !lacks || packet.content == Content::Withheld {
                return Outcome::Duplicate;
            }
            if let Err(reason) = check_payload(&stored.header, &packet.content) {
                return Outcome::Invalid { reason };
            }
            stored.packet.content = packet.content;
            return Outcome::Accepted;
        }
        let entry = match Entry::decode(&packet.entry).and_then(Entry::verify) {
            Ok(entry) => entry,
            Err(error) => {
                return Outcome::Invalid {
                    reason: error.to_string(),
                };
            }
        };
        let header = entry.header().clone();
        if let Err(reason) = check_payload(&header, &packet.content) {
            return Outcome::Invalid { reason };
        }
        let item = Item {
            time_ms: header.time_ms,
            id,
        };
        match place(id, &header) {
            Place::Authority(space) => {
                self.authority.entry(space).or_default().insert(item);
            }
            Place::Thread { space, root } => {
                if !self.wants_thread(space, root) {
                    return Outcome::Refused;
                }
                let thread = self.threads.entry(root).or_insert_with(|| Thread {
                    space,
                    items: BTreeSet::new(),
                    authors: BTreeSet::new(),
                });
                thread.items.insert(item);
                thread.authors.extend(header.identity);
            }
        }
        self.entries.insert(id, Stored { packet, header });
        Outcome::Accepted
    }

    fn standing(&self, id: EntryId) -> Outcome {
        let Some(Stored { header, .. }) = self.entries.get(&id) else {
            return Outcome::Accepted;
        };
        let entries: Vec<EntryId> = header
            .parents
            .iter()
            .chain(&header.root)
            .filter(|parent| !self.entries.contains_key(parent))
            .copied()
            .collect();
        let authorities: Vec<SpaceId> = header
            .space
            .into_iter()
            .chain(header.identity.map(|identity| identity.space()))
            .filter(|space| !self.entries.contains_key(&space.entry()))
            .collect();
        if entries.is_empty() && authorities.is_empty() {
            Outcome::Accepted
        } else {
            Outcome::Pending {
                entries,
                authorities,
            }
        }
    }

    fn withheld<'a>(
        &'a self,
        items: impl Iterator<Item = &'a Item>,
    ) -> impl Iterator<Item = EntryId> {
        items.map(|item| item.id).filter(|id| {
            let stored = self.entries.get(id);
            stored.is_some_and(|stored| stored.packet.content == Content::Withheld)
        })
    }

    fn digest(&self, root: EntryId) -> Option<Digest> {
        let thread = self.threads.get(&root)?;
        Some(Digest {
            root,
            last_ms: thread.items.last().map_or(0, |item| item.time_ms),
            entries: thread.items.len() as u64,
            fingerprint: Fingerprint::of(thread.items.iter().map(|item| &item.id)),
        })
    }
}

fn check_payload(header: &Header, content: &Content) -> Result<(), String> {
    let Content::Held(bytes) = content else {
        return Ok(());
    };
    let payload = Payload::decode(bytes).map_err(|error| error.to_string())?;
    if payload.id() == header.payload && payload.size() == header.payload_size {
        Ok(())
    } else {
        Err("the payload is not the one that the header names".to_owned())
    }
}

impl Replica for MemoryReplica {
    fn followed(&self) -> Result<Vec<Follow>, ReplicaError> {
        Ok(self.state().follows.iter().copied().collect())
    }

    fn wants_thread(&self, space: SpaceId, root: EntryId) -> Result<bool, ReplicaError> {
        Ok(self.state().wants_thread(space, root))
    }

    fn is_unlisted(&self, space: SpaceId) -> Result<bool, ReplicaError> {
        Ok(self.state().unlisted.contains(&space))
    }

    fn space_of(&self, root: EntryId) -> Result<Option<SpaceId>, ReplicaError> {
        Ok(self.state().threads.get(&root).map(|thread| thread.space))
    }

    fn thread_items(&self, root: EntryId) -> Result<Vec<Item>, ReplicaError> {
        let state = self.state();
        let thread = state.threads.get(&root);
        Ok(thread.map_or_else(Vec::new, |thread| thread.items.iter().copied().collect()))
    }

    fn authority_items(&self, space: SpaceId) -> Result<Vec<Item>, ReplicaError> {
        let state = self.state();
        let items = state.authority.get(&space);
        Ok(items.map_or_else(Vec::new, |items| items.iter().copied().collect()))
    }

    fn authority_fingerprint(&self, space: SpaceId) -> Result<Fingerprint, ReplicaError> {
        let items = self.authority_items(space)?;
        Ok(Fingerprint::of(items.iter().map(|item| &item.id)))
    }

    fn thread_authors(&self, root: EntryId) -> Result<Vec<IdentityId>, ReplicaError> {
        let state = self.state();
        let thread = state.threads.get(&root);
        Ok(thread.map_or_else(Vec::new, |thread| thread.authors.iter().copied().collect()))
    }

    fn digest(&self, root: EntryId) -> Result<Option<Digest>, ReplicaError> {
        Ok(self.state().digest(root))
    }

    fn digests(&self, space: SpaceId) -> Result<Vec<Digest>, ReplicaError> {
        let state = self.state();
        let of_space = state.threads.iter().filter(|(_, t)| t.space == space);
        Ok(of_space
            .filter_map(|(root, _)| state.digest(*root))
            .collect())
    }

    fn packets(&self, ids: &[EntryId]) -> Result<Vec<Option<Packet>>, ReplicaError> {
        let state = self.state();
        let packet = |id| state.entries.get(id).map(|stored| stored.packet.clone());
        Ok(ids.iter().map(packet).collect())
    }

    fn lacking(&self, ids: &[EntryId]) -> Result<Vec<EntryId>, ReplicaError> {
        let state = self.state();
        let lacks = |id: &&EntryId| {
            let stored = state.entries.get(*id);
            stored.is_none_or(|stored| stored.packet.content == Content::Withheld)
        };
        Ok(ids.iter().filter(lacks).copied().collect())
    }

    fn missing(&self, limit: usize) -> Result<Missing, ReplicaError> {
        let state = self.state();
        let mut missing = Missing::default();
        for id in state.entries.keys() {
            if let Outcome::Pending {
                entries,
                authorities,
            } = state.standing(*id)
            {
                missing.entries.extend(entries);
                missing.authorities.extend(authorities);
            }
        }
        missing.entries.truncate(limit);
        missing.authorities.truncate(limit);
        Ok(missing)
    }

    fn lacking_payloads(&self, root: EntryId, limit: usize) -> Result<Vec<EntryId>, ReplicaError> {
        let state = self.state();
        let thread = state.threads.get(&root);
        let items = thread.into_iter().flat_map(|thread| &thread.items);
        Ok(state.withheld(items).take(limit).collect())
    }

    fn lacking_payloads_in(
        &self,
        space: SpaceId,
        limit: usize,
    ) -> Result<Vec<EntryId>, ReplicaError> {
        let state = self.state();
        let log = state.authority.get(&space).into_iter().flatten();
        let threads = state.threads.values().filter(|t| t.space == space);
        let items = log.chain(threads.flat_map(|thread| &thread.items));
        Ok(state.withheld(items).take(limit).collect())
    }

    fn submit(
        &self,
        _peer: EndpointKey,
        _channel: Channel,
        packets: Vec<Packet>,
    ) -> Result<Vec<Outcome>, ReplicaError> {
        Ok(self.state().submit(packets))
    }

    fn holdings(&self, root: EntryId, limit: usize) -> Result<Vec<Vec<u8>>, ReplicaError> {
        let state = self.state();
        let about = |bytes: &&Vec<u8>| {
            Holding::decode(bytes)
                .is_ok_and(|holding| holding.items().contains(&model::Item::Post(root)))
        };
        let statements = state.holdings.iter().filter(about);
        Ok(statements.take(limit).cloned().collect())
    }

    fn receive_holding(&self, bytes: &[u8]) -> Result<HoldingOutcome, ReplicaError> {
        if Holding::decode(bytes).is_err() {
            return Ok(HoldingOutcome::Invalid);
        }
        Ok(if self.state().holdings.insert(bytes.to_vec()) {
            HoldingOutcome::Fresh
        } else {
            HoldingOutcome::Known
        })
    }
}
