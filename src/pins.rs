//! What this node promised to keep: the list of pins, in `pins.json`.

use std::collections::BTreeMap;

use gateway::api::types::PinMedia;
use model::{BlobId, EntryId, SpaceId};
use serde::{Deserialize, Serialize};

use crate::{
    data_folder::{DataFolder, FolderError},
    kept::Kept,
};

const FILE: &str = "pins.json";

/// What can be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A thread, by its first post.
    Thread(EntryId),
    /// A space.
    Space(SpaceId),
    /// A blob.
    Blob(BlobId),
}

impl Target {
    /// The word on pages and in the API.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Thread(_) => "thread",
            Self::Space(_) => "space",
            Self::Blob(_) => "blob",
        }
    }

    /// Its CID.
    pub fn id(&self) -> String {
        match self {
            Self::Thread(id) => id.to_string(),
            Self::Space(id) => id.to_string(),
            Self::Blob(id) => id.to_string(),
        }
    }
}

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Which media it covers.
    pub media: PinMedia,
    /// Its byte limit.
    pub max_bytes: Option<u64>,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
}

/// The list of pins; every change is on disk when its call returns.
#[derive(Debug)]
pub struct Pins {
    state: Kept<BTreeMap<String, (Target, Promise)>>,
}

impl Pins {
    /// Reads the list; empty at the first start.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        Kept::open(folder, FILE).map(|state| Self { state })
    }

    /// Adds or replaces a pin.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn set(
        &self,
        folder: &DataFolder,
        target: Target,
        promise: Promise,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            state.insert(target.id(), (target, promise));
        })
    }

    /// Takes a pin back; tells what it was.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn remove(
        &self,
        folder: &DataFolder,
        id: &str,
    ) -> Result<Option<(Target, Promise)>, FolderError> {
        let mut removed = None;
        self.state
            .change(folder, |state| removed = state.remove(id))?;
        Ok(removed)
    }

    /// All pins.
    pub fn all(&self) -> Vec<(Target, Promise)> {
        self.state.lock().values().copied().collect()
    }

    /// The promise about a target.
    pub fn get(&self, target: &Target) -> Option<Promise> {
        self.state
            .lock()
            .get(&target.id())
            .map(|(_, promise)| *promise)
    }
}
