//! Opens the entry store in the data folder: redb or sled, as configured.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use database::{
    Database, DatabaseError, Incoming, OpenError, Options,
    store::{Durability, RedbStore, SledStore, Store, StoreError},
};
use model::{Entry, Payload, Verified};
use thiserror::Error;

use crate::{
    clock::now_ms,
    config::{Backend, Config},
    data_folder::{DataFolder, FolderError},
};

/// File of the redb backend, in the store's folder.
const REDB_FILE: &str = "entries.redb";
/// Folder of the sled backend, in the store's folder.
const SLED_FOLDER: &str = "sled";

/// Memory that a backend may use as its cache.
const CACHE_BYTES: usize = 24 << 20;

/// Why the entry store did not open.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The folder can't be made.
    #[error("cannot make the folder {path} of the entry store: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Damaged, in use, or refused by the system; the reason names the file and what to do.
    #[error("cannot open the entry store: {0}")]
    Open(String),
    /// Opened, and not readable by this version.
    #[error("cannot read the entry store {path}: {reason}")]
    Content {
        /// Where.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Another backend than the configured one wrote it.
    #[error(
        "the entry store {path} was written by {}, but the configuration chooses {}; set `store = \"{}\"` in config.toml or start with `--store {}`",
        .wrote.as_str(), .chosen.as_str(), .wrote.as_str(), .wrote.as_str()
    )]
    OtherBackend {
        /// Where.
        path: PathBuf,
        /// What wrote it.
        wrote: Backend,
        /// What the configuration says.
        chosen: Backend,
    },
    /// A first entry could not be stored.
    #[error("cannot store the node's own identity: {0}")]
    Ingest(String),
    /// The epoch file.
    #[error(transparent)]
    Marker(#[from] FolderError),
}

/// Opens the store.
///
/// # Errors
/// When it is damaged, of a later version, or in use.
pub async fn open(folder: &DataFolder, config: &Config) -> Result<Arc<Database>, StorageError> {
    let dir = folder.store();
    std::fs::create_dir_all(&dir).map_err(|source| StorageError::Folder {
        path: dir.clone(),
        source,
    })?;
    let (path, other, wrote) = match config.store {
        Backend::Redb => (dir.join(REDB_FILE), dir.join(SLED_FOLDER), Backend::Sled),
        Backend::Sled => (dir.join(SLED_FOLDER), dir.join(REDB_FILE), Backend::Redb),
    };
    if other.exists() && !path.exists() {
        return Err(StorageError::OtherBackend {
            path: other,
            wrote,
            chosen: config.store,
        });
    }
    let options = Options {
        author_space_bytes: config.budgets.author_bytes,
        space_bytes: config.budgets.board_bytes,
        unknown_bytes: config.budgets.pending_bytes,
        epoch_seed: now_ms(),
        ..Options::default()
    };
    let backend = config.store;
    let opening = tokio::task::spawn_blocking(move || {
        let store = open_backend(backend, &path).map_err(said)?;
        Database::open(store, options).map_err(|error| match error {
            OpenError::Database(DatabaseError::Store(error)) => said(error),
            error => StorageError::Content {
                path,
                reason: error.to_string(),
            },
        })
    });
    match opening.await {
        Ok(opened) => opened.map(Arc::new),
        Err(panic) => Err(StorageError::Open(panic.to_string())),
    }
}

fn open_backend(backend: Backend, path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match backend {
        Backend::Redb => Arc::new(RedbStore::open(path, CACHE_BYTES)?),
        Backend::Sled => Arc::new(SledStore::open(path, CACHE_BYTES as u64)?),
    })
}

/// What a store says, with what the system said to it.
fn said(error: StoreError) -> StorageError {
    StorageError::Open(match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

/// Stores entries made by this node at its first start, by the same gate as a stranger's.
///
/// # Errors
/// When the store refuses them.
pub async fn ingest_local(
    database: &Arc<Database>,
    entries: Vec<(Entry<Verified>, Payload)>,
) -> Result<(), StorageError> {
    let failed = |error: &dyn ToString| StorageError::Ingest(error.to_string());
    let batch = entries
        .into_iter()
        .map(|(entry, payload)| Incoming::local(entry, payload))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(&error))?;
    let database = Arc::clone(database);
    tokio::task::spawn_blocking(move || database.ingest(batch, now_ms(), Durability::Durable))
        .await
        .map_err(|panic| failed(&panic))?
        .map_err(|error| failed(&error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn damaged(backend: Backend, name: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, b"only some text".repeat(300)).unwrap();
        let error = said(open_backend(backend, &path).err().unwrap()).to_string();
        let place = path.display().to_string();
        assert_eq!(error.matches(&place).count(), 1, "{error}");
        error
    }

    #[test]
    fn a_damaged_store_is_named_once_with_one_thing_to_do() {
        for (backend, name) in [(Backend::Redb, REDB_FILE), (Backend::Sled, SLED_FOLDER)] {
            let error = damaged(backend, name);
            assert_eq!(error.matches("move it away").count(), 1, "{error}");
            assert_eq!(error.matches("restore").count(), 1, "{error}");
        }
    }

    #[tokio::test]
    async fn a_store_of_the_other_backend_says_what_to_set() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        std::fs::create_dir_all(folder.store()).unwrap();
        std::fs::write(folder.store().join(REDB_FILE), b"").unwrap();
        let config = Config {
            store: Backend::Sled,
            ..Config::default()
        };
        let error = open(&folder, &config).await.err().unwrap().to_string();
        assert!(error.contains("set `store = \"redb\"`"), "{error}");
        assert!(!error.contains("backup"), "{error}");
    }
}
