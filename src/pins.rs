//! What this node promised to keep: the list of pins, in `pins.json`.

use std::collections::BTreeMap;

use gateway::api::types::PinMedia;
use model::{BlobId, EntryId, IdentityId, SpaceId};
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
    /// An identity: its feed, and what it posted on listed boards.
    Identity(IdentityId),
    /// A blob.
    Blob(BlobId),
}

impl Target {
    /// The word on pages and in the API.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Thread(_) => "thread",
            Self::Space(_) => "space",
            Self::Identity(_) => "identity",
            Self::Blob(_) => "blob",
        }
    }

    /// The identity, if it is one.
    pub fn identity(&self) -> Option<IdentityId> {
        match self {
            Self::Identity(identity) => Some(*identity),
            Self::Thread(_) | Self::Space(_) | Self::Blob(_) => None,
        }
    }

    /// Its CID.
    pub fn id(&self) -> String {
        match self {
            Self::Thread(id) => id.to_string(),
            Self::Space(id) => id.to_string(),
            Self::Identity(id) => id.to_string(),
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
    /// Who asked for it; none: the node's own person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<IdentityId>,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pins_survive_a_restart_and_those_of_earlier_versions_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        let space = SpaceId::of(b"space");
        let old = serde_json::json!({
            space.to_string(): [
                { "space": space.to_string() },
                { "media": "thumbs", "max_bytes": null, "since_ms": 5 },
            ],
        });
        folder.write_json(FILE, &old).unwrap();
        let pins = Pins::open(&folder).unwrap();
        assert_eq!(pins.get(&Target::Space(space)).unwrap().since_ms, 5);
        let target = Target::Identity(IdentityId::of(b"identity"));
        let promise = Promise {
            media: PinMedia::All,
            max_bytes: Some(7),
            since_ms: 6,
            asked_by: Some(IdentityId::of(b"somebody")),
        };
        pins.set(&folder, target, promise).unwrap();
        let again = Pins::open(&folder).unwrap();
        assert_eq!(again.all().len(), 2);
        assert_eq!(again.get(&target), Some(promise));
        assert_eq!(
            (target.kind(), target.id()),
            ("identity", IdentityId::of(b"identity").to_string())
        );
    }
}
