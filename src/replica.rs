//! The database as the exchange sees it.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock, Weak},
};

use database::{
    Database, DatabaseError, Missing, Outcome as Verdict, PacketError, Reader, Scope, Source,
    store::Durability, verify_batch,
};
use gossip::{
    Channel, Content, Digest, Fingerprint, Follow, HoldingOutcome, Item, Outcome, Packet, Replica,
    ReplicaError,
};
use model::{EndpointKey, EntryId, Holding, IdentityId, SpaceId};

use crate::{clock::now_ms, core::Core, flow};

/// Entries of a thread that are looked at for missing payloads.
const PAYLOAD_LOOK: usize = 2_000;
/// Threads of a space in its digests.
const DIGESTS: usize = 1_000_000;

/// Implements [`Replica`] over the database.
pub struct Ledger {
    database: Arc<Database>,
    core: OnceLock<Weak<Core>>,
}

impl Ledger {
    /// Over a database; until [`Ledger::connect`] nothing counts as followed.
    pub fn new(database: Arc<Database>) -> Self {
        Self {
            database,
            core: OnceLock::new(),
        }
    }

    /// Connects the rest of the node, which itself holds the exchange that holds this.
    pub fn connect(&self, core: &Arc<Core>) {
        // Connected once by `node.rs`; a second call would change nothing.
        let _ = self.core.set(Arc::downgrade(core));
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }

