//! verify → name: blobs that came from peers get their IPFS names, computed from the bytes held.
//!
//! What a person imports is named while it is read. Of everything else, what has just arrived or is
//! waited for comes first, one at a time; beside it the store is looked through, one at a time too.
//! No blob is read for its name twice at once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use blocks::{ReadError, StoreError};
use model::BlobId;
use tokio::{join, sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{core::Core, denylist::honour};

/// Blobs without a name found in one look at the store.
const LOT: usize = 100_000;
/// Blobs that are to be named first; more are found by the next look.
const FIRST: usize = 1_000;
/// Without a word, the store is looked through this often.
const LOOK: Duration = Duration::from_secs(60);
/// Blobs that could not be named are tried again after this many looks.
const FORGIVE: u32 = 60;

/// Which blobs are to be named, and which are being named.
#[derive(Debug, Default)]
pub struct Naming {
    turns: Mutex<Turns>,
    look: Notify,
    asked: Notify,
    done: Notify,
}

#[derive(Debug, Default)]
struct Turns {
    first: BTreeSet<BlobId>,
    busy: BTreeSet<BlobId>,
}

/// One blob is being named, until this is dropped.
#[derive(Debug)]
struct Turn<'a> {
    naming: &'a Naming,
    blob: BlobId,
}

impl Naming {
    /// A blob is held in full that may have no name, or somebody waits for its name.
    pub fn ask(&self, blob: BlobId) {
        let mut turns = self.turns();
        if turns.first.len() < FIRST {
            turns.first.insert(blob);
            self.asked.notify_one();
        } else {
            self.look.notify_one();
        }
    }

    fn next(&self) -> Option<BlobId> {
        self.turns().first.pop_first()
    }

    /// None while the blob is being named.
    fn turn(&self, blob: BlobId) -> Option<Turn<'_>> {
        let is_free = self.turns().busy.insert(blob);
        is_free.then_some(Turn { naming: self, blob })
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.naming.turns().busy.remove(&self.blob);
        self.naming.done.notify_waiters();
    }
}

/// Works until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let work = async { join!(asked_for(&core), everything(&core)) };
    cancel.run_until_cancelled(work).await;
}

/// Waits until a blob has its name, or is gone: for as long as that takes.
///
/// # Errors
/// When the index can't be read.
pub async fn wait(core: &Core, blob: BlobId) -> Result<(), StoreError> {
    let mut is_asked = false;
    loop {
        let done = core.naming.done.notified();
        tokio::pin!(done);
        done.as_mut().enable();
        let is_named = core.blobs.unixfs(blob).await?.is_some();
        if is_named || !super::fetch::is_held(core, blob).await {
            return Ok(());
        }
        if !is_asked {
            core.naming.ask(blob);
            is_asked = true;
        }
        done.await;
    }
}

async fn asked_for(core: &Arc<Core>) {
    loop {
        match core.naming.next() {
            None => core.naming.asked.notified().await,
            Some(blob) => match name(core, blob).await {
                // It went again before its turn.
                Ok(_) | Err(ReadError::NotHeld(_) | ReadError::Denied(_)) => {}
                Err(error) => failed(blob, &error),
            },
        }
    }
}

async fn everything(core: &Arc<Core>) {
    let mut failing = BTreeSet::new();
    let mut looks = 0;
    loop {
        while look_through(core, &mut failing).await {}
        let _ = timeout(LOOK, core.naming.look.notified()).await;
        looks += 1;
        if looks % FORGIVE == 0 {
            failing.clear();
        }
    }
}

/// Names what one look at the store finds; says whether there is more.
async fn look_through(core: &Arc<Core>, failing: &mut BTreeSet<BlobId>) -> bool {
    let most = LOT + failing.len();
    let unnamed = match core.blobs.unnamed(most).await {
        Ok(unnamed) => unnamed,
        Err(error) => {
            tracing::warn!(%error, "cannot list what has no IPFS name yet");
            return false;
        }
    };
    let is_cut = unnamed.len() == most;
    let mut is_any_named = false;
    for blob in unnamed {
        if failing.contains(&blob) {
            continue;
        }
        match name(core, blob).await {
            Ok(is_named) => is_any_named |= is_named,
            // It went while the others were named.
            Err(ReadError::NotHeld(_) | ReadError::Denied(_)) => {}
            Err(error) => {
                failed(blob, &error);
                failing.insert(blob);
            }
        }
    }
    is_cut && is_any_named
}

/// Names a blob; false when that is being done already.
async fn name(core: &Arc<Core>, blob: BlobId) -> Result<bool, ReadError> {
    let Some(_turn) = core.naming.turn(blob) else {
        return Ok(false);
    };
    core.blobs.name(blob).await?;
    // Under its new name it may be denied. Who waits hears of it afterwards.
    if let Err(error) = honour::admit_blob(core, blob).await {
        tracing::info!(%blob, %error, "a blob is not kept");
    }
    Ok(true)
}

fn failed(blob: BlobId, error: &ReadError) {
    tracing::warn!(%blob, %error, "cannot compute the IPFS name of a blob");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blob_is_named_once_at_a_time_and_who_waits_hears_of_it() {
        let naming = Naming::default();
        let (one, other) = (BlobId::of(b"one"), BlobId::of(b"other"));
        let turn = naming.turn(one);
        assert!(turn.is_some() && naming.turn(one).is_none());
        assert!(naming.turn(other).is_some(), "another one is free");
        let done = naming.done.notified();
        tokio::pin!(done);
        done.as_mut().enable();
        drop(turn);
        done.await;
        assert!(naming.turn(one).is_some(), "it is free again");
    }

    #[tokio::test]
    async fn what_is_asked_for_too_much_is_found_by_a_look() {
        let naming = Naming::default();
        let blob = |at: usize| BlobId::of(&at.to_le_bytes());
        for at in 0..FIRST {
            naming.ask(blob(at));
        }
        naming.asked.notified().await;
        naming.ask(blob(FIRST));
        naming.look.notified().await;
        let all: BTreeSet<BlobId> = std::iter::from_fn(|| naming.next()).collect();
        assert_eq!(all, (0..FIRST).map(blob).collect());
    }
}
