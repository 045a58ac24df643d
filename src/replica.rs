//! The database as the exchange sees it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, OnceLock, Weak},
};

use database::{
    Budget, Database, DatabaseError, Incoming, IngestReport, Missing, Outcome as Verdict,
    PacketError, PayloadState, Reader, Scope, Source, store::Durability, verify_ahead,
};
use gossip::{
    Channel, Content, Digest, Fingerprint, Follow, HoldingOutcome, Item, Outcome, Packet, Replica,
    ReplicaError,
};
use model::{EndpointKey, Entry, EntryId, Holding, IdentityId, SpaceId, Verified};

use crate::{clock::now_ms, core::Core, flow, room};

/// Entries of a thread that are looked at for missing payloads.
const PAYLOAD_LOOK: usize = 2_000;
/// Refused entries that are remembered, and for how long they are not asked for again.
const REFUSED: usize = 65_536;
const REFUSED_MS: u64 = 60 * 60 * 1_000;
/// Threads of a space in its digests.
const DIGESTS: usize = 1_000_000;

/// Implements [`Replica`] over the database.
pub struct Ledger {
    database: Arc<Database>,
    core: OnceLock<Weak<Core>>,
    refused: Mutex<Refused>,
}

/// Entries that a used-up budget kept out, so that they aren't downloaded at every sync.
#[derive(Default)]
struct Refused {
    until_ms: BTreeMap<EntryId, u64>,
    order: VecDeque<EntryId>,
}

/// What became of a batch of packets.
struct Taken {
    /// One for each packet; none where the report says it.
    results: Vec<Option<Outcome>>,
    /// The space that each entry of the report names.
    spaces: Vec<Option<SpaceId>>,
    report: IngestReport,
}

impl Refused {
    fn note(&mut self, id: EntryId, now_ms: u64) {
        let until_ms = now_ms.saturating_add(REFUSED_MS);
        if self.until_ms.insert(id, until_ms).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > REFUSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.until_ms.remove(&oldest);
        }
    }

    fn contains(&self, id: &EntryId, now_ms: u64) -> bool {
        let until_ms = self.until_ms.get(id);
        until_ms.is_some_and(|until_ms| *until_ms > now_ms)
    }
}

