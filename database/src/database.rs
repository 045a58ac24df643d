//! The database: one writer, many readers.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{Entry, EntryId, PayloadId, SpaceId, Verified};

use crate::{
    Content, DatabaseError, EntryState, EventKind, Incoming, IngestReport, OpenError, Options,
    Outcome, Packet, PayloadState, Reader, SpaceInfo,
    reader::Counts,
    record::{Num, Shown, decode, encode, num_at_end, num_key},
    store::{Batch, Durability, Store, Tree},
    txn::{COUNTERS, Counters, Finished, RESERVED, Txn, reserved_events, scan_with},
};

/// Format of entries, payloads and what else can't be derived.
const BASE_FORMAT: u32 = 1;
/// Format of everything derived: an older one is rebuilt.
const DERIVED_FORMAT: u32 = 1;
const FORMAT: &[u8] = b"format";
/// Spaces whose genesis stays parsed in memory.
const KNOWN_SPACES: usize = 1_024;

type Spaces = BTreeMap<SpaceId, Arc<SpaceInfo>>;

/// Entries, verdicts, rows and views over a store.
pub struct Database {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: Options,
    writer: Mutex<()>,
    spaces: Mutex<Arc<Spaces>>,
}

impl Database {
    /// Opens a database; an empty store becomes one.
    ///
    /// # Errors
    /// When a newer version wrote it (then nothing is changed), or the store fails.
    pub fn open(store: Arc<dyn Store>, options: Options) -> Result<Self, OpenError> {
        let found: Option<(u32, u32)> = match store.get(Tree::System, FORMAT)? {
            Some(bytes) => Some(decode("format marker", &bytes)?),
            None => None,
        };
        let database = Self {
            store,
            options,
            writer: Mutex::new(()),
            spaces: Mutex::new(Arc::default()),
        };
        match found {
            None => database.mark_format(DERIVED_FORMAT)?,
            Some((base, _)) if base > BASE_FORMAT => {
                return Err(OpenError::Newer {
                    found: base,
                    known: BASE_FORMAT,
                });
            }
            Some((_, derived)) if derived > DERIVED_FORMAT => {
                return Err(OpenError::Newer {
                    found: derived,
                    known: DERIVED_FORMAT,
                });
            }
            Some((_, derived)) if derived < DERIVED_FORMAT => database.rebuild(u64::MAX)?,
            Some(_) => {}
        }
        database.skip_lost_events()?;
        Ok(database)
    }

    /// Events go on behind all numbers that may have been given before a crash.
    fn skip_lost_events(&self) -> Result<(), DatabaseError> {
        let mut txn = self.begin(0)?;
        let reserved = reserved_events(&txn)?;
        if txn.counters.last_event >= reserved {
            return Ok(());
        }
        txn.counters.last_event = reserved;
        self.commit(txn, Durability::Durable).map(|_| ())
    }

    fn mark_format(&self, derived: u32) -> Result<(), DatabaseError> {
        let mut batch = Batch::default();
        batch.put(Tree::System, FORMAT, encode(&(BASE_FORMAT, derived)));
        Ok(self.store.commit(batch, Durability::Durable)?)
    }

