//! Raw bytes without an outboard: nothing tells which of them are right until all are here. They
//! are collected in a file beside the store, and count when the whole hash agrees.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use n0_future::StreamExt;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{Pull, Sized, sources::Errand};
use crate::{
    GROUP_BYTES, ImportError, Keep, QuotaError, StoreError,
    evict::NoRoom,
    fetch::{
        FetchError,
        peer::PeerFault,
        plan::{Action, Has, Plan, RequestId, SourceId, Spans, Trouble, WantId},
        source::{RawSource, ShareState, SourceLabel},
    },
    quota::stored_bytes,
    unwatched,
    verify::hash_file,
};

/// Pieces between the sources and the file.
const PIECES: usize = 64;
/// Groups that are written at once.
const BATCH: u64 = 8;
const WHOLE: WantId = WantId(0);

/// Why nothing came of it.
pub(super) enum Blind {
    /// The bytes are those of another blob.
    NotThatBlob(Vec<SourceLabel>),
    /// Not all bytes came.
    NoSource,
    /// It is larger than anybody takes.
    TooLarge {
        size_bytes: u64,
        max_bytes: u64,
    },
    Quota(QuotaError),
    Store(StoreError),
}

impl From<NoRoom> for Blind {
    fn from(error: NoRoom) -> Self {
        match error {
            NoRoom::Quota(error) => Self::Quota(error),
            NoRoom::Store(error) => Self::Store(error),
        }
    }
}

impl From<ImportError> for Blind {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Quota(error) => Self::Quota(error),
            ImportError::Store(error) => Self::Store(error),
            other => Self::Store(StoreError::new(
                "take a fetched blob in",
                io::Error::other(other),
            )),
        }
    }
}

impl Blind {
    fn error(&self, pull: &Pull) -> FetchError {
        let blob = pull.blob;
        match self {
            Self::NotThatBlob(sources) => FetchError::NotThatBlob {
                blob,
                sources: sources.clone(),
            },
            Self::NoSource => FetchError::NoPeer {
                blob,
                faults: Vec::new(),
            },
            Self::TooLarge {
                size_bytes,
                max_bytes,
            } => FetchError::TooLarge {
                blob,
                wanted_bytes: *size_bytes,
                max_bytes: *max_bytes,
            },
            Self::Quota(error) => FetchError::Quota(error.clone()),
            Self::Store(error) => FetchError::Store(error.again()),
        }
    }
}

/// What came of a request.
enum Came {
    Bytes(RequestId, u64, Bytes),
    Ended(RequestId, Result<(), PeerFault>),
}

impl Pull {
    /// Collects the whole blob unverified, and hashes it.
    pub(super) async fn collect(self: Arc<Self>) {
        let done = self.collect_whole().await;
        let held = self.blobs().held(self.blob).await;
        let mut state = self.lock();
        state.sources.blind = Errand::Ended;
        if let (Ok(_), Ok(held)) = (&done, held) {
            state.held = held.ranges;
        }
        let faults = state.faults_since(0);
        match done {
            Ok(what) => {
                state.wants.came_whole(what.size_bytes);
                drop(state);
                self.begin_plan(what);
            }
            Err(Blind::NoSource) => state.wants.fail_all(|| FetchError::NoPeer {
                blob: self.blob,
                faults: faults.clone(),
            }),
            Err(why) => state.wants.fail_all(|| why.error(&self)),
        }
        self.changed.notify_one();
    }

