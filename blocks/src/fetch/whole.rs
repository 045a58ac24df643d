//! Fetching a blob, or a range of it, into the store.

use iroh::EndpointAddr;
use model::BlobId;
use std::time::Duration;
use tokio::time::timeout;

use super::{
    FetchError, FetchOptions, Fetched, Fetcher,
    plan::Spans,
    pull::{Pulling, groups_of},
    transfer::Sized,
};
use crate::{
    BlobStatus, Keep, Progress, ProgressSender, Stage, StoreError,
    ledger::Look,
    range::{bytes_in, groups},
    source::INLINE_BYTES,
};

/// How often the store is looked at, while it writes the last pieces.
const LOOK: Duration = Duration::from_millis(20);

impl Fetcher {
    /// Fetches a blob from all `providers` at once, and from whatever else is found. Bytes held
    /// already are not fetched again; who fetches the same blob meanwhile shares what comes.
    ///
    /// # Errors
    /// When nobody delivers, it is larger than allowed, or can't be stored.
    pub async fn fetch(
        &self,
        blob: BlobId,
        providers: impl IntoIterator<Item = EndpointAddr>,
        options: &FetchOptions,
        progress: &ProgressSender,
    ) -> Result<Fetched, FetchError> {
        let blobs = &self.0.blobs;
        if blobs.is_denied(blob) {
            return Err(FetchError::Denied(blob));
        }
        let guard = blobs.guard(blob).await?;
        let mut fetched_bytes = 0;
        let mut faults = Vec::new();
        let size_bytes = match self.size_if_held(blob, options).await? {
            Some(size_bytes) => size_bytes,
            None => {
                let _turn = self.0.lanes.turn(options.lane).await;
                let pulling =
                    self.0
                        .pulls
                        .join(&self.0, blob, providers, options, options.range.is_none());
                let pulled = self.pull(&pulling, options, progress).await;
                let ended = pulling.end().await;
                fetched_bytes = pulling.came_bytes();
                faults = pulling.faults();
                match pulled.and_then(|size_bytes| ended.map(|()| size_bytes)) {
                    Ok(size_bytes) => size_bytes,
                    Err(error) => {
                        drop(guard);
                        return Err(self.give_room_back(blob, error).await);
                    }
                }
            }
        };
        blobs.keep(blob, &options.keep).await?;
        self.finish(blob).await?;
        Ok(Fetched {
            size_bytes,
            fetched_bytes,
            faults,
        })
    }

    async fn pull(
        &self,
        pulling: &Pulling,
        options: &FetchOptions,
        progress: &ProgressSender,
    ) -> Result<u64, FetchError> {
        let what = pulling.size().await?;
        let mut wanted = match &options.range {
            None => Spans::one(0..what.groups()),
            Some(range) => {
                check_range(what, options)?;
                Spans::one(groups_of(range))
            }
        };
        // The last group comes along, so that the size stays proven.
        wanted.insert(what.groups().saturating_sub(1)..what.groups());
        let missing_bytes = pulling.missing_bytes(&wanted)?;
        if missing_bytes > options.max_bytes {
            return Err(FetchError::TooLarge {
                blob: what.blob,
                wanted_bytes: missing_bytes,
                max_bytes: options.max_bytes,
            });
        }
        let total_bytes = wanted.all().map(|run| what.bytes(&run));
        let total_bytes = total_bytes.map(|bytes| bytes.end - bytes.start).sum();
        pulling.want(what, wanted).await?;
        loop {
            let left_bytes = pulling.left()?;
            progress.send_replace(Progress {
                stage: Stage::Fetch,
                done_bytes: total_bytes - left_bytes,
                total_bytes: Some(total_bytes),
            });
            if left_bytes == 0 {
                break;
            }
            pulling.news().await;
        }
        // What came is on its way into the store.
        while self.size_if_held(what.blob, options).await?.is_none() {
            pulling.left()?;
            timeout(LOOK, pulling.news()).await.ok();
        }
        Ok(what.size_bytes)
    }

    /// The size, if everything that is asked for is held already.
    async fn size_if_held(
        &self,
        blob: BlobId,
        options: &FetchOptions,
    ) -> Result<Option<u64>, FetchError> {
        let held = self.0.blobs.held(blob).await?;
        let Some(size_bytes) = held.validated_size() else {
            return Ok(None);
        };
        let what = Sized { blob, size_bytes };
        check_range(what, options)?;
        let wanted = groups(options.range.as_ref().unwrap_or(&(0..size_bytes)));
        let missing = &wanted - &held.ranges;
        Ok((bytes_in(&missing, size_bytes) == 0).then_some(size_bytes))
    }

    /// A fetch that filled the disk does not leave it full, and one that got nothing leaves no
    /// trace. Any other keeps what it got.
    pub(super) async fn give_room_back(&self, blob: BlobId, error: FetchError) -> FetchError {
        let blobs = &self.0.blobs;
        let is_full = matches!(error, FetchError::Store(StoreError::DiskFull { .. }));
        let freed = async {
            if is_full {
                blobs.release(blob, &Keep::Partial).await?;
                return blobs.collect().await;
            }
            if blobs.status(blob).await? == BlobStatus::Missing {
                blobs.release(blob, &Keep::Partial).await?;
            }
            Ok(())
        };
        if let Err(error) = freed.await {
            tracing::warn!(target: "blocks::fetch", %error, "what a failed fetch left may stay");
        }
        error
    }

    /// Once a blob is complete, it is no longer kept as a part, and its file is known to be right.
    pub(super) async fn finish(&self, blob: BlobId) -> Result<(), FetchError> {
        let blobs = &self.0.blobs;
        blobs.used(blob);
        let BlobStatus::Complete { size_bytes } = blobs.status(blob).await? else {
            return Ok(());
        };
        if size_bytes > INLINE_BYTES
            && let Ok(look) = Look::of(&blobs.files().data(blob))
        {
            blobs.ledger().trusted(blob, look);
        }
        blobs.release(blob, &Keep::Partial).await?;
        Ok(())
    }
}

fn check_range(what: Sized, options: &FetchOptions) -> Result<(), FetchError> {
    match &options.range {
        Some(range) if range.start > range.end || range.end > what.size_bytes => {
            Err(FetchError::Range {
                blob: what.blob,
                size_bytes: what.size_bytes,
                range: range.clone(),
            })
        }
        _ => Ok(()),
    }
}