    /// Says that derived state is being rebuilt, or that it is complete.
    pub(crate) fn mark_derived(&self, complete: bool) -> Result<(), DatabaseError> {
        self.mark_format(if complete { DERIVED_FORMAT } else { 0 })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_spaces(&self) -> Arc<Spaces> {
        Arc::clone(&self.spaces.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn forget_spaces(&self) {
        *self.spaces.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    pub(crate) fn begin(&self, now_ms: u64) -> Result<Txn<'_>, DatabaseError> {
        Txn::new(
            self.store.view()?,
            self.known_spaces(),
            self.options.clone(),
            now_ms,
        )
    }

    pub(crate) fn commit(
        &self,
        txn: Txn<'_>,
        durability: Durability,
    ) -> Result<IngestReport, DatabaseError> {
        let Finished {
            reserves,
            batch,
            report,
            spaces,
        } = txn.finish()?;
        let durability = if reserves {
            Durability::Durable
        } else {
            durability
        };
        self.store.commit(batch, durability)?;
        if !spaces.is_empty() {
            let mut known = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
            let mut all = if known.len() < KNOWN_SPACES {
                Spaces::clone(&known)
            } else {
                Spaces::new()
            };
            all.extend(spaces);
            *known = Arc::new(all);
        }
        Ok(report)
    }

    /// Takes entries in: verdicts, rows, views and events, all in one atomic batch. Known ones are
    /// no error. With [`Durability::Durable`] everything is on disk when it returns.
    ///
    /// # Errors
    /// When the store fails; then nothing of the batch was taken.
    pub fn ingest(
        &self,
        batch: impl IntoIterator<Item = Incoming>,
        now_ms: u64,
        durability: Durability,
    ) -> Result<IngestReport, DatabaseError> {
        let _writer = self.lock();
        let mut txn = self.begin(now_ms)?;
        let mut outcomes = Vec::new();
        for incoming in batch {
            let id = incoming.entry.id();
            let outcome = txn.take(incoming)?;
            outcomes.push((id, outcome));
        }
        txn.conclude(&mut outcomes)?;
        txn.report.outcomes = outcomes;
        self.commit(txn, durability)
    }

    /// Adds the payload of an entry that is held without.
    ///
    /// # Errors
    /// When the entry is not held, the bytes are others, or the store fails.
    pub fn attach_payload(
        &self,
        entry: &EntryId,
        bytes: &[u8],
        now_ms: u64,
    ) -> Result<IngestReport, DatabaseError> {
        let _writer = self.lock();
        let mut txn = self.begin(now_ms)?;
        let num = txn.num_of(entry)?.ok_or(DatabaseError::NotHeld(*entry))?;
        if PayloadId::of(bytes) != txn.known(num)?.payload {
            return Err(DatabaseError::OtherPayload(*entry));
        }
        let content = match model::Payload::decode(bytes) {
            Ok(payload) => Content::Payload(payload),
            Err(_) => Content::Unreadable(bytes.to_vec()),
        };
        let outcome = txn.take_again(num, content)?;
        txn.report.outcomes.push((*entry, outcome));
        self.commit(txn, Durability::Durable)
    }

    /// Settles what was held back because its time was ahead.
    ///
    /// # Errors
    /// When the store fails.
    pub fn tick(&self, now_ms: u64) -> Result<IngestReport, DatabaseError> {
        let _writer = self.lock();
        let mut txn = self.begin(now_ms)?;
        let due_ms = now_ms.saturating_add(model::limits::FUTURE_HOLD_MS);
        let mut due = Vec::new();
        scan_with(&txn, Tree::Held, &[], None, false, &mut |key, _| {
            let time_ms = key
                .first_chunk()
                .map_or(0, |bytes| u64::from_be_bytes(*bytes));
            if time_ms > due_ms {
                return ControlFlow::Break(());
            }
            due.extend(num_at_end(key));
            ControlFlow::Continue(())
        })?;
        txn.queue.extend(due);
        if txn.queue.is_empty() {
            return Ok(IngestReport::default());
        }
        txn.run_queue()?;
        self.commit(txn, Durability::Durable)
    }

    /// Erases an entry's payload; the header stays, and the payload is not taken again.
    ///
    /// # Errors
    /// When the entry is not held or belongs to an authority log, or the store fails.
    pub fn drop_payload(&self, entry: &EntryId) -> Result<IngestReport, DatabaseError> {
        let _writer = self.lock();
        let mut txn = self.begin(0)?;
        let num = txn.num_of(entry)?.ok_or(DatabaseError::NotHeld(*entry))?;
        let record = txn.known(num)?.clone();
        if record.thread().is_none() {
            return Err(DatabaseError::AuthorityPayload(*entry));
        }
        if record.shown != Shown::Absent {
            txn.show(num, Shown::Withheld)?;
        } else if record.payload_state == PayloadState::Held {
            txn.emit(EventKind::Purge, &record);
        }
        txn.erase(num)?;
        self.commit(txn, Durability::Durable)
    }

    /// Lets an erased payload come again.
    ///
    /// # Errors
    /// When the entry is not held, or the store fails.
    pub fn restore_payload(&self, entry: &EntryId) -> Result<(), DatabaseError> {
        let _writer = self.lock();
        let mut txn = self.begin(0)?;
        let num = txn.num_of(entry)?.ok_or(DatabaseError::NotHeld(*entry))?;
        let record = txn.known(num)?;
        if record.payload_state == PayloadState::Erased {
            record.payload_state = PayloadState::Withheld;
            txn.del(Tree::Erased, &num_key(num));
        }
        self.commit(txn, Durability::Durable).map(|_| ())
    }

    /// Brings relaxed batches to disk. Event numbers then go on without a gap.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn flush(&self) -> Result<(), DatabaseError> {
        let _writer = self.lock();
        let view = self.store.view()?;
        let reserved = reserved_events(&*view)?;
        let counters: Option<Counters> = match view.get(Tree::System, COUNTERS)? {
            Some(bytes) => Some(decode("counters", &bytes)?),
            None => None,
        };
        drop(view);
        if let Some(counters) = counters.filter(|counters| counters.last_event < reserved) {
            let mut batch = Batch::default();
            batch.put(Tree::System, RESERVED, encode(&counters.last_event));
            self.store.commit(batch, Durability::Durable)?;
        }
        Ok(self.store.flush()?)
    }

    /// Bytes taken on disk.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub fn size_on_disk(&self) -> Result<u64, DatabaseError> {
        Ok(self.store.size_on_disk()?)
    }

    /// Gives unused space back, where the store can.
    ///
    /// # Errors
    /// When the store can't be rewritten.
    pub fn compact(&self) -> Result<bool, DatabaseError> {
        let _writer = self.lock();
        Ok(self.store.compact()?)
    }

    /// One consistent state to read from. Drop it before the next write: sled waits for it.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn read(&self) -> Result<Reader<'_>, DatabaseError> {
        Ok(Reader::new(self.store.view()?, self.known_spaces()))
    }

