//! Sizes that were proven lately: a size is proven once, and never changes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use model::BlobId;

use super::transfer::Sized;

/// Sizes remembered.
const SIZES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Sizes(Mutex<BTreeMap<BlobId, u64>>);

impl Sizes {
    pub(super) fn learn(&self, what: Sized) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() >= SIZES {
            sizes.pop_first();
        }
        sizes.insert(what.blob, what.size_bytes);
    }

    pub(super) fn of(&self, blob: BlobId) -> Option<u64> {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.get(&blob).copied()
    }
}
