//! A world of sources with all faults, on a simulated clock.

use std::{collections::BTreeMap, time::Duration};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::{Action, Groups, Has, Plan, RequestId, SourceId, Spans, Trouble, WantId};
use crate::GROUP_BYTES;

/// How a source behaves.
#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    /// Bytes a second.
    pub(super) rate: u64,
    /// From a request to its first byte.
    pub(super) latency: Duration,
    /// What it really has; everything when `None`.
    pub(super) has: Option<Spans>,
    /// Whether it says what it has, or claims everything.
    pub(super) is_frank: bool,
    /// Serves one request after the other instead of all at once.
    pub(super) in_order: bool,
    /// Every so many groups it sends a wrong one.
    pub(super) lies: Option<u64>,
    /// From then on it sends nothing.
    pub(super) dies: Option<Duration>,
    /// Then it sends again.
    pub(super) revives: Option<Duration>,
    /// Whether its death shows as an error.
    pub(super) dies_loudly: bool,
}

impl Behaviour {
    pub(super) fn of_rate(rate: u64) -> Self {
        Self {
            rate,
            latency: Duration::from_millis(20),
            has: None,
            is_frank: true,
            in_order: false,
            lies: None,
            dies: None,
            revives: None,
            dies_loudly: false,
        }
    }

    fn is_dead(&self, now: Duration) -> bool {
        self.dies.is_some_and(|dies| dies <= now)
            && self.revives.is_none_or(|revives| now < revives)
    }

    fn claims(&self) -> Has {
        match &self.has {
            Some(spans) if self.is_frank => Has::Some(spans.clone()),
            _ => Has::All,
        }
    }
}

struct Sim {
    behaviour: Behaviour,
    /// Requests, in the order in which their next group comes.
    queue: Vec<(RequestId, Groups, Duration)>,
    /// When the next group is through the pipe.
    due: Option<Duration>,
    sent: u64,
    started_after_ban: bool,
    is_banned: bool,
}

/// A reader that plays what it reads.
#[derive(Clone, Debug)]
pub(super) struct Player {
    pub(super) at: u64,
    pub(super) end: u64,
    /// Bytes a second.
    pub(super) rate: u64,
    pub(super) due: Duration,
    pub(super) first_byte: Option<Duration>,
    pub(super) stalls: Vec<Duration>,
}

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) plan: Plan,
    pub(super) groups: u64,
    sources: BTreeMap<SourceId, Sim>,
    pub(super) player: Option<Player>,
    pub(super) given_up: bool,
    pub(super) random: ChaCha8Rng,
    pub(super) stalled: u64,
    has_news: bool,
    acted: Duration,
}

pub(super) const BULK: WantId = WantId(1);
const PLAYER: WantId = WantId(2);
const WINDOW: u64 = 512;

impl World {
    pub(super) fn new(seed: u64, groups: u64) -> Self {
        Self {
            now: Duration::ZERO,
            plan: Plan::new(groups, Spans::default(), Duration::from_secs(5)),
            groups,
            sources: BTreeMap::new(),
            player: None,
            given_up: false,
            random: ChaCha8Rng::seed_from_u64(seed),
            stalled: 0,
            has_news: true,
            acted: Duration::ZERO,
        }
    }

    pub(super) fn want_all(&mut self) {
        self.plan.want(BULK, Spans::one(0..self.groups));
    }

    pub(super) fn play(&mut self, at: u64, rate: u64) {
        self.player = Some(Player {
            at,
            end: self.groups,
            rate,
            due: self.now,
            first_byte: None,
            stalls: Vec::new(),
        });
        self.plan.read(PLAYER, at, self.groups, WINDOW);
    }

    pub(super) fn join(&mut self, id: u64, behaviour: Behaviour) {
        let sim = Sim {
            queue: Vec::new(),
            due: None,
            sent: 0,
            started_after_ban: false,
            is_banned: false,
            behaviour,
        };
        let claims = sim.behaviour.claims();
        assert!(self.plan.join(SourceId(id), claims, self.now));
        self.sources.insert(SourceId(id), sim);
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.plan.leave(SourceId(id));
        self.sources.remove(&SourceId(id));
    }

    pub(super) fn kill(&mut self, id: u64) {
        let now = self.now;
        let sim = self.sources.get_mut(&SourceId(id)).unwrap();
        sim.behaviour.dies = Some(now);
    }

    pub(super) fn is_banned(&self, id: u64) -> bool {
        self.sources[&SourceId(id)].is_banned
    }

    pub(super) fn is_done(&self) -> bool {
        self.plan.held().count() == self.groups
    }

    pub(super) fn random_below(&mut self, n: u64) -> u64 {
        self.random.next_u64() % n
    }

    /// Goes on until something holds or the time is over; says whether it holds.
    pub(super) fn run(&mut self, until: Duration, done: impl Fn(&Self) -> bool) -> bool {
        self.has_news = true;
        loop {
            let is_time = self
                .plan
                .deadline(self.acted)
                .is_some_and(|at| at <= self.now);
            if std::mem::take(&mut self.has_news) || is_time {
                self.acted = self.now;
                self.act();
            }
            if done(self) {
                return true;
            }
            let Some(next) = self.next_event().filter(|next| *next <= until) else {
                self.now = until;
                return false;
            };
            self.now = self.now.max(next);
            self.deliver();
            self.consume();
        }
    }

