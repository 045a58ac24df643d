//! Derived state anew, from entries and payloads.

use model::Entry;

use crate::{
    Content, Database, DatabaseError, Incoming, Options, Source,
    gate::Arrival,
    record::{Num, Record, decode, num_at_end, num_key},
    store::{Batch, Durability, Store, Tree, View},
    txn::{COUNTERS, Counters, RESERVED, scan_with},
};

/// Entries replayed in one batch.
const REPLAY: usize = 1_000;
/// Keys deleted in one batch.
const CLEAR: usize = 10_000;

/// Trees that can't be derived, and the records, which know where entries came from.
const KEPT: [Tree; 5] = [
    Tree::System,
    Tree::Entries,
    Tree::Payloads,
    Tree::Erased,
    Tree::Records,
];

impl Database {
    /// Derives all verdicts, rows, views and indexes anew. Events begin a new epoch. An interrupted
    /// rebuild goes on when the database is opened again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rebuild(&self, now_ms: u64) -> Result<(), DatabaseError> {
        let _writer = self.lock();
        self.mark_derived(false)?;
        self.forget_spaces();
        for tree in Tree::ALL.into_iter().filter(|tree| !KEPT.contains(tree)) {
            self.clear(tree)?;
        }
        self.reset_counters()?;
        self.replay(&*self.store, now_ms, &mut |_| true)?;
        self.mark_derived(true)
    }

    fn clear(&self, tree: Tree) -> Result<(), DatabaseError> {
        loop {
            let found = crate::txn::scan(&*self.store.view()?, tree, &[], false, CLEAR)?;
            if found.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::default();
            for (key, _) in &found {
                batch.del(tree, key);
            }
            self.store.commit(batch, Durability::Relaxed)?;
        }
    }

    fn reset_counters(&self) -> Result<(), DatabaseError> {
        let before: Counters = match self.store.get(Tree::System, COUNTERS)? {
            Some(bytes) => decode("counters", &bytes)?,
            None => Counters::default(),
        };
        let counters = Counters {
            next_num: before.next_num,
            epoch: before.epoch.wrapping_add(1),
            ..Counters::default()
        };
        let mut batch = Batch::default();
        batch.put(Tree::System, COUNTERS, crate::record::encode(&counters));
        batch.del(Tree::System, RESERVED);
        Ok(self.store.commit(batch, Durability::Relaxed)?)
    }

    /// Takes all entries of `from` in again, under their numbers; false from `progress` ends it.
    pub(crate) fn replay(
        &self,
        from: &dyn Store,
        now_ms: u64,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), DatabaseError> {
        let mut after: Option<Num> = None;
        let mut done = 0;
        loop {
            let batch = read_batch(&*from.view()?, after)?;
            let Some(last) = batch.last().map(|(num, ..)| *num) else {
                return Ok(());
            };
            done += batch.len() as u64;
            let mut txn = self.begin(now_ms)?;
            txn.options = unlimited(&txn.options);
            for (num, incoming, source, received_ms) in batch {
                let arrival = Arrival {
                    source,
                    received_ms,
                    num: Some(num),
                };
                txn.insert(incoming, arrival)?;
                txn.run_queue()?;
            }
            self.commit(txn, Durability::Relaxed)?;
            after = Some(last);
            if !progress(done) {
                return Ok(());
            }
        }
    }
}

/// Nothing that was taken once is refused now.
fn unlimited(options: &Options) -> Options {
    Options {
        author_space_bytes: u64::MAX,
        space_bytes: u64::MAX,
        waiting_bytes: u64::MAX,
        unknown_bytes: u64::MAX,
        ..options.clone()
    }
}

type Replayed = (Num, Incoming, Source, u64);

fn read_batch(view: &dyn View, after: Option<Num>) -> Result<Vec<Replayed>, DatabaseError> {
    let mut found = Vec::new();
    let after = after.map(num_key);
    scan_with(
        view,
        Tree::Entries,
        &[],
        after.as_ref().map(|key| &key[..]),
        false,
        &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            if found.len() < REPLAY {
                std::ops::ControlFlow::Continue(())
            } else {
                std::ops::ControlFlow::Break(())
            }
        },
    )?;
    let mut batch = Vec::with_capacity(found.len());
    for (key, bytes) in found {
        let damaged = || DatabaseError::Damaged { what: "entry" };
        let num = num_at_end(&key).ok_or_else(damaged)?;
        let entry = Entry::from_store(model::EntryId::of(&bytes), &bytes).map_err(|_| damaged())?;
        let content = match view.get(Tree::Payloads, &key)? {
            None => Content::Withheld,
            Some(bytes) => match model::Payload::decode(&bytes) {
                Ok(payload) => Content::Payload(payload),
                Err(_) => Content::Unreadable(bytes),
            },
        };
        let record: Option<Record> = match view.get(Tree::Records, &key)? {
            Some(bytes) => decode("record", &bytes).ok(),
            None => None,
        };
        let (source, received_ms) = record.map_or((Source::File, 0), |record| {
            (record.source, record.received_ms)
        });
        batch.push((
            num,
            Incoming {
                entry,
                content,
                source,
            },
            source,
            received_ms,
        ));
    }
    Ok(batch)
}
