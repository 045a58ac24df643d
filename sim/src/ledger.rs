//! The real database on its in-memory store, as the exchange sees it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use database::{
    Database, DatabaseError, Durability, Missing, Options, PayloadState, Reader, Scope, Source,
    Verdict, store::MemoryStore, verify_batch,
};
use gossip::{
    Channel, Content, Digest, Fingerprint, Follow, HoldingOutcome, Item, Outcome, Packet, Replica,
    ReplicaError,
};
use model::{EndpointKey, EntryId, Holding, IdentityId, SpaceId};

use crate::disk::Disk;

/// Posts of a thread that a reader sees at most.
const POSTS: usize = 10_000;

/// A database and what it follows; it survives crashes.
pub struct Ledger {
    database: Database,
    follows: Mutex<BTreeSet<Follow>>,
    /// The world's clock.
    now_ms: Arc<AtomicU64>,
}

impl Ledger {
    /// An empty one, by the world's clock.
    pub fn new(now_ms: Arc<AtomicU64>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let database = Database::open(store, Options::default()).expect("memory does not fail");
        Self {
            database,
            follows: Mutex::default(),
            now_ms,
        }
    }

    fn follows(&self) -> MutexGuard<'_, BTreeSet<Follow>> {
        self.follows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, ReplicaError> {
        let reader = self.database.read().map_err(local)?;
        work(&reader).map_err(local)
    }

    fn ingest(&self, source: Source, packets: Vec<Packet>) -> Result<Vec<Outcome>, ReplicaError> {
        let packets = packets.into_iter().map(to_database).collect();
        let (mut batch, mut results) = (Vec::new(), Vec::new());
        for verified in verify_batch(packets, source) {
            match verified {
                Ok(incoming) => {
                    results.push(None);
                    batch.push(incoming);
                }
                Err(error) => results.push(Some(Outcome::Invalid {
                    reason: error.to_string(),
                })),
            }
        }
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        let report = self.database.ingest(batch, now_ms, Durability::Durable);
        let report = report.map_err(local)?;
        let mut outcomes = report.outcomes.iter().map(|(_, found)| outcome(found));
        let outcomes = results.into_iter().map(|refused| {
            refused.unwrap_or_else(|| outcomes.next().expect("an outcome for each entry"))
        });
        Ok(outcomes.collect())
    }