    fn next_event(&self) -> Option<Duration> {
        let dues = self.sources.values().filter_map(|sim| sim.next(self.now));
        let plays = self.player.iter().filter_map(|player| {
            let has_it = player.at < player.end && self.plan.held().contains(player.at);
            has_it.then_some(player.due)
        });
        dues.chain(plays)
            .chain(self.plan.deadline(self.acted))
            .min()
    }

    fn act(&mut self) {
        for action in self.plan.poll(self.now) {
            match action {
                Action::Start {
                    request,
                    source,
                    span,
                } => {
                    assert!(!span.is_empty() && span.end <= self.groups, "{span:?}");
                    let Some(sim) = self.sources.get_mut(&source) else {
                        panic!("{source:?} is not here");
                    };
                    sim.started_after_ban |= sim.is_banned;
                    let ready = self.now + sim.behaviour.latency;
                    sim.queue.push((request, span, ready));
                }
                Action::Trim { request, end } => {
                    for sim in self.sources.values_mut() {
                        for (id, span, _) in &mut sim.queue {
                            if *id == request {
                                span.end = end;
                            }
                        }
                        sim.queue.retain(|(_, span, _)| !span.is_empty());
                    }
                }
                Action::Cancel { request } => {
                    for sim in self.sources.values_mut() {
                        sim.queue.retain(|(id, ..)| *id != request);
                    }
                }
                Action::Ban { source } => {
                    if let Some(sim) = self.sources.get_mut(&source) {
                        sim.is_banned = true;
                    }
                }
                Action::Stalled { .. } => self.stalled += 1,
                Action::GiveUp { .. } => self.given_up = true,
            }
        }
        assert!(self.sources.values().all(|sim| !sim.started_after_ban));
    }

    fn deliver(&mut self) {
        let ids: Vec<SourceId> = self.sources.keys().copied().collect();
        for id in ids {
            while let Some(sim) = self.sources.get_mut(&id) {
                let Some(event) = sim.take(self.now) else {
                    break;
                };
                match event {
                    Event::Group(request, group) => {
                        if !self.plan.landed(request, group, self.now).goes_on {
                            sim.queue.retain(|(id, ..)| *id != request);
                            self.has_news = true;
                        }
                    }
                    Event::Failed(request, trouble) => {
                        self.has_news = true;
                        self.plan.failed(request, trouble, self.now);
                    }
                }
            }
        }
    }

    fn consume(&mut self) {
        let Some(player) = &mut self.player else {
            return;
        };
        let before = player.at;
        while player.at < player.end
            && player.due <= self.now
            && self.plan.held().contains(player.at)
        {
            let waited = self.now.saturating_sub(player.due);
            if player.first_byte.is_none() {
                player.first_byte = Some(waited);
            } else if !waited.is_zero() {
                player.stalls.push(waited);
            }
            player.at += 1;
            let took = Duration::from_micros(GROUP_BYTES * 1_000_000 / player.rate);
            player.due = self.now.max(player.due) + took;
        }
        if player.at != before {
            self.plan.read(PLAYER, player.at, player.end, WINDOW);
            self.has_news |= player.at / 8 != before / 8;
        }
    }
}

enum Event {
    Group(RequestId, u64),
    Failed(RequestId, Trouble),
}

impl Sim {
    /// When something comes from it.
    fn next(&self, now: Duration) -> Option<Duration> {
        if self.behaviour.is_dead(now) {
            return if self.behaviour.dies_loudly && !self.queue.is_empty() {
                Some(now)
            } else {
                self.behaviour.revives
            };
        }
        let ready = self.queue.iter().map(|(_, _, ready)| *ready).min()?;
        let took = Duration::from_micros(GROUP_BYTES * 1_000_000 / self.behaviour.rate);
        Some(self.due.map_or(ready + took, |due| due.max(ready + took)))
    }

    fn take(&mut self, now: Duration) -> Option<Event> {
        let next = self.next(now).filter(|next| *next <= now)?;
        if self.behaviour.is_dead(now) {
            return if self.behaviour.dies_loudly && !self.queue.is_empty() {
                let (request, ..) = self.queue.remove(0);
                Some(Event::Failed(request, Trouble::Passing))
            } else {
                None
            };
        }
        let took = Duration::from_micros(GROUP_BYTES * 1_000_000 / self.behaviour.rate);
        let index = self
            .queue
            .iter()
            .position(|(_, _, ready)| *ready + took <= next)?;
        let (request, mut span, ready) = self.queue.remove(index);
        let group = span.start;
        if self
            .behaviour
            .has
            .as_ref()
            .is_some_and(|has| !has.contains(group))
        {
            return Some(Event::Failed(request, Trouble::NotHeld));
        }
        self.sent += 1;
        self.due = Some(next + took);
        if self
            .behaviour
            .lies
            .is_some_and(|every| self.sent.is_multiple_of(every))
        {
            return Some(Event::Failed(request, Trouble::Lied));
        }
        span.start += 1;
        if !span.is_empty() {
            if self.behaviour.in_order {
                self.queue.insert(index, (request, span, ready));
            } else {
                self.queue.push((request, span, ready));
            }
        }
        Some(Event::Group(request, group))
    }
}