impl Ledger {
    /// Over a database; until [`Ledger::connect`] nothing counts as followed.
    pub fn new(database: Arc<Database>) -> Self {
        Self {
            database,
            core: OnceLock::new(),
            refused: Mutex::default(),
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

    /// Whether an entry that nobody asked for is taken: of boards followed for some threads only
    /// those threads, and the boards' own rows.
    fn is_wanted(&self, entry: &Entry<Verified>) -> Result<bool, ReplicaError> {
        let header = entry.header();
        let Some(space) = header.space else {
            return Ok(true);
        };
        if let Some(root) = header.root {
            return self.wants_thread(space, root);
        }
        let found = self.read("read a space", |reader| reader.space(&space))?;
        let is_authority =
            found.is_some_and(|info| info.is_identity || info.schema.is_authority(&header.table));
        Ok(is_authority || self.wants_thread(space, entry.id())?)
    }

    /// Takes packets in while the ones behind are still being verified.
    fn take(
        &self,
        channel: Channel,
        verified: &mut dyn Iterator<Item = Result<Incoming, PacketError>>,
    ) -> Result<Taken, ReplicaError> {
        let sorted: Box<dyn Iterator<Item = Result<Incoming, Outcome>> + '_> = match channel {
            Channel::Gossip => {
                let all = verified.map(|one| self.sort_offered(one));
                let all: Vec<_> = all.collect::<Result<_, _>>()?;
                Box::new(all.into_iter())
            }
            Channel::Sync => Box::new(verified.map(|one| one.map_err(|error| invalid(&error)))),
        };
        let (mut results, mut spaces) = (Vec::new(), Vec::new());
        let batch = sorted.filter_map(|one| match one {
            Ok(incoming) => {
                spaces.push(incoming.entry().header().space);
                results.push(None);
                Some(incoming)
            }
            Err(outcome) => {
                results.push(Some(outcome));
                None
            }
        });
        let report = self
            .database
            .ingest(batch, now_ms(), Durability::Relaxed)
            .map_err(|error| local("store entries", error))?;
        Ok(Taken {
            results,
            spaces,
            report,
        })
    }

    /// What becomes of a packet that nobody asked for before it comes in.
    fn sort_offered(
        &self,
        verified: Result<Incoming, PacketError>,
    ) -> Result<Result<Incoming, Outcome>, ReplicaError> {
        match verified {
            Ok(incoming) if !self.is_wanted(incoming.entry())? => Ok(Err(Outcome::Refused)),
            Ok(incoming) => Ok(Ok(incoming)),
            Err(error) => Ok(Err(invalid(&error))),
        }
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

    fn is_unlisted(&self, space: SpaceId) -> Result<bool, ReplicaError> {
        let by_join = self.core().is_some_and(|core| core.is_unlisted(&space));
        let found = self.read("read a space", |reader| reader.space(&space))?;
        Ok(by_join || found.is_none_or(|info| info.unlisted))
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
        let mut lacking = self.read("look entries up", |reader| {
            let mut lacking = Vec::new();
            for id in ids {
                let state = reader.state(id)?;
                if state.is_none_or(|state| state.payload == PayloadState::Withheld) {
                    lacking.push(*id);
                }
            }
            Ok(lacking)
        })?;
        let refused = Core::lock(&self.refused);
        lacking.retain(|id| !refused.contains(id, now_ms()));
        Ok(lacking)
    }

    fn lacking_payloads(&self, root: EntryId, limit: usize) -> Result<Vec<EntryId>, ReplicaError> {
        self.read("look for missing payloads", |reader| {
            withheld(reader, &Scope::Thread(root), limit)
        })
    }

    fn lacking_payloads_in(
        &self,
        space: SpaceId,
        limit: usize,
    ) -> Result<Vec<EntryId>, ReplicaError> {
        // Content is asked for thread by thread; without the authority log nothing is judged.
        self.read("look for missing payloads", |reader| {
            withheld(reader, &Scope::Authority(space), limit)
        })
    }

    fn missing(&self, limit: usize) -> Result<gossip::Missing, ReplicaError> {
        let found = self.read("list what is waited for", |reader| reader.missing(limit))?;
        let mut missing = gossip::Missing::default();
        for one in found {
            match one {
                Missing::Entry(id) | Missing::Payload(id) => missing.entries.push(id),
                Missing::Device(identity, _) => missing.authorities.push(identity.space()),
            }
        }
        missing.entries.sort_unstable();
        missing.entries.dedup();
        missing.authorities.sort_unstable();
        missing.authorities.dedup();
        Ok(missing)
    }

    fn submit(
        &self,
        peer: EndpointKey,
        channel: Channel,
        packets: Vec<Packet>,
    ) -> Result<Vec<Outcome>, ReplicaError> {
        if self.core().is_some_and(|core| !has_room(&core, &packets)) {
            return Ok(vec![Outcome::Refused; packets.len()]);
        }
        let packets: Vec<_> = packets
            .into_iter()
            .map(|packet| database::Packet {
                entry: packet.entry,
                payload: match packet.content {
                    Content::Held(bytes) => Some(bytes),
                    Content::Withheld => None,
                },
            })
            .collect();
        let Taken {
            results,
            spaces,
            report,
        } = verify_ahead(&packets, Source::Peer(peer), |verified| {
            self.take(channel, verified)
        })?;
        tracing::trace!(?channel, accepted = spaces.len(), "packets taken in");
        {
            let mut refused = Core::lock(&self.refused);
            for (id, verdict) in &report.outcomes {
                if let Verdict::Refused(Budget::AuthorInSpace | Budget::Space | Budget::Stray) =
                    verdict
                {
                    refused.note(*id, now_ms());
                }
            }
        }
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
        let own = core.network.id();
        let statements = Core::lock(&core.holdings).statements(&root, own, limit, now_ms());
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

/// The newest entries of a scope whose payload is still wanted.
fn withheld(
    reader: &Reader<'_>,
    scope: &Scope,
    limit: usize,
) -> Result<Vec<EntryId>, DatabaseError> {
    let mut lacking = Vec::new();
    let items = reader.items(scope)?;
    for (_, id) in items.into_iter().rev().take(PAYLOAD_LOOK) {
        if lacking.len() == limit {
            break;
        }
        let state = reader.state(&id)?;
        if state.is_some_and(|state| state.payload == PayloadState::Withheld) {
            lacking.push(id);
        }
    }
    Ok(lacking)
}

/// Peers fill the data folder up to the operator's limit and no further.
fn has_room(core: &Core, packets: &[Packet]) -> bool {
    let bytes_of = |packet: &Packet| {
        let content = match &packet.content {
            Content::Held(bytes) => bytes.len(),
            Content::Withheld => 0,
        };
        (packet.entry.len() + content) as u64
    };
    let bytes = packets.iter().map(bytes_of).sum();
    let quota = core.blobs.quota();
    quota.expect_other(room::of_entries(bytes)).is_ok()
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
    let followed = core.follows.identities();
    all.extend(
        followed
            .iter()
            .map(|identity| Follow::Space(identity.space())),
    );
    let pinned = core.pins.all().into_iter();
    all.extend(pinned.filter_map(|(pin, _)| Some(Follow::Space(pin.identity()?.space()))));
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
