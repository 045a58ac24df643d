//! Everything held, checked again: signatures, hashes, and indexes against a rebuilt view.

use std::{ops::ControlFlow, sync::Arc};

use model::{EntryId, PayloadId};
use thiserror::Error;

use crate::{
    Database, DatabaseError, Options,
    record::{Record, decode, num_key},
    store::{MemoryStore, Store, Tree, View},
    txn::{scan, scan_with},
};

/// What is being checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Signatures and hashes.
    Entries,
    /// Derived state is built a second time.
    Rebuild,
    /// Both are compared.
    Compare,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being checked.
    pub stage: Stage,
    /// How many are done.
    pub checked: u64,
    /// Of how many.
    pub total: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Bytes that are no entry, or not signed.
    #[error("entry {num} is damaged: {reason}")]
    Entry {
        /// Local number.
        num: u64,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that are not the entry's payload.
    #[error("the payload of entry {0} is damaged")]
    Payload(EntryId),
    /// An index that says something else than a rebuilt one.
    #[error("index {tree:?} differs from a rebuilt one in {keys} keys; a rebuild mends it")]
    Index {
        /// Which.
        tree: Tree,
        /// In how many keys.
        keys: u64,
    },
}

/// Entries checked at once.
const CHUNK: usize = 512;
/// Damaged items that are named one by one.
const NAMED_PROBLEMS: usize = 1_000;
/// Trees whose content depends on more than what is held: budgets, arrival, help for authors.
const NOT_COMPARED: [Tree; 10] = [
    Tree::System,
    Tree::AuthorFeeds,
    Tree::Waiting,
    Tree::Entries,
    Tree::Payloads,
    Tree::Erased,
    Tree::Events,
    Tree::Usage,
    Tree::Tips,
    Tree::Authors,
];

impl Database {
    /// Checks everything held. Writers wait while indexes are compared. `Break` from `progress`
    /// ends it early.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn verify(
        &self,
        now_ms: u64,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Vec<Problem>, DatabaseError> {
        let mut problems = Vec::new();
        if self.verify_entries(progress, &mut problems)?.is_break() || !problems.is_empty() {
            return Ok(problems);
        }
        self.tick(now_ms)?;
        let _writer = self.lock();
        let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let options = Options {
            events: 0,
            ..self.options.clone()
        };
        let second = Self::open(Arc::clone(&scratch), options).map_err(|error| match error {
            crate::OpenError::Database(error) => error,
            crate::OpenError::Newer { .. } => DatabaseError::Damaged {
                what: "format marker",
            },
        })?;
        let total = self.counts()?.entries;
        copy_erased(&*self.store, &*scratch)?;
        let mut ended = false;
        second.replay(&*self.store, now_ms, &mut |checked| {
            let flow = progress(Progress {
                stage: Stage::Rebuild,
                checked,
                total,
            });
            ended = flow.is_break();
            !ended
        })?;
        if ended {
            return Ok(problems);
        }
        let trees: Vec<Tree> = Tree::ALL
            .into_iter()
            .filter(|tree| !NOT_COMPARED.contains(tree))
            .collect();
        let (own, other) = (self.store.view()?, scratch.view()?);
        for (at, tree) in trees.iter().enumerate() {
            let keys = differences(&*own, &*other, *tree)?;
            if keys > 0 {
                problems.push(Problem::Index { tree: *tree, keys });
            }
            let at = Progress {
                stage: Stage::Compare,
                checked: at as u64 + 1,
                total: trees.len() as u64,
            };
            if progress(at).is_break() {
                break;
            }
        }
        Ok(problems)
    }

    fn verify_entries(
        &self,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
        problems: &mut Vec<Problem>,
    ) -> Result<ControlFlow<()>, DatabaseError> {
        let total = self.counts()?.entries;
        let mut after = None;
        let mut checked = 0;
        loop {
            let view = self.store.view()?;
            let found = next_entries(&*view, after.as_deref())?;
            let Some((last, _)) = found.last() else {
                return Ok(ControlFlow::Continue(()));
            };
            after = Some(last.clone());
            check_chunk(&*view, &found, problems)?;
            drop(view);
            checked += found.len() as u64;
            if problems.len() >= NAMED_PROBLEMS
                || progress(Progress {
                    stage: Stage::Entries,
                    checked,
                    total,
                })
                .is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
}

type Found = Vec<(Vec<u8>, Vec<u8>)>;

fn next_entries(view: &dyn View, after: Option<&[u8]>) -> Result<Found, DatabaseError> {
    let mut found = Vec::new();
    scan_with(view, Tree::Entries, &[], after, false, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        if found.len() < CHUNK {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(found)
}

fn check_chunk(
    view: &dyn View,
    found: &Found,
    problems: &mut Vec<Problem>,
) -> Result<(), DatabaseError> {
    let packets = found
        .iter()
        .map(|(_, entry)| crate::Packet {
            entry: entry.clone(),
            payload: None,
        })
        .collect();
    let verified = crate::verify_batch(packets, crate::Source::File);
    for ((key, _), verified) in found.iter().zip(verified) {
        let num = crate::record::num_at_end(key).unwrap_or(u64::MAX);
        let entry = match verified {
            Ok(incoming) => incoming.entry,
            Err(error) => {
                problems.push(Problem::Entry {
                    num,
                    reason: error.to_string(),
                });
                continue;
            }
        };
        let record: Option<Record> = match view.get(Tree::Records, &num_key(num))? {
            Some(bytes) => decode("record", &bytes).ok(),
            None => None,
        };
        if record.is_none_or(|record| record.id != entry.id()) {
            let reason = "its bytes are not those of the entry that was stored".to_owned();
            problems.push(Problem::Entry { num, reason });
        }
        if let Some(bytes) = view.get(Tree::Payloads, key)?
            && PayloadId::of(&bytes) != entry.header().payload
        {
            problems.push(Problem::Payload(entry.id()));
        }
    }
    Ok(())
}

fn copy_erased(from: &dyn Store, to: &dyn Store) -> Result<(), DatabaseError> {
    let mut batch = crate::store::Batch::default();
    for (key, value) in scan(&*from.view()?, Tree::Erased, &[], false, usize::MAX)? {
        batch.put(Tree::Erased, &key, value);
    }
    Ok(to.commit(batch, crate::Durability::Relaxed)?)
}

/// Keys that are in one of two trees only, or have other values.
fn differences(own: &dyn View, other: &dyn View, tree: Tree) -> Result<u64, DatabaseError> {
    let mut count = 0u64;
    let mut matched = 0u64;
    let mut failed = None;
    scan_with(
        own,
        tree,
        &[],
        None,
        false,
        &mut |key, value| match other.get(tree, key) {
            Ok(Some(theirs)) => {
                matched += 1;
                count += u64::from(!same(tree, value, &theirs));
                ControlFlow::Continue(())
            }
            Ok(None) => {
                count += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut theirs = 0u64;
    scan_with(other, tree, &[], None, false, &mut |_, _| {
        theirs += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count + (theirs - matched))
}

/// Records also say what an entry waited for when it was last looked at.
fn same(tree: Tree, own: &[u8], other: &[u8]) -> bool {
    if tree != Tree::Records {
        return own == other;
    }
    let settled = |bytes| {
        decode::<Record>("record", bytes).map(|record| Record {
            missing: Vec::new(),
            awaits: Vec::new(),
            ..record
        })
    };
    matches!((settled(own), settled(other)), (Ok(own), Ok(other)) if own == other)
}
