//! Making room: what is kept for no better reason than the cache goes, longest unused first; for
//! what a person promised also what rules ask for, what is worth least first.

use std::collections::BTreeSet;

use model::BlobId;

use crate::{
    BlobStatus, ImportError, Keep, QuotaError, StoreError,
    quota::{Reservation, stored_bytes},
    store::Blobs,
};

/// How far eviction may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The cache only.
    Cache,
    /// What rules ask for too.
    Mirrored,
}

impl Reach {
    fn of(why: &Keep) -> Self {
        if why.is_promise() {
            Self::Mirrored
        } else {
            Self::Cache
        }
    }

    fn covers(self, why: &Keep) -> bool {
        why.is_evictable() || (self == Self::Mirrored && *why == Keep::Mirror)
    }
}

impl Blobs {
    /// Reserves room, evicting from the cache if that is what it takes.
    pub(crate) async fn reserve(&self, bytes: u64) -> Result<Reservation, NoRoom> {
        self.reserve_for(bytes, &Keep::Cache).await
    }

    /// Reserves room for what is kept for this reason, evicting what is kept for lesser ones if
    /// that is what it takes.
    pub(crate) async fn reserve_for(&self, bytes: u64, why: &Keep) -> Result<Reservation, NoRoom> {
        let refused = match self.quota().reserve(bytes) {
            Ok(room) => return Ok(room),
            Err(refused) => refused,
        };
        self.make_room(&refused, bytes, Reach::of(why)).await?;
        Ok(self.quota().reserve(bytes)?)
    }

    /// Reserves room for what a person asked for, at the cost of what is cached or asked for by
    /// rules.
    ///
    /// # Errors
    /// When there is no room, or the store can't be read or written.
    pub async fn reserve_promised(&self, bytes: u64) -> Result<Reservation, ImportError> {
        Ok(self.reserve_for(bytes, &Keep::pin("way")).await?)
    }

