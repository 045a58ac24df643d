//! One pull of a blob at a time: everyone who wants any of it shares its sources, its plan and
//! what comes.
//!
//! A task drives it ([`drive`]) as long as anybody wants something. Requests run in tasks of their
//! own and tell the pull what came; a lock that is never held across an await guards the rest.

mod attempts;
mod blind;
mod drive;
mod liars;
mod proof;
mod room;
mod sources;
mod wants;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bao_tree::ChunkRanges;
use bytes::Bytes;
use iroh::EndpointAddr;
use model::BlobId;
use tokio::{
    sync::{Mutex as Turn, Notify, watch},
    time::Instant,
};

use super::{
    FetchError, FetchOptions, Inner, PROVIDERS, PeerReport,
    peer::PeerFault,
    plan::{Groups, Plan, RequestId, Spans},
    source::SourceLabel,
    transfer::Sized,
};
use crate::{GROUP_BYTES, StoreError, outboard::Outboard, store::Blobs};

use room::Room;
use sources::Sources;
use wants::Wants;

pub(super) use wants::Pulling;

/// Faults remembered of one pull.
const FAULTS: usize = 128;

/// The pulls that run.
#[derive(Debug, Default)]
pub(super) struct Pulls(Mutex<BTreeMap<BlobId, Slot>>);

#[derive(Debug, Default)]
struct Slot {
    pull: Weak<Pull>,
    /// The next pull begins when the last one has ended.
    turn: Arc<Turn<()>>,
}

/// A pull of one blob.
pub(super) struct Pull {
    inner: Arc<Inner>,
    blob: BlobId,
    began: Instant,
    state: Mutex<State>,
    room: Turn<Room>,
    /// Whether the size is proven.
    proven: watch::Sender<bool>,
    /// Something happened that the driver should look at.
    changed: Notify,
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull")
            .field("blob", &self.blob)
            .finish_non_exhaustive()
    }
}

struct State {
    /// Nobody joins any more.
    is_closed: bool,
    participants: usize,
    ready: Option<Ready>,
    sources: Sources,
    wants: Wants,
    outboard: Option<Arc<Outboard>>,
    /// What was held when this began.
    held: ChunkRanges,
    /// The plan while nobody wants anything.
    rested: Option<Ready>,
    was_cut_off: bool,
    faults: Vec<(u64, PeerReport)>,
    next_fault: u64,
    stall: Duration,
    /// Of the participants, those who want the whole blob.
    whole: usize,
    /// The most that one of them takes.
    max_bytes: u64,
}

/// What there is once the size is proven.
struct Ready {
    what: Sized,
    plan: Plan,
}

impl Pulls {
    /// Joins the pull of a blob, or begins one.
    pub(super) fn join(
        &self,
        inner: &Arc<Inner>,
        blob: BlobId,
        providers: impl IntoIterator<Item = EndpointAddr>,
        options: &FetchOptions,
        is_whole: bool,
    ) -> Pulling {
        let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = pulls.get(&blob).and_then(|slot| slot.pull.upgrade());
        let joined = running.and_then(|pull| Pulling::join(pull, options, is_whole));
        let pulling = joined.unwrap_or_else(|| {
            pulls.retain(|_, slot| {
                slot.pull.strong_count() > 0 || Arc::strong_count(&slot.turn) > 1
            });
            let slot = pulls.entry(blob).or_default();
            let pull = Arc::new(Pull::new(inner, blob, options.stall));
            slot.pull = Arc::downgrade(&pull);
            let pulling = Pulling::first(Arc::clone(&pull), options, is_whole);
            inner.run(drive::run(pull, Arc::clone(&slot.turn)));
            pulling
        });
        drop(pulls);
        pulling
            .pull()
            .add_providers(providers.into_iter().take(PROVIDERS));
        pulling
    }
}

impl Pull {
    fn new(inner: &Arc<Inner>, blob: BlobId, stall: Duration) -> Self {
        Self {
            inner: Arc::clone(inner),
            blob,
            began: Instant::now(),
            state: Mutex::new(State {
                is_closed: false,
                participants: 0,
                ready: None,
                sources: Sources::default(),
                wants: Wants::default(),
                outboard: None,
                held: ChunkRanges::empty(),
                rested: None,
                was_cut_off: false,
                faults: Vec::new(),
                next_fault: 0,
                stall,
                whole: 0,
                max_bytes: 0,
            }),
            room: Turn::default(),
            proven: watch::Sender::new(false),
            changed: Notify::new(),
        }
    }

