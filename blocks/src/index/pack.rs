//! Files of blocks that are too large for the index and not, or not yet, parts of a blob.
//!
//! A pack only grows. What was written behind the length that the index knows is what a crash left,
//! and is written over. What is needed no more becomes a hole.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use cid::Cid;
use redb::ReadableTable;

use super::{
    database::on_thread,
    tables::{self, PACKS, Pack, Packed, decode},
};
use crate::{Blobs, StoreError, files::Files};

/// The ending of a pack's file.
const ENDING: &str = "pack";

/// The pack of a root, by the root's name.
pub(super) fn path(files: &Files, root: &[u8]) -> io::Result<PathBuf> {
    let root =
        Cid::try_from(root).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(files.packs().join(format!("{root}.{ENDING}")))
}

/// Reads a block.
pub(super) fn read(files: &Files, packed: &Packed) -> io::Result<Bytes> {
    let file = File::open(path(files, &packed.pack)?)?;
    let mut block = BytesMut::zeroed(packed.len as usize);
    file.read_exact_at(&mut block, packed.offset)?;
    Ok(block.freeze())
}

/// Writes blocks behind the length that counts, to the disk itself; gives the length then.
pub(super) fn append<'a>(
    files: &Files,
    root: &[u8],
    len: u64,
    blocks: impl Iterator<Item = &'a Bytes>,
) -> io::Result<u64> {
    let path = path(files, root)?;
    let folder = files.packs();
    std::fs::create_dir_all(&folder)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.open(path)?;
    if file.metadata()?.len() < len {
        let why = "a pack is shorter than what was written to it";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut at = len;
    for block in blocks {
        file.write_all_at(block, at)?;
        at += block.len() as u64;
    }
    file.set_len(at)?;
    file.sync_data()?;
    if len == 0 {
        File::open(folder)?.sync_all()?;
    }
    Ok(at)
}

/// Gives the room of blocks back to the disk, where the system can. Cheapest in the order in which
/// they lie.
pub(super) fn punch(files: &Files, holes: &[Packed]) {
    let is_next = |a: &Packed, b: &Packed| {
        a.pack == b.pack && a.offset.checked_add(u64::from(a.len)) == Some(b.offset)
    };
    for run in holes.chunk_by(is_next) {
        let [hole, ..] = run else { continue };
        let len = run.iter().map(|hole| u64::from(hole.len)).sum();
        let punched = path(files, &hole.pack)
            .and_then(|path| OpenOptions::new().write(true).open(path))
            .and_then(|file| punch_hole(&file, hole.offset, len));
        if let Err(error) = punched {
            tracing::debug!(target: "blocks::index", %error, "a pack keeps what it no longer needs");
        }
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn punch_hole(file: &File, offset: u64, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, offset, len)?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn punch_hole(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The roots that are being taken in, each by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<BTreeSet<Vec<u8>>>>);

impl Claims {
    /// Claims a root, unless somebody has it.
    pub(super) fn claim(&self, root: &[u8]) -> Option<Claim> {
        self.lock().insert(root.to_vec()).then(|| Claim {
            claims: self.clone(),
            root: root.to_vec(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        // Every change is whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A root that is claimed, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    root: Vec<u8>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.root);
    }
}

impl Blobs {
    /// Deletes the packs that nothing is in, and those that the index doesn't know, which a crash
    /// left. Those being written stay.
    pub(super) async fn tidy_packs(&self) -> Result<(), StoreError> {
        let blobs = self.clone();
        on_thread(move || {
            const ACT: &str = "delete what is in no use";
            let empty = blobs.index().read_here(ACT, |reading| {
                let mut empty = Vec::new();
                for entry in reading.open_table(PACKS)?.iter()? {
                    let (root, pack) = entry?;
                    let pack: Pack = decode(pack.value())?;
                    if pack.live == 0 {
                        empty.push(root.value().to_vec());
                    }
                }
                Ok(empty)
            })?;
            for root in empty {
                let Some(_claim) = blobs.claims().claim(&root) else {
                    continue;
                };
                blobs.index().write_here(ACT, |tables| {
                    let pack: Option<Pack> = match tables.packs.get(root.as_slice())? {
                        Some(pack) => Some(decode(pack.value())?),
                        None => None,
                    };
                    if pack.is_some_and(|pack| pack.live == 0) {
                        tables.packs.remove(root.as_slice())?;
                    }
                    Ok(())
                })?;
            }
            blobs.remove_unknown_packs().map_err(|error| match error {
                Tidying::Store(error) => error,
                Tidying::Io(error) => StoreError::new(ACT, error),
            })
        })
        .await
    }

    fn remove_unknown_packs(&self) -> Result<(), Tidying> {
        let entries = match std::fs::read_dir(self.files().packs()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let path = entry?.path();
            let root = path
                .file_stem()
                .and_then(|stem| Cid::try_from(stem.to_str()?).ok());
            let Some(root) = root.as_ref().map(tables::name) else {
                continue;
            };
            let Some(_claim) = self.claims().claim(&root) else {
                continue;
            };
            let known = self.index().read_here("look a pack up", |reading| {
                Ok(tables::get(reading, PACKS, &root)?.is_some())
            })?;
            if !known {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

enum Tidying {
    Store(StoreError),
    Io(io::Error),
}

impl From<StoreError> for Tidying {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Tidying {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
