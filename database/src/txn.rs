//! One batch of changes: reads see what was written before in the same batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

use model::{EntryId, Header, Row, SpaceId};
use serde::{Deserialize, Serialize};

use crate::{
    DatabaseError, Event, EventKind, Fingerprint, IngestReport, Options, Scope, SpaceInfo, Verdict,
    event::Cursor,
    forum::{BoardRecord, ThreadRecord},
    overlay::Overlay,
    record::{Num, Record, decode, digest_key, encode, num_key},
    store::{Batch, Bounds, StoreError, Tree, View, Visit},
};

/// What is counted and numbered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) next_num: Num,
    pub(crate) epoch: u64,
    /// Number of the newest event.
    pub(crate) last_event: u64,
    /// Events up to this one are gone.
    pub(crate) dropped_events: u64,
    pub(crate) entries: u64,
    pub(crate) payloads: u64,
    pub(crate) pending: u64,
    pub(crate) held: u64,
    pub(crate) threads: u64,
    pub(crate) forks: u64,
}

pub(crate) const COUNTERS: &[u8] = b"counters";
/// Number up to which events may be numbered before the next durable commit. After a crash that
/// took relaxed batches along, numbers go on behind it: none is given to two events.
pub(crate) const RESERVED: &[u8] = b"reserved events";
/// Event numbers reserved at once.
const RESERVE: u64 = 10_000;

/// State of a scope, in the tree of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScopeState {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) last_ms: u64,
    /// Space in whose digests the thread is listed.
    pub(crate) listed: Option<SpaceId>,
}

/// A cached value with what it was before the batch.
pub(crate) struct Cached<T> {
    pub(crate) before: Option<T>,
    pub(crate) now: Option<T>,
}

/// Header and row of an entry of this batch, so that they aren't read back.
pub(crate) struct Fresh {
    pub(crate) header: Arc<Header>,
    pub(crate) row: Option<Arc<Row>>,
}

pub(crate) struct Txn<'a> {
    base: Box<dyn View + 'a>,
    overlay: Overlay,
    pub(crate) records: BTreeMap<Num, Cached<Record>>,
    pub(crate) scopes: BTreeMap<Scope, Cached<ScopeState>>,
    pub(crate) threads: BTreeMap<EntryId, Cached<ThreadRecord>>,
    pub(crate) boards: BTreeMap<SpaceId, Cached<BoardRecord>>,
    pub(crate) spaces: BTreeMap<SpaceId, Arc<SpaceInfo>>,
    pub(crate) known_spaces: Arc<BTreeMap<SpaceId, Arc<SpaceInfo>>>,
    pub(crate) fresh: BTreeMap<Num, Fresh>,
    pub(crate) queue: BTreeSet<Num>,
    pub(crate) counters: Counters,
    reserved: u64,
    pub(crate) report: IngestReport,
    pub(crate) options: Options,
    pub(crate) now_ms: u64,
}

impl<'a> Txn<'a> {
    pub(crate) fn new(
        base: Box<dyn View + 'a>,
        known_spaces: Arc<BTreeMap<SpaceId, Arc<SpaceInfo>>>,
        options: Options,
        now_ms: u64,
    ) -> Result<Self, DatabaseError> {
        let counters = match base.get(Tree::System, COUNTERS)? {
            Some(bytes) => decode("counters", &bytes)?,
            None => Counters {
                epoch: options.epoch_seed,
                ..Counters::default()
            },
        };
        let reserved = reserved_events(&*base)?;
        Ok(Self {
            base,
            overlay: Overlay::default(),
            records: BTreeMap::new(),
            scopes: BTreeMap::new(),
            threads: BTreeMap::new(),
            boards: BTreeMap::new(),
            spaces: BTreeMap::new(),
            known_spaces,
            fresh: BTreeMap::new(),
            queue: BTreeSet::new(),
            counters,
            reserved,
            report: IngestReport::default(),
            options,
            now_ms,
        })
    }

    pub(crate) fn put(&mut self, tree: Tree, key: &[u8], value: impl Into<Vec<u8>>) {
        self.overlay.put(tree, key, value.into(), false);
    }

    /// Puts a key that is not in the store: deleting it in the same batch then costs nothing.
    pub(crate) fn put_new(&mut self, tree: Tree, key: &[u8], value: impl Into<Vec<u8>>) {
        self.overlay.put(tree, key, value.into(), true);
    }

    pub(crate) fn del(&mut self, tree: Tree, key: &[u8]) {
        self.overlay.del(tree, key);
    }

