//! Whether a disk that was full has room again.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{Batch, StoreError};

/// A full disk is left alone until it has this much room, bytes.
const ROOM_BYTES: u64 = 1 << 20;
/// How many bytes on disk one byte of a batch may come to.
const GROWTH: u64 = 4;

/// Where the probe of `path` is written.
fn probe_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".room");
    PathBuf::from(name)
}

/// Says whether what `batch` needs, and some more, can be written beside `path`. Asking the disk
/// this way costs a moment; opening a large store again only to fail costs many.
///
/// # Errors
/// When it can't.
pub(super) fn probe(path: &Path, batch_bytes: usize) -> Result<(), StoreError> {
    let probe = probe_path(path);
    let bytes = ROOM_BYTES.saturating_add(GROWTH.saturating_mul(batch_bytes as u64));
    let written = File::create(&probe)
        .and_then(|mut file| io::copy(&mut io::repeat(1).take(bytes), &mut file));
    clear(path);
    match written {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::io("writing", path, error)),
    }
}

/// Removes a probe that an earlier run left.
pub(super) fn clear(path: &Path) {
    // Most often there is none, and one that stays takes little.
    fs::remove_file(probe_path(path)).ok();
}

/// Relaxed batches that are not on disk yet: a store that is opened again has lost them, and
/// takes them from here.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    batches: Vec<Batch>,
    bytes: usize,
}

impl Unsynced {
    /// Bytes kept at most; what would come to more is written durably.
    const MAX_BYTES: usize = 8 << 20;

    /// Whether one more batch may stay off the disk.
    pub(super) fn has_room(&self, batch: &Batch) -> bool {
        self.bytes.saturating_add(batch.bytes()) <= Self::MAX_BYTES
    }

    /// Keeps a batch that was written relaxed.
    pub(super) fn keep(&mut self, batch: Batch) {
        self.bytes += batch.bytes();
        self.batches.push(batch);
    }

    /// Forgets them all: they are on disk.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Oldest first.
    pub(super) fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// What they take together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
