//! Files that were changed behind the store's back: what was wrong of them is held no more, and is
//! fetched again from whoever has it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use blocks::{Damaged, FetchOptions};
use model::BlobId;
use tokio::{task::JoinSet, time::timeout};

use super::fetch::{held, is_held, note_error, note_faults};
use crate::{clock::now_ms, core::Core};

/// Blobs fetched again at once; damage comes in bursts, and wants go on beside it.
const AT_ONCE: usize = 4;
/// Damaged blobs remembered.
const BLOBS: usize = 1000;
/// Bound of one attempt.
const ATTEMPT: Duration = Duration::from_secs(600);
/// What a person is warned about.
const WARNING: &str = "damage";

/// What is damaged, and what is being done about it.
#[derive(Default)]
pub(super) struct Mending {
    running: JoinSet<Ended>,
    waiting: BTreeSet<BlobId>,
    /// All that isn't whole again: the warning stands while there is any.
    damaged: BTreeSet<BlobId>,
}

/// A fetch that has ended.
pub(super) struct Ended {
    blob: BlobId,
    is_whole: bool,
}

impl Mending {
    /// Stored bytes turned out not to be what they were.
    pub(super) fn found(&mut self, core: &Arc<Core>, damaged: Damaged) {
        tracing::warn!(?damaged, "stored bytes are not what they were");
        let Damaged::Blob(blob) = damaged else {
            return;
        };
        core.torrents.ask(blob);
        if self.damaged.len() < BLOBS {
            self.damaged.insert(blob);
            self.waiting.insert(blob);
        }
        self.warn(core);
        self.go_on(core);
    }

    /// Waits until a fetch has ended; for ever if none runs. It may be cancelled.
    pub(super) async fn ended(&mut self) -> Option<Ended> {
        match self.running.join_next().await {
            Some(ended) => ended.ok(),
            None => std::future::pending().await,
        }
    }

    /// Takes back the warning if nothing else is damaged, and goes on with the next.
    pub(super) fn note(&mut self, core: &Arc<Core>, ended: Option<Ended>) {
        if let Some(Ended { blob, is_whole }) = ended
            && is_whole
        {
            self.damaged.remove(&blob);
        }
        self.warn(core);
        self.go_on(core);
    }

    /// Takes back the warning about what came another way meanwhile.
    pub(super) async fn forget_mended(&mut self, core: &Arc<Core>) {
        if self.damaged.is_empty() {
            return;
        }
        for blob in self.damaged.clone() {
            if !self.waiting.contains(&blob) && is_held(core, blob).await {
                self.damaged.remove(&blob);
            }
        }
        self.warn(core);
    }

    fn go_on(&mut self, core: &Arc<Core>) {
        while self.running.len() < AT_ONCE
            && let Some(blob) = self.waiting.pop_first()
        {
            let core = Arc::clone(core);
            self.running.spawn(async move {
                let is_whole = mend(&core, blob).await;
                Ended { blob, is_whole }
            });
        }
    }

    fn warn(&self, core: &Core) {
        let text = self.damaged.first().map(|blob| {
            let files = match self.damaged.len() {
                1 => format!("the file of {blob} was"),
                more => format!("{more} files, that of {blob} among them, were"),
            };
            format!(
                "{files} changed outside of datt, or the disk is failing; what is wrong is fetched \
                 again. `datt verify` checks everything"
            )
        });
        core.warn(WARNING, text);
    }
}

/// Fetches again what is wrong of a blob; true when it is whole.
async fn mend(core: &Arc<Core>, blob: BlobId) -> bool {
    let providers = core.providers(&blob, None, &[], now_ms());
    let options = FetchOptions::default();
    let progress = blocks::unwatched();
    let fetching = core.fetcher.fetch(blob, providers, &options, &progress);
    match timeout(ATTEMPT, fetching).await {
        Ok(Ok(fetched)) => {
            note_faults(core, &fetched.faults);
            held(core, blob).await;
            return true;
        }
        Ok(Err(error)) => {
            note_error(core, blob, &error);
            tracing::warn!(%blob, %error, "damaged bytes can't be had again yet");
        }
        Err(_) => {}
    }
    core.look_again.notify_one();
    false
}
