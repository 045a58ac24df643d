//! Who is asked for which part of a blob, and when: ranges × sources, without I/O or a clock.
//!
//! Everything is counted in groups of 16 KiB, the smallest part that can be verified. The caller
//! says what happened ([`Plan::join`], [`Plan::landed`], [`Plan::failed`], …), then carries out
//! what [`Plan::poll`] returns and polls again at [`Plan::deadline`]. Rules, in this order:
//!
//! 1. The group that a reader waits for goes to whoever has it soonest, before all else; then what
//!    he reads next, in small requests near him and larger ones further on.
//! 2. Everything else that is wanted, rarest first.
//! 3. Each source owes about a second's worth, in a few requests, so that its pipe never idles.
//! 4. Who is silent owes nothing exclusively: others are asked for the same. Who is slow gives the
//!    rest of its work to who is idle, so that nothing comes twice. Only a reader's next group is
//!    asked for twice because somebody is slow, and only within a small budget.
//! 5. Who lied is asked for nothing more; who failed otherwise, after a pause that doubles.

mod help;
mod pick;
mod request;
#[cfg(test)]
mod simulation;
mod source;
mod spans;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use source::Standing;
pub(crate) use spans::{Groups, Spans};

use pick::Rarity;
use request::{Purpose, Request};
use source::Source;

/// Most sources of a blob.
pub(crate) const MAX_SOURCES: usize = 64;
/// Most groups that all sources together owe: 64 MiB.
const MAX_OWED: u64 = 4096;
/// While something is owed, the plan looks at its sources this often.
const TICK: Duration = Duration::from_millis(50);

/// A source, numbered by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceId(pub(crate) u64);

/// A request, numbered by the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(crate) u64);

/// Somebody who wants something, numbered by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WantId(pub(crate) u64);

/// What a source has.
#[derive(Clone, Debug)]
pub(crate) enum Has {
    /// Everything, as far as anybody knows.
    All,
    /// These groups.
    Some(Spans),
}

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Wrong bytes: the source is banned.
    Lied,
    /// The source doesn't have what was asked for.
    NotHeld,
    /// Worth trying again later.
    Passing,
    /// Not worth trying again.
    Final,
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask a source for groups, in order.
    Start {
        request: RequestId,
        source: SourceId,
        span: Groups,
    },
    /// End a request before this group.
    Trim { request: RequestId, end: u64 },
    /// End a request now; it is forgotten already.
    Cancel { request: RequestId },
    /// A source sent nothing for too long; what it owed was cancelled.
    Stalled { source: SourceId },
    /// A source lied: it is to be disconnected and reported.
    Ban { source: SourceId },
    /// No source is left that could give this one what it wants.
    GiveUp { want: WantId },
}

/// What became of a group that landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landed {
    /// Whether it wasn't held yet.
    pub(crate) is_new: bool,
    /// Whether the request is to go on.
    pub(crate) goes_on: bool,
}

#[derive(Debug)]
struct Reader {
    at: u64,
    end: u64,
    window: u64,
    /// Since when the group that it is at is missing.
    starved: Option<Duration>,
    helped: Duration,
}

/// The plan for one blob.
#[derive(Debug)]
pub(crate) struct Plan {
    groups: u64,
    stall: Duration,
    held: Spans,
    bulk: BTreeMap<WantId, Spans>,
    /// What `bulk` wants and isn't held.
    missing: Spans,
    readers: BTreeMap<WantId, Reader>,
    sources: BTreeMap<SourceId, Source>,
    requests: BTreeMap<RequestId, Request>,
    /// What sources that aren't silent owe.
    taken: Spans,
    /// Whether some group may be owed twice.
    may_overlap: bool,
    rarity: Rarity,
    is_searching: bool,
    next_request: u64,
    actions: Vec<Action>,
    delivered: u64,
    duplicates: u64,
}

impl Plan {
    /// A plan for a blob of so many groups, of which `held` are here. A source that sends nothing
    /// for `stall` is given up for a while.
    pub(crate) fn new(groups: u64, held: Spans, stall: Duration) -> Self {
        Self {
            groups,
            stall,
            held,
            bulk: BTreeMap::new(),
            missing: Spans::default(),
            readers: BTreeMap::new(),
            sources: BTreeMap::new(),
            requests: BTreeMap::new(),
            taken: Spans::default(),
            may_overlap: false,
            rarity: Rarity::default(),
            is_searching: false,
            next_request: 0,
            actions: Vec::new(),
            delivered: 0,
            duplicates: 0,
        }
    }

