//! Open files of blobs, so that whoever reads a file leaf by leaf opens it once.

use std::{
    collections::VecDeque,
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use model::BlobId;

use super::tables::Part;
use crate::ledger::Look;

/// Files that are kept open, most.
const HANDLES: usize = 32;

/// A file that had the right bytes when it was opened.
#[derive(Debug)]
pub(super) struct Handle {
    file: File,
    look: Look,
}

impl Handle {
    /// Opens a file that must look so.
    pub(super) fn open(path: &Path, look: Look) -> io::Result<Option<Self>> {
        let handle = Self {
            file: File::open(path)?,
            look,
        };
        Ok(handle.is_right()?.then_some(handle))
    }

    /// Whether the file is neither changed nor deleted since.
    fn is_right(&self) -> io::Result<bool> {
        let found: Metadata = self.file.metadata()?;
        Ok(found.nlink() > 0 && Look::from_metadata(&found)? == self.look)
    }

    /// The block at a part of it; none when the file isn't what it was.
    pub(super) fn read(&self, part: &Part) -> io::Result<Option<Bytes>> {
        if !self.is_right()? {
            return Ok(None);
        }
        let mut block = BytesMut::zeroed(block_len(part)?);
        let (start, len) = (part.prefix.len(), part.len as usize);
        block[..start].copy_from_slice(&part.prefix);
        self.file
            .read_exact_at(&mut block[start..start + len], part.offset)?;
        block[start + len..].copy_from_slice(&part.suffix);
        Ok(Some(block.freeze()))
    }
}

fn block_len(part: &Part) -> io::Result<usize> {
    usize::try_from(part.block_bytes())
        .ok()
        .filter(|len| *len <= crate::dag::MAX_BLOCK_BYTES)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a part larger than a block"))
}

/// Longest unused first.
type Open = VecDeque<(BlobId, Arc<Handle>)>;

/// The files that are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handles(Arc<Mutex<Open>>);

impl Handles {
    /// A blob's file, if it is open.
    pub(super) fn get(&self, blob: BlobId) -> Option<Arc<Handle>> {
        let mut open = self.lock();
        let at = open.iter().position(|(found, _)| *found == blob)?;
        let found = open.remove(at)?;
        open.push_back(found.clone());
        Some(found.1)
    }

    /// Keeps a file open; the one longest unused goes for it.
    pub(super) fn keep(&self, blob: BlobId, handle: Arc<Handle>) {
        let mut open = self.lock();
        open.retain(|(found, _)| *found != blob);
        if open.len() >= HANDLES {
            open.pop_front();
        }
        open.push_back((blob, handle));
    }

    /// Closes a blob's file.
    pub(super) fn close(&self, blob: BlobId) {
        self.lock().retain(|(found, _)| *found != blob);
    }

    /// Closes all, so that those deleted give back their room.
    pub(crate) fn close_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Every change is whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
