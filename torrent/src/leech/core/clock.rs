//! What a peer has to do in time.

use std::time::{Duration, Instant};

use super::{Core, Event, Times};
use crate::leech::{
    LeechError, LeechOptions,
    wire::{Message, WireFault},
};

/// A peer that said hello has so long to say what it has; then it has nothing.
const HAVE_GRACE: Duration = Duration::from_secs(1);
/// Something is sent at least as often: peers give up a silent connection after two minutes (BEP
/// 3).
const KEEP_ALIVE: Duration = Duration::from_secs(100);

impl Times {
    pub(super) fn new(options: &LeechOptions, now: Instant) -> Self {
        Self {
            stall: options.stall_timeout,
            choke: options.choke_timeout,
            opened: now,
            greeted: None,
            unchoked: now,
            hungry: None,
            pause: None,
            sent: now,
        }
    }
}

impl Core {
    /// To be called when all that could be asked for was, before [`Self::deadline`].
    pub fn settle(&mut self, now: Instant) {
        if !self.outbox.is_empty() {
            self.times.sent = now;
        }
        if self.flight.is_empty() {
            self.window.idle();
        } else if !self.is_window_open() {
            self.window.held_back();
        }
        // what we hold back ourselves, nobody owes
        let is_paused = self.times.pause.is_some_and(|until| now < until);
        let is_held = (self.is_choked || is_paused) && self.is_anything_wanted();
        self.times.hungry = if is_held || !self.flight.is_empty() {
            self.times.hungry.or(Some(now))
        } else {
            None
        };
    }

    /// When [`Self::tick`] has to be called at the latest.
    pub fn deadline(&self) -> Instant {
        let times = &self.times;
        let Some(greeted) = times.greeted else {
            return times.opened + times.stall;
        };
        let deadlines = [
            (!self.is_ready).then_some(greeted + HAVE_GRACE),
            self.stall_deadline(),
            times.hungry.map(|since| since + times.choke),
            self.info_deadline(),
            times.pause,
        ];
        let keep_alive = times.sent + KEEP_ALIVE;
        deadlines
            .into_iter()
            .flatten()
            .fold(keep_alive, Instant::min)
    }

    /// Does what is due.
    ///
    /// # Errors
    /// When the peer's time is over.
    pub fn tick(&mut self, now: Instant) -> Result<(), LeechError> {
        let times = &self.times;
        let Some(greeted) = times.greeted else {
            return stalled(times.opened, times.stall, now);
        };
        if let Some(deadline) = self.stall_deadline() {
            stalled(deadline - times.stall, times.stall, now)?;
        }
        if let Some(since) = times.hungry.filter(|since| now >= *since + times.choke) {
            let waited = now.saturating_duration_since(since);
            return Err(if self.is_choked {
                LeechError::Choked { waited }
            } else {
                LeechError::Stalled { waited }
            });
        }
        if times.pause.is_some_and(|until| now >= until) {
            self.times.pause = None;
        }
        if now >= greeted + HAVE_GRACE {
            self.ready();
        }
        if self.info_deadline().is_some_and(|deadline| now >= deadline) {
            self.dictionary = None;
            self.events.push(Event::Info(Err(LeechError::NoInfo)));
        }
        if now >= self.times.sent + KEEP_ALIVE {
            self.times.sent = now;
            self.send(&Message::KeepAlive);
        }
        Ok(())
    }

    /// When a peer that may be asked has to have sent a block.
    fn stall_deadline(&self) -> Option<Instant> {
        let since = self.times.hungry.filter(|_| !self.is_choked)?;
        Some(since.max(self.times.unchoked) + self.times.stall)
    }

    /// When a part of the info dictionary has to have come.
    fn info_deadline(&self) -> Option<Instant> {
        let dictionary = self.dictionary.as_ref()?;
        Some(dictionary.since + self.times.stall)
    }

    /// A block came.
    pub(super) fn served(&mut self, now: Instant) {
        if self.times.hungry.is_some() {
            self.times.hungry = Some(now);
        }
    }
}

fn stalled(since: Instant, timeout: Duration, now: Instant) -> Result<(), LeechError> {
    if now < since + timeout {
        return Ok(());
    }
    let waited = now.saturating_duration_since(since);
    Err(LeechError::Stalled { waited })
}

/// How much a peer may say besides what it was asked for: as much at once, and then at this rate.
/// The largest bitfield is a half of it.
const CHATTER_BYTES: u64 = 4 << 20;
const CHATTER_BYTES_PER_S: u64 = 64 << 10;

/// What a peer may still say besides what it was asked for.
#[derive(Debug)]
pub(super) struct Chatter {
    left_bytes: u64,
    since: Instant,
}

impl Chatter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left_bytes: CHATTER_BYTES,
            since: now,
        }
    }

    /// It said as much.
    pub(super) fn spend(&mut self, bytes: usize, now: Instant) -> Result<(), LeechError> {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        if seconds > 0 {
            let more = seconds.saturating_mul(CHATTER_BYTES_PER_S);
            self.left_bytes = CHATTER_BYTES.min(self.left_bytes.saturating_add(more));
            self.since = now;
        }
        let left = self.left_bytes.checked_sub(bytes as u64);
        self.left_bytes = left.ok_or(WireFault::Chatter)?;
        Ok(())
    }
}
