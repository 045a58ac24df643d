//! What this node never serves, fetches or keeps.

use std::{collections::BTreeSet, sync::PoisonError};

use model::BlobId;

use crate::{StoreError, store::Blobs};

impl Blobs {
    /// Whether the blob is on the denylist.
    pub fn is_denied(&self, blob: BlobId) -> bool {
        let denied = self.denied().read();
        denied
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&blob)
    }

    /// Puts a blob on the denylist and deletes its bytes. The list itself is the assembler's to store.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn deny(&self, blob: BlobId) -> Result<(), StoreError> {
        let denied = self.denied().write();
        denied.unwrap_or_else(PoisonError::into_inner).insert(blob);
        self.delete(blob).await
    }

    /// Makes this the whole denylist. What is held of newly denied blobs stays until
    /// [`Blobs::deny`] deletes it, and is not served meanwhile.
    pub fn replace_denied(&self, list: BTreeSet<BlobId>) {
        *self
            .denied()
            .write()
            .unwrap_or_else(PoisonError::into_inner) = list;
    }

    /// Takes a blob off the denylist; its bytes must be fetched or imported again.
    pub fn allow(&self, blob: BlobId) {
        let denied = self.denied().write();
        denied.unwrap_or_else(PoisonError::into_inner).remove(&blob);
    }

    pub(crate) fn is_any_denied(&self) -> bool {
        let denied = self.denied().read();
        !denied.unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
