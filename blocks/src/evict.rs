//! Making room: what is kept for no better reason than the cache goes, longest unused first.

use model::BlobId;

use crate::{
    BlobStatus, Keep, QuotaError, StoreError,
    quota::{Reservation, stored_bytes},
    store::Blobs,
};

impl Blobs {
    /// Reserves room, evicting from the cache if that is what it takes.
    pub(crate) async fn reserve(&self, bytes: u64) -> Result<Reservation, NoRoom> {
        let refused = match self.quota().reserve(bytes) {
            Ok(room) => return Ok(room),
            Err(refused) => refused,
        };
        self.make_room(&refused, bytes).await?;
        Ok(self.quota().reserve(bytes)?)
    }

    /// As [`Blobs::reserve`], for more room.
    pub(crate) async fn grow(&self, room: &mut Reservation, bytes: u64) -> Result<(), NoRoom> {
        let Err(refused) = room.grow(bytes) else {
            return Ok(());
        };
        self.make_room(&refused, bytes).await?;
        Ok(room.grow(bytes)?)
    }

    async fn make_room(&self, refused: &QuotaError, bytes: u64) -> Result<(), NoRoom> {
        self.settle().await?;
        let lacking_bytes = match *refused {
            QuotaError::Exceeded {
                used_bytes,
                max_bytes,
                ..
            } if bytes <= max_bytes => used_bytes.saturating_add(bytes) - max_bytes,
            QuotaError::DiskFull {
                free_bytes,
                spare_bytes,
                ..
            } => bytes.saturating_add(spare_bytes).saturating_sub(free_bytes),
            QuotaError::Exceeded { .. } => return Err(refused.clone().into()),
        };
        let cached = self.cached().await?;
        let cached_bytes: u64 = cached.iter().map(|(_, bytes)| bytes).sum();
        if cached_bytes < lacking_bytes {
            // Emptying the cache would not help, so it stays.
            return Err(refused.clone().into());
        }
        self.evict(cached, lacking_bytes).await?;
        Ok(())
    }

    /// Evicts until at most `max_bytes` are cached.
    pub(crate) async fn trim_cache(&self, max_bytes: u64) -> Result<(), StoreError> {
        let cached = self.cached().await?;
        let cached_bytes: u64 = cached.iter().map(|(_, bytes)| bytes).sum();
        match cached_bytes.checked_sub(max_bytes) {
            None | Some(0) => Ok(()),
            Some(excess_bytes) => self.evict(cached, excess_bytes).await,
        }
    }

    /// Blobs that may go and what they take, longest unused first.
    async fn cached(&self) -> Result<Vec<(BlobId, u64)>, StoreError> {
        let in_use = self.guarded().await?;
        let mut cached = Vec::new();
        for (blob, reasons) in self.kept().await? {
            if in_use.contains(&blob) || !reasons.iter().all(Keep::is_evictable) {
                continue;
            }
            let held_bytes = match self.status(blob).await? {
                BlobStatus::Missing => 0,
                BlobStatus::Partial { held_bytes, .. } => held_bytes,
                BlobStatus::Complete { size_bytes } => size_bytes,
            };
            cached.push((blob, stored_bytes(held_bytes)));
        }
        let ledger = self.ledger();
        cached.sort_by_key(|(blob, _)| (ledger.used_ms(*blob), *blob));
        Ok(cached)
    }

    async fn evict(
        &self,
        cached: Vec<(BlobId, u64)>,
        lacking_bytes: u64,
    ) -> Result<(), StoreError> {
        let mut freed_bytes = 0u64;
        for (blob, bytes) in cached {
            if freed_bytes >= lacking_bytes {
                break;
            }
            for reason in [Keep::Cache, Keep::Partial] {
                self.release(blob, &reason).await?;
            }
            self.ledger().forget(blob);
            freed_bytes = freed_bytes.saturating_add(bytes);
            tracing::info!(target: "blocks::evict", blob = %blob.short(), bytes);
        }
        self.collect().await
    }
}

/// Why no room could be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoRoom> for crate::ImportError {
    fn from(error: NoRoom) -> Self {
        match error {
            NoRoom::Quota(error) => Self::Quota(error),
            NoRoom::Store(error) => Self::Store(error),
        }
    }
}

impl From<NoRoom> for crate::FetchError {
    fn from(error: NoRoom) -> Self {
        match error {
            NoRoom::Quota(error) => Self::Quota(error),
            NoRoom::Store(error) => Self::Store(error),
        }
    }
}

impl From<NoRoom> for crate::ReadError {
    fn from(error: NoRoom) -> Self {
        match error {
            NoRoom::Quota(error) => Self::Store(StoreError::Failed {
                act: "write what it knows of a blob",
                source: std::io::Error::other(error),
            }),
            NoRoom::Store(error) => Self::Store(error),
        }
    }
}