    fn withheld(
        &self,
        reader: &Reader<'_>,
        scope: &Scope,
        limit: usize,
    ) -> Result<Vec<EntryId>, DatabaseError> {
        let mut ids = Vec::new();
        for (_, id) in reader.items(scope)? {
            let state = reader.state(&id)?;
            if ids.len() < limit
                && state.is_some_and(|state| state.payload == PayloadState::Withheld)
            {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

fn local(source: DatabaseError) -> ReplicaError {
    ReplicaError {
        act: "use the database",
        source: Box::new(source),
    }
}

fn to_database(packet: Packet) -> database::Packet {
    database::Packet {
        entry: packet.entry,
        payload: match packet.content {
            Content::Held(bytes) => Some(bytes),
            Content::Withheld => None,
        },
    }
}

fn to_digest(digest: &database::Digest) -> Digest {
    Digest {
        root: digest.root,
        last_ms: digest.last_ms,
        entries: digest.fingerprint.count,
        fingerprint: to_fingerprint(&digest.fingerprint),
    }
}

fn to_fingerprint(fingerprint: &database::Fingerprint) -> Fingerprint {
    Fingerprint::of_sum(&fingerprint.sum, fingerprint.count)
}

/// What is fetched by id, and what by authority log.
fn split(missing: &[Missing]) -> (Vec<EntryId>, Vec<SpaceId>) {
    let (mut entries, mut authorities) = (Vec::new(), BTreeSet::new());
    for missing in missing {
        match missing {
            Missing::Entry(id) | Missing::Payload(id) => entries.push(*id),
            Missing::Device(identity, _) => {
                authorities.insert(identity.space());
            }
        }
    }
    (entries, authorities.into_iter().collect())
}

fn outcome(found: &database::Outcome) -> Outcome {
    match found {
        database::Outcome::Pending { missing } => {
            let (entries, authorities) = split(missing);
            Outcome::Pending {
                entries,
                authorities,
            }
        }
        database::Outcome::Held { .. } => Outcome::HeldForFuture,
        database::Outcome::Refused(_) => Outcome::Refused,
        database::Outcome::Duplicate(_) => Outcome::Duplicate,
        _ => Outcome::Accepted,
    }
}

fn to_items(found: Vec<(u64, EntryId)>) -> Vec<Item> {
    let item = |(time_ms, id)| Item { time_ms, id };
    found.into_iter().map(item).collect()
}

impl Disk for Ledger {
    fn follow(&self, follow: Follow) {
        self.follows().insert(follow);
    }

    fn insert(&self, packet: Packet) -> EntryId {
        let id = packet.id();
        let outcome = self.ingest(Source::Local, vec![packet]);
        let outcome = outcome.expect("memory does not fail").pop();
        assert_eq!(
            outcome,
            Some(Outcome::Accepted),
            "people write valid entries"
        );
        id
    }

    fn counts(&self, id: EntryId) -> bool {
        let state = self.read(|reader| reader.state(&id));
        let state = state.expect("memory does not fail");
        state.is_some_and(|state| state.verdict == Verdict::Valid)
    }

    fn view(&self, space: SpaceId) -> Vec<u8> {
        let view = self.read(|reader| {
            let mut lines = Vec::new();
            for digest in reader.digests(&space, usize::MAX)? {
                let posts = reader.posts(&digest.root, None, None, POSTS)?;
                lines.extend(posts.items.iter().map(|post| format!("{post:?}")));
            }
            lines.sort();
            Ok(lines.join("\n").into_bytes())
        });
        view.expect("memory does not fail")
    }
}

impl Replica for Ledger {
    fn followed(&self) -> Result<Vec<Follow>, ReplicaError> {
        Ok(self.follows().iter().copied().collect())
    }

    fn wants_thread(&self, space: SpaceId, root: EntryId) -> Result<bool, ReplicaError> {
        let follows = self.follows();
        Ok(follows.contains(&Follow::Space(space))
            || follows.contains(&Follow::Thread { space, root }))
    }

    fn space_of(&self, root: EntryId) -> Result<Option<SpaceId>, ReplicaError> {
        self.read(|reader| reader.space_of(&root))
    }

    fn thread_items(&self, root: EntryId) -> Result<Vec<Item>, ReplicaError> {
        self.read(|reader| reader.items(&Scope::Thread(root)))
            .map(to_items)
    }

    fn authority_items(&self, space: SpaceId) -> Result<Vec<Item>, ReplicaError> {
        self.read(|reader| reader.items(&Scope::Authority(space)))
            .map(to_items)
    }

    fn authority_fingerprint(&self, space: SpaceId) -> Result<Fingerprint, ReplicaError> {
        let found = self.read(|reader| reader.fingerprint(&Scope::Authority(space)))?;
        Ok(to_fingerprint(&found))
    }

    fn thread_authors(&self, root: EntryId) -> Result<Vec<IdentityId>, ReplicaError> {
        self.read(|reader| reader.authors(&root))
    }

    fn digest(&self, root: EntryId) -> Result<Option<Digest>, ReplicaError> {
        let found = self.read(|reader| reader.digest(&root))?;
        Ok(found.as_ref().map(to_digest))
    }

    fn digests(&self, space: SpaceId) -> Result<Vec<Digest>, ReplicaError> {
        let found = self.read(|reader| reader.digests(&space, usize::MAX))?;
        Ok(found.iter().map(to_digest).collect())
    }

    fn packets(&self, ids: &[EntryId]) -> Result<Vec<Option<Packet>>, ReplicaError> {
        let packet = |found: database::Packet| Packet {
            entry: found.entry,
            content: found.payload.map_or(Content::Withheld, Content::Held),
        };
        self.read(|reader| {
            let one = |id| Ok(reader.packet(id)?.map(packet));
            ids.iter().map(one).collect()
        })
    }

    fn lacking(&self, ids: &[EntryId]) -> Result<Vec<EntryId>, ReplicaError> {
        self.read(|reader| {
            let mut lacking = Vec::new();
            for id in ids {
                let state = reader.state(id)?;
                if state.is_none_or(|state| state.payload == PayloadState::Withheld) {
                    lacking.push(*id);
                }
            }
            Ok(lacking)
        })
    }

    fn missing(&self, limit: usize) -> Result<gossip::Missing, ReplicaError> {
        let (entries, authorities) = split(&self.read(|reader| reader.missing(limit))?);
        Ok(gossip::Missing {
            entries,
            authorities,
        })
    }

    fn lacking_payloads(&self, root: EntryId, limit: usize) -> Result<Vec<EntryId>, ReplicaError> {
        self.read(|reader| self.withheld(reader, &Scope::Thread(root), limit))
    }

    fn lacking_payloads_in(
        &self,
        space: SpaceId,
        limit: usize,
    ) -> Result<Vec<EntryId>, ReplicaError> {
        self.read(|reader| {
            let mut ids = self.withheld(reader, &Scope::Authority(space), limit)?;
            for digest in reader.digests(&space, usize::MAX)? {
                let room = limit.saturating_sub(ids.len());
                ids.extend(self.withheld(reader, &Scope::Thread(digest.root), room)?);
            }
            Ok(ids)
        })
    }

    fn submit(
        &self,
        peer: EndpointKey,
        _channel: Channel,
        packets: Vec<Packet>,
    ) -> Result<Vec<Outcome>, ReplicaError> {
        self.ingest(Source::Peer(peer), packets)
    }

    fn holdings(&self, _root: EntryId, _limit: usize) -> Result<Vec<Vec<u8>>, ReplicaError> {
        Ok(Vec::new())
    }

    fn receive_holding(&self, bytes: &[u8]) -> Result<HoldingOutcome, ReplicaError> {
        Ok(match Holding::decode(bytes) {
            Ok(_) => HoldingOutcome::Known,
            Err(_) => HoldingOutcome::Invalid,
        })
    }
}
