//! verify → name: blobs that came from peers get their IPFS names, computed from the bytes held.
//!
//! What a person imports is named while it is read; everything else here, one at a time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use model::BlobId;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{core::Core, denylist::honour};

/// Blobs asked for at once.
const BATCH: usize = 64;
/// Without a word, the store is looked through this often.
const LOOK: Duration = Duration::from_secs(60);
/// Blobs that could not be named are tried again after this many looks.
const FORGIVE: u32 = 60;

/// Works until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    cancel.run_until_cancelled(work(core)).await;
}

async fn work(core: Arc<Core>) {
    let mut failed = BTreeSet::new();
    let mut looks = 0;
    loop {
        while name_some(&core, &mut failed).await {}
        // Named at once when something arrived, and now and then in any case.
        let _ = timeout(LOOK, core.names_wanted.notified()).await;
        looks += 1;
        if looks % FORGIVE == 0 {
            failed.clear();
        }
    }
}

/// Names a batch; says whether there may be more.
async fn name_some(core: &Arc<Core>, failed: &mut BTreeSet<BlobId>) -> bool {
    let unnamed = match core.blobs.unnamed(BATCH + failed.len()).await {
        Ok(unnamed) => unnamed,
        Err(error) => {
            tracing::warn!(%error, "cannot list what has no IPFS name yet");
            return false;
        }
    };
    let mut named = false;
    for blob in unnamed {
        if failed.contains(&blob) {
            continue;
        }
        match core.blobs.name(blob).await {
            Ok(_) => {
                named = true;
                // Under its new name it may be denied.
                if let Err(error) = honour::admit_blob(core, blob).await {
                    tracing::info!(%blob, %error, "a blob is not kept");
                }
            }
            Err(error) => {
                tracing::warn!(%blob, %error, "cannot compute the IPFS name of a blob");
                failed.insert(blob);
            }
        }
    }
    named
}
