//! What a source is asked for next.

use std::{collections::BTreeMap, time::Duration};

use super::{Groups, MAX_OWED, Plan, Purpose, RequestId, SourceId, source::Source};

/// What a reader's first request asks for, groups: 64 KiB.
const FIRST_READ: u64 = 4;
/// Most of one request ahead of a reader, groups: 1 MiB.
const MAX_READ: u64 = 64;
/// Runs looked at for one choice.
const LOOKED_AT: usize = 1024;
/// A source so many times slower than the fastest reads no group that is needed soon.
const SLOW: u64 = 4;
/// How old the counts of who has what may become while sources say what they have.
const RARITY_AGE: Duration = Duration::from_millis(250);

/// How many sources have each group.
#[derive(Debug, Default)]
pub(super) struct Rarity {
    /// From this group on, so many.
    steps: BTreeMap<u64, u32>,
    state: Counted,
}

#[derive(Debug, Default, PartialEq)]
enum Counted {
    #[default]
    Never,
    At(Duration),
    Outdated(Duration),
}

impl Rarity {
    /// To be counted again before the next choice.
    pub(super) fn forget(&mut self) {
        self.state = Counted::Never;
    }

    /// To be counted again soon.
    pub(super) fn outdate(&mut self) {
        if let Counted::At(at) = self.state {
            self.state = Counted::Outdated(at);
        }
    }

    fn count<'a>(&mut self, sources: impl Iterator<Item = &'a Source>, now: Duration) {
        match self.state {
            Counted::At(_) => return,
            Counted::Outdated(at) if now.saturating_sub(at) < RARITY_AGE => return,
            Counted::Never | Counted::Outdated(_) => self.state = Counted::At(now),
        }
        let mut changes: BTreeMap<u64, i64> = BTreeMap::new();
        // Who has everything makes nothing rarer than anything else.
        let partial = sources.filter(|source| !source.has_all && source.gives_hope());
        for run in partial.flat_map(|source| source.has.all()) {
            *changes.entry(run.start).or_default() += 1;
            *changes.entry(run.end).or_default() -= 1;
        }
        let mut count = 0;
        self.steps.clear();
        for (at, change) in changes {
            count += change;
            self.steps.insert(at, u32::try_from(count).unwrap_or(0));
        }
    }

    /// The rarest part of a run, and how rare it is.
    fn rarest(&self, run: &Groups) -> (Groups, u32) {
        let before = self.steps.range(..=run.start).next_back();
        let mut best = run.clone();
        let mut rarest = before.map_or(0, |(_, count)| *count);
        let mut is_open = true;
        for (at, count) in self.steps.range(run.start + 1..run.end.max(run.start + 1)) {
            if std::mem::take(&mut is_open) {
                best.end = *at;
            }
            if *count < rarest {
                (best, rarest, is_open) = (*at..run.end, *count, true);
            }
        }
        (best, rarest)
    }
}

impl Plan {
    /// The group that each reader waits for is asked of whoever has it soonest.
    pub(super) fn serve_readers(&mut self, now: Duration) {
        let readers = self.readers.values();
        let heads: Vec<(Groups, Groups)> = readers
            .filter_map(|reader| Some((self.head(&reader.ahead())?, reader.ahead())))
            .collect();
        for (head, ahead) in heads {
            if head.start == ahead.start {
                self.free(&(ahead.start..ahead.end.min(ahead.start + MAX_READ)));
            }
            if self.taken.contains(head.start) {
                continue;
            }
            let Some(id) = self.soonest(head.start, None) else {
                continue;
            };
            self.clear_the_way(id);
            let span = self.clip(id, head.start..head.end.min(head.start + FIRST_READ));
            self.start(id, span, Purpose::Read, now);
        }
    }

    /// Gives every source that can take more something to do; returns those for whom there is
    /// nothing, the fastest first.
    pub(super) fn fill(&mut self, now: Duration) -> Vec<SourceId> {
        let mut order: Vec<(u64, SourceId)> = Vec::new();
        for (id, source) in &self.sources {
            if source.is_ready() && source.spare() > 0 {
                order.push((source.rate(), *id));
            }
        }
        if order.is_empty() {
            return Vec::new();
        }
        self.rarity.count(self.sources.values(), now);
        order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let fastest = order[0].0;
        let mut idle = Vec::new();
        for (rate, id) in order {
            let is_slow = rate < fastest / SLOW;
            if !self.fill_one(id, is_slow, now) {
                idle.push(id);
            }
        }
        idle
    }

    /// False when there was nothing to do for it.
    fn fill_one(&mut self, id: SourceId, is_slow: bool, now: Duration) -> bool {
        loop {
            let owed_by_all: u64 = self.sources.values().map(|source| source.owed).sum();
            let Some(source) = self.sources.get(&id) else {
                return true;
            };
            let (owed, spare, length) = (source.owed, source.spare(), source.request_groups());
            if owed_by_all >= MAX_OWED || spare == 0 || (owed > 0 && spare < length) {
                return true;
            }
            let half = source.window / 2;
            let (span, purpose) = if let Some(span) = self.next_read(source, is_slow) {
                (span, Purpose::Read)
            } else {
                // A reader may need it at any moment.
                if !self.readers.is_empty() && owed > 0 && owed >= half {
                    return true;
                }
                match self.next_bulk(source) {
                    Some(span) => (span, Purpose::Bulk),
                    None => return false,
                }
            };
            self.start(id, span, purpose, now);
        }
    }

