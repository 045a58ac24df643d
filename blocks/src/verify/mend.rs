//! Taking out what is wrong of a blob, and keeping the rest.
//!
//! The store can't forget a part of what it holds. So it forgets the blob, and takes in again what
//! is right of it from the file that it has just deleted, which is given back to the disk as that
//! goes on: never two copies. Why the blob is kept is written down meanwhile, so that a crash loses
//! bytes, which are fetched again, and no reason.

use std::{num::NonZeroU64, ops::ControlFlow};

use bao_tree::{ChunkRanges, io::BaoContentItem};
use iroh_blobs::{HashAndFormat, api::blobs::ImportBaoHandle};
use model::BlobId;
use tokio::sync::mpsc;

use super::survey::{Opened, Step, Survey};
use crate::{
    BlobStatus, Blobs, StoreError, hash, index::punch_hole, quota::stored_bytes, range::bytes_in,
};

/// Pieces on their way into the store: 1 MiB.
const PIECES: usize = 64;
/// Given back to the disk at a time, bytes.
const HOLE_BYTES: u64 = 4 * 1024 * 1024;
const ACT: &str = "take out what is damaged of a blob";

impl Blobs {
    /// Keeps of a blob what the survey found right.
    pub(super) async fn mend(
        &self,
        blob: BlobId,
        size_bytes: u64,
        opened: Option<Opened>,
        survey: Survey,
    ) -> Result<(), StoreError> {
        let tags = self.tags().await?.into_iter();
        let tags: Vec<String> = tags
            .filter_map(|(name, tagged)| (tagged == blob).then_some(name))
            .collect();
        self.begin_mending(blob, tags.clone()).await?;
        for name in &tags {
            let untagging = self.store().tags().delete(name).await;
            untagging.map_err(|error| StoreError::api("untag a blob", error))?;
        }
        let collected = self.collect_but_hold(stored_bytes(bytes_in(&survey.good, size_bytes)));
        let room = collected.await;
        self.end_mending(blob, &tags).await?;
        let room = room?;
        if self.stored_status(blob).await? != BlobStatus::Missing {
            let busy = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
            return Err(StoreError::new(ACT, busy));
        }
        self.forget_look(blob).await?;
        let write = self.writes().begin();
        if let (Some(opened), Some(size)) = (opened, NonZeroU64::new(size_bytes))
            && !survey.good.is_empty()
        {
            self.take_again(blob, size, opened, survey.good).await?;
        }
        let held_bytes = self.held(blob).await?.total_bytes();
        room.commit(stored_bytes(held_bytes));
        write.succeeded();
        Ok(())
    }

    /// Gives back the reasons of blobs whose mending a crash broke off.
    pub(crate) async fn resume_mending(&self) -> Result<(), StoreError> {
        for (blob, tags) in self.mending().await? {
            self.end_mending(blob, &tags).await?;
        }
        Ok(())
    }

    async fn end_mending(&self, blob: BlobId, tags: &[String]) -> Result<(), StoreError> {
        for name in tags {
            let tagging = self.store().tags();
            let tagged = tagging.set(name, HashAndFormat::raw(hash(blob))).await;
            tagged.map_err(|error| StoreError::api("tag a blob", error))?;
        }
        self.sync().await?;
        self.forget_mending(blob).await
    }

    async fn take_again(
        &self,
        blob: BlobId,
        size: NonZeroU64,
        opened: Opened,
        good: ChunkRanges,
    ) -> Result<(), StoreError> {
        let _guard = self.guard(blob).await?;
        let failed = |error| StoreError::api(ACT, error);
        let importing = self.store().import_bao(hash(blob), size, PIECES).await;
        let ImportBaoHandle { tx: store, rx } = importing.map_err(failed)?;
        let (tx, mut items) = mpsc::channel(PIECES);
        let blobs = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut hole = 0..0u64;
            let _ = opened.walk(&good, |step| {
                let Step::Item(item) = step else {
                    return ControlFlow::Continue(());
                };
                if let BaoContentItem::Leaf(leaf) = &item {
                    let end = leaf.offset + leaf.data.len() as u64;
                    if hole.end != leaf.offset || hole.end - hole.start >= HOLE_BYTES {
                        punch(&opened, &hole);
                        hole.start = leaf.offset;
                    }
                    hole.end = end;
                }
                if blobs.doubts().is_stopped() || tx.blocking_send(item).is_err() {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
        });
        let forward = async {
            let store = store; // dropped at the end, so that the store finishes what it was given
            while let Some(item) = items.recv().await {
                if store.send(item).await.is_err() {
                    break; // the store says why on its other channel
                }
            }
            drop(items);
        };
        let ((), stored) = tokio::join!(forward, rx);
        reading.await.map_err(|_| StoreError::Stopped)?;
        match stored {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StoreError::api(ACT, error)),
            Err(_) => Err(StoreError::Stopped),
        }
    }
}

/// Gives a part of a deleted file back to the disk, where the system can.
fn punch(opened: &Opened, hole: &std::ops::Range<u64>) {
    if !hole.is_empty()
        && let Err(error) = punch_hole(&opened.data, hole.start, hole.end - hole.start)
    {
        tracing::debug!(target: "blocks::verify", %error, "takes room until closed");
    }
}