    /// Keys that begin with `prefix`, at most `limit`.
    pub(crate) fn keys(
        &self,
        tree: Tree,
        prefix: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, DatabaseError> {
        Ok(scan(self, tree, prefix, reverse, limit)?
            .into_iter()
            .map(|(key, _)| key)
            .collect())
    }

    /// What is known about an entry.
    pub(crate) fn record(&mut self, num: Num) -> Result<Option<&mut Record>, DatabaseError> {
        if !self.records.contains_key(&num) {
            let before: Option<Record> = match self.base.get(Tree::Records, &num_key(num))? {
                Some(bytes) => Some(decode("record", &bytes)?),
                None => None,
            };
            let now = before.clone();
            self.records.insert(num, Cached { before, now });
        }
        Ok(self
            .records
            .get_mut(&num)
            .and_then(|cached| cached.now.as_mut()))
    }

    /// What is known about an entry whose number came from an index.
    pub(crate) fn known(&mut self, num: Num) -> Result<&mut Record, DatabaseError> {
        self.record(num)?
            .ok_or(DatabaseError::Damaged { what: "record" })
    }

    pub(crate) fn num_of(&self, id: &EntryId) -> Result<Option<Num>, DatabaseError> {
        match self.get(Tree::Ids, id.as_bytes())? {
            Some(bytes) => decode("number", &bytes).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn record_of(
        &mut self,
        id: &EntryId,
    ) -> Result<Option<(Num, Record)>, DatabaseError> {
        let Some(num) = self.num_of(id)? else {
            return Ok(None);
        };
        Ok(self.record(num)?.map(|record| (num, record.clone())))
    }

    /// The header of a held entry.
    pub(crate) fn header(&self, num: Num) -> Result<Arc<Header>, DatabaseError> {
        if let Some(fresh) = self.fresh.get(&num) {
            return Ok(Arc::clone(&fresh.header));
        }
        let bytes = self
            .get(Tree::Entries, &num_key(num))?
            .ok_or(DatabaseError::Damaged { what: "entry" })?;
        let entry = model::Entry::<model::Unverified>::decode(&bytes)
            .map_err(|_| DatabaseError::Damaged { what: "entry" })?;
        Ok(Arc::new(entry.header().clone()))
    }

    /// The row of an entry whose payload is held and readable.
    pub(crate) fn row(&self, num: Num) -> Result<Option<Arc<Row>>, DatabaseError> {
        if let Some(row) = self.fresh.get(&num).and_then(|fresh| fresh.row.as_ref()) {
            return Ok(Some(Arc::clone(row)));
        }
        match self.get(Tree::Payloads, &num_key(num))? {
            Some(bytes) => Ok(row_from_store(&bytes).map(Arc::new)),
            None => Ok(None),
        }
    }

    pub(crate) fn scope(&mut self, scope: Scope) -> Result<&mut ScopeState, DatabaseError> {
        if !self.scopes.contains_key(&scope) {
            let before: Option<ScopeState> = match self.base.get(Tree::Scopes, &scope.key())? {
                Some(bytes) => Some(decode("scope", &bytes)?),
                None => None,
            };
            self.scopes.insert(
                scope,
                Cached {
                    before,
                    now: before,
                },
            );
        }
        let cached = self
            .scopes
            .get_mut(&scope)
            .ok_or(DatabaseError::Damaged { what: "scope" })?;
        Ok(cached.now.get_or_insert_default())
    }

    pub(crate) fn number(&self, tree: Tree, key: &[u8]) -> Result<u64, DatabaseError> {
        match self.get(tree, key)? {
            Some(bytes) => decode("number", &bytes),
            None => Ok(0),
        }
    }

    /// Adds to a number that stands at 0 when absent.
    pub(crate) fn add(&mut self, tree: Tree, key: &[u8], more: u64) -> Result<u64, DatabaseError> {
        let sum = self.number(tree, key)?.saturating_add(more);
        self.put(tree, key, encode(&sum));
        Ok(sum)
    }

    pub(crate) fn subtract(
        &mut self,
        tree: Tree,
        key: &[u8],
        less: u64,
    ) -> Result<(), DatabaseError> {
        match self.number(tree, key)?.saturating_sub(less) {
            0 => self.del(tree, key),
            rest => self.put(tree, key, encode(&rest)),
        }
        Ok(())
    }

    pub(crate) fn emit(&mut self, kind: EventKind, record: &Record) {
        self.counters.last_event += 1;
        let event = Event {
            cursor: Cursor {
                epoch: self.counters.epoch,
                seq: self.counters.last_event,
            },
            kind,
            entry: record.id,
            space: record.space,
            root: record.thread(),
            table: record.table.to_string(),
        };
        self.put_new(Tree::Events, &num_key(event.cursor.seq), encode(&event));
        while self.counters.last_event - self.counters.dropped_events > self.options.events {
            self.counters.dropped_events += 1;
            self.del(Tree::Events, &num_key(self.counters.dropped_events));
        }
        self.report.events.push(event);
    }

    pub(crate) fn count_verdict(&mut self, verdict: Verdict, sign: i64) {
        let counter = match verdict {
            Verdict::Pending => &mut self.counters.pending,
            Verdict::Held => &mut self.counters.held,
            _ => return,
        };
        *counter = counter.saturating_add_signed(sign);
    }

    /// Everything as one batch, with what was learnt about spaces.
    pub(crate) fn finish(mut self) -> Result<Finished, DatabaseError> {
        self.write_threads()?;
        self.write_boards();
        for (num, cached) in std::mem::take(&mut self.records) {
            if cached.before != cached.now {
                match &cached.now {
                    Some(record) => self.put(Tree::Records, &num_key(num), encode(record)),
                    None => self.del(Tree::Records, &num_key(num)),
                }
            }
        }
        for (scope, cached) in std::mem::take(&mut self.scopes) {
            self.write_scope(scope, &cached);
        }
        let counters = encode(&self.counters);
        self.put(Tree::System, COUNTERS, counters);
        let reserves = self.counters.last_event > self.reserved;
        if reserves {
            let reserved = self.counters.last_event.saturating_add(RESERVE);
            self.put(Tree::System, RESERVED, encode(&reserved));
        }
        Ok(Finished {
            reserves,
            batch: self.overlay.into_batch(),
            report: self.report,
            spaces: self.spaces,
        })
    }

    fn write_scope(&mut self, scope: Scope, cached: &Cached<ScopeState>) {
        if cached.before == cached.now {
            return;
        }
        if let Scope::Thread(root) = scope {
            if let Some(ScopeState {
                last_ms,
                listed: Some(space),
                ..
            }) = cached.before
            {
                self.del(Tree::Digests, &digest_key(&space, last_ms, &root));
            }
            if let Some(ScopeState {
                last_ms,
                listed: Some(space),
                fingerprint,
            }) = cached.now
            {
                let key = digest_key(&space, last_ms, &root);
                self.put(Tree::Digests, &key, encode(&fingerprint));
            }
        }
        match cached.now.filter(|state| state.fingerprint.count > 0) {
            Some(state) => self.put(Tree::Scopes, &scope.key(), encode(&state)),
            None => self.del(Tree::Scopes, &scope.key()),
        }
        self.report.changed.insert(scope);
    }
}

/// A batch ready to be written.
pub(crate) struct Finished {
    /// It reserves event numbers: it must be durable before anyone sees one.
    pub(crate) reserves: bool,
    pub(crate) batch: Batch,
    pub(crate) report: IngestReport,
    pub(crate) spaces: BTreeMap<SpaceId, Arc<SpaceInfo>>,
}

/// The number up to which events may be numbered.
pub(crate) fn reserved_events(view: &dyn View) -> Result<u64, DatabaseError> {
    match view.get(Tree::System, RESERVED)? {
        Some(bytes) => decode("number", &bytes),
        None => Ok(0),
    }
}

/// The row of payload bytes that were checked when they came in; none when they are unreadable.
pub(crate) fn row_from_store(bytes: &[u8]) -> Option<Row> {
    let (_salt, row): (Skipped, Row) = serde_ipld_dagcbor::from_slice(bytes).ok()?;
    Some(row)
}

/// A value that is read over.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Keys with their values.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Keys and values that begin with `prefix`, at most `limit`.
pub(crate) fn scan(
    view: &dyn View,
    tree: Tree,
    prefix: &[u8],
    reverse: bool,
    limit: usize,
) -> Result<Pairs, StoreError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    scan_with(view, tree, prefix, None, reverse, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        if found.len() < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(found)
}

/// Visits the keys that begin with `prefix`, beyond `after`.
pub(crate) fn scan_with(
    view: &dyn View,
    tree: Tree,
    prefix: &[u8],
    after: Option<&[u8]>,
    reverse: bool,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    use std::ops::Bound;
    let end = prefix_end(prefix);
    let mut lower = Bound::Included(prefix);
    let mut upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    match after {
        Some(after) if reverse => upper = Bound::Excluded(after),
        Some(after) => lower = Bound::Excluded(after),
        None => {}
    }
    view.range(tree, (lower, upper), reverse, visit)
}

/// The first key behind all that begin with `prefix`; none when there is no such key.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let at = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=at].to_vec();
    end[at] += 1;
    Some(end)
}

impl View for Txn<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.overlay.get(tree, key) {
            Some(written) => Ok(written.cloned()),
            None => self.base.get(tree, key),
        }
    }

    fn range(
        &self,
        tree: Tree,
        bounds: Bounds<'_>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.overlay
            .range(&*self.base, tree, bounds, reverse, visit)
    }
}
