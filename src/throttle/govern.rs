//! The share of an engine that keeps its own limits.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{ActiveHours, Class, LEAST_RATE_BYTES, Moved, Throttle, flow::acknowledged};
use crate::clock;

/// The engine is looked at this often.
const LOOK: Duration = Duration::from_millis(250);
/// A limit stays for so long at least: engines let a second's worth go at once when it changes.
const STAYS: Duration = Duration::from_secs(2);
/// Changes below one part in so many aren't told.
const STEP: u64 = 10;
/// Who moved more than one part in so many of the cap in a second has a share of its own.
const BUSY: u64 = 50;
/// What packets and messages add to the payload of swarms, in parts of 1000: TCP segments and uTP
/// packets, and the headers of blocks.
const OVERHEAD: u64 = 50;

/// An engine that sends and receives by itself, within limits that it is given.
pub trait Governed: Send + Sync + 'static {
    /// Payload that it has moved since its start.
    fn moved(&self) -> Moved;
    /// New limits, bytes a second; none: no limit.
    fn set_limits(&self, upload: Option<NonZeroU32>, download: Option<NonZeroU32>);
    /// Nothing moves while it is paused.
    fn set_paused(&self, is_paused: bool);
}

/// What holds for an engine besides the caps of everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnLimits {
    /// Bytes a second; 0: no cap.
    pub upload_bytes_per_s: u64,
    /// Bytes a second; 0: no cap.
    pub download_bytes_per_s: u64,
    /// Outside of these hours it is paused.
    pub hours: Option<ActiveHours>,
}

/// What one direction of the caps looks like to the engine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// Cap of everything, bytes a second; 0: none.
    pub cap_bytes: u64,
    /// The engine's own, bytes a second; 0: none.
    pub own_bytes: u64,
    /// What the others moved in the last second, bytes.
    pub others_bytes: u64,
    /// Others that moved something to speak of in it.
    pub others: u64,
    /// Others of which someone waits.
    pub waiting: u64,
}

impl Demand {
    /// The engine's share, payload, bytes a second; none: no limit.
    pub fn share(&self) -> Option<u64> {
        let fair = |ways: u64| self.cap_bytes / (ways + 1);
        let of_cap = (self.cap_bytes > 0).then(|| {
            let wire_bytes = if self.waiting > 0 {
                // Who is busy may just not wait at the moment of the look.
                fair(self.waiting.max(self.others))
            } else {
                // What the others leave may be used, and what is fair needn't be left.
                let left_bytes = self.cap_bytes.saturating_sub(self.others_bytes);
                left_bytes.max(fair(self.others))
            };
            (wire_bytes / (1_000 + OVERHEAD)).saturating_mul(1_000)
        });
        let own = (self.own_bytes > 0).then_some(self.own_bytes);
        let share = of_cap.into_iter().chain(own).min()?;
        Some(share.max(LEAST_RATE_BYTES))
    }
}

/// A limit as it was last told.
#[derive(Debug, Default)]
struct Told {
    limit: Option<u64>,
    at: Option<Instant>,
}

impl Told {
    /// Whether `share` is worth telling now; then it is taken as told.
    fn changes(&mut self, share: Option<u64>, now: Instant) -> bool {
        let is_first = self.at.is_none();
        let differs = match (self.limit, share) {
            (Some(old), Some(new)) => old.abs_diff(new) > old / STEP,
            (old, new) => old != new,
        };
        let is_young = self.at.is_some_and(|at| now.duration_since(at) < STAYS);
        let changes = is_first || (differs && !is_young);
        if changes {
            (self.limit, self.at) = (share, Some(now));
        }
        changes
    }

    fn limit(&self) -> Option<NonZeroU32> {
        let bytes = u32::try_from(self.limit?).unwrap_or(u32::MAX);
        NonZeroU32::new(bytes)
    }
}

/// The last second, in looks.
#[derive(Debug, Default)]
struct Window {
    looks: std::collections::VecDeque<[Moved; Class::ALL.len()]>,
}

impl Window {
    /// Bytes of each class since a second ago.
    fn slide(&mut self, totals: [Moved; Class::ALL.len()]) -> [Moved; Class::ALL.len()] {
        let oldest = self.looks.front().copied().unwrap_or(totals);
        let mut passed = totals;
        for (now, before) in passed.iter_mut().zip(oldest) {
            *now = now.since(before);
        }
        self.looks.push_back(totals);
        if self.looks.len() > 4 {
            self.looks.pop_front();
        }
        passed
    }
}

