//! Those who want something of a blob, and what came for them.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{Pull, Ready, Sized, groups_of};
use crate::{
    GROUP_BYTES,
    fetch::{
        FetchError, FetchOptions, PeerReport,
        plan::{Groups, Spans, WantId},
    },
};

/// What is kept in memory for a reader: pieces that came before he was there.
const MAILBOX_BYTES: u64 = 2 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Wants {
    of: BTreeMap<WantId, Want>,
    next: u64,
}

struct Want {
    news: Arc<Notify>,
    failure: Option<FetchError>,
    kind: Kind,
    /// Bytes that came while this one was the first to want them.
    came_bytes: u64,
    turn: Option<OwnedSemaphorePermit>,
}

enum Kind {
    /// Nothing yet.
    Waiting,
    /// These groups, of which so many bytes are missing.
    All { spans: Spans, missing_bytes: u64 },
    /// What a reader is about to read.
    Ahead {
        ahead: Groups,
        at: u64,
        pieces: BTreeMap<u64, Bytes>,
    },
}

impl Wants {
    fn add(&mut self) -> (WantId, Arc<Notify>) {
        self.next += 1;
        let (id, news) = (WantId(self.next), Arc::new(Notify::new()));
        let want = Want {
            news: Arc::clone(&news),
            failure: None,
            kind: Kind::Waiting,
            came_bytes: 0,
            turn: None,
        };
        self.of.insert(id, want);
        (id, news)
    }

    /// A group came that nobody had.
    pub(super) fn came(&mut self, offset: u64, data: &Bytes) {
        let group = offset / GROUP_BYTES;
        let bytes = data.len() as u64;
        let mut is_counted = false;
        for want in self.of.values_mut() {
            let is_wanted = match &mut want.kind {
                Kind::Waiting => false,
                Kind::All {
                    spans,
                    missing_bytes,
                } => {
                    let is_wanted = spans.contains(group);
                    if is_wanted {
                        *missing_bytes = missing_bytes.saturating_sub(bytes);
                    }
                    is_wanted
                }
                Kind::Ahead { ahead, at, pieces } => {
                    let is_near = offset + bytes > *at && offset < *at + MAILBOX_BYTES;
                    if ahead.contains(&group) && is_near {
                        pieces.insert(offset, data.clone());
                    }
                    ahead.contains(&group)
                }
            };
            if is_wanted {
                if !std::mem::replace(&mut is_counted, true) {
                    want.came_bytes += bytes;
                }
                want.news.notify_one();
            }
        }
    }

    /// The whole came at once.
    pub(super) fn came_whole(&mut self, bytes: u64) {
        if let Some(want) = self.of.values_mut().next() {
            want.came_bytes += bytes;
        }
    }

    /// Tells everyone that there is something to look at.
    pub(super) fn notify_all(&self) {
        self.of.values().for_each(|want| want.news.notify_one());
    }

    pub(super) fn fail(&mut self, id: WantId, error: FetchError) {
        if let Some(want) = self.of.get_mut(&id) {
            want.failure.get_or_insert(error);
            want.turn = None;
            want.news.notify_one();
        }
    }

    pub(super) fn fail_all(&mut self, error: impl Fn() -> FetchError) {
        let ids: Vec<WantId> = self.of.keys().copied().collect();
        ids.into_iter().for_each(|id| self.fail(id, error()));
    }

    /// Readers who have what they asked for hold up nobody.
    pub(super) fn end_turns(&mut self, held: &Spans) {
        for want in self.of.values_mut() {
            if let Kind::Ahead { ahead, .. } = &want.kind
                && want.turn.is_some()
                && held.covers(ahead)
            {
                want.turn = None;
            }
        }
    }
}

/// A part in a pull; given back when dropped.
pub(in crate::fetch) struct Pulling {
    pull: Arc<Pull>,
    id: WantId,
    news: Arc<Notify>,
    faults_before: u64,
    is_whole: bool,
}

impl Pulling {
    /// Joins a pull that somebody else began; `None` when it is ending.
    pub(super) fn join(pull: Arc<Pull>, options: &FetchOptions, is_whole: bool) -> Option<Self> {
        if pull.lock().is_closed {
            return None;
        }
        Some(Self::first(pull, options, is_whole))
    }

    pub(super) fn first(pull: Arc<Pull>, options: &FetchOptions, is_whole: bool) -> Self {
        let mut state = pull.lock();
        state.participants += 1;
        if is_whole {
            state.whole += 1;
            state.max_bytes = state.max_bytes.max(options.max_bytes);
        }
        state.stall = state.stall.max(options.stall);
        let stall = state.stall;
        if let Some(ready) = &mut state.ready {
            ready.plan.set_stall(stall);
        }
        let (id, news) = state.wants.add();
        let faults_before = state.next_fault;
        drop(state);
        Self {
            pull,
            id,
            news,
            faults_before,
            is_whole,
        }
    }

    pub(super) fn pull(&self) -> &Pull {
        &self.pull
    }

    /// The size, once it is proven.
    pub(in crate::fetch) async fn size(&self) -> Result<Sized, FetchError> {
        loop {
            if let Some(what) = self.look(|ready| ready.what)? {
                return Ok(what);
            }
            self.news.notified().await;
        }
    }

    /// Bytes of these groups that aren't held.
    pub(in crate::fetch) fn missing_bytes(&self, spans: &Spans) -> Result<u64, FetchError> {
        let missing = self.look(|ready| ready.missing_bytes(spans))?;
        Ok(missing.unwrap_or(0))
    }

