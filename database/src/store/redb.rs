//! redb: the default store. One file, one table.

use std::{
    ops::Bound,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use redb::{
    CommitError, CompactionError, Database, DatabaseError, Durability as RedbDurability,
    ReadOnlyTable, ReadableDatabase, StorageError, TableDefinition, TableError, TransactionError,
};

use super::{Batch, Bounds, Durability, Store, StoreError, Tree, View, Visit, guarded, is_span};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("datt");

/// A redb file.
pub struct RedbStore {
    path: PathBuf,
    /// Written only to compact, which needs the database to itself.
    database: RwLock<Database>,
}

impl RedbStore {
    /// Opens or creates `path`; `cache_bytes` bounds the pages kept in memory.
    ///
    /// # Errors
    /// When it is in use, damaged, or the system refuses.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        guarded(path, || {
            let fail = Failure {
                act: "opening",
                path,
            };
            let database = Database::builder()
                .set_cache_size(cache_bytes)
                .create(path)
                .map_err(|error| fail.database(error))?;
            let write = database
                .begin_write()
                .map_err(|error| fail.transaction(error))?;
            write.open_table(TABLE).map_err(|error| fail.table(error))?;
            write.commit().map_err(|error| fail.commit(error))?;
            Ok(Self {
                path: path.to_owned(),
                database: RwLock::new(database),
            })
        })
    }

    fn failure(&self, act: &'static str) -> Failure<'_> {
        Failure {
            act,
            path: &self.path,
        }
    }

    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let fail = self.failure("writing");
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let mut write = database
            .begin_write()
            .map_err(|error| fail.transaction(error))?;
        let kind = match durability {
            Durability::Durable => RedbDurability::Immediate,
            Durability::Relaxed => RedbDurability::None,
        };
        write
            .set_durability(kind)
            .map_err(|error| fail.backend(&error))?;
        {
            let mut table = write.open_table(TABLE).map_err(|error| fail.table(error))?;
            for (key, value) in batch.writes() {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice()),
                    None => table.remove(key.as_slice()),
                }
                .map_err(|error| fail.storage(error))?;
            }
        }
        write.commit().map_err(|error| fail.commit(error))
    }
}

struct RedbView<'a> {
    path: &'a Path,
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl View for RedbView<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let fail = Failure {
            act: "reading",
            path: self.path,
        };
        guarded(self.path, || {
            let found = tree
                .with_key(key, |key| self.table.get(key))
                .map_err(|error| fail.storage(error))?;
            Ok(found.map(|value| value.value().to_vec()))
        })
    }

    fn range(
        &self,
        tree: Tree,
        bounds: Bounds<'_>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let fail = Failure {
            act: "reading",
            path: self.path,
        };
        let span = tree.span(bounds);
        if !is_span(&span) {
            return Ok(());
        }
        let (lower, upper) = (as_slice(&span.0), as_slice(&span.1));
        let mut range = guarded(self.path, || {
            self.table
                .range::<&[u8]>((lower, upper))
                .map_err(|error| fail.storage(error))
        })?;
        loop {
            let next = guarded(self.path, || {
                let next = if reverse {
                    range.next_back()
                } else {
                    range.next()
                };
                next.transpose().map_err(|error| fail.storage(error))
            })?;
            let Some((key, value)) = next else {
                return Ok(());
            };
            if visit(&key.value()[1..], value.value()).is_break() {
                return Ok(());
            }
        }
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

impl Store for RedbStore {
    fn kind(&self) -> &'static str {
        "redb"
    }

    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let fail = self.failure("reading");
        guarded(&self.path, || {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            let read = database
                .begin_read()
                .map_err(|error| fail.transaction(error))?;
            let table = read.open_table(TABLE).map_err(|error| fail.table(error))?;
            Ok(Box::new(RedbView {
                path: &self.path,
                table,
            }) as Box<dyn View + '_>)
        })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        guarded(&self.path, || self.write(&batch, durability))
    }

    fn flush(&self) -> Result<(), StoreError> {
        guarded(&self.path, || {
            self.write(&Batch::default(), Durability::Durable)
        })
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        std::fs::metadata(&self.path)
            .map(|meta| meta.len())
            .map_err(|error| StoreError::io("asking the size of", &self.path, error))
    }

    fn compact(&self) -> Result<bool, StoreError> {
        let fail = self.failure("compacting");
        guarded(&self.path, || {
            let mut database = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            match database.compact() {
                Ok(done) => Ok(done),
                Err(CompactionError::Storage(error)) => Err(fail.storage(error)),
                Err(error) => Err(fail.backend(&error)),
            }
        })
    }
}

/// What was tried on which file, to say so when it fails.
#[derive(Clone, Copy)]
struct Failure<'a> {
    act: &'static str,
    path: &'a Path,
}

impl Failure<'_> {
    fn backend(&self, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Backend {
            act: self.act,
            path: self.path.to_owned(),
            reason: error.to_string(),
        }
    }

    fn corrupt(&self, reason: String) -> StoreError {
        StoreError::Corrupt {
            path: self.path.to_owned(),
            reason,
        }
    }

    fn storage(&self, error: StorageError) -> StoreError {
        match error {
            StorageError::Corrupted(reason) => self.corrupt(reason),
            StorageError::Io(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                self.corrupt(error.to_string())
            }
            StorageError::Io(error) => StoreError::io(self.act, self.path, error),
            error => self.backend(&error),
        }
    }

    fn database(&self, error: DatabaseError) -> StoreError {
        match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
                path: self.path.to_owned(),
            },
            DatabaseError::Storage(error) => self.storage(error),
            error => self.corrupt(error.to_string()),
        }
    }

    fn transaction(&self, error: TransactionError) -> StoreError {
        match error {
            TransactionError::Storage(error) => self.storage(error),
            error => self.backend(&error),
        }
    }

    fn table(&self, error: TableError) -> StoreError {
        match error {
            TableError::Storage(error) => self.storage(error),
            error => self.corrupt(error.to_string()),
        }
    }

    fn commit(&self, error: CommitError) -> StoreError {
        match error {
            CommitError::Storage(error) => self.storage(error),
            error => self.backend(&error),
        }
    }
}
