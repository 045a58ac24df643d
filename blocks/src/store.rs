//! The handle to the blob store.

mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    task::{Context, Waker},
    time::SystemTime,
};

use bao_tree::ChunkRanges;
use iroh_blobs::{
    HashAndFormat,
    api::{Store, TempTag, blobs::Bitfield},
    store::fs::{FsStore, options::Options},
};
use model::BlobId;
use n0_future::StreamExt;

use crate::{
    collect::Collector,
    error::StoreError,
    files::{Files, Writes},
    hash, id,
    index::{Claims, Handles, Index, on_thread},
    keep::Keep,
    ledger::{Ledger, write_whole},
    quota::Quota,
    verify::Doubts,
};

/// How much of a blob is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobStatus {
    /// Nothing.
    Missing,
    /// A part, each byte of it verified.
    Partial {
        /// Bytes held.
        held_bytes: u64,
        /// Size of the whole, once it is proven.
        total_bytes: Option<u64>,
    },
    /// Everything.
    Complete {
        /// Size.
        size_bytes: u64,
    },
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct BlobsOptions {
    /// The account that every write is charged to.
    pub quota: Quota,
    /// Blobs that this node never serves, fetches or keeps.
    pub denied: BTreeSet<BlobId>,
    /// Most bytes kept without any reason but [`Keep::Cache`] and [`Keep::Partial`].
    pub cache_max_bytes: u64,
    /// Blobs of at least this size get SHA-1 pieces with their names, bytes.
    pub pieces_min_bytes: u64,
}

/// From where on a file is worth a torrent, bytes.
pub const DEFAULT_PIECES_MIN_BYTES: u64 = 16 * 1024 * 1024;

/// Handle to the blob store; clones share it.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: FsStore,
    files: Files,
    writes: Writes,
    collector: Collector,
    index: Index,
    handles: Handles,
    claims: Claims,
    quota: Quota,
    cache_max_bytes: u64,
    pieces_min_bytes: u64,
    ledger: Mutex<Ledger>,
    doubts: Doubts,
    denied: RwLock<BTreeSet<BlobId>>,
}

/// The store's loop of collection keeps the store alive: without this, one that was given up
/// without [`Blobs::shutdown`] (a panic, a start that failed) would go round forever.
impl Drop for Inner {
    fn drop(&mut self) {
        let shutdown = pin!(self.store.shutdown());
        // The first poll sends the request; nobody waits for the answer.
        let _ = shutdown.poll(&mut Context::from_waker(Waker::noop()));
        self.collector.stop();
    }
}

