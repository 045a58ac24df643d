//! Helping out: who is slow gives work to who is idle, and a reader's next group is asked for
//! twice before he waits.

use std::time::Duration;

use super::{Groups, Plan, Purpose, Request, RequestId, SourceId, WantId, source::Source};

/// A reader that waits so long is helped.
const WAIT: Duration = Duration::from_millis(200);
/// A reader that waits so long is helped by whoever can, faster or not.
const LONG_WAIT: Duration = Duration::from_millis(600);
/// What is asked for twice at once, groups: 64 KiB.
const HEDGE: u64 = 4;
/// Of so many groups that came, one may come again because it was asked for twice.
const BUDGET: u64 = 16;
/// Groups that may come again at the beginning already.
const FIRST_BUDGET: u64 = 8;
/// Work moves when it saves more than this.
const WORTH_IT: Duration = Duration::from_millis(100);

impl Plan {
    /// Asks somebody else too for the group that a reader waits for.
    pub(super) fn help_readers(&mut self, now: Duration) {
        let ids: Vec<WantId> = self.readers.keys().copied().collect();
        for id in ids {
            let Some((span, helper)) = self.hedge(id, now) else {
                continue;
            };
            if let Some(reader) = self.readers.get_mut(&id) {
                reader.helped = now;
            }
            self.start(helper, span, Purpose::Hedge, now);
        }
    }

    fn hedge(&self, id: WantId, now: Duration) -> Option<(Groups, SourceId)> {
        let reader = self.readers.get(&id)?;
        let starved = now.saturating_sub(reader.starved?);
        if starved < WAIT || now.saturating_sub(reader.helped) < WAIT {
            return None;
        }
        let group = reader.at;
        let mut owing = self.requests.values().filter(|r| r.rest().contains(&group));
        let (request, None) = (owing.next()?, owing.next()) else {
            return None;
        };
        let slow = self.sources.get(&request.source)?;
        let helper = self.soonest(group, Some(request.source))?;
        let fast = self.sources.get(&helper)?;
        let is_faster = fast.eta(HEDGE) * 2 < Self::finish(slow, request, group, now);
        let span = self.clip(helper, group..request.end.min(group + HEDGE));
        let is_due = is_faster || starved > LONG_WAIT;
        (is_due && self.may_hedge(span.end - span.start)).then_some((span, helper))
    }

    /// How long until a request brings a group.
    fn finish(slow: &Source, request: &Request, group: u64, now: Duration) -> Duration {
        let waited = now.saturating_sub(request.asked);
        if !slow.is_measured() {
            return waited * 2;
        }
        let behind = slow.owed.saturating_sub(request.end.saturating_sub(group));
        let here = group - request.at + 1;
        let rate = slow.rate();
        let bytes = (behind.max(here)) * crate::GROUP_BYTES;
        Duration::from_micros(bytes.saturating_mul(1_000_000) / rate)
    }

    fn may_hedge(&self, groups: u64) -> bool {
        let hedged = self.requests.values();
        let hedged = hedged.filter(|request| request.purpose == Purpose::Hedge);
        let hedged: u64 = hedged.map(Request::owed).sum();
        self.duplicates + hedged + groups <= self.delivered / BUDGET + FIRST_BUDGET
    }

    /// Gives those for whom nothing was left a part of what the slowest still owe.
    pub(super) fn share_out(&mut self, idle: &[SourceId], now: Duration) {
        for helper in idle {
            let Some((id, help)) = self.help_for(*helper) else {
                continue;
            };
            let Some(request) = self.requests.get(&id) else {
                continue;
            };
            let (rest, purpose) = (request.rest(), request.purpose);
            match help {
                Help::Whole => {
                    self.cancel(id);
                    self.start(*helper, rest, purpose, now);
                }
                Help::From(group) => {
                    self.trim(id, group);
                    self.start(*helper, group..rest.end, purpose, now);
                }
                Help::Too => self.start(*helper, rest, Purpose::Hedge, now),
            }
        }
    }

    /// The request of a slower source that this one should help with.
    fn help_for(&self, helper: SourceId) -> Option<(RequestId, Help)> {
        let fast = self.sources.get(&helper)?;
        let owing = self.sources.iter().filter(|(id, source)| {
            **id != helper && source.is_ready() && source.owed > 0 && source.is_measured()
        });
        let mut owing: Vec<(Duration, SourceId)> =
            owing.map(|(id, source)| (source.eta(0), *id)).collect();
        owing.sort();
        let slowest_first = owing.into_iter().rev();
        slowest_first
            .filter_map(|(eta, id)| self.help_with(fast, id, eta))
            .next()
    }

    fn help_with(&self, fast: &Source, id: SourceId, eta: Duration) -> Option<(RequestId, Help)> {
        let slow = self.sources.get(&id)?;
        let requests = self.requests.iter().filter(|(_, request)| {
            request.source == id
                && request.purpose != Purpose::Hedge
                && fast.has.covers(&request.rest())
        });
        // What it begins with last is lost least.
        let (id, request) = requests.max_by_key(|(id, r)| (!r.has_begun(), r.owed(), **id))?;
        let (owed, most) = (request.owed(), fast.request_groups().max(HEDGE));
        let saves = |groups: u64| fast.eta(groups) + WORTH_IT < eta;
        if !request.has_begun() && slow.owed > owed && owed <= most {
            return saves(owed).then_some((*id, Help::Whole));
        }
        let rates = u128::from(slow.rate()) + u128::from(fast.rate());
        let share = u128::from(owed) * u128::from(fast.rate()) / rates.max(1);
        let share = u64::try_from(share).unwrap_or(0).min(most);
        if share > 0 && share < owed {
            return saves(share).then_some((*id, Help::From(request.end - share)));
        }
        let is_alone = self
            .requests
            .values()
            .filter(|other| other.rest().contains(&request.at))
            .count()
            == 1;
        let is_little = owed <= HEDGE && is_alone && self.may_hedge(owed);
        (is_little && saves(owed)).then_some((*id, Help::Too))
    }
}

/// How to help with a request.
enum Help {
    /// Instead of the other.
    Whole,
    /// From this group on.
    From(u64),
    /// As well as the other: too little is left to be divided.
    Too,
}
