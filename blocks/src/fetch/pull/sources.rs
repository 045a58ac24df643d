//! The sources of a pull: providers to be connected to, sources of raw bytes as they are found, and
//! the outboard by which raw bytes are verified.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use iroh::{EndpointAddr, EndpointId};
use n0_future::StreamExt;
use tokio::{task::AbortHandle, time::sleep};

use super::{Pull, State, liars::Liars};
use crate::{
    GROUP_BYTES,
    fetch::{
        peer::PeerFault,
        plan::{Has, MAX_SOURCES, Plan, RequestId, SourceId, Spans, Standing},
        source::{RawSource, ShareState, SourceKind, SourceLabel},
        transfer::prove_size,
    },
};

/// Providers connected to at once.
const CONNECTING: usize = 16;
/// Places that only providers get: whoever has many addresses fills the others.
const FOR_PROVIDERS: usize = 16;
/// How long a search for sources holds up giving up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A way to bytes.
#[derive(Clone)]
pub(super) enum Origin {
    Peer(EndpointAddr),
    Raw(Arc<dyn RawSource>),
}

pub(super) struct Entry {
    pub(super) label: Arc<SourceLabel>,
    pub(super) origin: Origin,
    share: ShareState,
}

impl Entry {
    pub(super) fn peer(&self) -> Option<EndpointId> {
        match &self.origin {
            Origin::Peer(addr) => Some(addr.id),
            Origin::Raw(_) => None,
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub(super) enum Errand {
    #[default]
    NotBegun,
    Running,
    Ended,
}

#[derive(Default)]
pub(super) struct Sources {
    candidates: VecDeque<EndpointAddr>,
    connecting: usize,
    entries: BTreeMap<SourceId, Entry>,
    next: u64,
    pub(super) liars: Liars,
    /// Requests that run.
    requests: BTreeMap<RequestId, (SourceId, AbortHandle)>,
    pub(super) search: Errand,
    /// Getting an outboard.
    pub(super) proof: Errand,
    /// Doing without one.
    pub(super) blind: Errand,
}

impl Sources {
    /// Whether a source may yet join.
    pub(super) fn may_grow(&self) -> bool {
        !self.candidates.is_empty()
            || self.connecting > 0
            || self.search == Errand::Running
            || self.proof == Errand::Running
            || self.blind == Errand::Running
    }

    /// Whether bytes that nobody can verify one by one are all that is left.
    pub(super) fn may_be_blind(&self) -> bool {
        let mut entries = self.entries.values();
        self.blind == Errand::NotBegun
            && entries.any(|entry| matches!(entry.origin, Origin::Raw(_)))
    }

    /// Providers whose turn to be connected to has come.
    pub(super) fn due(&mut self) -> Vec<EndpointAddr> {
        let mut now = Vec::new();
        while self.connecting < CONNECTING {
            let Some(addr) = self.candidates.pop_front() else {
                break;
            };
            self.connecting += 1;
            now.push(addr);
        }
        now
    }

    /// Whether an outboard is needed, and nobody fetches one.
    pub(super) fn needs_proof(&self) -> bool {
        let mut entries = self.entries.values();
        self.proof == Errand::NotBegun
            && entries.any(|entry| matches!(entry.origin, Origin::Raw(_)))
    }

    pub(super) fn entry(&self, id: SourceId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(super) fn raws(&self) -> Vec<(SourceId, Arc<dyn RawSource>)> {
        let entries = self.entries.iter();
        let raws = entries.filter_map(|(id, entry)| match &entry.origin {
            Origin::Raw(raw) => Some((*id, Arc::clone(raw))),
            Origin::Peer(_) => None,
        });
        raws.collect()
    }

    pub(super) fn peers(&self) -> Vec<EndpointAddr> {
        let entries = self.entries.values();
        let peers = entries.filter_map(|entry| match &entry.origin {
            Origin::Peer(addr) => Some(addr.clone()),
            Origin::Raw(_) => None,
        });
        peers.collect()
    }

    pub(super) fn label_of(&self, request: RequestId) -> Option<Arc<SourceLabel>> {
        let (source, _) = self.requests.get(&request)?;
        Some(Arc::clone(&self.entries.get(source)?.label))
    }

    pub(super) fn began(&mut self, request: RequestId, source: SourceId, handle: AbortHandle) {
        self.requests.insert(request, (source, handle));
    }

    /// Forgets a request that ended by itself; `None` when it was cancelled before.
    pub(super) fn ended(&mut self, request: RequestId) -> Option<SourceId> {
        self.requests.remove(&request).map(|(source, _)| source)
    }

    pub(super) fn cancel(&mut self, request: RequestId) {
        if let Some((_, handle)) = self.requests.remove(&request) {
            handle.abort();
        }
    }

    pub(super) fn cancel_all(&mut self) {
        for (_, handle) in std::mem::take(&mut self.requests).into_values() {
            handle.abort();
        }
    }

    /// Everyone who can be asked joins a plan.
    pub(super) fn join_all(&self, plan: &mut Plan, has_outboard: bool, now: Duration) {
        for (id, entry) in &self.entries {
            join(plan, *id, entry, has_outboard, now);
        }
    }

    fn add(&mut self, label: SourceLabel, origin: Origin) -> Option<SourceId> {
        if self.entries.len() >= MAX_SOURCES {
            return None;
        }
        self.next += 1;
        let id = SourceId(self.next);
        let entry = Entry {
            label: Arc::new(label),
            origin,
            share: ShareState::Connecting,
        };
        self.entries.insert(id, entry);
        Some(id)
    }

    fn is_raw(&self, id: SourceId) -> bool {
        let entry = self.entries.get(&id);
        entry.is_some_and(|entry| entry.peer().is_none())
    }

    /// Whether there is no place left for such a source.
    fn is_full(&self, is_raw: bool) -> bool {
        let raws = || self.entries.values().filter(|e| e.peer().is_none()).count();
        self.entries.len() >= MAX_SOURCES || is_raw && raws() >= MAX_SOURCES - FOR_PROVIDERS
    }

    fn find(&self, label: &SourceLabel) -> Option<SourceId> {
        let mut entries = self.entries.iter();
        entries
            .find(|(_, entry)| *entry.label == *label)
            .map(|(id, _)| *id)
    }
}

fn join(plan: &mut Plan, id: SourceId, entry: &Entry, has_outboard: bool, now: Duration) {
    match &entry.origin {
        Origin::Peer(_) => plan.join(id, Has::All, now),
        Origin::Raw(raw) if has_outboard => {
            let has = has_of(raw.has().borrow().as_deref(), plan, GROUP_BYTES);
            plan.join(id, has, now)
        }
        Origin::Raw(_) => false,
    };
}

/// Whole groups of what a source has, in a plan that counts so many bytes as one.
pub(super) fn has_of(
    ranges: Option<&[std::ops::Range<u64>]>,
    plan: &Plan,
    group_bytes: u64,
) -> Has {
    let Some(ranges) = ranges else {
        return Has::All;
    };
    let last = plan.groups().saturating_sub(1) * group_bytes;
    let mut spans = Spans::default();
    for range in ranges {
        // The last group ends where the blob does.
        let end = if range.end > last {
            plan.groups().min(range.end.div_ceil(group_bytes))
        } else {
            range.end / group_bytes
        };
        let start = range.start.div_ceil(group_bytes);
        spans.insert(start..end.max(start));
    }
    Has::Some(spans)
}

pub(super) fn peer_label(id: EndpointId) -> SourceLabel {
    SourceLabel {
        kind: SourceKind::Peer,
        name: id.to_string(),
    }
}

impl State {
    /// What each source is doing, where that changed.
    pub(super) fn share_changes(&mut self) -> Vec<(Arc<SourceLabel>, ShareState)> {
        let mut changes = Vec::new();
        for (id, entry) in &mut self.sources.entries {
            let plan = self.ready.as_ref().map(|ready| &ready.plan);
            let share = match plan.and_then(|plan| plan.standing(*id)) {
                Some(Standing::Usable) if plan.is_some_and(|plan| plan.is_asked(*id)) => {
                    ShareState::Active
                }
                Some(Standing::Usable) | None => ShareState::Idle,
                Some(Standing::Suspended { .. }) => ShareState::Suspended,
                Some(Standing::Banned) => ShareState::Banned,
                Some(Standing::Gone) => ShareState::Gone,
            };
            if entry.share != share {
                entry.share = share;
                changes.push((Arc::clone(&entry.label), share));
            }
        }
        changes
    }

    /// Takes a source in, in place of one that nothing comes from if there are too many.
    fn add(&mut self, label: SourceLabel, origin: Origin) -> Option<SourceId> {
        let is_raw = matches!(origin, Origin::Raw(_));
        if self.sources.is_full(is_raw) {
            let ready = self.ready.as_mut().or(self.rested.as_mut())?;
            let mut hopeless = ready.plan.hopeless();
            let left = hopeless.find(|id| !is_raw || self.sources.is_raw(*id))?;
            drop(hopeless);
            let has_lied = ready.plan.standing(left) == Some(Standing::Banned);
            ready.plan.leave(left);
            if let Some(entry) = self.sources.entries.remove(&left).filter(|_| has_lied) {
                self.sources.liars.add(&entry.label);
            }
        }
        self.sources.add(label, origin)
    }

    /// Whether somebody by that name is asked already, or never again.
    fn is_known(&mut self, label: &SourceLabel) -> bool {
        if self.sources.liars.has(label) {
            return true;
        }
        let Some(id) = self.sources.find(label) else {
            return false;
        };
        let plan = self.ready.as_mut().or(self.rested.as_mut());
        let Some(ready) = plan else {
            return true;
        };
        if ready.plan.standing(id) != Some(Standing::Gone) {
            return true;
        }
        // It failed for good before; whoever names it again thinks that it is back.
        ready.plan.leave(id);
        self.sources.entries.remove(&id);
        false
    }
}

impl Pull {
    pub(super) fn add_providers(&self, providers: impl Iterator<Item = EndpointAddr>) {
        let mut state = self.lock();
        for addr in providers {
            let is_waiting = state.sources.candidates.iter().any(|a| a.id == addr.id);
            if !is_waiting && !state.is_known(&peer_label(addr.id)) {
                state.sources.candidates.push_back(addr);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Connects to a provider, which proves the size if nobody did before, and lets it join.
    pub(super) async fn connect(self: Arc<Self>, addr: EndpointAddr) {
        let label = peer_label(addr.id);
        self.show(&label, ShareState::Connecting);
        let met = self.meet(&addr).await;
        let mut state = self.lock();
        state.sources.connecting -= 1;
        match met {
            Ok(()) => {
                if state.sources.find(&label).is_none()
                    && let Some(id) = state.add(label, Origin::Peer(addr))
                {
                    let now = self.now();
                    state.join(id, now);
                    if state.outboard.is_none() && state.sources.proof == Errand::Ended {
                        // This one may have an outboard.
                        state.sources.proof = Errand::NotBegun;
                    }
                }
                drop(state);
            }
            Err(fault) => {
                drop(state);
                self.show(&label, ShareState::Gone);
                self.drop_if_bad(addr.id, &fault);
                self.fault(label, Some(addr.id), fault);
            }
        }
        self.changed.notify_one();
    }

    async fn meet(&self, addr: &EndpointAddr) -> Result<(), PeerFault> {
        let connection = self.inner.peers.connect(addr).await?;
        let mut proven = self.proven.subscribe();
        if *proven.borrow_and_update() {
            return Ok(());
        }
        let stall = self.lock().stall;
        tokio::select! {
            what = prove_size(&connection, self.blob, stall) => self.begin_plan(what?),
            _ = proven.wait_for(|is_proven| *is_proven) => {}
        }
        Ok(())
    }

    /// Takes sources as they are found, until the search ends.
    pub(super) async fn search(self: Arc<Self>) {
        let Some(finder) = self.inner.finder() else {
            return;
        };
        let size_bytes = self.inner.sizes.of(self.blob);
        let mut found = finder.sources(self.blob, size_bytes);
        let mut patience = std::pin::pin!(sleep(PATIENCE));
        let mut is_patient = true;
        loop {
            tokio::select! {
                raw = found.next() => match raw {
                    Some(raw) => self.add_raw(&raw),
                    None => break,
                },
                () = &mut patience, if is_patient => {
                    is_patient = false;
                    self.lock().sources.search = Errand::Ended;
                    self.changed.notify_one();
                }
            }
        }
        self.lock().sources.search = Errand::Ended;
        self.changed.notify_one();
    }

    fn add_raw(self: &Arc<Self>, raw: &Arc<dyn RawSource>) {
        let label = raw.label();
        let mut state = self.lock();
        if state.is_known(&label) {
            return;
        }
        let Some(id) = state.add(label, Origin::Raw(Arc::clone(raw))) else {
            return;
        };
        let now = self.now();
        state.join(id, now);
        drop(state);
        // Ends with the pull, which ends when nobody wants anything for a while.
        let (pull, mut has) = (Arc::downgrade(self), raw.has());
        self.inner.run(async move {
            while has.changed().await.is_ok() {
                let Some(pull) = pull.upgrade() else {
                    return;
                };
                let mut state = pull.lock();
                let State { ready, rested, .. } = &mut *state;
                if let Some(ready) = ready.as_mut().or(rested.as_mut()) {
                    let has = has_of(has.borrow_and_update().as_deref(), &ready.plan, GROUP_BYTES);
                    ready.plan.has(id, has);
                }
                drop(state);
                pull.changed.notify_one();
            }
        });
        self.changed.notify_one();
    }

    pub(super) fn show(&self, label: &SourceLabel, state: ShareState) {
        self.inner
            .shares
            .state(self.blob, label, state, self.now_s());
    }

    /// Closes the connection to a provider that lied or stalled.
    pub(super) fn drop_if_bad(&self, peer: EndpointId, fault: &PeerFault) {
        if matches!(fault, PeerFault::Lied(_) | PeerFault::Stalled(_)) {
            self.inner.peers.drop_peer(peer);
        }
    }
}

impl State {
    pub(super) fn join(&mut self, id: SourceId, now: Duration) {
        let has_outboard = self.outboard.is_some();
        let ready = self.ready.as_mut().or(self.rested.as_mut());
        if let (Some(ready), Some(entry)) = (ready, self.sources.entries.get(&id)) {
            join(&mut ready.plan, id, entry, has_outboard, now);
        }
    }
}
