//! Verified pieces on their way into the store.

use std::num::NonZeroU64;

use bao_tree::io::BaoContentItem;
use iroh_blobs::api::blobs::ImportBaoHandle;

use super::transfer::Sized;
use crate::{StoreError, hash, store::Blobs};

/// Verified pieces between the network and the store: 1 MiB.
const PIECES: usize = 64;
const ACT: &str = "store pieces of a blob";

/// What one request brings goes in here, each leaf behind the pairs above it.
pub(super) struct Sink<'a> {
    blobs: &'a Blobs,
    what: Sized,
    import: Option<ImportBaoHandle>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(blobs: &'a Blobs, what: Sized) -> Self {
        Self {
            blobs,
            what,
            import: None,
        }
    }

    /// Whether the store may keep back something that it was given.
    pub(super) fn is_open(&self) -> bool {
        self.import.is_some()
    }

    pub(super) async fn put(&mut self, item: BaoContentItem) -> Result<(), StoreError> {
        let import = match &self.import {
            Some(import) => import,
            None => {
                let Some(size) = NonZeroU64::new(self.what.size_bytes) else {
                    return Ok(());
                };
                let store = self.blobs.store();
                let import = store.import_bao(hash(self.what.blob), size, PIECES).await;
                let import = import.map_err(|error| StoreError::api(ACT, error))?;
                self.import.insert(import)
            }
        };
        if import.tx.send(item).await.is_err() {
            // The store says why on its other channel.
            self.settle().await?;
            return Err(StoreError::Stopped);
        }
        Ok(())
    }

    /// Waits until everything is written.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        let Some(ImportBaoHandle { tx, rx }) = self.import.take() else {
            return Ok(());
        };
        drop(tx);
        match rx.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StoreError::api(ACT, error)),
            Err(_) => Err(StoreError::Stopped),
        }
    }
}
