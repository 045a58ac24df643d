//! Blobs whose files aren't as they were left: checked in the background, and refused until that
//! has ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bao_tree::ChunkRanges;
use model::BlobId;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, broadcast, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Check, Damaged, hash_file,
    survey::{Opened, Survey},
};
use crate::{BlobStatus, Blobs, StoreError, ledger::Look, source::INLINE_BYTES};

/// Reports that a slow listener may lag behind.
const REPORTS: usize = 256;
/// Blobs that are remembered to have been damaged, most.
const REMEMBERED: usize = 4096;
/// Files that are checked at once: more would only make the disk seek.
const AT_ONCE: usize = 1;
/// Times that a file is looked at again that is changed while it is checked.
const LOOKS: usize = 3;

/// What came of a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The file has the right bytes, or there is none any more.
    Right,
    /// It had not; what was wrong is held no more.
    Damaged,
    /// It can't be told, or what is wrong can't be taken out. It is refused until it is tried again.
    Stuck,
}

/// Why a blob is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its file looks otherwise than it did.
    Look,
    /// Its bytes were found to be wrong.
    Bytes,
}

/// The blobs that are doubted; refused until they are not.
#[derive(Debug)]
pub(crate) struct Doubts {
    open: Mutex<BTreeMap<BlobId, watch::Receiver<Option<Verdict>>>>,
    reports: broadcast::Sender<Damaged>,
    /// Blobs found to be damaged since the start.
    damaged: Mutex<BTreeSet<BlobId>>,
    turns: Semaphore,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Doubts {
    /// Checks run on the runtime that this is called in.
    pub(crate) fn new() -> Self {
        Self {
            open: Mutex::default(),
            reports: broadcast::Sender::new(REPORTS),
            damaged: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Whether a blob is doubted.
    pub(crate) fn holds(&self, blob: BlobId) -> bool {
        self.lock().contains_key(&blob)
    }

    /// Ends the checks that run, and waits for that.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(super) fn report(&self, subject: Damaged) {
        if let Damaged::Blob(blob) = subject {
            let mut damaged = self.damaged();
            damaged.insert(blob);
            if damaged.len() > REMEMBERED {
                damaged.pop_first();
            }
        }
        // No listener is fine.
        self.reports.send(subject).ok();
    }

    /// Those that got stuck are tried again when they are doubted next.
    fn retry(&self) -> Vec<BlobId> {
        let open = self.lock();
        let stuck = open
            .iter()
            .filter(|(_, verdict)| *verdict.borrow() == Some(Verdict::Stuck));
        stuck.map(|(blob, _)| *blob).collect()
    }

    pub(super) fn damaged(&self) -> MutexGuard<'_, BTreeSet<BlobId>> {
        // Every change is whole by itself.
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BlobId, watch::Receiver<Option<Verdict>>>> {
        // Every change is whole by itself.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blobs {
    /// Blobs and blocks that were found to be damaged, as that happens: what was wrong of a blob is
    /// held no more and is to be fetched again. A listener that lags loses the oldest.
    pub fn damage(&self) -> broadcast::Receiver<Damaged> {
        self.doubts().reports.subscribe()
    }

    /// Has a blob's file checked, unless that is being done: until the verdict it is refused.
    pub(crate) fn doubt(&self, blob: BlobId) -> watch::Receiver<Option<Verdict>> {
        self.doubt_for(blob, Why::Look)
    }

    pub(super) fn doubt_for(&self, blob: BlobId, why: Why) -> watch::Receiver<Option<Verdict>> {
        let doubts = self.doubts();
        let mut open = doubts.lock();
        if let Some(verdict) = open.get(&blob) {
            return verdict.clone();
        }
        let (tell, verdict) = watch::channel(None);
        open.insert(blob, verdict.clone());
        drop(open);
        self.start_check(blob, why, tell);
        verdict
    }

    fn start_check(&self, blob: BlobId, why: Why, tell: watch::Sender<Option<Verdict>>) {
        let blobs = self.clone();
        let checking = async move {
            let doubts = blobs.doubts();
            let turn = doubts.stop.run_until_cancelled(doubts.turns.acquire());
            let Some(Ok(_turn)) = turn.await else { return };
            let verdict = match blobs.check(blob, why).await {
                Ok(verdict) => verdict,
                Err(error) => {
                    tracing::warn!(target: "blocks::verify", blob = %blob.short(), %error);
                    Verdict::Stuck
                }
            };
            if verdict != Verdict::Stuck {
                doubts.lock().remove(&blob);
            }
            if verdict == Verdict::Damaged {
                tracing::warn!(target: "blocks::verify", %blob, "damaged bytes are held no more");
                doubts.report(Damaged::Blob(blob));
            }
            tell.send_replace(Some(verdict));
        };
        let doubts = self.doubts();
        doubts.runtime.spawn(doubts.tasks.track_future(checking));
    }

    /// Looks at every file whose look is known; those that were changed are checked, and those that
    /// got stuck are tried again.
    pub(crate) async fn look_over(&self) -> Result<(), StoreError> {
        for blob in self.doubts().retry() {
            let (tell, verdict) = watch::channel(None);
            self.doubts().lock().insert(blob, verdict);
            self.start_check(blob, Why::Look, tell);
        }
        let held = self.list().await?;
        let blobs = self.clone();
        let looking = move || held.iter().filter(|blob| !blobs.is_sound(**blob)).count();
        let looked = tokio::task::spawn_blocking(looking).await;
        looked.map(|_| ()).map_err(|_| StoreError::Stopped)
    }

    /// Blobs that were found to be damaged since the start, and aren't held in full again.
    pub(super) async fn still_lacking(&self) -> Result<Vec<BlobId>, StoreError> {
        let damaged: Vec<BlobId> = self.doubts().damaged().iter().copied().collect();
        let mut lacking = Vec::new();
        for blob in damaged {
            match self.status(blob).await? {
                BlobStatus::Complete { .. } => {
                    self.doubts().damaged().remove(&blob);
                }
                BlobStatus::Missing | BlobStatus::Partial { .. } => lacking.push(blob),
            }
        }
        Ok(lacking)
    }

    async fn check(&self, blob: BlobId, why: Why) -> Result<Verdict, StoreError> {
        for _ in 0..LOOKS {
            let status = self.stored_status(blob).await?;
            let size_bytes = match status {
                BlobStatus::Complete { size_bytes } => size_bytes,
                // Of one whose size isn't proven, the tree that the store has is the one that counts.
                BlobStatus::Partial { .. } if why == Why::Bytes => self.held(blob).await?.size(),
                BlobStatus::Partial { .. } | BlobStatus::Missing => {
                    // Written anew since it was recorded.
                    self.forget_look(blob).await?;
                    return Ok(Verdict::Right);
                }
            };
            let is_whole = matches!(status, BlobStatus::Complete { .. });
            let files = (self.files().data(blob), self.files().outboard(blob));
            let before = Look::of(&files.0).ok();
            let (opened, survey) = if is_whole && size_bytes <= INLINE_BYTES {
                (None, Survey::default())
            } else {
                match self.survey(blob, size_bytes, is_whole).await? {
                    Surveyed::Stopped => return Ok(Verdict::Stuck),
                    Surveyed::Missing => (None, Survey::default()),
                    Surveyed::Found(opened, survey) => (Some(opened), survey),
                }
            };
            if before.is_none() || Look::of(&files.0).ok() == before {
                if let (Some(opened), Some(look)) = (&opened, before)
                    && self.is_right(opened, &survey, look, is_whole).await?
                {
                    return Ok(Verdict::Right);
                }
                self.mend(blob, size_bytes, opened, survey).await?;
                return Ok(Verdict::Damaged);
            }
        }
        Ok(Verdict::Stuck)
    }

    async fn survey(
        &self,
        blob: BlobId,
        size_bytes: u64,
        is_whole: bool,
    ) -> Result<Surveyed, StoreError> {
        // The store can't look into a blob of which a file is missing.
        let wanted = match is_whole {
            true => ChunkRanges::all(),
            false => self.held_chunks(blob).await?,
        };
        let _guard = self.guard(blob).await?;
        let (data, outboard) = (self.files().data(blob), self.files().outboard(blob));
        let blobs = self.clone();
        let surveying = tokio::task::spawn_blocking(move || {
            let opened = match Opened::open(blob, size_bytes, &data, &outboard) {
                Ok(opened) => opened,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Surveyed::Missing),
                Err(error) => return Err(StoreError::new("open a file to check it", error)),
            };
            Ok(
                match opened.survey(&wanted, || blobs.doubts().is_stopped()) {
                    Some(survey) => Surveyed::Found(opened, survey),
                    None => Surveyed::Stopped,
                },
            )
        });
        surveying.await.map_err(|_| StoreError::Stopped)?
    }

    /// Whether the bytes are right, be it that the file is longer or that the outboard isn't: both
    /// are put right, for the bytes of the blob are there.
    async fn is_right(
        &self,
        opened: &Opened,
        survey: &Survey,
        look: Look,
        is_whole: bool,
    ) -> Result<bool, StoreError> {
        const ACT: &str = "put a file right";
        let (blob, size_bytes) = (opened.blob, opened.size_bytes);
        let is_long = is_whole && look.size_bytes() > size_bytes;
        let mut look = look;
        if !survey.is_all_right() {
            if !is_whole || survey.bad_pairs == 0 || look.size_bytes() != size_bytes {
                return Ok(false);
            }
            let (opened, path) = (opened.clone(), self.files().data(blob));
            let mending = tokio::task::spawn_blocking(move || {
                let is_right = Check::of(blob, hash_file(&path, |_| {})) == Check::Right;
                if is_right {
                    opened.mend_outboard()?;
                }
                Ok(is_right)
            });
            let mended = mending.await.map_err(|_| StoreError::Stopped)?;
            if !mended.map_err(|error| StoreError::new(ACT, error))? {
                return Ok(false);
            }
        } else if is_long {
            let cut = opened.data.set_len(size_bytes);
            cut.map_err(|error| StoreError::new(ACT, error))?;
            let found = Look::of(&self.files().data(blob));
            look = found.map_err(|error| StoreError::new(ACT, error))?;
        }
        if is_whole {
            self.record_trust(blob, look).await?;
        }
        Ok(true)
    }
}

/// What a survey came to.
enum Surveyed {
    Found(Opened, Survey),
    /// There is no file.
    Missing,
    /// The store is closing.
    Stopped,
}
