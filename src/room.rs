//! Keeps the data folder within its limit between the blob store's own accounts: what else lies
//! there is measured every second, and what grew is made up for by what may go.

use std::{sync::Arc, time::Duration};

use blocks::Quota;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    core::Core,
    data_folder::{DataFolder, used_bytes},
};

const TICK: Duration = Duration::from_secs(1);
/// Share of the limit that blobs never fill, and most of it, bytes: entries grow into it between
/// two measurements.
const MARGIN_SHARE: u64 = 64;
const MARGIN_BYTES: u64 = 64 << 20;
/// Bytes on disk for one of an entry: tables, indexes, pages half full and pages written anew.
const ENTRY_FACTOR: u64 = 4;
/// What one batch of entries writes in any case, bytes.
const BATCH_BYTES: u64 = 4 << 10;

/// The account of a data folder, before anything is written.
pub fn quota(folder: &DataFolder, max_bytes: u64) -> Quota {
    let quota = Quota::new(folder.path(), max_bytes, blocks::DEFAULT_MIN_FREE_BYTES);
    quota.set_margin_bytes((max_bytes / MARGIN_SHARE).min(MARGIN_BYTES));
    quota.set_other_bytes(other_bytes(folder));
    quota
}

/// What a batch of entries of this length may take on disk, bytes.
pub fn of_entries(bytes: u64) -> u64 {
    bytes
        .saturating_mul(ENTRY_FACTOR)
        .saturating_add(BATCH_BYTES)
}

/// Runs until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    cancel.run_until_cancelled(work(core)).await;
}

async fn work(core: Arc<Core>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        measure(&core).await;
        if let Err(error) = core.blobs.shed().await {
            tracing::warn!(%error, "cannot make up for what grew in the data folder");
        }
    }
}

/// Brings the account up to date with what lies in the data folder beside the blob store.
pub async fn measure(core: &Arc<Core>) {
    let node = Arc::clone(core);
    let measured = tokio::task::spawn_blocking(move || other_bytes(&node.folder)).await;
    if let Ok(bytes) = measured {
        core.blobs.quota().set_other_bytes(bytes);
    }
}

/// Bytes on disk of everything that isn't the blob store's.
fn other_bytes(folder: &DataFolder) -> u64 {
    let blobs = folder.blobs();
    used_bytes(folder.path(), &|path| *path != blobs)
}
