//! One source as the plan sees it: what it has, how fast it is, whether it can be asked now.

use std::time::Duration;

use super::{
    Has, Trouble,
    spans::{Groups, Spans},
};
use crate::GROUP_BYTES;

/// What a source that nobody knows yet is asked for at once, groups.
const FIRST_WINDOW: u64 = 16;
/// What even the slowest source is asked for at once, groups: one on its way, one behind it.
const MIN_WINDOW: u64 = 2;
/// What the fastest source is asked for at once, groups: 8 MiB.
const MAX_WINDOW: u64 = 512;
/// Requests that share a source's window, so that its pipe never idles between two.
const REQUESTS: u64 = 4;
/// A rate is measured over so long.
const SAMPLE: Duration = Duration::from_millis(250);
/// Rate that is assumed of a source before it is measured, bytes a second.
const ASSUMED_RATE: u64 = 1024 * 1024;
/// A source that was never measured is silent after this.
const QUIET_AT_FIRST: Duration = Duration::from_millis(500);
/// Bounds of the time after which a measured source is silent.
const QUIET: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1500));
/// First pause of a source that failed; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A source that failed so often without delivering anything gives no hope by itself.
const HOPELESS: u32 = 3;
/// Requests in a row that a source which never delivered said it had nothing of.
const NOTHING_HELD: u32 = 3;

/// Whether a source can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Now.
    Usable,
    /// Later.
    Suspended {
        /// When.
        until: Duration,
    },
    /// Never: it lied.
    Banned,
    /// Never: it can't or won't serve.
    Gone,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) has: Spans,
    pub(super) has_all: bool,
    pub(super) standing: Standing,
    /// Whether it owes something and sends nothing.
    pub(super) is_silent: bool,
    /// Groups asked for and not delivered.
    pub(super) owed: u64,
    /// When it last sent something, or began to owe something.
    pub(super) heard: Duration,
    pub(super) window: u64,
    rate: Option<u64>,
    sample_at: Duration,
    sample_bytes: u64,
    /// Longest wait for the first group of a request.
    latency: Duration,
    failures: u32,
    nothing_held: u32,
    has_delivered: bool,
}

impl Source {
    pub(super) fn new(has: Has, groups: u64, now: Duration) -> Self {
        let mut source = Self {
            has: Spans::default(),
            has_all: false,
            standing: Standing::Usable,
            is_silent: false,
            owed: 0,
            heard: now,
            window: FIRST_WINDOW,
            rate: None,
            sample_at: now,
            sample_bytes: 0,
            latency: Duration::ZERO,
            failures: 0,
            nothing_held: 0,
            has_delivered: false,
        };
        source.set_has(has, groups);
        source
    }

    pub(super) fn set_has(&mut self, has: Has, groups: u64) {
        self.has_all = matches!(has, Has::All);
        self.has = match has {
            Has::All => Spans::one(0..groups),
            Has::Some(spans) => spans,
        };
        self.nothing_held = 0;
    }

    /// Whether it may be asked for something now.
    pub(super) fn is_ready(&self) -> bool {
        self.standing == Standing::Usable && !self.is_silent
    }

    /// Whether something may still come from it.
    pub(super) fn gives_hope(&self) -> bool {
        match self.standing {
            Standing::Usable => true,
            Standing::Suspended { .. } => self.failures < HOPELESS,
            Standing::Banned | Standing::Gone => false,
        }
    }

    /// Groups that it can be asked for beyond what it owes.
    pub(super) fn spare(&self) -> u64 {
        self.window.saturating_sub(self.owed)
    }

    /// Groups of one request.
    pub(super) fn request_groups(&self) -> u64 {
        (self.window / REQUESTS).max(1)
    }

    /// Bytes a second.
    pub(super) fn rate(&self) -> u64 {
        self.rate.unwrap_or(ASSUMED_RATE).max(1)
    }

