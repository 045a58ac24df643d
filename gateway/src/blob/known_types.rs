//! Media types of partly held blobs whose first bytes were already seen.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use model::BlobId;

/// Blobs remembered; beyond, some other one is forgotten.
const MAX_KNOWN: usize = 4096;

/// A bounded memory: a player that seeks asks for many ranges of one blob.
#[derive(Default)]
pub struct KnownTypes {
    types: Mutex<BTreeMap<BlobId, &'static str>>,
}

impl KnownTypes {
    /// The type, if the blob's first bytes were seen.
    pub fn get(&self, blob: BlobId) -> Option<&'static str> {
        self.types
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&blob)
            .copied()
    }

    /// Remembers a type.
    pub fn put(&self, blob: BlobId, media_type: &'static str) {
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        if types.len() >= MAX_KNOWN {
            types.pop_first();
        }
        types.insert(blob, media_type);
    }
}
