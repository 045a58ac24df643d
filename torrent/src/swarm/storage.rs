//! Content, as the engine wants to read and write it.

use std::{
    any::TypeId,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Result, ensure};
use librqbit::{
    ManagedTorrentShared, TorrentMetadata,
    storage::{
        BoxStorageFactory, StorageFactory, StorageFactoryExt, TorrentStorage,
        filesystem::FilesystemStorageFactory,
    },
};

use super::content::Content;

/// Gives the engine one content. It claims to be the engine's own file system: only for that does the
/// engine remember which pieces are held.
#[derive(Clone)]
pub(super) struct Lend(pub(super) Arc<Content>);

/// Content in the hands of the engine.
pub(super) struct Lent {
    content: Arc<Content>,
    /// The engine went on with another one.
    is_taken: AtomicBool,
}

impl StorageFactory for Lend {
    type Storage = Lent;

    fn create(&self, _: &ManagedTorrentShared, _: &TorrentMetadata) -> Result<Lent> {
        Ok(Lent::new(&self.0))
    }

    fn is_type_id(&self, id: TypeId) -> bool {
        id == TypeId::of::<Self>() || id == TypeId::of::<FilesystemStorageFactory>()
    }

    fn clone_box(&self) -> BoxStorageFactory {
        self.clone().boxed()
    }
}

impl Lent {
    fn new(content: &Arc<Content>) -> Self {
        Self {
            content: Arc::clone(content),
            is_taken: AtomicBool::new(false),
        }
    }

    fn content(&self) -> Result<&Content> {
        ensure!(!self.is_taken.load(Ordering::Acquire), "given back");
        Ok(&self.content)
    }
}

impl TorrentStorage for Lent {
    fn init(&mut self, _: &ManagedTorrentShared, _: &TorrentMetadata) -> Result<()> {
        Ok(())
    }

    fn pread_exact(&self, file: usize, offset: u64, bytes: &mut [u8]) -> Result<()> {
        Ok(self.content()?.read(file, offset, bytes)?)
    }

    fn pwrite_all(&self, file: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        Ok(self.content()?.write(file, offset, bytes)?)
    }

    fn remove_file(&self, _: usize, _: &Path) -> Result<()> {
        Ok(())
    }

    fn remove_directory_if_empty(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn ensure_file_length(&self, file: usize, length_bytes: u64) -> Result<()> {
        Ok(self.content()?.set_length(file, length_bytes)?)
    }

    fn take(&self) -> Result<Box<dyn TorrentStorage>> {
        ensure!(
            !self.is_taken.swap(true, Ordering::AcqRel),
            "given back twice"
        );
        Ok(Box::new(Self::new(&self.content)))
    }
}