    fn read<T>(
        &self,
        act: &'static str,
        work: impl FnOnce(&Reader<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, ReplicaError> {
        self.database
            .read()
            .and_then(|reader| work(&reader))
            .map_err(|error| local(act, error))
    }
}

fn local(
    act: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ReplicaError {
    ReplicaError {
        act,
        source: source.into(),
    }
}

fn fingerprint(found: &database::Fingerprint) -> Fingerprint {
    Fingerprint::of_sum(&found.sum, found.count)
}

fn digest(found: &database::Digest) -> Digest {
    Digest {
        root: found.root,
        last_ms: found.last_ms,
        entries: found.fingerprint.count,
        fingerprint: fingerprint(&found.fingerprint),
    }
}

fn items(found: Vec<(u64, EntryId)>) -> Vec<Item> {
    found
        .into_iter()
        .map(|(time_ms, id)| Item { time_ms, id })
        .collect()
}

impl Replica for Ledger {
    fn followed(&self) -> Result<Vec<Follow>, ReplicaError> {
        Ok(self.core().map(|core| followed(&core)).unwrap_or_default())
    }

    fn wants_thread(&self, space: SpaceId, root: EntryId) -> Result<bool, ReplicaError> {
        let Some(core) = self.core() else {
            return Ok(false);
        };
        let whole = core
            .follows
            .space(&space)
            .is_some_and(|how| !how.threads_only);
        Ok(whole || core.follows.threads().contains_key(&root))
    }

    fn space_of(&self, root: EntryId) -> Result<Option<SpaceId>, ReplicaError> {
        self.read("find a thread's space", |reader| reader.space_of(&root))
    }

    fn thread_items(&self, root: EntryId) -> Result<Vec<Item>, ReplicaError> {
        let found = self.read("list a thread", |reader| reader.items(&Scope::Thread(root)))?;
        Ok(items(found))
    }

    fn authority_items(&self, space: SpaceId) -> Result<Vec<Item>, ReplicaError> {
        let scope = Scope::Authority(space);
        let found = self.read("list an authority log", |reader| reader.items(&scope))?;
        Ok(items(found))
    }

    fn authority_fingerprint(&self, space: SpaceId) -> Result<Fingerprint, ReplicaError> {
        let scope = Scope::Authority(space);
        let found = self.read("sum an authority log up", |reader| {
            reader.fingerprint(&scope)
        })?;
        Ok(fingerprint(&found))
    }

    fn thread_authors(&self, root: EntryId) -> Result<Vec<IdentityId>, ReplicaError> {
        self.read("list a thread's authors", |reader| reader.authors(&root))
    }

    fn digest(&self, root: EntryId) -> Result<Option<Digest>, ReplicaError> {
        let found = self.read("sum a thread up", |reader| reader.digest(&root))?;
        Ok(found.as_ref().map(digest))
    }

    fn digests(&self, space: SpaceId) -> Result<Vec<Digest>, ReplicaError> {
        let found = self.read("sum a space up", |reader| reader.digests(&space, DIGESTS))?;
        Ok(found.iter().map(digest).collect())
    }

    fn packets(&self, ids: &[EntryId]) -> Result<Vec<Option<Packet>>, ReplicaError> {
        self.read("read entries", |reader| {
            ids.iter()
                .map(|id| Ok(reader.packet(id)?.map(packet)))
                .collect()
        })
    }

    fn lacking(&self, ids: &[EntryId]) -> Result<Vec<EntryId>, ReplicaError> {
        self.read("look entries up", |reader| {
            let mut lacking = Vec::new();
            for id in ids {
                if !reader.has(id)? {
                    lacking.push(*id);
                }
            }
            Ok(lacking)
        })
    }

    fn lacking_payloads(&self, root: EntryId, limit: usize) -> Result<Vec<EntryId>, ReplicaError> {
        self.read("look for missing payloads", |reader| {
            let mut lacking = Vec::new();
            for (_, id) in reader
                .items(&Scope::Thread(root))?
                .into_iter()
                .take(PAYLOAD_LOOK)
            {
                if lacking.len() == limit {
                    break;
                }
                let state = reader.state(&id)?;
                if state.is_some_and(|state| state.payload == database::PayloadState::Withheld) {
                    lacking.push(id);
                }
            }
            Ok(lacking)
        })
    }

    fn submit(
        &self,
        peer: EndpointKey,
        channel: Channel,
        packets: Vec<Packet>,
    ) -> Result<Vec<Outcome>, ReplicaError> {
        let packets = packets
            .into_iter()
            .map(|packet| database::Packet {
                entry: packet.entry,
                payload: match packet.content {
                    Content::Held(bytes) => Some(bytes),
                    Content::Withheld => None,
                },
            })
            .collect();
        let mut results: Vec<Option<Outcome>> = Vec::new();
        let (mut batch, mut spaces) = (Vec::new(), Vec::new());
        for verified in verify_batch(packets, Source::Peer(peer)) {
            match verified {
                Ok(incoming) => {
                    spaces.push(incoming.entry().header().space);
                    batch.push(incoming);
                    results.push(None);
                }
                Err(error) => results.push(Some(invalid(&error))),
            }
        }
        tracing::trace!(?channel, accepted = batch.len(), "packets verified");
        let report = self
            .database
            .ingest(batch, now_ms(), Durability::Relaxed)
            .map_err(|error| local("store entries", error))?;
        let verdicts = report.outcomes.iter().zip(spaces);
        let mut verdicts = verdicts.map(|((_, verdict), space)| outcome(verdict, space));
        let outcomes = results
            .into_iter()
            .map(|done| done.or_else(|| verdicts.next()).unwrap_or(Outcome::Refused))
            .collect();
        if let Some(core) = self.core() {
            flow::ingest::settled(&core, &report, Some(peer));
        }
        Ok(outcomes)
    }

    fn holdings(&self, root: EntryId, limit: usize) -> Result<Vec<Vec<u8>>, ReplicaError> {
        let Some(core) = self.core() else {
            return Ok(Vec::new());
        };
        let statements = Core::lock(&core.holdings).statements(&root, limit, now_ms());
        Ok(statements)
    }

    fn receive_holding(&self, bytes: &[u8]) -> Result<HoldingOutcome, ReplicaError> {
        let Some(core) = self.core() else {
            return Ok(HoldingOutcome::Known);
        };
        let Ok(holding) = Holding::decode(bytes) else {
            return Ok(HoldingOutcome::Invalid);
        };
        let root = self.read("find a holding's thread", |reader| {
            thread_of(reader, &holding)
        })?;
        Ok(flow::announce::holding_received(&core, root, &holding))
    }
}

/// The thread that a statement is about: that of the first post it names.
fn thread_of(reader: &Reader<'_>, holding: &Holding) -> Result<Option<EntryId>, DatabaseError> {
    for item in holding.items() {
        if let model::Item::Post(post) = item
            && let Some(entry) = reader.entry(post)?
        {
            return Ok(Some(entry.header().root.unwrap_or(*post)));
        }
    }
    Ok(None)
}

/// Everything followed, as the exchange counts it.
pub fn followed(core: &Core) -> Vec<Follow> {
    let mut all: BTreeSet<Follow> = BTreeSet::from([Follow::Space(core.identity.space())]);
    for (space, how) in core.follows.spaces() {
        if !how.threads_only {
            all.insert(Follow::Space(space));
        }
    }
    for (root, space) in core.follows.threads() {
        all.insert(Follow::Thread { space, root });
    }
    all.extend(
        core.follows
            .identities()
            .iter()
            .map(|identity| Follow::Space(identity.space())),
    );
    all.into_iter().collect()
}

fn packet(found: database::Packet) -> Packet {
    let content = found.payload.map_or(Content::Withheld, Content::Held);
    Packet {
        entry: found.entry,
        content,
    }
}

fn invalid(error: &PacketError) -> Outcome {
    Outcome::Invalid {
        reason: error.to_string(),
    }
}

/// Entries that break a rule are kept and reconciled like others: only malformed or unsigned
/// bytes are the deliverer's fault.
fn outcome(verdict: &Verdict, space: Option<SpaceId>) -> Outcome {
    match verdict {
        Verdict::Valid
        | Verdict::Disputed
        | Verdict::Void
        | Verdict::Invalid(_)
        | Verdict::Completed(_) => Outcome::Accepted,
        Verdict::Held { .. } => Outcome::HeldForFuture,
        Verdict::Refused(_) => Outcome::Refused,
        Verdict::Duplicate(_) => Outcome::Duplicate,
        Verdict::Pending { missing } => {
            let (mut entries, mut authorities) = (Vec::new(), BTreeSet::new());
            for missing in missing {
                match missing {
                    Missing::Entry(id) | Missing::Payload(id) => match space {
                        Some(space) if space.entry() == *id => {
                            authorities.insert(space);
                        }
                        _ => entries.push(*id),
                    },
                    Missing::Device(identity, _) => {
                        authorities.insert(identity.space());
                    }
                }
            }
            Outcome::Pending {
                entries,
                authorities: authorities.into_iter().collect(),
            }
        }
    }
}
