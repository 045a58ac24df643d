//! Opens the entry store in the data folder: redb or sled, as configured.

use std::sync::Arc;

use database::{
    Database, Incoming, Options,
    store::{Durability, RedbStore, SledStore, Store},
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
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Damaged, of a later version, or in use.
    #[error(
        "cannot open the entry store in {path}: {reason}; restore it from a backup, or move it away and let the peers fill a new one"
    )]
    Open {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
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
    let path = match config.store {
        Backend::Redb => dir.join(REDB_FILE),
        Backend::Sled => dir.join(SLED_FOLDER),
    };
    let other = match config.store {
        Backend::Redb => dir.join(SLED_FOLDER),
        Backend::Sled => dir.join(REDB_FILE),
    };
    if other.exists() && !path.exists() {
        return Err(StorageError::Open {
            path: other,
            reason: format!(
                "it was written by the other backend than store = \"{}\" in the configuration",
                config.store.as_str()
            ),
        });
    }
    let options = Options {
        author_space_bytes: config.budgets.author_bytes,
        unknown_bytes: config.budgets.pending_bytes,
        epoch_seed: now_ms(),
        ..Options::default()
    };
    let backend = config.store;
    let opening = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            let store: Arc<dyn Store> = match backend {
                Backend::Redb => {
                    Arc::new(RedbStore::open(&path, CACHE_BYTES).map_err(|e| e.to_string())?)
                }
                Backend::Sled => {
                    Arc::new(SledStore::open(&path, CACHE_BYTES as u64).map_err(|e| e.to_string())?)
                }
            };
            Database::open(store, options).map_err(|error| error.to_string())
        })
    };
    match opening.await {
        Ok(Ok(database)) => Ok(Arc::new(database)),
        Ok(Err(reason)) => Err(StorageError::Open { path, reason }),
        Err(panic) => Err(StorageError::Open {
            path,
            reason: panic.to_string(),
        }),
    }
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