    /// How many groups the blob has.
    pub(crate) fn groups(&self) -> u64 {
        self.groups
    }

    /// What is held.
    pub(crate) fn held(&self) -> &Spans {
        &self.held
    }

    /// Groups that came and weren't held, and groups that came again.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.delivered, self.duplicates)
    }

    /// While somebody looks for more sources, nothing is given up.
    pub(crate) fn set_searching(&mut self, is_searching: bool) {
        self.is_searching = is_searching;
    }

    /// The longest patience of those who want something.
    pub(crate) fn set_stall(&mut self, stall: Duration) {
        self.stall = stall;
    }

    /// Wants groups, all of them equally.
    pub(crate) fn want(&mut self, want: WantId, spans: Spans) {
        self.bulk.insert(want, spans);
        self.recount();
    }

    /// Wants groups from `at` on up to `end`, the first ones first, and at most `window` ahead.
    pub(crate) fn read(&mut self, want: WantId, at: u64, end: u64, window: u64) {
        let reader = self.readers.entry(want).or_insert(Reader {
            at,
            end,
            window,
            starved: None,
            helped: Duration::ZERO,
        });
        if reader.at != at {
            reader.starved = None;
        }
        (reader.at, reader.end, reader.window) = (at, end.min(self.groups), window);
    }

    /// No longer wants anything.
    pub(crate) fn unwant(&mut self, want: WantId) {
        self.readers.remove(&want);
        if self.bulk.remove(&want).is_some() {
            self.recount();
        }
    }

    /// What is held may have changed while nobody wanted anything.
    pub(crate) fn resume(&mut self, held: Spans) {
        self.held = held;
        self.recount();
    }

    /// Whether nothing is wanted that isn't held, and nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        let mut readers = self.readers.values();
        self.requests.is_empty()
            && self.missing.is_empty()
            && readers.all(|reader| self.held.covers(&reader.ahead()))
    }

    /// Groups that somebody who wants groups equally doesn't have yet.
    #[cfg(test)]
    pub(crate) fn lacking(&self, want: WantId) -> u64 {
        let Some(spans) = self.bulk.get(&want) else {
            return 0;
        };
        if self.held.count() == self.groups {
            return 0;
        }
        let gaps = spans.all().flat_map(|run| {
            let lacking: u64 = self.held.gaps(&run).map(|gap| gap.end - gap.start).sum();
            Some(lacking)
        });
        gaps.sum()
    }

    /// A source joined; false when there are too many.
    pub(crate) fn join(&mut self, id: SourceId, has: Has, now: Duration) -> bool {
        if self.sources.len() >= MAX_SOURCES || self.sources.contains_key(&id) {
            return false;
        }
        self.sources.insert(id, Source::new(has, self.groups, now));
        self.rarity.forget();
        true
    }

    /// A source says what it has now.
    pub(crate) fn has(&mut self, id: SourceId, has: Has) {
        let groups = self.groups;
        if let Some(source) = self.sources.get_mut(&id) {
            source.set_has(has, groups);
            self.rarity.outdate();
        }
    }

    /// A source left.
    pub(crate) fn leave(&mut self, id: SourceId) {
        self.cancel_all(id);
        self.sources.remove(&id);
        self.rarity.forget();
    }

    /// Sources that lied, or failed so often or for good, that others may have their places.
    pub(crate) fn hopeless(&self) -> impl Iterator<Item = SourceId> {
        let hopeless = self.sources.iter().filter(|(_, s)| !s.gives_hope());
        hopeless.map(|(id, _)| *id)
    }

    /// Whether a source can be asked; `None` for one that isn't here.
    pub(crate) fn standing(&self, id: SourceId) -> Option<Standing> {
        self.sources.get(&id).map(|source| source.standing)
    }

    /// Whether a source owes something.
    pub(crate) fn is_asked(&self, id: SourceId) -> bool {
        self.sources.get(&id).is_some_and(|source| source.owed > 0)
    }

    /// Something came for a request that isn't verified yet.
    pub(crate) fn alive(&mut self, request: RequestId, now: Duration) {
        if let Some(request) = self.requests.get(&request) {
            let id = request.source;
            self.heard(id, now);
        }
    }

    /// A verified group came.
    pub(crate) fn landed(&mut self, id: RequestId, group: u64, now: Duration) -> Landed {
        let is_new = !self.held.contains(group);
        if is_new {
            self.held.insert(group..group + 1);
            self.missing.remove(group..group + 1);
            self.delivered += 1;
        } else {
            self.duplicates += 1;
        }
        let Some(request) = self.requests.get_mut(&id) else {
            return Landed {
                is_new,
                goes_on: false,
            };
        };
        let source_id = request.source;
        let waited = (!request.has_begun()).then(|| now.saturating_sub(request.asked));
        request.at = group + 1;
        let (next, end) = (request.at, request.end);
        if let Some(source) = self.sources.get_mut(&source_id) {
            if let Some(waited) = waited {
                source.answered(waited);
            }
            source.delivered(now);
        }
        self.heard(source_id, now);
        self.taken.remove(group..group + 1);
        if self.may_overlap {
            self.cancel_overtaken(group);
        }
        let goes_on = next < end && !self.held.contains(next);
        if !goes_on {
            self.forget(id);
        }
        Landed { is_new, goes_on }
    }

    /// A request ended by itself, with everything or with less.
    pub(crate) fn ended(&mut self, id: RequestId, now: Duration) {
        let Some(request) = self.forget(id) else {
            return;
        };
        // Who ends early again and again is as good as one who fails.
        if request.owed() > 0
            && let Some(source) = self.sources.get_mut(&request.source)
        {
            source.failed(Trouble::Passing, &request.rest(), now);
        }
    }

    /// A request failed.
    pub(crate) fn failed(&mut self, id: RequestId, trouble: Trouble, now: Duration) {
        if let Some(request) = self.forget(id) {
            self.trouble(request.source, trouble, &request.rest(), now);
        }
    }

    /// What is to be done now.
    pub(crate) fn poll(&mut self, now: Duration) -> Vec<Action> {
        self.tend(now);
        self.cull();
        self.serve_readers(now);
        let idle = self.fill(now);
        self.help_readers(now);
        self.share_out(&idle, now);
        self.give_up();
        std::mem::take(&mut self.actions)
    }

    /// When to poll again, if nothing happens before.
    pub(crate) fn deadline(&self, now: Duration) -> Option<Duration> {
        if !self.requests.is_empty() {
            return Some(now + TICK);
        }
        let pauses = self.sources.values().filter_map(|source| {
            let Standing::Suspended { until } = source.standing else {
                return None;
            };
            Some(until)
        });
        pauses.min().filter(|_| !self.is_idle())
    }

    fn trouble(&mut self, id: SourceId, trouble: Trouble, span: &Groups, now: Duration) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        source.failed(trouble, span, now);
        self.rarity.outdate();
        match trouble {
            Trouble::Lied => {
                self.actions.push(Action::Ban { source: id });
                self.cancel_all(id);
            }
            Trouble::Final => self.cancel_all(id),
            Trouble::NotHeld | Trouble::Passing => {}
        }
    }

    fn heard(&mut self, id: SourceId, now: Duration) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.heard = now;
            if std::mem::take(&mut source.is_silent) {
                self.retake();
            }
        }
    }

    /// Notices who is silent, who stalls and whose pause is over.
    fn tend(&mut self, now: Duration) {
        let mut fell_silent = false;
        let mut stalled = Vec::new();
        for (id, source) in &mut self.sources {
            source.wake(now);
            source.measure(now);
            let since = now.saturating_sub(source.heard);
            if source.owed > 0 && since > source.quiet() && !source.is_silent {
                source.is_silent = true;
                fell_silent = true;
            }
            let has_lost_all = source.is_silent && source.owed == 0;
            if source.standing == Standing::Usable && has_lost_all {
                source.failed(Trouble::Passing, &(0..0), now);
            }
            if source.owed > 0 && since > self.stall {
                stalled.push(*id);
            }
        }
        for id in stalled {
            self.cancel_all(id);
            self.trouble(id, Trouble::Passing, &(0..0), now);
            self.actions.push(Action::Stalled { source: id });
        }
        if fell_silent {
            self.retake();
        }
        for reader in self.readers.values_mut() {
            let is_starved = reader.at < reader.end && !self.held.contains(reader.at);
            reader.starved = is_starved.then(|| reader.starved.unwrap_or(now));
        }
    }

    fn recount(&mut self) {
        let mut missing = Spans::default();
        for spans in self.bulk.values() {
            for run in spans.all() {
                let run = run.start..run.end.min(self.groups);
                self.held.gaps(&run).for_each(|gap| missing.insert(gap));
            }
        }
        self.missing = missing;
    }
}

impl Reader {
    /// What it wants soon.
    fn ahead(&self) -> Groups {
        self.at
            ..self
                .end
                .min(self.at.saturating_add(self.window))
                .max(self.at)
    }
}
