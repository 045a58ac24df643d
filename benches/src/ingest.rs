//! Taking in entries of strangers (verify, check, store, fold), against what it can't go below:
//! the signatures on all cores, and the bare store.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use database::authoring::{Draft, device_row, identity_genesis, space_genesis};
use database::store::{Batch, Durability, MemoryStore, RedbStore, Store, Tree};
use database::{Database, Incoming, Options, Packet, Source, verify_ahead};
use model::{
    EndpointKey, Entry, EntryId, Header, IdentityId, Ipld, Payload, Row, SecretKey, SpaceId,
};

use crate::row::Row as Line;
use crate::stage::{Stage, seconds};

/// Entries that become durable together.
const BATCH: usize = 1_000;
/// Index keys beside entry and payload in the bare store.
const INDEXES: usize = 3;
const START_MS: u64 = 1_700_000_000_000;
const CACHE_BYTES: usize = 64 << 20;

pub fn run(stage: &Stage) -> Result<()> {
    let entries = if stage.small { 2 * BATCH } else { 40 * BATCH };
    let (opening, thread) = written(entries)?;
    let count = thread.len();

    let (_, verify_s) = seconds(|| {
        for packet in &thread {
            Entry::decode(&packet.entry)?.verify()?;
        }
        Ok(())
    })?;
    let cores = std::thread::available_parallelism()?.get();
    let signatures = rate(count, verify_s) * f64::from(u32::try_from(cores)?);
    let (_, bare_s) = seconds(|| bare(&stage.path("bare.redb"), &thread))?;
    let store = rate(count, bare_s);

    let database = open(&stage.path("full.redb"))?;
    take(&database, &opening)?;
    let (_, ours_s) = seconds(|| {
        for batch in thread.chunks(BATCH) {
            take(&database, batch)?;
        }
        Ok(())
    })?;
    Line::new(
        "ingest",
        format!("ingest of {count} entries, against the lesser of signatures and bare store"),
    )
    .figure("signatures_per_second", signatures)
    .figure("bare_store_per_second", store)
    .ratio(rate(count, ours_s), signatures.min(store), "entries/s", 0.6);
    Ok(())
}

fn rate(count: usize, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
}

fn open(path: &Path) -> Result<Database> {
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(path, CACHE_BYTES)?);
    Ok(Database::open(store, Options::default())?)
}

/// As the sync driver does with what a peer sends.
fn take(database: &Database, packets: &[Packet]) -> Result<()> {
    let peer = Source::Peer(EndpointKey::from_bytes([7; 32]));
    let report = verify_ahead(packets, peer, |verified| {
        database.ingest(verified.flatten(), START_MS * 2, Durability::Durable)
    })?;
    ensure!(report.outcomes.len() == packets.len(), "an entry is bad");
    let fresh = report.outcomes.iter().all(|(_, outcome)| outcome.is_new());
    ensure!(fresh, "an entry was refused: {:?}", report.outcomes.first());
    Ok(())
}

/// The same bytes with as many keys, and no thought.
fn bare(path: &Path, packets: &[Packet]) -> Result<()> {
    let store = RedbStore::open(path, CACHE_BYTES)?;
    let mut number = 0_u64;
    for part in packets.chunks(BATCH) {
        let mut batch = Batch::default();
        for packet in part {
            number += 1;
            let key = number.to_be_bytes();
            batch.put(Tree::Entries, &key, packet.entry.clone());
            batch.put(
                Tree::Payloads,
                &key,
                packet.payload.clone().unwrap_or_default(),
            );
            let hash = blake3::hash(&packet.entry);
            for (index, tree) in [Tree::Ids, Tree::Items, Tree::Feeds]
                .into_iter()
                .take(INDEXES)
                .enumerate()
            {
                let mut place = hash.as_bytes().to_vec();
                place.rotate_left(index * 8);
                batch.put(tree, &place, key.to_vec());
            }
        }
        store.commit(batch, Durability::Durable)?;
    }
    Ok(())
}