    pub(super) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Returns when more may be read from a provider, after `bytes` were.
    pub(super) async fn received(&self, bytes: u64) {
        if let Some(throttle) = self.inner.throttle.get() {
            throttle.receive(bytes).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves half-done is at worst fetched again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn now_s(&self) -> u64 {
        self.inner.started.elapsed().as_secs()
    }

    /// Something came for a request, not verified yet.
    pub(super) fn alive(&self, request: RequestId) {
        let now = self.now();
        if let Some(ready) = &mut self.lock().ready {
            ready.plan.alive(request, now);
        }
    }

    /// A verified group came and was given to the store; false when the request should end.
    pub(super) fn landed(&self, request: RequestId, offset: u64, data: &Bytes) -> bool {
        let now = self.now();
        let group = offset / GROUP_BYTES;
        let mut state = self.lock();
        let State {
            ready,
            wants,
            sources,
            ..
        } = &mut *state;
        let Some(ready) = ready else {
            return false;
        };
        let landed = ready.plan.landed(request, group, now);
        if landed.is_new {
            wants.came(offset, data);
        }
        let label = sources.label_of(request);
        drop(state);
        if let Some(label) = label.filter(|_| landed.is_new) {
            let shares = &self.inner.shares;
            shares.came(self.blob, &label, data.len() as u64, self.now_s());
        }
        if !landed.goes_on {
            self.changed.notify_one();
        }
        landed.goes_on
    }

    /// The size is proven: the plan begins.
    fn begin_plan(&self, what: Sized) {
        let mut state = self.lock();
        if state.ready.is_some() || state.rested.is_some() {
            return;
        }
        let held = whole_groups(&state.held, what);
        let mut plan = Plan::new(what.groups(), held, state.stall);
        state
            .sources
            .join_all(&mut plan, state.outboard.is_some(), self.now());
        state.ready = Some(Ready { what, plan });
        state.wants.notify_all();
        drop(state);
        self.inner.sizes.learn(what);
        self.proven.send_replace(true);
        self.changed.notify_one();
    }

    /// Charges what came, if nothing more is wanted.
    async fn rest(&self) -> Result<(), StoreError> {
        let mut room = self.room.lock().await;
        if room.is_resting() {
            return Ok(());
        }
        let was_cut_off = {
            let mut state = self.lock();
            let plan = state.ready.as_ref().or(state.rested.as_ref());
            if plan.is_some_and(|ready| !ready.plan.is_idle()) && !state.is_closed {
                return Ok(());
            }
            std::mem::take(&mut state.was_cut_off)
        };
        room.rest(self, !was_cut_off).await
    }

    /// Remembers what a source did wrong.
    fn fault(&self, source: SourceLabel, peer: Option<iroh::EndpointId>, fault: PeerFault) {
        tracing::debug!(target: "blocks::fetch", %source, %fault);
        self.lock().fault(PeerReport {
            source,
            peer,
            fault: Arc::new(fault),
        });
    }

    /// The store failed: everyone who wants anything is told.
    fn store_failed(&self, error: StoreError) {
        let mut state = self.lock();
        state.is_closed = true;
        state.was_cut_off = true;
        state.sources.cancel_all();
        // Records must be written yet, of what came and what goes.
        self.blobs().files().drop_ballast_if_full();
        state.wants.fail_all(|| FetchError::Store(error.again()));
        drop(state);
        self.changed.notify_one();
    }
}

impl Ready {
    /// Bytes of these groups that aren't held.
    fn missing_bytes(&self, spans: &Spans) -> u64 {
        let held = self.plan.held();
        let mut missing = Spans::default();
        for run in spans.all() {
            held.gaps(&run).for_each(|gap| missing.insert(gap));
        }
        room::bytes_of(&missing, self.what)
    }
}

impl State {
    fn fault(&mut self, report: PeerReport) {
        self.next_fault += 1;
        if self.faults.len() < FAULTS {
            self.faults.push((self.next_fault, report));
        }
    }

    /// Faults since a number, each source's first lie or else its last fault.
    fn faults_since(&self, number: u64) -> Vec<PeerReport> {
        let mut reports: Vec<PeerReport> = Vec::new();
        for (_, report) in self.faults.iter().filter(|(at, _)| *at > number) {
            match reports.iter_mut().find(|r| r.source == report.source) {
                Some(known) if known.fault.is_lie() => {}
                Some(known) => *known = report.clone(),
                None => reports.push(report.clone()),
            }
        }
        reports
    }

    fn no_source(&self, blob: BlobId) -> FetchError {
        FetchError::NoPeer {
            blob,
            faults: self.faults_since(0),
        }
    }
}

/// The groups of which all chunks are held.
fn whole_groups(held: &ChunkRanges, what: Sized) -> Spans {
    const GROUP_CHUNKS: u64 = 16;
    let chunks = what.size_bytes.div_ceil(1024);
    let mut spans = Spans::default();
    for pair in held.boundaries().chunks(2) {
        let end = pair.get(1).map_or(chunks, |end| end.0.min(chunks));
        let end = if end == chunks {
            what.groups()
        } else {
            end / GROUP_CHUNKS
        };
        let start = pair[0].0.div_ceil(GROUP_CHUNKS);
        spans.insert(start..end.max(start));
    }
    spans
}

/// The groups that cover bytes.
pub(super) fn groups_of(range: &std::ops::Range<u64>) -> Groups {
    if range.is_empty() {
        return 0..0;
    }
    range.start / GROUP_BYTES..range.end.div_ceil(GROUP_BYTES)
}