    /// Whether an entry is held, whatever its verdict.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn has(&self, id: &EntryId) -> Result<bool, DatabaseError> {
        self.read()?.has(id)
    }

    /// An entry.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn entry(&self, id: &EntryId) -> Result<Option<Entry<Verified>>, DatabaseError> {
        self.read()?.entry(id)
    }

    /// An entry's bytes and, where held, its payload's.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn packet(&self, id: &EntryId) -> Result<Option<Packet>, DatabaseError> {
        self.read()?.packet(id)
    }

    /// A payload's bytes by its own name.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn payload_block(&self, id: &PayloadId) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.read()?.payload_block(id)
    }

    /// What is known about an entry.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn state(&self, id: &EntryId) -> Result<Option<EntryState>, DatabaseError> {
        self.read()?.state(id)
    }

    /// How much is held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn counts(&self) -> Result<Counts, DatabaseError> {
        self.read()?.counts()
    }
}

impl Txn<'_> {
    /// Says of new entries where they stand now that the whole batch is in.
    fn conclude(&mut self, outcomes: &mut [(EntryId, Outcome)]) -> Result<(), DatabaseError> {
        let mut new = BTreeSet::new();
        for (id, outcome) in outcomes {
            if !outcome.is_new() {
                continue;
            }
            new.insert(*id);
            *outcome = match self.num_of(id)? {
                Some(num) => self.outcome(num)?,
                None => Outcome::Refused(crate::Budget::Unknown),
            };
        }
        self.report.promoted.retain(|(id, _)| !new.contains(id));
        Ok(())
    }

    fn erase(&mut self, num: Num) -> Result<(), DatabaseError> {
        let record = self.known(num)?;
        let (state, payload) = (record.payload_state, record.payload);
        record.payload_state = PayloadState::Erased;
        if state == PayloadState::Held {
            self.del(Tree::Payloads, &num_key(num));
            self.del(Tree::PayloadIds, payload.as_bytes());
            self.counters.payloads -= 1;
        }
        self.put(Tree::Erased, &num_key(num), []);
        Ok(())
    }
}
