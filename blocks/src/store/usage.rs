//! What the store takes on disk, and what is cleared away.

use model::BlobId;

use super::{BlobStatus, Blobs};
use crate::{StoreError, quota::Reservation};

impl Blobs {
    /// Bytes on disk of everything in the store's folder, measured now: blobs, outboards, databases.
    /// Sparse files count what they really take.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub async fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        let files = self.files().clone();
        let measured = tokio::task::spawn_blocking(move || files.measure()).await;
        measured
            .map_err(|_| StoreError::Stopped)?
            .map_err(|error| StoreError::new("measure its folder", error))
    }

    /// As [`Blobs::collect`], with bytes that still count for what is deleted.
    pub(crate) async fn collect_but_hold(&self, bytes: u64) -> Result<Reservation, StoreError> {
        self.0.collector.run().await?;
        self.0.handles.close_all();
        let room = self.quota().hold(bytes);
        self.measure().await?;
        Ok(room)
    }

    /// Measures again, if interrupted writes make that necessary and no write is running.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        if self.writes().take_unsettled() {
            self.measure().await?;
        }
        Ok(())
    }

    /// After a write that failed: files of a blob that the store has no record of go, and usage is
    /// measured again.
    pub(crate) async fn tidy_after_failure(&self, blob: BlobId) {
        self.files().drop_ballast_if_full();
        let tidied = async {
            if self.status(blob).await? == BlobStatus::Missing && self.writes().is_idle() {
                self.files().remove_unrecorded(blob);
            }
            self.settle().await
        };
        if let Err(error) = tidied.await {
            tracing::warn!(target: "blocks::store", %error, "what a failed write left may stay");
        }
    }

    /// Clears temporary files that nobody writes, and counts what the folder takes.
    pub(crate) async fn measure(&self) -> Result<(), StoreError> {
        let (files, writes) = (self.files().clone(), self.writes().clone());
        let committed_before = self.quota().committed_bytes();
        let measured = tokio::task::spawn_blocking(move || {
            if writes.remove_stale_temporaries(&files) {
                // What running writes have reserved is counted twice until they end.
                writes.unsettle();
            }
            files.lay_ballast();
            files.measure()
        })
        .await
        .map_err(|_| StoreError::Stopped)?;
        let bytes = measured.map_err(|error| StoreError::new("measure its folder", error))?;
        self.quota().set_store_bytes(bytes, committed_before);
        Ok(())
    }
}
