//! Reading one consistent state.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use model::{DeviceKey, Entry, EntryId, IdentityId, PayloadId, Row, SpaceId, Verified};

use crate::{
    Cursor, DatabaseError, Event, EventPage, Missing, Packet, PayloadState, Reason, Source,
    SpaceInfo, Verdict,
    gate::still_missing,
    record::{Num, Record, decode, num_key},
    rows::{current_rows, fold_value},
    store::{Tree, View},
    txn::{COUNTERS, Counters, row_from_store, scan_with},
};

/// What is known about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryState {
    /// The entry.
    pub id: EntryId,
    /// Where it stands.
    pub verdict: Verdict,
    /// Why it is invalid.
    pub reason: Option<Reason>,
    /// What it waits for.
    pub missing: Vec<Missing>,
    /// Its space; a genesis names its own.
    pub space: SpaceId,
    /// Its author; the genesis of an identity names its own.
    pub identity: IdentityId,
    /// Device that signed it.
    pub device: DeviceKey,
    /// Its thread (a first post names itself); none in an authority log.
    pub root: Option<EntryId>,
    /// Its table.
    pub table: String,
    /// When, by the author's clock.
    pub time_ms: u64,
    /// Its causal depth.
    pub depth: u64,
    /// Its place in the feed.
    pub seq: u64,
    /// Whether its payload is at hand.
    pub payload: PayloadState,
    /// Entry and payload, bytes.
    pub size_bytes: u64,
    /// How it came here.
    pub source: Source,
    /// When it came here, by the own clock.
    pub received_ms: u64,
}

/// How much is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries, whatever their verdict.
    pub entries: u64,
    /// Payloads.
    pub payloads: u64,
    /// Entries that wait for something.
    pub pending: u64,
    /// Entries ahead of the clock.
    pub held: u64,
    /// Threads listed.
    pub threads: u64,
    /// Forked feeds.
    pub forks: u64,
}

