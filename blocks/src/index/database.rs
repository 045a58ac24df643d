//! The index's file: one redb database, its durable transactions, and what becomes of it when the
//! disk fails.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Database, ReadTransaction, ReadableDatabase, TableError};

use super::tables::{META, VERSION, VERSION_KEY, Writing};
use crate::StoreError;

/// Pages of the index that are kept in memory, bytes.
const CACHE_BYTES: usize = 8 << 20;

/// Handle to the index; clones share it.
#[derive(Clone)]
pub(crate) struct Index(Arc<Place>);

struct Place {
    path: PathBuf,
    /// Written only to open it again or to close it.
    state: RwLock<State>,
    /// The disk failed, after which redb refuses to write until the file is opened again.
    broken: AtomicBool,
}

enum State {
    Open(Database),
    /// It could not be opened again; the next use tries once more.
    Failed,
    Closed,
}

/// What a transaction can end by.
pub(super) type Fault = redb::Error;

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index, or makes one. Waits for the disk.
    ///
    /// # Errors
    /// When the file is in use, damaged, of another version, or the system refuses.
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let database = unpanicked(|| {
            let database = Database::builder()
                .set_cache_size(CACHE_BYTES)
                .create(path)?;
            prepare(&database)?;
            Ok(database)
        })?;
        Ok(Self(Arc::new(Place {
            path: path.to_owned(),
            state: RwLock::new(State::Open(database)),
            broken: AtomicBool::new(false),
        })))
    }

    /// Closes the file. Handles that are left can only fail.
    pub(crate) fn close(&self) {
        *self.0.state.write().unwrap_or_else(PoisonError::into_inner) = State::Closed;
    }

    /// Reads on a thread that may wait for the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        act: &'static str,
        run: impl Fn(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let index = self.clone();
        on_thread(move || index.read_here(act, run)).await
    }

    /// Writes everything or nothing: when this returns, it survives a crash.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        act: &'static str,
        run: impl Fn(&mut Writing<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let index = self.clone();
        on_thread(move || index.write_here(act, run)).await
    }

    /// As [`Index::read`], on this thread.
    pub(super) fn read_here<T>(
        &self,
        act: &'static str,
        run: impl Fn(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.with(act, |database| run(&database.begin_read()?))
    }

    /// As [`Index::write`], on this thread.
    pub(super) fn write_here<T>(
        &self,
        act: &'static str,
        run: impl Fn(&mut Writing<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.with(act, |database| {
            let transaction = database.begin_write()?;
            let done = run(&mut Writing::open(&transaction)?)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// Runs on the database; once more on one that was opened again, if the disk failed earlier.
    fn with<T>(
        &self,
        act: &'static str,
        run: impl Fn(&Database) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        for _ in 0..2 {
            if self.0.broken.load(Ordering::Acquire) {
                self.reopen(act)?;
            }
            let state = self.state();
            let State::Open(database) = &*state else {
                return Err(StoreError::Stopped);
            };
            match unpanicked(|| run(database)) {
                Err(Fault::PreviousIo | Fault::DatabaseClosed) => {
                    self.0.broken.store(true, Ordering::Release);
                }
                Err(error) => {
                    if matches!(error, Fault::Io(_) | Fault::TransactionPoisoned) {
                        self.0.broken.store(true, Ordering::Release);
                    }
                    return Err(fault(act, error));
                }
                Ok(done) => return Ok(done),
            }
        }
        Err(fault(act, Fault::PreviousIo))
    }

    fn reopen(&self, act: &'static str) -> Result<(), StoreError> {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Closed) || !self.0.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        // The file's lock goes with it.
        *state = State::Failed;
        let database = unpanicked(|| {
            Ok(Database::builder()
                .set_cache_size(CACHE_BYTES)
                .open(&self.0.path)?)
        })
        .map_err(|error| fault(act, error))?;
        *state = State::Open(database);
        self.0.broken.store(false, Ordering::Release);
        tracing::warn!(target: "blocks::index", "opened again after an error of the disk");
        Ok(())
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the tables of a new index; checks the version of an old one, without writing to it.
fn prepare(database: &Database) -> Result<(), Fault> {
    let found = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta.get(VERSION_KEY)?.map(|version| version.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    match found {
        Some(VERSION) => Ok(()),
        Some(version) => Err(Fault::Corrupted(format!(
            "index.redb has the version {version}, this node reads {VERSION}"
        ))),
        None => {
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert(VERSION_KEY, VERSION)?;
            Writing::open(&transaction)?;
            transaction.commit()?;
            Ok(())
        }
    }
}

/// Runs where waiting for the disk delays nobody.
pub(crate) async fn on_thread<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|_| StoreError::Stopped)?
}

/// A panic inside redb, which has some on damaged files, becomes an error.
fn unpanicked<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("the database panicked");
        Err(Fault::Corrupted(reason.to_owned()))
    })
}

fn fault(act: &'static str, error: Fault) -> StoreError {
    match error {
        Fault::Io(error) => StoreError::new(act, error),
        error => StoreError::new(act, io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}
