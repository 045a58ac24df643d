//! redb: the default store. One file, one table.

use std::{
    ops::Bound,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{
    CommitError, CompactionError, Database, DatabaseError, Durability as RedbDurability,
    ReadOnlyTable, ReadableDatabase, StorageError, TableDefinition, TableError, TransactionError,
};

use super::{
    Batch, Bounds, Durability, Store, StoreError, Tree, View, Visit, guarded, is_span,
    room::{self, Unsynced},
};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("datt");

/// A redb file.
///
/// redb ends all writing after an error of the disk, until the file is opened again; so it is
/// opened again when that happened, and a full disk stops writing only while it is full.
pub struct RedbStore {
    path: PathBuf,
    cache_bytes: usize,
    /// Written only to compact and to open it again, which need the database to themselves.
    /// None while it can't be opened.
    database: RwLock<Option<Database>>,
    /// Taken before the database, so that one commit runs at a time.
    unsynced: Mutex<Unsynced>,
    /// The disk failed: the database must be opened again.
    broken: AtomicBool,
    /// The disk had no room left when last written to.
    full: AtomicBool,
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
            room::clear(path);
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
                cache_bytes,
                database: RwLock::new(Some(database)),
                unsynced: Mutex::default(),
                broken: AtomicBool::new(false),
                full: AtomicBool::new(false),
            })
        })
    }

    fn failure(&self, act: &'static str) -> Failure<'_> {
        Failure {
            act,
            path: &self.path,
        }
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what an error says about the disk.
    fn note(&self, error: StoreError) -> StoreError {
        match &error {
            StoreError::DiskFull { .. } => {
                self.full.store(true, Ordering::Release);
                self.broken.store(true, Ordering::Release);
            }
            StoreError::Io { .. } | StoreError::Reopening { .. } => {
                self.broken.store(true, Ordering::Release);
            }
            _ => {}
        }
        error
    }

    /// The same for a view, which may be one of a database that was closed since.
    fn note_read(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Reopening { .. } => error,
            error => self.note(error),
        }
    }

    /// Opens the file again if the disk failed since; what was committed is there again.
    fn reopen_if_broken(&self, unsynced: &Unsynced) -> Result<(), StoreError> {
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut place = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if place.is_none() && self.full.load(Ordering::Acquire) {
            room::probe(&self.path, unsynced.bytes())?;
        }
        // The file's lock goes with it; views that still read from it are told so.
        drop(place.take());
        let fail = self.failure("opening");
        let database = Database::builder()
            .set_cache_size(self.cache_bytes)
            .open(&self.path)
            .map_err(|error| self.note(fail.database(error)))?;
        for batch in unsynced.batches() {
            write(&database, fail, batch, RedbDurability::None)
                .map_err(|error| self.note(error))?;
        }
        *place = Some(database);
        self.broken.store(false, Ordering::Release);
        tracing::warn!(path = %self.path.display(), "opened again after an error of the disk");
        Ok(())
    }

    fn write_once(
        &self,
        batch: &Batch,
        durability: RedbDurability,
        unsynced: &Unsynced,
    ) -> Result<(), StoreError> {
        self.reopen_if_broken(unsynced)?;
        let fail = self.failure("writing");
        match &*self.database() {
            Some(database) => {
                write(database, fail, batch, durability).map_err(|error| self.note(error))
            }
            None => Err(fail.reopening()),
        }
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        let mut unsynced = self.unsynced();
        if self.full.load(Ordering::Acquire) {
            room::probe(&self.path, unsynced.bytes() + batch.bytes())?;
            self.full.store(false, Ordering::Release);
        }
        let relaxed = durability == Durability::Relaxed && unsynced.has_room(&batch);
        let kind = if relaxed {
            RedbDurability::None
        } else {
            RedbDurability::Immediate
        };
        match self.write_once(&batch, kind, &unsynced) {
            // The disk failed earlier: what is wrong now is seen by trying once more.
            Err(StoreError::Reopening { .. }) => self.write_once(&batch, kind, &unsynced)?,
            done => done?,
        }
        if relaxed {
            unsynced.keep(batch);
        } else {
            unsynced.clear();
        }
        Ok(())
    }

    fn read(&self) -> Result<RedbView<'_>, StoreError> {
        if self.broken.load(Ordering::Acquire) {
            self.reopen_if_broken(&self.unsynced())?;
        }
        let fail = self.failure("reading");
        let place = self.database();
        let database = place.as_ref().ok_or_else(|| fail.reopening())?;
        let read = database
            .begin_read()
            .map_err(|error| self.note(fail.transaction(error)))?;
        let table = read
            .open_table(TABLE)
            .map_err(|error| self.note(fail.table(error)))?;
        Ok(RedbView { store: self, table })
    }
}

/// Writes a batch, or nothing.
fn write(
    database: &Database,
    fail: Failure<'_>,
    batch: &Batch,
    durability: RedbDurability,
) -> Result<(), StoreError> {
    let mut write = database
        .begin_write()
        .map_err(|error| fail.transaction(error))?;
    write
        .set_durability(durability)
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

struct RedbView<'a> {
    store: &'a RedbStore,
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl View for RedbView<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let fail = self.store.failure("reading");
        guarded(&self.store.path, || {
            let found = tree
                .with_key(key, |key| self.table.get(key))
                .map_err(|error| self.store.note_read(fail.storage(error)))?;
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
        let fail = self.store.failure("reading");
        let span = tree.span(bounds);
        if !is_span(&span) {
            return Ok(());
        }
        let (lower, upper) = (as_slice(&span.0), as_slice(&span.1));
        let mut range = guarded(&self.store.path, || {
            self.table
                .range::<&[u8]>((lower, upper))
                .map_err(|error| self.store.note_read(fail.storage(error)))
        })?;
        loop {
            let next = guarded(&self.store.path, || {
                let next = if reverse {
                    range.next_back()
                } else {
                    range.next()
                };
                next.transpose()
                    .map_err(|error| self.store.note_read(fail.storage(error)))
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
        guarded(&self.path, || {
            let view = match self.read() {
                Err(StoreError::Reopening { .. }) => self.read()?,
                view => view?,
            };
            Ok(Box::new(view) as Box<dyn View + '_>)
        })
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        guarded(&self.path, || self.write(batch, durability))
    }

    fn flush(&self) -> Result<(), StoreError> {
        guarded(&self.path, || {
            self.write(Batch::default(), Durability::Durable)
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
            let unsynced = self.unsynced();
            self.reopen_if_broken(&unsynced)?;
            let mut place = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let database = place.as_mut().ok_or_else(|| fail.reopening())?;
            match database.compact() {
                Ok(done) => Ok(done),
                Err(CompactionError::Storage(error)) => Err(self.note(fail.storage(error))),
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

    fn reopening(&self) -> StoreError {
        StoreError::Reopening {
            act: self.act,
            path: self.path.to_owned(),
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
            StorageError::PreviousIo | StorageError::DatabaseClosed => self.reopening(),
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