    /// Makes room for what a person promised to keep, at the cost of what rules ask for. True when
    /// there is room now.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn make_way(&self, bytes: u64) -> Result<bool, StoreError> {
        match self.reserve_for(bytes, &Keep::pin("way")).await {
            Ok(_) => Ok(true),
            Err(NoRoom::Quota(_)) => Ok(false),
            Err(NoRoom::Store(error)) => Err(error),
        }
    }

    /// As [`Blobs::reserve`], for more room.
    pub(crate) async fn grow(&self, room: &mut Reservation, bytes: u64) -> Result<(), NoRoom> {
        let Err(refused) = room.grow(bytes) else {
            return Ok(());
        };
        self.make_room(&refused, bytes, Reach::Cache).await?;
        Ok(room.grow(bytes)?)
    }

    /// Evicts until the quota's margin is free again, as far as that goes: what isn't the blob
    /// store's grows too. To be called whenever that was measured.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn shed(&self) -> Result<(), StoreError> {
        let excess_bytes = self.quota().excess_bytes();
        if excess_bytes == 0 {
            return Ok(());
        }
        let evictable = self.evictable(Reach::Mirrored).await?;
        if evictable.is_empty() {
            return Ok(());
        }
        self.evict(evictable, excess_bytes).await
    }

    /// Brings reasons to keep in line with what rules ask for: `keep` stays for them, `unmatched`
    /// is no more than cached, `drop` goes unless a person promised to keep it.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn mirror(
        &self,
        keep: &[BlobId],
        unmatched: &[BlobId],
        drop: &[BlobId],
    ) -> Result<(), StoreError> {
        for blob in keep {
            self.tag(*blob, &Keep::Mirror).await?;
        }
        for blob in unmatched {
            self.tag(*blob, &Keep::Cache).await?;
            self.untag(*blob, &[Keep::Mirror]).await?;
        }
        for blob in drop {
            self.untag(*blob, &[Keep::Mirror, Keep::Cache, Keep::Partial])
                .await?;
            tracing::info!(target: "blocks::evict", blob = %blob.short(), "worth less than others");
        }
        if !keep.is_empty() || !unmatched.is_empty() || !drop.is_empty() {
            self.sync().await?;
        }
        if drop.is_empty() {
            return Ok(());
        }
        self.collect().await
    }

    /// Says in which order that goes which rules ask for.
    pub fn set_eviction_order(&self, worst_first: &[BlobId]) {
        self.ledger().set_order(worst_first);
    }

    async fn make_room(
        &self,
        refused: &QuotaError,
        bytes: u64,
        reach: Reach,
    ) -> Result<(), NoRoom> {
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
        let evictable = self.evictable(reach).await?;
        let evictable_bytes: u64 = evictable.iter().map(|(_, bytes)| bytes).sum();
        if evictable_bytes < lacking_bytes {
            // Giving all of that up would not help, so it stays.
            return Err(refused.clone().into());
        }
        self.evict(evictable, lacking_bytes).await?;
        Ok(())
    }

    /// Evicts until at most `max_bytes` are cached.
    pub(crate) async fn trim_cache(&self, max_bytes: u64) -> Result<(), StoreError> {
        let cached = self.evictable(Reach::Cache).await?;
        let cached_bytes: u64 = cached.iter().map(|(_, bytes)| bytes).sum();
        match cached_bytes.checked_sub(max_bytes) {
            None | Some(0) => Ok(()),
            Some(excess_bytes) => self.evict(cached, excess_bytes).await,
        }
    }

    /// Blobs that may go and what they take: the cache first, longest unused first, then what is
    /// worth least to the rules.
    async fn evictable(&self, reach: Reach) -> Result<Vec<(BlobId, u64)>, StoreError> {
        let in_use = self.guarded().await?;
        let mut evictable = Vec::new();
        let mut mirrored = BTreeSet::new();
        for (blob, reasons) in self.kept().await? {
            if in_use.contains(&blob) || !reasons.iter().all(|why| reach.covers(why)) {
                continue;
            }
            if reasons.contains(&Keep::Mirror) {
                mirrored.insert(blob);
            }
            let held_bytes = match self.status(blob).await? {
                BlobStatus::Missing => 0,
                BlobStatus::Partial { held_bytes, .. } => held_bytes,
                BlobStatus::Complete { size_bytes } => size_bytes,
            };
            evictable.push((blob, stored_bytes(held_bytes)));
        }
        let ledger = self.ledger();
        evictable.sort_by_key(|(blob, _)| {
            let is_mirrored = mirrored.contains(blob);
            let place = if is_mirrored { ledger.place(*blob) } else { 0 };
            (is_mirrored, place, ledger.used_ms(*blob), *blob)
        });
        Ok(evictable)
    }

    async fn evict(
        &self,
        evictable: Vec<(BlobId, u64)>,
        lacking_bytes: u64,
    ) -> Result<(), StoreError> {
        let mut freed_bytes = 0u64;
        for (blob, bytes) in evictable {
            if freed_bytes >= lacking_bytes {
                break;
            }
            self.untag(blob, &[Keep::Cache, Keep::Partial, Keep::Mirror])
                .await?;
            self.ledger().forget(blob);
            freed_bytes = freed_bytes.saturating_add(bytes);
            tracing::info!(target: "blocks::evict", blob = %blob.short(), bytes);
        }
        self.sync().await?;
        self.collect().await
    }

    /// As [`Blobs::release`] of several reasons, before [`Blobs::sync`].
    async fn untag(&self, blob: BlobId, reasons: &[Keep]) -> Result<(), StoreError> {
        for why in reasons {
            self.store()
                .tags()
                .delete(why.tag(blob))
                .await
                .map_err(|error| StoreError::api("untag a blob", error))?;
        }
        Ok(())
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

impl From<NoRoom> for ImportError {
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
