//! Raw bytes without an outboard: nothing tells which of them are right until all are here. They
//! are collected in a file beside the store, and count when the whole hash agrees. What a swarm sends
//! is held against its torrent's pieces meanwhile, so that one liar among its peers spoils nothing.

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

use super::{
    Pull, Sized,
    attempts::{Attempt, Torrent, attempts},
    sources::Errand,
};
use crate::{
    GROUP_BYTES, ImportError, Keep, PIECE_BYTES, QuotaError, StoreError,
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
/// As many where each is a torrent's piece.
const TORRENT_PIECES: usize = 4;
/// Groups that are written at once.
const BATCH: u64 = 8;
const WHOLE: WantId = WantId(0);

/// Why nothing came of it.
pub(super) enum Blind {
    /// The bytes are those of another blob, and of these torrents.
    NotThatBlob {
        sources: Vec<SourceLabel>,
        torrents: Vec<[u8; 20]>,
    },
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
            Self::NotThatBlob { sources, torrents } => FetchError::NotThatBlob {
                blob,
                sources: sources.clone(),
                torrents: torrents.clone(),
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
    /// Something, not enough to count.
    Some(RequestId),
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

    /// Tries one company of sources after the other.
    async fn collect_whole(&self) -> Result<Sized, Blind> {
        let (raws, stall) = {
            let state = self.lock();
            (state.sources.raws(), state.stall)
        };
        let mut why = Blind::NoSource;
        let (mut blamed, mut refuted) = (Vec::new(), Vec::new());
        for attempt in attempts(raws, stall).await {
            match self.collect_from(attempt).await {
                Ok(what) => return Ok(what),
                Err(Blind::NotThatBlob { sources, torrents }) => {
                    blamed.extend(sources);
                    refuted.extend(torrents);
                }
                Err(Blind::NoSource) => {}
                Err(error @ Blind::Store(_)) => return Err(error),
                Err(error) => why = error,
            }
        }
        if blamed.is_empty() {
            return Err(why);
        }
        Err(Blind::NotThatBlob {
            sources: blamed,
            torrents: refuted,
        })
    }

    async fn collect_from(&self, attempt: Attempt) -> Result<Sized, Blind> {
        let size_bytes = attempt.size_bytes;
        let max_bytes = self.lock().max_bytes;
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
        let torrent = attempt.torrent.clone();
        let mut collecting = Collecting::new(self, what, attempt, target);
        let came = collecting.run().await?;
        let path = file.0.clone();
        let hashed = tokio::task::spawn_blocking(move || hash_file(&path, |_| {})).await;
        let hashed = hashed.map_err(|_| Blind::Store(StoreError::Stopped))?;
        if hashed.map_err(failed)? != *self.blob.as_bytes() {
            let sources = came.keys();
            return Err(Blind::NotThatBlob {
                sources: match &torrent {
                    Some(_) => self.labels(sources),
                    None => self.blame(sources),
                },
                torrents: torrent.iter().map(|torrent| torrent.infohash).collect(),
            });
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

    fn labels<'a>(&self, sources: impl Iterator<Item = &'a SourceId>) -> Vec<SourceLabel> {
        let state = self.lock();
        let entries = sources.filter_map(|source| state.sources.entry(*source));
        entries.map(|entry| (*entry.label).clone()).collect()
    }

    /// Nothing tells which of them sent what was wrong.
    fn blame<'a>(&self, sources: impl Iterator<Item = &'a SourceId>) -> Vec<SourceLabel> {
        let blamed = self.labels(sources);
        for label in &blamed {
            self.show(label, ShareState::Banned);
            self.fault(label.clone(), None, PeerFault::Lied("the whole"));
        }
        blamed
    }

    /// This one sent what was wrong.
    fn lied(&self, source: SourceId, fault: PeerFault) {
        if let Some(label) = self.labels([source].iter()).pop() {
            self.lock().sources.liars.add(&label);
            self.show(&label, ShareState::Banned);
            self.fault(label, None, fault);
        }
    }
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
    torrent: Option<Arc<Torrent>>,
    /// What the plan counts as one: what can be verified, or written.
    unit_bytes: u64,
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
    fn new(pull: &'a Pull, what: Sized, attempt: Attempt, target: File) -> Self {
        let stall = pull.lock().stall;
        let (unit_bytes, waiting) = match &attempt.torrent {
            Some(_) => (PIECE_BYTES, TORRENT_PIECES),
            None => (GROUP_BYTES, PIECES),
        };
        let units = what.size_bytes.div_ceil(unit_bytes);
        let mut plan = Plan::new(units, Spans::default(), stall);
        plan.want(WHOLE, Spans::one(0..units));
        let (tx, rx) = mpsc::channel(waiting);
        let raws: BTreeMap<_, _> = attempt.raws.into_iter().collect();
        for (id, raw) in &raws {
            let has = match raw.has().borrow().as_deref() {
                Some(ranges) => super::sources::has_of(Some(ranges), &plan, unit_bytes),
                None => Has::All,
            };
            plan.join(*id, has, pull.now());
        }
        Self {
            pull,
            what,
            raws,
            torrent: attempt.torrent,
            unit_bytes,
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
        while self.plan.held().count() < self.plan.groups() {
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
                let end = span.end * self.unit_bytes;
                let reading = Reading {
                    raw: Arc::clone(raw),
                    torrent: self.torrent.clone(),
                    request,
                    range: span.start * self.unit_bytes..end.min(self.what.size_bytes),
                    unit_bytes: self.unit_bytes,
                    stall: self.stall,
                    tx: self.tx.clone(),
                };
                let handle = self.tasks.spawn(reading.run());
                self.requests.insert(request, (source, handle));
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
            Came::Some(request) => self.plan.alive(request, now),
            Came::Bytes(request, offset, bytes) => {
                let Some((source, _)) = self.requests.get(&request) else {
                    return Ok(());
                };
                *self.came.entry(*source).or_default() += bytes.len() as u64;
                let first = offset / self.unit_bytes;
                let units = (bytes.len() as u64).div_ceil(self.unit_bytes);
                let target = Arc::clone(&self.target);
                let written =
                    tokio::task::spawn_blocking(move || target.write_all_at(&bytes, offset)).await;
                written
                    .map_err(|_| Blind::Store(StoreError::Stopped))?
                    .map_err(|error| Blind::Store(StoreError::new("collect a blob", error)))?;
                for unit in first..first + units {
                    if !self.plan.landed(request, unit, now).goes_on {
                        self.end(request);
                        break;
                    }
                }
            }
            Came::Ended(request, done) => {
                let Some((source, _)) = self.requests.remove(&request) else {
                    return Ok(());
                };
                match done {
                    Ok(()) => self.plan.ended(request, now),
                    Err(fault @ PeerFault::Lied(_)) => {
                        self.plan.failed(request, Trouble::Lied, now);
                        self.pull.lied(source, fault);
                    }
                    Err(PeerFault::NotHeld) => self.plan.failed(request, Trouble::NotHeld, now),
                    Err(PeerFault::Refused) => self.plan.failed(request, Trouble::Final, now),
                    Err(_) => self.plan.failed(request, Trouble::Passing, now),
                }
            }
        }
        Ok(())
    }
}

/// One request.
struct Reading {
    raw: Arc<dyn RawSource>,
    torrent: Option<Arc<Torrent>>,
    request: RequestId,
    range: Range<u64>,
    unit_bytes: u64,
    stall: Duration,
    tx: mpsc::Sender<Came>,
}

impl Reading {
    async fn run(self) {
        let done = self.read().await;
        self.tx.send(Came::Ended(self.request, done)).await.ok();
    }

    async fn read(&self) -> Result<(), PeerFault> {
        let mut pieces = self.raw.read(self.range.clone());
        let mut buffer = BytesMut::new();
        let (mut at, end) = (self.range.start, self.range.end);
        while at < end {
            let piece = timeout(self.stall, pieces.next()).await;
            let piece = piece.map_err(|_| PeerFault::Stalled(self.stall))?;
            buffer.extend_from_slice(&piece.ok_or(PeerFault::Broke("it ended too early".into()))??);
            let whole = self.whole(at, buffer.len() as u64);
            if whole == 0 {
                // Only a sign of life: it may be left out.
                self.tx.try_send(Came::Some(self.request)).ok();
                continue;
            }
            let taken = usize::try_from(whole).unwrap_or(usize::MAX);
            let bytes = buffer.split_to(taken.min(buffer.len())).freeze();
            if let Some(torrent) = &self.torrent
                && !torrent.has(at, &bytes)
            {
                return Err(PeerFault::Lied("a piece of the torrent"));
            }
            let came = Came::Bytes(self.request, at, bytes);
            if self.tx.send(came).await.is_err() {
                return Ok(());
            }
            at += whole;
        }
        Ok(())
    }

    /// How much of what came is handed on.
    fn whole(&self, at: u64, came: u64) -> u64 {
        if at + came >= self.range.end {
            self.range.end - at
        } else if came >= (BATCH * GROUP_BYTES).max(self.unit_bytes) || at == self.range.start {
            came / self.unit_bytes * self.unit_bytes
        } else {
            0
        }
    }
}