/// One consistent, short-lived state with all queries.
pub struct Reader<'a> {
    pub(crate) view: Box<dyn View + 'a>,
    spaces: Arc<BTreeMap<SpaceId, Arc<SpaceInfo>>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        view: Box<dyn View + 'a>,
        spaces: Arc<BTreeMap<SpaceId, Arc<SpaceInfo>>>,
    ) -> Self {
        Self { view, spaces }
    }

    pub(crate) fn num_of(&self, id: &EntryId) -> Result<Option<Num>, DatabaseError> {
        self.value(Tree::Ids, id.as_bytes(), "number")
    }

    pub(crate) fn record(&self, num: Num) -> Result<Record, DatabaseError> {
        self.value(Tree::Records, &num_key(num), "record")?
            .ok_or(DatabaseError::Damaged { what: "record" })
    }

    pub(crate) fn record_of(&self, id: &EntryId) -> Result<Option<(Num, Record)>, DatabaseError> {
        match self.num_of(id)? {
            Some(num) => Ok(Some((num, self.record(num)?))),
            None => Ok(None),
        }
    }

    pub(crate) fn value<T: serde::de::DeserializeOwned>(
        &self,
        tree: Tree,
        key: &[u8],
        what: &'static str,
    ) -> Result<Option<T>, DatabaseError> {
        match self.view.get(tree, key)? {
            Some(bytes) => decode(what, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Whether an entry is held, whatever its verdict.
    ///
    /// # Errors
    /// When the store can't be read; so for all that follow.
    pub fn has(&self, id: &EntryId) -> Result<bool, DatabaseError> {
        Ok(self.view.get(Tree::Ids, id.as_bytes())?.is_some())
    }

    /// An entry.
    ///
    /// # Errors
    /// When the store can't be read or is damaged.
    pub fn entry(&self, id: &EntryId) -> Result<Option<Entry<Verified>>, DatabaseError> {
        let Some(packet) = self.entry_bytes(id)? else {
            return Ok(None);
        };
        Entry::from_store(*id, &packet)
            .map(Some)
            .map_err(|_| DatabaseError::Damaged { what: "entry" })
    }

    fn entry_bytes(&self, id: &EntryId) -> Result<Option<Vec<u8>>, DatabaseError> {
        match self.num_of(id)? {
            Some(num) => Ok(self.view.get(Tree::Entries, &num_key(num))?),
            None => Ok(None),
        }
    }

    /// An entry's bytes and, where held, its payload's.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn packet(&self, id: &EntryId) -> Result<Option<Packet>, DatabaseError> {
        let Some(num) = self.num_of(id)? else {
            return Ok(None);
        };
        let Some(entry) = self.view.get(Tree::Entries, &num_key(num))? else {
            return Ok(None);
        };
        let payload = self.view.get(Tree::Payloads, &num_key(num))?;
        Ok(Some(Packet { entry, payload }))
    }

    /// A payload's bytes by its own name.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn payload_block(&self, id: &PayloadId) -> Result<Option<Vec<u8>>, DatabaseError> {
        let num: Option<Num> = self.value(Tree::PayloadIds, id.as_bytes(), "number")?;
        match num {
            Some(num) => Ok(self.view.get(Tree::Payloads, &num_key(num))?),
            None => Ok(None),
        }
    }

    /// An entry that has a payload which is held: of several, the one that came last.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn entry_with(&self, payload: &PayloadId) -> Result<Option<EntryId>, DatabaseError> {
        let num: Option<Num> = self.value(Tree::PayloadIds, payload.as_bytes(), "number")?;
        num.map(|num| Ok(self.record(num)?.id)).transpose()
    }

    /// An entry's row, where its payload is held and readable.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn row(&self, id: &EntryId) -> Result<Option<Row>, DatabaseError> {
        match self.num_of(id)? {
            Some(num) => self.row_by_num(num),
            None => Ok(None),
        }
    }

    pub(crate) fn row_by_num(&self, num: Num) -> Result<Option<Row>, DatabaseError> {
        let bytes = self.view.get(Tree::Payloads, &num_key(num))?;
        Ok(bytes.and_then(|bytes| row_from_store(&bytes)))
    }

    /// What is known about an entry.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn state(&self, id: &EntryId) -> Result<Option<EntryState>, DatabaseError> {
        let Some((_, record)) = self.record_of(id)? else {
            return Ok(None);
        };
        Ok(Some(EntryState {
            id: record.id,
            verdict: record.verdict,
            space: record.space,
            identity: record.identity,
            device: record.device,
            root: record.thread(),
            time_ms: record.time_ms,
            depth: record.depth,
            seq: record.seq,
            payload: record.payload_state,
            size_bytes: record.size_bytes,
            source: record.source,
            received_ms: record.received_ms,
            table: record.table.to_string(),
            reason: record.reason,
            missing: still_missing(&*self.view, record.missing)?,
        }))
    }

    /// How much is held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn counts(&self) -> Result<Counts, DatabaseError> {
        let counters = self.counters()?;
        Ok(Counts {
            entries: counters.entries,
            payloads: counters.payloads,
            pending: counters.pending,
            held: counters.held,
            threads: counters.threads,
            forks: counters.forks,
        })
    }

    fn counters(&self) -> Result<Counters, DatabaseError> {
        Ok(self
            .value(Tree::System, COUNTERS, "counters")?
            .unwrap_or_default())
    }

    /// What the genesis of a settled, sound space says.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn space(&self, space: &SpaceId) -> Result<Option<Arc<SpaceInfo>>, DatabaseError> {
        if let Some(info) = self.spaces.get(space) {
            return Ok(Some(Arc::clone(info)));
        }
        let Some((num, record)) = self.record_of(&space.entry())? else {
            return Ok(None);
        };
        if !record.is_genesis() || !matches!(record.verdict, Verdict::Valid | Verdict::Disputed) {
            return Ok(None);
        }
        let (Some(entry), Some(row)) = (self.entry(&record.id)?, self.row_by_num(num)?) else {
            return Err(DatabaseError::Damaged { what: "genesis" });
        };
        SpaceInfo::read(&record, entry.header().schema, &row)
            .map(|info| Some(Arc::new(info)))
            .map_err(|_| DatabaseError::Damaged { what: "genesis" })
    }

    /// The rows that count in a keyed table of a space.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn rows(&self, space: &SpaceId, table: &str) -> Result<Vec<(EntryId, Row)>, DatabaseError> {
        let mut rows = Vec::new();
        for num in current_rows(&*self.view, space, table)? {
            let id = self.record(num)?.id;
            rows.extend(self.row_by_num(num)?.map(|row| (id, row)));
        }
        Ok(rows)
    }

    /// The sum of a fold for a row.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn fold(&self, name: &str, of: &EntryId) -> Result<i64, DatabaseError> {
        fold_value(&*self.view, of, name)
    }

    /// The newest event.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn cursor(&self) -> Result<Cursor, DatabaseError> {
        let counters = self.counters()?;
        Ok(Cursor {
            epoch: counters.epoch,
            seq: counters.last_event,
        })
    }

    /// Events after a cursor.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn events_since(&self, cursor: Cursor, limit: usize) -> Result<EventPage, DatabaseError> {
        let counters = self.counters()?;
        let now = Cursor {
            epoch: counters.epoch,
            seq: counters.last_event,
        };
        if cursor.epoch != now.epoch || cursor.seq > now.seq || cursor.seq < counters.dropped_events
        {
            return Ok(EventPage {
                events: Vec::new(),
                next: now,
                reset: true,
            });
        }
        let mut found = Vec::new();
        scan_with(
            &*self.view,
            Tree::Events,
            &[],
            Some(&num_key(cursor.seq)),
            false,
            &mut |_, value| {
                if found.len() == limit {
                    return ControlFlow::Break(());
                }
                found.push(value.to_vec());
                ControlFlow::Continue(())
            },
        )?;
        let events = found
            .iter()
            .map(|bytes| decode("event", bytes))
            .collect::<Result<Vec<Event>, _>>()?;
        Ok(EventPage {
            next: events.last().map_or(cursor, |event| event.cursor),
            events,
            reset: false,
        })
    }
}