    pub(super) fn is_measured(&self) -> bool {
        self.rate.is_some()
    }

    /// How long until it has delivered what it owes and `groups` more.
    pub(super) fn eta(&self, groups: u64) -> Duration {
        self.time_for(self.owed + groups)
    }

    /// How long until it would deliver so many groups, if it owed nothing else.
    pub(super) fn time_for(&self, groups: u64) -> Duration {
        time_for(groups.saturating_mul(GROUP_BYTES), self.rate()) + self.latency
    }

    /// It owes `groups` more.
    pub(super) fn asked(&mut self, groups: u64, now: Duration) {
        if self.owed == 0 {
            self.heard = now;
            self.sample_at = now;
            self.sample_bytes = 0;
        }
        self.owed += groups;
    }

    /// The first group of a request came after so long.
    pub(super) fn answered(&mut self, after: Duration) {
        self.latency = if self.latency.is_zero() {
            after
        } else {
            (self.latency * 3 + after) / 4
        };
    }

    /// A verified group came.
    pub(super) fn delivered(&mut self, now: Duration) {
        self.heard = now;
        self.owed = self.owed.saturating_sub(1);
        self.sample_bytes += GROUP_BYTES;
        (self.failures, self.nothing_held, self.has_delivered) = (0, 0, true);
        self.measure(now);
        self.window = (self.window + 1).min(self.most());
    }

    /// Takes the time, also when nothing comes.
    pub(super) fn measure(&mut self, now: Duration) {
        let took = now.saturating_sub(self.sample_at);
        if took < SAMPLE || self.owed == 0 && self.sample_bytes == 0 {
            return;
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = self.sample_bytes.saturating_mul(1000) / millis;
        self.rate = Some(match self.rate {
            Some(before) => (before * 6 + rate * 4) / 10,
            None => rate,
        });
        (self.sample_at, self.sample_bytes) = (now, 0);
        self.window = self.window.min(self.most());
    }

    /// About a second's worth, with room to show that it is faster.
    fn most(&self) -> u64 {
        match self.rate {
            Some(rate) => (rate / GROUP_BYTES * 5 / 4).clamp(MIN_WINDOW, MAX_WINDOW),
            None => MAX_WINDOW,
        }
    }

    /// After how long without a sign it counts as silent.
    pub(super) fn quiet(&self) -> Duration {
        match self.rate {
            None => QUIET_AT_FIRST.max(self.latency * 3).min(QUIET.1),
            Some(_) => {
                let group = time_for(GROUP_BYTES, self.rate());
                (group * 4).max(self.latency * 3).clamp(QUIET.0, QUIET.1)
            }
        }
    }

    /// What follows from a failure. Several requests that fail together count once.
    pub(super) fn failed(&mut self, trouble: Trouble, span: &Groups, now: Duration) {
        if matches!(self.standing, Standing::Banned | Standing::Gone) {
            return;
        }
        match trouble {
            Trouble::Lied => self.standing = Standing::Banned,
            Trouble::Final => self.standing = Standing::Gone,
            Trouble::NotHeld => {
                self.has.remove(span.clone());
                self.has_all = false;
                self.nothing_held += 1;
                if !self.has_delivered && self.nothing_held >= NOTHING_HELD {
                    self.standing = Standing::Gone;
                }
            }
            Trouble::Passing => {
                if self.standing == Standing::Usable {
                    let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.min(16));
                    let until = now + pause.min(LONGEST_PAUSE);
                    self.standing = Standing::Suspended { until };
                    self.failures += 1;
                    self.window = FIRST_WINDOW.min(self.window);
                }
            }
        }
    }

    /// Ends a pause whose time has come.
    pub(super) fn wake(&mut self, now: Duration) {
        if let Standing::Suspended { until } = self.standing
            && until <= now
        {
            self.standing = Standing::Usable;
            self.is_silent = false;
        }
    }
}

fn time_for(bytes: u64, rate: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1))
}