    /// Wants all of these groups, once there is room for them.
    pub(in crate::fetch) async fn want(&self, what: Sized, spans: Spans) -> Result<(), FetchError> {
        let mut room = self.pull.room.lock().await;
        room.cover(&self.pull, what, &spans).await?;
        let mut state = self.pull.lock();
        let mut missing_bytes = 0;
        if let Some(ready) = &mut state.ready {
            missing_bytes = ready.missing_bytes(&spans);
            ready.plan.want(self.id, spans.clone());
        }
        if let Some(want) = state.wants.of.get_mut(&self.id) {
            want.kind = Kind::All {
                spans,
                missing_bytes,
            };
        }
        drop(state);
        drop(room);
        self.pull.changed.notify_one();
        Ok(())
    }

    /// Bytes that are missing of what was wanted.
    pub(in crate::fetch) fn left(&self) -> Result<u64, FetchError> {
        let mut state = self.pull.lock();
        let Some(want) = state.wants.of.get_mut(&self.id) else {
            return Ok(0);
        };
        if let Some(error) = want.failure.take() {
            return Err(error);
        }
        Ok(match &want.kind {
            Kind::All { missing_bytes, .. } => *missing_bytes,
            Kind::Waiting | Kind::Ahead { .. } => 0,
        })
    }

    /// Reads from byte `at` on, and wants the groups of `ahead`; pieces that come are kept.
    pub(in crate::fetch) async fn read(
        &self,
        what: Sized,
        at: u64,
        ahead: Groups,
    ) -> Result<(), FetchError> {
        let mut room = self.pull.room.lock().await;
        let spans = Spans::one(ahead.clone());
        room.cover(&self.pull, what, &spans).await?;
        let mut state = self.pull.lock();
        if let Some(ready) = &mut state.ready {
            let window = ahead.end - ahead.start;
            ready.plan.read(self.id, ahead.start, ahead.end, window);
        }
        if let Some(want) = state.wants.of.get_mut(&self.id) {
            let kept = match std::mem::replace(&mut want.kind, Kind::Waiting) {
                Kind::Ahead { pieces, .. } => pieces,
                Kind::Waiting | Kind::All { .. } => BTreeMap::new(),
            };
            want.kind = Kind::Ahead {
                ahead,
                at,
                pieces: kept,
            };
        }
        drop(state);
        drop(room);
        self.pull.changed.notify_one();
        Ok(())
    }

    /// The piece with byte `at`, if it came lately.
    pub(in crate::fetch) fn piece(&self, here: u64) -> Result<Option<(u64, Bytes)>, FetchError> {
        let mut state = self.pull.lock();
        let Some(want) = state.wants.of.get_mut(&self.id) else {
            return Ok(None);
        };
        if let Some(error) = want.failure.take() {
            return Err(error);
        }
        let Kind::Ahead { at, pieces, .. } = &mut want.kind else {
            return Ok(None);
        };
        *at = here;
        let found = pieces.range(..=here).next_back();
        let found = found.map(|(offset, data)| (*offset, data.clone()));
        let found = found.filter(|(offset, data)| offset + data.len() as u64 > here);
        *pieces = pieces.split_off(&(here / GROUP_BYTES * GROUP_BYTES));
        Ok(found)
    }

    /// Whether the plan counts the group of a byte as held: then the store has it or is about to.
    pub(in crate::fetch) fn is_landed(&self, at: u64) -> bool {
        let group = groups_of(&(at..at + 1)).start;
        let state = self.pull.lock();
        let ready = state.ready.as_ref();
        ready.is_some_and(|ready| ready.plan.held().contains(group))
    }

    /// Whether what is wanted ahead still takes a turn of its lane.
    pub(in crate::fetch) fn has_turn(&self) -> bool {
        let state = self.pull.lock();
        let want = state.wants.of.get(&self.id);
        want.is_some_and(|want| want.turn.is_some())
    }

    /// Waits for a turn of a lane; it ends when everything wanted ahead is here.
    pub(in crate::fetch) async fn take_turn(&self, lane: crate::Lane) {
        let turn = self.pull.inner.lanes.turn(lane).await;
        if let Some(want) = self.pull.lock().wants.of.get_mut(&self.id) {
            want.turn = Some(turn);
        }
    }

    /// Something came, or failed.
    pub(in crate::fetch) async fn news(&self) {
        self.news.notified().await;
    }

    /// Bytes that came over the network because of this one.
    pub(in crate::fetch) fn came_bytes(&self) -> u64 {
        let state = self.pull.lock();
        state
            .wants
            .of
            .get(&self.id)
            .map_or(0, |want| want.came_bytes)
    }

    /// Wants nothing more; what came is charged before this returns, unless others go on.
    pub(in crate::fetch) async fn end(&self) -> Result<(), FetchError> {
        if let Some(ready) = &mut self.pull.lock().ready {
            ready.plan.unwant(self.id);
        }
        self.pull.rest().await?;
        Ok(())
    }

    /// What sources did wrong since this one joined.
    pub(in crate::fetch) fn faults(&self) -> Vec<PeerReport> {
        self.pull.lock().faults_since(self.faults_before)
    }

    /// Looks at a pull whose size is proven; `None` as long as it isn't.
    fn look<T>(&self, look: impl FnOnce(&Ready) -> T) -> Result<Option<T>, FetchError> {
        let mut state = self.pull.lock();
        if let Some(want) = state.wants.of.get_mut(&self.id)
            && let Some(error) = want.failure.take()
        {
            return Err(error);
        }
        Ok(state.ready.as_ref().map(look))
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        let mut state = self.pull.lock();
        state.participants -= 1;
        state.whole -= usize::from(self.is_whole);
        state.wants.of.remove(&self.id);
        if let Some(ready) = &mut state.ready {
            ready.plan.unwant(self.id);
        }
        drop(state);
        self.pull.changed.notify_one();
    }
}