    async fn collect_whole(&self) -> Result<Sized, Blind> {
        let (raws, max_bytes) = {
            let state = self.lock();
            (state.sources.raws(), state.max_bytes)
        };
        let size_bytes = claimed(&raws).ok_or(Blind::NoSource)?;
        if size_bytes > max_bytes {
            return Err(Blind::TooLarge {
                size_bytes,
                max_bytes,
            });
        }
        let blobs = self.blobs();
        let what = Sized {
            blob: self.blob,
            size_bytes,
        };
        let room = blobs.reserve(stored_bytes(size_bytes)).await?;
        let write = blobs.writes().begin();
        let file = Collected(blobs.files().collecting(self.blob));
        let failed = |error| Blind::Store(StoreError::new("collect a blob", error));
        let target = File::create(&file.0).map_err(failed)?;
        let mut collecting = Collecting::new(self, what, raws, target);
        let came = collecting.run().await?;
        let path = file.0.clone();
        let hashed = tokio::task::spawn_blocking(move || hash_file(&path, |_| {})).await;
        let hashed = hashed.map_err(|_| Blind::Store(StoreError::Stopped))?;
        if hashed.map_err(failed)? != *self.blob.as_bytes() {
            return Err(Blind::NotThatBlob(self.blame(came.keys())));
        }
        blobs
            .import_path(&file.0, &Keep::Partial, &unwatched())
            .await?;
        drop(file);
        drop(room);
        write.succeeded();
        for (source, bytes) in came {
            let label = self.lock().sources.entry(source).map(|e| e.label.clone());
            if let Some(label) = label {
                self.inner
                    .shares
                    .came(self.blob, &label, bytes, self.now_s());
            }
        }
        Ok(what)
    }

    /// Nothing tells which of them sent what was wrong.
    fn blame<'a>(&self, sources: impl Iterator<Item = &'a SourceId>) -> Vec<SourceLabel> {
        let mut blamed = Vec::new();
        for source in sources {
            let label = self.lock().sources.entry(*source).map(|e| e.label.clone());
            if let Some(label) = label {
                self.show(&label, ShareState::Banned);
                self.fault((*label).clone(), None, PeerFault::Lied("the whole"));
                blamed.push((*label).clone());
            }
        }
        blamed
    }
}

/// The size that most sources claim.
fn claimed(raws: &[(SourceId, Arc<dyn RawSource>)]) -> Option<u64> {
    let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
    for size_bytes in raws.iter().filter_map(|(_, raw)| raw.size_bytes()) {
        *votes.entry(size_bytes).or_default() += 1;
    }
    let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
    most.map(|(size_bytes, _)| size_bytes)
}

/// The file, which goes whatever happens.
struct Collected(PathBuf);

impl Drop for Collected {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(target: "blocks::fetch", %error, "a collected file stays");
    }
}

struct Collecting<'a> {
    pull: &'a Pull,
    what: Sized,
    raws: BTreeMap<SourceId, Arc<dyn RawSource>>,
    plan: Plan,
    target: Arc<File>,
    requests: BTreeMap<RequestId, (SourceId, AbortHandle)>,
    tasks: JoinSet<()>,
    tx: mpsc::Sender<Came>,
    rx: mpsc::Receiver<Came>,
    came: BTreeMap<SourceId, u64>,
    stall: Duration,
}

impl<'a> Collecting<'a> {
    fn new(
        pull: &'a Pull,
        what: Sized,
        raws: Vec<(SourceId, Arc<dyn RawSource>)>,
        target: File,
    ) -> Self {
        let stall = pull.lock().stall;
        let mut plan = Plan::new(what.groups(), Spans::default(), stall);
        plan.want(WHOLE, Spans::one(0..what.groups()));
        let (tx, rx) = mpsc::channel(PIECES);
        let raws: BTreeMap<_, _> = raws.into_iter().collect();
        for (id, raw) in &raws {
            let has = match raw.has().borrow().as_deref() {
                Some(ranges) => super::sources::has_of(Some(ranges), &plan),
                None => Has::All,
            };
            plan.join(*id, has, pull.now());
        }
        Self {
            pull,
            what,
            raws,
            plan,
            target: Arc::new(target),
            requests: BTreeMap::new(),
            tasks: JoinSet::new(),
            tx,
            rx,
            came: BTreeMap::new(),
            stall,
        }
    }

