//! The files of the store's folder: where they are, how much they take, which belong to nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::DirEntry,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use iroh_blobs::{Hash, store::fs::options::PathOptions};
use model::BlobId;

use crate::{hash, id, quota::free_bytes, store::now};

/// Unit of the block count that the system reports, POSIX.
const BLOCK_BYTES: u64 = 512;

/// File times come from a coarser clock than the system's, and may lie before what caused them.
const CLOCK_GRAIN: Duration = Duration::from_secs(2);

/// What is set aside for a full disk.
const BALLAST_LENGTH: usize = 1024 * 1024;
const BALLAST_BYTES: u64 = BALLAST_LENGTH as u64;

/// Paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    paths: PathOptions,
}

impl Files {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            paths: PathOptions::new(dir),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("blobs.db")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.join("ledger")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.dir.join("index.redb")
    }

    /// Where a blob is collected that nobody can verify before it is whole; goes with the
    /// temporary files of writes that are over.
    pub(crate) fn collecting(&self, blob: BlobId) -> PathBuf {
        self.paths.temp_path.join(format!("collecting-{blob}"))
    }

    /// Where blocks wait until they are a DAG.
    pub(crate) fn packs(&self) -> PathBuf {
        self.dir.join("packs")
    }

    pub(crate) fn data(&self, blob: BlobId) -> PathBuf {
        self.paths.data_path(&hash(blob))
    }

    pub(crate) fn outboard(&self, blob: BlobId) -> PathBuf {
        self.paths.outboard_path(&hash(blob))
    }

    /// Deletes the files of a blob that the store has no record of, as a failed write leaves them.
    pub(crate) fn remove_unrecorded(&self, blob: BlobId) {
        let hash = hash(blob);
        for path in [
            self.paths.data_path(&hash),
            self.paths.outboard_path(&hash),
            self.paths.sizes_path(&hash),
            self.paths.bitfield_path(&hash),
        ] {
            remove_if_there(&path);
        }
    }

    /// Deletes the files of all blobs that are not among those that the store has a record of. Only
    /// while nothing is written.
    pub(crate) fn remove_all_unrecorded(&self, recorded: &BTreeSet<BlobId>) {
        let Ok(entries) = std::fs::read_dir(&self.paths.data_path) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let named = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse::<Hash>().ok());
            if named.is_some_and(|hash| !recorded.contains(&id(hash))) {
                remove_if_there(&path);
            }
        }
    }

    /// Temporary files of writes that are over: all when `oldest_write` is none, else those last
    /// written before it began.
    fn stale_temporaries(&self, oldest_write: Option<SystemTime>) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.paths.temp_path) else {
            return Vec::new();
        };
        let is_stale = |entry: &DirEntry| match oldest_write {
            None => true,
            Some(oldest) => entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|changed| changed + CLOCK_GRAIN < oldest),
        };
        entries
            .flatten()
            .filter(is_stale)
            .map(|entry| entry.path())
            .collect()
    }

    /// Sets bytes aside that can be given back when the disk is full, so that the databases can
    /// still commit what makes room. Without room for it, there is none.
    pub(crate) fn lay_ballast(&self) {
        let path = self.ballast();
        if path.exists() || free_bytes(&self.dir).is_some_and(|free| free < 4 * BALLAST_BYTES) {
            return;
        }
        // Zeros that are really written: a sparse file would set nothing aside.
        if std::fs::write(&path, vec![0; BALLAST_LENGTH]).is_err() {
            remove_if_there(&path);
        }
    }

    /// Gives the ballast back if the disk is full.
    pub(crate) fn drop_ballast_if_full(&self) {
        if free_bytes(&self.dir).is_some_and(|free| free < BALLAST_BYTES) {
            remove_if_there(&self.ballast());
        }
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }

    /// Bytes on disk of the folder and everything in it. Sparse files count what they really take.
    pub(crate) fn measure(&self) -> io::Result<u64> {
        let mut total = std::fs::metadata(&self.dir)?.blocks() * BLOCK_BYTES;
        let mut folders = vec![self.dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let Ok(entry) = entry else { continue };
                let Ok(metadata) = entry.metadata() else {
                    continue; // deleted meanwhile
                };
                total += metadata.blocks() * BLOCK_BYTES;
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        Ok(total)
    }
}

fn remove_if_there(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(target: "blocks::files", path = %path.display(), %error, "file stays");
    }
}

/// Writes into the store that are running, by when they began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    next: u64,
    began: BTreeMap<u64, SystemTime>,
    /// Usage was measured while something was written, or a write failed.
    unsettled: bool,
}

impl Writes {
    pub(crate) fn begin(&self) -> Write {
        let mut running = self.lock();
        running.next += 1;
        let number = running.next;
        running.began.insert(number, now());
        Write {
            writes: self.clone(),
            number,
            failed: true,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.lock().began.is_empty()
    }

    /// Deletes temporary files that no running write uses; says whether any write is running.
    pub(crate) fn remove_stale_temporaries(&self, files: &Files) -> bool {
        let (stale, is_busy) = {
            // No write can begin while they are listed, so none of its files is among them.
            let running = self.lock();
            let oldest = running.began.values().min().copied();
            (files.stale_temporaries(oldest), oldest.is_some())
        };
        for path in stale {
            remove_if_there(&path);
        }
        is_busy
    }

    pub(crate) fn unsettle(&self) {
        self.lock().unsettled = true;
    }

    /// Whether usage must be measured again, and now is a time to do so.
    pub(crate) fn take_unsettled(&self) -> bool {
        let mut running = self.lock();
        running.began.is_empty() && std::mem::take(&mut running.unsettled)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running write; counts as failed unless it said otherwise.
#[derive(Debug)]
pub(crate) struct Write {
    writes: Writes,
    number: u64,
    failed: bool,
}

impl Write {
    pub(crate) fn succeeded(mut self) {
        self.failed = false;
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let mut running = self.writes.lock();
        running.began.remove(&self.number);
        running.unsettled |= self.failed;
    }
}