    /// The nearest groups ahead of a reader that nobody was asked for.
    fn next_read(&self, source: &Source, is_slow: bool) -> Option<Groups> {
        let mut nearest: Option<(u64, Groups)> = None;
        for reader in self.readers.values() {
            let mut ahead = reader.ahead();
            if is_slow {
                ahead.start += (ahead.end - ahead.start) / 2;
            }
            let Some(open) = self.first_open(source, &ahead) else {
                continue;
            };
            let distance = open.start - reader.at;
            if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
                let length = source.request_groups().clamp(FIRST_READ, MAX_READ);
                let length = distance.clamp(FIRST_READ, length);
                let end = open.end.min(open.start + length);
                nearest = Some((distance, open.start..end));
            }
        }
        Some(nearest?.1)
    }

    /// The rarest groups that are wanted and that nobody was asked for.
    fn next_bulk(&self, source: &Source) -> Option<Groups> {
        let mut best: Option<(u32, Groups)> = None;
        let wanted = self.missing.all();
        let open = wanted.flat_map(|run| self.taken.gaps(&run).collect::<Vec<_>>());
        let open = open.flat_map(|gap| source.has.runs(&gap).take(LOOKED_AT).collect::<Vec<_>>());
        for run in open.take(LOOKED_AT) {
            let (part, rare) = self.rarity.rarest(&run);
            if best.as_ref().is_none_or(|(rarest, _)| rare < *rarest) {
                best = Some((rare, part));
            }
            if self.rarity.steps.is_empty() {
                break;
            }
        }
        let (_, span) = best?;
        let end = span.end.min(span.start + source.request_groups());
        Some(span.start..end)
    }

    /// The first groups of `ahead` that a source has, nobody holds and nobody was asked for.
    fn first_open(&self, source: &Source, ahead: &Groups) -> Option<Groups> {
        let mut missing = self.held.gaps(ahead);
        missing.find_map(|gap| {
            let mut open = self.taken.gaps(&gap);
            open.find_map(|open| source.has.runs(&open).next())
        })
    }

    /// The first missing groups of a range.
    pub(super) fn head(&self, ahead: &Groups) -> Option<Groups> {
        self.held.gaps(ahead).next()
    }

    /// Who has a group soonest, other than `but`. What isn't for a reader makes way.
    pub(super) fn soonest(&self, group: u64, but: Option<SourceId>) -> Option<SourceId> {
        let able = self.sources.iter().filter(|(id, source)| {
            source.is_ready() && source.has.contains(group) && Some(**id) != but
        });
        let soonest = able.min_by_key(|(id, source)| {
            let requests = self.requests.values();
            let urgent = requests.filter(|r| r.source == **id && r.purpose != Purpose::Bulk);
            let urgent: u64 = urgent.map(super::Request::owed).sum();
            (source.time_for(urgent + FIRST_READ), **id)
        });
        soonest.map(|(id, _)| *id)
    }

    /// The part of a span that a source has from its beginning on.
    pub(super) fn clip(&self, id: SourceId, span: Groups) -> Groups {
        let source = self.sources.get(&id);
        let run = source.and_then(|source| source.has.runs(&span).next());
        run.filter(|run| run.start == span.start).unwrap_or(span)
    }

    /// Takes back what a reader needs now and somebody was asked for without haste.
    fn free(&mut self, span: &Groups) {
        let requests = self.requests.iter().filter(|(_, request)| {
            let rest = request.rest();
            request.purpose == Purpose::Bulk && rest.start < span.end && span.start < rest.end
        });
        let bulk: Vec<(RequestId, u64, bool)> =
            requests.map(|(id, r)| (*id, r.at, r.has_begun())).collect();
        for (request, at, has_begun) in bulk {
            // What is about to come stays.
            let soon = if has_begun { at + FIRST_READ } else { at };
            self.trim(request, soon.max(span.start));
        }
    }

    /// Takes back what a source was asked for without haste, but for what it is about to send.
    fn clear_the_way(&mut self, id: SourceId) {
        let requests = self.requests.iter();
        let bulk = requests.filter(|(_, r)| r.source == id && r.purpose == Purpose::Bulk);
        let bulk: Vec<(RequestId, u64, bool)> = bulk
            .map(|(id, r)| (*id, r.at + FIRST_READ, r.has_begun()))
            .collect();
        for (request, soon, has_begun) in bulk {
            if has_begun {
                self.trim(request, soon);
            } else {
                self.cancel(request);
            }
        }
    }

    /// Gives up on those who want something that nobody can give them any more.
    pub(super) fn give_up(&mut self) {
        if self.is_searching {
            return;
        }
        let hopeless_readers = self.readers.iter().filter(|(_, reader)| {
            let head = self.head(&reader.ahead());
            head.is_some_and(|head| !self.is_obtainable(&(head.start..head.start + 1)))
        });
        let bulk = self.bulk.iter();
        let hopeless_bulk = bulk.filter(|(_, spans)| {
            self.requests.is_empty() && {
                let mut gaps = spans.all().flat_map(|run| {
                    let run = run.start..run.end.min(self.groups);
                    self.held.gaps(&run).collect::<Vec<_>>()
                });
                let mut gaps = gaps.by_ref().peekable();
                gaps.peek().is_some() && !gaps.any(|gap| self.is_obtainable(&gap))
            }
        });
        let hopeless = hopeless_readers.map(|(id, _)| *id);
        let hopeless: Vec<_> = hopeless.chain(hopeless_bulk.map(|(id, _)| *id)).collect();
        for want in hopeless {
            self.actions.push(super::Action::GiveUp { want });
        }
    }

    /// Whether any of these groups may come yet.
    fn is_obtainable(&self, span: &Groups) -> bool {
        let is_owed = self.requests.values().any(|request| {
            let rest = request.rest();
            rest.start < span.end && span.start < rest.end
        });
        is_owed
            || self
                .sources
                .values()
                .any(|source| source.gives_hope() && source.has.runs(span).next().is_some())
    }
}