    /// Collects all groups; who gave how much.
    async fn run(&mut self) -> Result<BTreeMap<SourceId, u64>, Blind> {
        while self.plan.held().count() < self.what.groups() {
            let now = self.pull.now();
            for action in self.plan.poll(now) {
                if let Action::GiveUp { .. } = action {
                    return Err(Blind::NoSource);
                }
                self.carry_out(action);
            }
            let wait = match self.plan.deadline(now) {
                Some(at) => at.saturating_sub(now),
                None => self.stall,
            };
            tokio::select! {
                Some(came) = self.rx.recv() => self.take(came).await?,
                () = sleep(wait) => {}
                Some(_) = self.tasks.join_next() => {}
            }
        }
        self.tasks.shutdown().await;
        Ok(std::mem::take(&mut self.came))
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Start {
                request,
                source,
                span,
            } => {
                let Some(raw) = self.raws.get(&source) else {
                    return;
                };
                let range = self.what.bytes(&span);
                let read = read(Arc::clone(raw), request, range, self.stall, self.tx.clone());
                self.requests
                    .insert(request, (source, self.tasks.spawn(read)));
            }
            Action::Cancel { request } => self.end(request),
            Action::Stalled { .. }
            | Action::Ban { .. }
            | Action::Trim { .. }
            | Action::GiveUp { .. } => {}
        }
    }

    fn end(&mut self, request: RequestId) {
        if let Some((_, handle)) = self.requests.remove(&request) {
            handle.abort();
        }
    }

    async fn take(&mut self, came: Came) -> Result<(), Blind> {
        let now = self.pull.now();
        match came {
            Came::Bytes(request, offset, bytes) => {
                let Some((source, _)) = self.requests.get(&request) else {
                    return Ok(());
                };
                *self.came.entry(*source).or_default() += bytes.len() as u64;
                let first = offset / GROUP_BYTES;
                let groups = (bytes.len() as u64).div_ceil(GROUP_BYTES);
                let target = Arc::clone(&self.target);
                let written =
                    tokio::task::spawn_blocking(move || target.write_all_at(&bytes, offset)).await;
                written
                    .map_err(|_| Blind::Store(StoreError::Stopped))?
                    .map_err(|error| Blind::Store(StoreError::new("collect a blob", error)))?;
                for group in first..first + groups {
                    if !self.plan.landed(request, group, now).goes_on {
                        self.end(request);
                        break;
                    }
                }
            }
            Came::Ended(request, done) => {
                self.requests.remove(&request);
                match done {
                    Ok(()) => self.plan.ended(request, now),
                    Err(PeerFault::Lied(_)) => self.plan.failed(request, Trouble::Lied, now),
                    Err(PeerFault::NotHeld) => self.plan.failed(request, Trouble::NotHeld, now),
                    Err(PeerFault::Refused) => self.plan.failed(request, Trouble::Final, now),
                    Err(_) => self.plan.failed(request, Trouble::Passing, now),
                }
            }
        }
        Ok(())
    }
}

async fn read(
    raw: Arc<dyn RawSource>,
    request: RequestId,
    range: Range<u64>,
    stall: Duration,
    tx: mpsc::Sender<Came>,
) {
    let done = read_groups(&raw, request, range, stall, &tx).await;
    tx.send(Came::Ended(request, done)).await.ok();
}

async fn read_groups(
    raw: &Arc<dyn RawSource>,
    request: RequestId,
    range: Range<u64>,
    stall: Duration,
    tx: &mpsc::Sender<Came>,
) -> Result<(), PeerFault> {
    let mut pieces = raw.read(range.clone());
    let mut buffer = BytesMut::new();
    let mut at = range.start;
    while at < range.end {
        let piece = timeout(stall, pieces.next()).await;
        let piece = piece.map_err(|_| PeerFault::Stalled(stall))?;
        buffer.extend_from_slice(&piece.ok_or(PeerFault::Broke("it ended too early".into()))??);
        let came = buffer.len() as u64;
        let whole = if at + came >= range.end {
            range.end - at
        } else if came >= BATCH * GROUP_BYTES || at == range.start {
            came / GROUP_BYTES * GROUP_BYTES
        } else {
            0
        };
        if whole > 0 {
            let taken = usize::try_from(whole).unwrap_or(usize::MAX);
            let bytes = buffer.split_to(taken.min(buffer.len())).freeze();
            if tx.send(Came::Bytes(request, at, bytes)).await.is_err() {
                return Ok(());
            }
            at += whole;
        }
    }
    Ok(())
}