pub(super) async fn govern(
    throttle: &Throttle,
    class: Class,
    engine: Arc<dyn Governed>,
    own: OwnLimits,
    cancel: CancellationToken,
) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut noted = Moved::default();
    let mut is_paused = None;
    let (mut upload, mut download) = (Told::default(), Told::default());
    let mut window = Window::default();
    while cancel.run_until_cancelled(looks.tick()).await.is_some() {
        let moved = engine.moved();
        let (sent, received) = (
            moved.since(noted).sent_bytes,
            moved.since(noted).received_bytes,
        );
        noted = moved;
        throttle.note(
            class,
            Moved {
                sent_bytes: on_wire(sent).saturating_add(acknowledged(received)),
                received_bytes: on_wire(received).saturating_add(acknowledged(sent)),
            },
        );
        let pauses = throttle.is_spent()
            || own
                .hours
                .is_some_and(|hours| !hours.contain(clock::local_minute()));
        if is_paused != Some(pauses) {
            is_paused = Some(pauses);
            engine.set_paused(pauses);
        }
        let (out, into) = demands(throttle, class, own, window.slide(throttle.moved()));
        let now = Instant::now();
        let changes = upload.changes(out.share(), now);
        if download.changes(into.share(), now) || changes {
            engine.set_limits(upload.limit(), download.limit());
        }
    }
}

fn demands(
    throttle: &Throttle,
    class: Class,
    own: OwnLimits,
    passed: [Moved; Class::ALL.len()],
) -> (Demand, Demand) {
    let caps = throttle.caps();
    let (waiting_out, waiting_in) = throttle.waiting();
    let others = |bytes: fn(&Moved) -> u64, cap_bytes: u64| {
        let others = Class::ALL.into_iter().filter(|other| *other != class);
        let moved = |other: &Class| bytes(&passed[*other as usize]);
        // What the endpoint adds by itself is no way of its own.
        let is_busy = |other: &Class| *other != Class::Sync && moved(other) > cap_bytes / BUSY;
        let busy = others.clone().filter(is_busy).count() as u64;
        (others.map(|other| moved(&other)).sum(), busy)
    };
    let (sent_bytes, senders) = others(|moved| moved.sent_bytes, caps.max_out_bytes_per_s);
    let (received_bytes, receivers) = others(|moved| moved.received_bytes, caps.max_in_bytes_per_s);
    let out = Demand {
        cap_bytes: caps.max_out_bytes_per_s,
        own_bytes: own.upload_bytes_per_s,
        others_bytes: sent_bytes,
        others: senders,
        waiting: waiting_out,
    };
    let into = Demand {
        cap_bytes: caps.max_in_bytes_per_s,
        own_bytes: own.download_bytes_per_s,
        others_bytes: received_bytes,
        others: receivers,
        waiting: waiting_in,
    };
    (out, into)
}

/// What so much payload of a swarm takes on the wire.
fn on_wire(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 1_000 * OVERHEAD)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CAP: u64 = 4 << 20;

    fn demand(own_bytes: u64, others_bytes: u64, others: u64, waiting: u64) -> Option<u64> {
        let demand = Demand {
            cap_bytes: CAP,
            own_bytes,
            others_bytes,
            others,
            waiting,
        };
        demand.share()
    }

    /// A share in parts of 100 of the cap.
    fn percent(share: Option<u64>) -> u64 {
        (share.unwrap() * 100 + CAP / 2) / CAP
    }

    #[test]
    fn an_engine_has_what_is_left_and_no_more_than_is_fair_when_others_wait() {
        // Packets take a part of every share.
        assert_eq!(percent(demand(0, 0, 0, 0)), 95);
        assert_eq!(percent(demand(0, CAP / 4, 1, 0)), 71);
        assert_eq!(percent(demand(0, CAP, 1, 0)), 48);
        assert_eq!(percent(demand(0, 0, 0, 1)), 48);
        assert_eq!(percent(demand(0, CAP, 2, 2)), 32);
        assert_eq!(percent(demand(0, CAP, 2, 1)), 32);
        // Its own cap is the engine's affair, headers aside.
        assert_eq!(demand(CAP / 10, 0, 0, 0), Some(CAP / 10));
        let uncapped = Demand {
            own_bytes: 1 << 20,
            ..Demand::default()
        };
        assert_eq!(uncapped.share(), Some(1 << 20));
        assert_eq!(Demand::default().share(), None);
    }

    #[test]
    fn no_share_makes_an_engine_stand_still() {
        let small = Demand {
            cap_bytes: LEAST_RATE_BYTES,
            waiting: 4,
            ..Demand::default()
        };
        assert_eq!(small.share(), Some(LEAST_RATE_BYTES));
    }

    #[tokio::test(start_paused = true)]
    async fn limits_are_told_when_they_differ_and_not_too_often() {
        let mut told = Told::default();
        let began = Instant::now();
        assert!(told.changes(Some(1_000), began), "the first");
        assert!(!told.changes(Some(500), began + STAYS / 2), "too soon");
        assert!(!told.changes(Some(1_050), began + STAYS), "about the same");
        assert!(told.changes(Some(500), began + STAYS));
        assert_eq!(told.limit().map(NonZeroU32::get), Some(500));
        assert!(told.changes(None, began + 2 * STAYS));
        assert_eq!(told.limit(), None);
    }

    #[test]
    fn the_window_is_a_second() {
        let mut window = Window::default();
        let totals = |bytes| [Moved::sent(bytes); Class::ALL.len()];
        let passed: Vec<u64> = (0..8)
            .map(|look| window.slide(totals(look * 10))[0].sent_bytes)
            .collect();
        assert_eq!(passed, [0, 10, 20, 30, 40, 40, 40, 40]);
    }
}
