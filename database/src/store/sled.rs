//! sled 0.34.7: the store that a config can choose. One folder, one sled tree.
//!
//! sled has no snapshots: a view holds a reader lock, and the one writer waits for it. Views are
//! therefore dropped after each query.
//!
//! sled waits for ever once the disk has failed a write of it, so each commit asks for room first.

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use sled::{Config, Db, IVec, Mode};

use super::{
    Batch, Bounds, Durability, Store, StoreError, Tree, View, Visit, guarded, is_span, room,
};

/// A sled folder.
pub struct SledStore {
    path: PathBuf,
    db: Db,
    gate: RwLock<()>,
}

impl SledStore {
    /// Opens or creates `path`; `cache_bytes` bounds the pages kept in memory.
    ///
    /// # Errors
    /// When it is in use, damaged, or the system refuses.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        if path.is_file() {
            return Err(StoreError::Corrupt {
                path: path.to_owned(),
                reason: "a sled store is a folder, this is a file".to_owned(),
            });
        }
        guarded(path, || {
            room::clear(path);
            let db = Config::new()
                .path(path)
                .cache_capacity(cache_bytes)
                .mode(Mode::HighThroughput)
                .open()
                .map_err(|error| failure("opening", path, error))?;
            Ok(Self {
                path: path.to_owned(),
                db,
                gate: RwLock::new(()),
            })
        })
    }
}

struct SledView<'a> {
    store: &'a SledStore,
    _gate: RwLockReadGuard<'a, ()>,
}

impl View for SledView<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let path = &self.store.path;
        guarded(path, || {
            let found = tree
                .with_key(key, |key| self.store.db.get(key))
                .map_err(|error| failure("reading", path, error))?;
            Ok(found.map(|value| value.to_vec()))
        })
    }

    fn range(
        &self,
        tree: Tree,
        bounds: Bounds<'_>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let path = &self.store.path;
        let span = tree.span(bounds);
        if !is_span(&span) {
            return Ok(());
        }
        let mut range = self.store.db.range::<Vec<u8>, _>(span);
        loop {
            let next = guarded(path, || {
                let next: Option<Result<(IVec, IVec), sled::Error>> = if reverse {
                    range.next_back()
                } else {
                    range.next()
                };
                next.transpose()
                    .map_err(|error| failure("reading", path, error))
            })?;
            let Some((key, value)) = next else {
                return Ok(());
            };
            if visit(&key[1..], &value).is_break() {
                return Ok(());
            }
        }
    }
}

impl Store for SledStore {
    fn kind(&self) -> &'static str {
        "sled"
    }

    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(SledView {
            store: self,
            _gate: gate,
        }))
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        guarded(&self.path, || {
            room::probe(&self.path, batch.bytes())?;
            let mut writes = sled::Batch::default();
            for (key, value) in batch.into_writes() {
                match value {
                    Some(value) => writes.insert(key, value),
                    None => writes.remove(key),
                }
            }
            {
                let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
                self.db
                    .apply_batch(writes)
                    .map_err(|error| failure("writing", &self.path, error))?;
            }
            if durability == Durability::Durable {
                self.db
                    .flush()
                    .map_err(|error| failure("writing", &self.path, error))?;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        guarded(&self.path, || {
            self.db
                .flush()
                .map(|_bytes| ())
                .map_err(|error| failure("flushing", &self.path, error))
        })
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.db
            .size_on_disk()
            .map_err(|error| failure("asking the size of", &self.path, error))
    }
}

fn failure(act: &'static str, path: &Path, error: sled::Error) -> StoreError {
    let path_owned = path.to_owned();
    match error {
        sled::Error::Corruption { at, .. } => StoreError::Corrupt {
            path: path_owned,
            reason: format!("corruption at {at:?}"),
        },
        sled::Error::Unsupported(reason) => StoreError::Corrupt {
            path: path_owned,
            reason,
        },
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            StoreError::InUse { path: path_owned }
        }
        sled::Error::Io(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            StoreError::Corrupt {
                path: path_owned,
                reason: error.to_string(),
            }
        }
        sled::Error::Io(error) => StoreError::io(act, path, error),
        error => StoreError::Backend {
            act,
            path: path_owned,
            reason: error.to_string(),
        },
    }
}