/// A node in memory that writes what the others will read.
struct Writer {
    database: Database,
    written: Vec<Packet>,
    clock_ms: u64,
}

impl Writer {
    fn sign(&mut self, header: Header, payload: Payload, key: &SecretKey) -> Result<EntryId> {
        let entry = Entry::sign(header, key)?;
        let id = entry.id();
        self.written.push(Packet {
            entry: entry.bytes().to_vec(),
            payload: Some(payload.bytes().to_vec()),
        });
        let report = self.database.ingest(
            vec![Incoming::local(entry, payload)?],
            self.clock_ms,
            Durability::Relaxed,
        )?;
        let (_, outcome) = report.outcomes.first().context("an outcome")?;
        ensure!(outcome.is_new(), "{outcome:?}");
        self.clock_ms += 1;
        Ok(id)
    }

    fn write(&mut self, draft: &Draft<'_>, key: &SecretKey) -> Result<EntryId> {
        let payload = Payload::new([1; model::limits::SALT_BYTES], draft.row.clone())?;
        let plan = self.database.read()?.prepare(draft, self.clock_ms)?;
        self.sign(plan.header(&payload), payload, key)
    }
}

/// A post of the author.
fn draft<'a>(
    author: (IdentityId, &SecretKey),
    space: SpaceId,
    root: Option<EntryId>,
    row: &'a Row,
) -> Draft<'a> {
    Draft {
        identity: author.0,
        device: author.1.public(),
        space,
        root,
        table: "post",
        row,
        expires_ms: None,
    }
}

/// What must be held first, and a thread of so many replies and votes by one author.
fn written(entries: usize) -> Result<(Vec<Packet>, Vec<Packet>)> {
    let (root_key, device) = (
        SecretKey::from_bytes(&[1; 32]),
        SecretKey::from_bytes(&[2; 32]),
    );
    let mut writer = Writer {
        database: Database::open(Arc::new(MemoryStore::new()), Options::default())?,
        written: Vec::new(),
        clock_ms: START_MS,
    };
    let salt = [1; model::limits::SALT_BYTES];
    let (header, payload) = identity_genesis(root_key.public(), [9; 32], salt, START_MS)?;
    let identity = IdentityId::from(writer.sign(header, payload, &root_key)?);
    let (table, row) = device_row(&device.public(), "bench");
    let first_device = Draft {
        identity,
        device: root_key.public(),
        space: identity.space(),
        root: None,
        table,
        row: &row,
        expires_ms: None,
    };
    writer.write(&first_device, &root_key)?;
    let forum = database::schema::forum();
    let (header, payload) = space_genesis(
        device.public(),
        identity,
        forum,
        false,
        salt,
        writer.clock_ms,
    )?;
    let space = SpaceId::from(writer.sign(header, payload, &device)?);
    let author = (identity, &device);
    let post = |title: Option<&str>, body: String, parent: Option<EntryId>| {
        let mut row = Row::from([
            ("body".to_owned(), Ipld::String(body)),
            ("media".to_owned(), Ipld::List(Vec::new())),
            ("nsfw".to_owned(), Ipld::Bool(false)),
        ]);
        if let Some(title) = title {
            row.insert("title".to_owned(), Ipld::String(title.to_owned()));
        }
        if let Some(parent) = parent {
            row.insert("parent".to_owned(), Ipld::Link(parent.to_cid()));
        }
        row
    };
    let row = post(Some("Thread"), "Words.".to_owned(), None);
    let root = writer.write(&draft(author, space, None, &row), &device)?;
    let opening = std::mem::take(&mut writer.written);
    for number in 0..entries {
        let row = post(
            None,
            format!("A few words as people write them, number {number}."),
            Some(root),
        );
        writer.write(&draft(author, space, Some(root), &row), &device)?;
    }
    Ok((opening, writer.written))
}