impl Blobs {
    /// Opens the store in `dir`, or makes one, and clears what a crash left behind.
    ///
    /// # Errors
    /// When the folder can't be used: another node has it open, or its database is damaged.
    pub async fn open(dir: &Path, options: BlobsOptions) -> Result<Self, StoreError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
            dir: dir.to_owned(),
            source,
        };
        std::fs::create_dir_all(dir).map_err(|error| failed(error.into()))?;
        let dir = dir.canonicalize().map_err(|error| failed(error.into()))?;
        let files = Files::new(&dir);
        let (collector, gc) = Collector::new();
        let mut store_options = Options::new(&dir);
        store_options.gc = Some(gc);
        let store = FsStore::load_with_opts(files.database(), store_options)
            .await
            .map_err(|error| failed(error.into_boxed_dyn_error()))?;
        files.drop_ballast_if_full();
        let index_path = files.index();
        let index = on_thread(move || Ok(Index::open(&index_path)))
            .await?
            .map_err(failed)?;
        let blobs = Self(Arc::new(Inner {
            ledger: Mutex::new(Ledger::load(&files.ledger())),
            store,
            files,
            writes: Writes::default(),
            collector,
            index,
            handles: Handles::default(),
            doubts: Doubts::new(),
            claims: Claims::default(),
            quota: options.quota,
            cache_max_bytes: options.cache_max_bytes,
            pieces_min_bytes: options.pieces_min_bytes,
            denied: RwLock::new(options.denied),
        }));
        blobs.resume_mending().await?;
        let recorded = blobs.list().await?.into_iter().collect();
        blobs.files().remove_all_unrecorded(&recorded);
        blobs.measure().await?;
        Ok(blobs)
    }

    /// Closes the store: when this returns, everything acknowledged is in its files. Handles that
    /// are left can only fail.
    ///
    /// # Errors
    /// When its last records could not be written.
    pub async fn shutdown(&self) -> Result<(), StoreError> {
        self.0.doubts.stop().await;
        self.save_ledger()?;
        let store = self.store();
        store
            .sync_db()
            .await
            .map_err(|error| StoreError::api("write its records", error))?;
        let closed = store.shutdown().await;
        self.0.collector.stop();
        self.0.handles.close_all();
        self.0.index.close();
        closed.map_err(|error| StoreError::api("close", error))
    }

    /// How much of a blob is held. While its file is being checked, nothing counts as held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn status(&self, blob: BlobId) -> Result<BlobStatus, StoreError> {
        let status = self.stored_status(blob).await?;
        Ok(match status {
            BlobStatus::Complete { size_bytes } if self.doubts().holds(blob) => {
                BlobStatus::Partial {
                    held_bytes: 0,
                    total_bytes: Some(size_bytes),
                }
            }
            _ => status,
        })
    }

    /// As [`Blobs::status`], as the store has it.
    pub(crate) async fn stored_status(&self, blob: BlobId) -> Result<BlobStatus, StoreError> {
        use iroh_blobs::api::blobs::BlobStatus as Found;
        let found = self
            .store()
            .status(hash(blob))
            .await
            .map_err(|error| StoreError::api("look a blob up", error))?;
        Ok(match found {
            Found::NotFound => BlobStatus::Missing,
            Found::Complete { size } => BlobStatus::Complete { size_bytes: size },
            Found::Partial { .. } => {
                let held = self.held(blob).await?;
                match (held.is_complete(), held.validated_size()) {
                    (true, Some(size_bytes)) => BlobStatus::Complete { size_bytes },
                    (_, total_bytes) => BlobStatus::Partial {
                        held_bytes: held.total_bytes(),
                        total_bytes,
                    },
                }
            }
        })
    }

    /// Byte ranges of a blob that are held and verified, in order.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn held_ranges(&self, blob: BlobId) -> Result<Vec<Range<u64>>, StoreError> {
        const CHUNK_BYTES: u64 = 1024;
        if self.doubts().holds(blob) {
            return Ok(Vec::new());
        }
        let held = self.held(blob).await?;
        let size = held.size();
        let edge = |chunk: u64| chunk.saturating_mul(CHUNK_BYTES).min(size);
        Ok(held
            .ranges
            .boundaries()
            .chunks(2)
            .map(|pair| edge(pair[0].0)..pair.get(1).map_or(size, |end| edge(end.0)))
            .filter(|range| !range.is_empty())
            .collect())
    }

    /// Every blob of which anything is held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn list(&self) -> Result<Vec<BlobId>, StoreError> {
        let hashes = self
            .store()
            .list()
            .hashes()
            .await
            .map_err(|error| StoreError::api("list its blobs", error))?;
        Ok(hashes.into_iter().map(id).collect())
    }

    /// Gives a reason to keep a blob, held already or not. Survives a crash once this returns.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn keep(&self, blob: BlobId, why: &Keep) -> Result<(), StoreError> {
        self.tag(blob, why).await?;
        self.sync().await
    }

    /// As [`Blobs::keep`], before [`Blobs::sync`].
    pub(crate) async fn tag(&self, blob: BlobId, why: &Keep) -> Result<(), StoreError> {
        self.store()
            .tags()
            .set(why.tag(blob), HashAndFormat::raw(hash(blob)))
            .await
            .map_err(|error| StoreError::api("tag a blob", error))
    }

    /// Takes a reason back. The bytes go at the next [`Blobs::collect`], if it was the last one.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn release(&self, blob: BlobId, why: &Keep) -> Result<(), StoreError> {
        self.store()
            .tags()
            .delete(why.tag(blob))
            .await
            .map_err(|error| StoreError::api("untag a blob", error))?;
        self.sync().await
    }

    /// Takes back everything that a pin or a post gives reason for; returns how many blobs.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn release_all(&self, why: &Keep) -> Result<u64, StoreError> {
        let Some(prefix) = why.prefix() else {
            return Ok(0);
        };
        let count = self
            .store()
            .tags()
            .delete_prefix(prefix)
            .await
            .map_err(|error| StoreError::api("untag blobs", error))?;
        self.sync().await?;
        Ok(count)
    }

    /// All reasons, by blob.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn kept(&self) -> Result<BTreeMap<BlobId, Vec<Keep>>, StoreError> {
        let mut kept: BTreeMap<BlobId, Vec<Keep>> = BTreeMap::new();
        for (name, blob) in self.tags().await? {
            if let Some(keep) = Keep::from_tag(&name) {
                kept.entry(blob).or_default().push(keep);
            }
        }
        Ok(kept)
    }

    /// Deletes every blob that has no reason to be kept and isn't being read or written.
    ///
    /// # Errors
    /// When the store has stopped.
    pub async fn collect(&self) -> Result<(), StoreError> {
        self.collect_but_hold(0).await.map(|_| ())
    }

    /// The account of bytes.
    pub fn quota(&self) -> &Quota {
        &self.0.quota
    }

    /// Deletes a blob whatever reasons it had, unless it is being read or written at this moment:
    /// then it goes at the next collection.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn delete(&self, blob: BlobId) -> Result<(), StoreError> {
        for (name, tagged) in self.tags().await? {
            if tagged == blob {
                self.store()
                    .tags()
                    .delete(name)
                    .await
                    .map_err(|error| StoreError::api("untag a blob", error))?;
            }
        }
        self.ledger().forget(blob);
        self.collect().await?;
        if self.status(blob).await? == BlobStatus::Missing {
            self.forget_names(blob).await?;
        }
        Ok(())
    }

    /// Work for quiet minutes: measures what interrupted writes left, keeps the cache in its
    /// bounds and saves when blobs were last used. To be called now and then.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn maintain(&self) -> Result<(), StoreError> {
        // What was committed is an estimate.
        self.measure().await?;
        self.look_over().await?;
        self.trim_cache(self.0.cache_max_bytes).await?;
        self.sweep_index().await?;
        self.save_ledger()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn index(&self) -> &Index {
        &self.0.index
    }

    pub(crate) fn pieces_min_bytes(&self) -> u64 {
        self.0.pieces_min_bytes
    }

    pub(crate) fn handles(&self) -> &Handles {
        &self.0.handles
    }

    pub(crate) fn doubts(&self) -> &Doubts {
        &self.0.doubts
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.0.claims
    }

    pub(crate) fn denied(&self) -> &RwLock<BTreeSet<BlobId>> {
        &self.0.denied
    }

    pub(crate) fn files(&self) -> &Files {
        &self.0.files
    }

    pub(crate) fn writes(&self) -> &Writes {
        &self.0.writes
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A half-made change of the ledger only costs a line of it.
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn used(&self, blob: BlobId) {
        self.ledger().used(blob, now_ms());
    }

    /// Which chunks of a blob are held.
    pub(crate) async fn held(&self, blob: BlobId) -> Result<Bitfield, StoreError> {
        self.store()
            .observe(hash(blob))
            .await
            .map_err(|error| StoreError::api("look into a blob", error))
    }

    pub(crate) async fn held_chunks(&self, blob: BlobId) -> Result<ChunkRanges, StoreError> {
        Ok(self.held(blob).await?.ranges)
    }

    /// Protects a blob from collection as long as the guard lives.
    pub(crate) async fn guard(&self, blob: BlobId) -> Result<TempTag, StoreError> {
        self.store()
            .tags()
            .temp_tag(HashAndFormat::raw(hash(blob)))
            .await
            .map_err(|error| StoreError::api("protect a blob", error))
    }

    /// Protected at this moment by reads and writes.
    pub(crate) async fn guarded(&self) -> Result<BTreeSet<BlobId>, StoreError> {
        let guards = self
            .store()
            .tags()
            .list_temp_tags()
            .await
            .map_err(|error| StoreError::api("list what is in use", error))?;
        Ok(guards.map(|guard| id(guard.hash)).collect().await)
    }

    pub(crate) async fn tags(&self) -> Result<Vec<(String, BlobId)>, StoreError> {
        let failed = |error: iroh_blobs::api::Error| StoreError::api("list its tags", error);
        let mut stream = self
            .store()
            .tags()
            .list()
            .await
            .map_err(|error| failed(error.into()))?;
        let mut tags = Vec::new();
        while let Some(tag) = stream.next().await {
            let tag = tag.map_err(failed)?;
            let name = String::from_utf8_lossy(tag.name.as_ref()).into_owned();
            tags.push((name, id(tag.hash)));
        }
        Ok(tags)
    }

    pub(crate) async fn sync(&self) -> Result<(), StoreError> {
        self.store()
            .sync_db()
            .await
            .map_err(|error| StoreError::api("write its records", error))
    }

    fn save_ledger(&self) -> Result<(), StoreError> {
        let changes = self.ledger().take_changes();
        let Some(bytes) = changes else { return Ok(()) };
        write_whole(&self.files().ledger(), &bytes)
            .map_err(|error| StoreError::new("save when blobs were used", error))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "last uses only order evictions; nothing is judged by this clock"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn now_ms() -> u64 {
    now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
