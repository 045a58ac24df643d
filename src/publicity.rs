//! How far this person lets blobs travel: the list in `publicity.json`. What isn't on it follows the
//! configuration.

use std::collections::BTreeMap;

use model::BlobId;
use views::data::Publicity;

use crate::{
    data_folder::{DataFolder, FolderError},
    kept::Kept,
};

const FILE: &str = "publicity.json";

/// The list; every change is on disk when its call returns.
#[derive(Debug)]
pub struct Publicities {
    state: Kept<BTreeMap<BlobId, Publicity>>,
}

impl Publicities {
    /// Reads the list; empty at the first start.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        Kept::open(folder, FILE).map(|state| Self { state })
    }

    /// What this person said of a blob; none of what came from others.
    pub fn of(&self, blob: &BlobId) -> Option<Publicity> {
        self.state.lock().get(blob).copied()
    }

    /// Says it.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn set(
        &self,
        folder: &DataFolder,
        blobs: &[BlobId],
        publicity: Publicity,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            state.extend(blobs.iter().map(|blob| (*blob, publicity)));
        })
    }

    /// Blobs that other nodes don't get.
    pub fn is_for_peers(&self, blob: &BlobId) -> bool {
        self.of(blob) != Some(Publicity::Gateway)
    }
}
