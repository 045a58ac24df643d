//! A token bucket that the ways of sending share evenly. Pure: the time is handed in.
//!
//! Whoever asks goes as soon as the level is above zero, however much it asks for, and what it takes
//! beyond the level is a debt that everyone waits for. Who waits is served by start-time fair
//! queueing (Goyal, Vin, Cheng: SIGCOMM 1996): each class gets the same, and what one doesn't use
//! the others share.

use std::collections::VecDeque;

use super::Class;

/// The level never stands for more than so much time at the rate.
const BURST_US: u64 = 40_000;
/// Debts beyond so much time at the rate are forgiven: a rate that was lowered, or an engine that
/// didn't keep its limit, must not stop everything for hours.
const DEBT_US: u64 = 10_000_000;
/// Millionths of a byte in one: a microsecond at one byte a second.
const UNIT: i128 = 1_000_000;

/// What a request is to those of its own class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// A page, an answer of the API: goes before the bulk.
    Small,
    /// A file.
    Bulk,
}

/// Who waits, by a number of the caller's.
pub(super) type Waiter = u64;

/// Bytes a second for everyone together.
#[derive(Debug)]
pub(super) struct Bucket {
    rate_bytes: u64,
    /// Millionths of a byte; below zero: debt.
    level: i128,
    filled_us: u64,
    /// Start of what was served last, in bytes of virtual time.
    served: u64,
    queues: [Queue; Class::ALL.len()],
}

/// Those of one class that wait.
#[derive(Debug, Default)]
struct Queue {
    /// Virtual time at which the class has had what it was given.
    until: u64,
    small: VecDeque<(Waiter, u64)>,
    bulk: VecDeque<(Waiter, u64)>,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.small.is_empty() && self.bulk.is_empty()
    }
}

impl Bucket {
    /// Bytes a second; 0: no cap.
    pub fn new(rate_bytes: u64, now_us: u64) -> Self {
        Self {
            rate_bytes,
            level: 0,
            filled_us: now_us,
            served: 0,
            queues: Default::default(),
        }
    }

    /// A new rate, from now on.
    pub fn set_rate(&mut self, rate_bytes: u64, now_us: u64) {
        if rate_bytes != self.rate_bytes {
            self.fill(now_us);
            self.rate_bytes = rate_bytes;
            self.bound();
        }
    }

    /// Asks for `bytes`. False: `waiter` waits until [`Self::due`] names it.
    pub fn ask(
        &mut self,
        waiter: Waiter,
        class: Class,
        size: Size,
        bytes: u64,
        now_us: u64,
    ) -> bool {
        self.fill(now_us);
        if !self.has_waiting() && self.is_open() {
            self.serve(class, bytes);
            return true;
        }
        let queue = &mut self.queues[class as usize];
        match size {
            Size::Small => queue.small.push_back((waiter, bytes)),
            Size::Bulk => queue.bulk.push_back((waiter, bytes)),
        }
        false
    }

    /// Counts what was moved without asking.
    pub fn note(&mut self, bytes: u64, now_us: u64) {
        self.fill(now_us);
        self.level -= i128::from(bytes) * UNIT;
        self.bound();
    }

    /// Takes back what was asked for and not used.
    pub fn give_back(&mut self, bytes: u64) {
        self.level += i128::from(bytes) * UNIT;
        self.bound();
    }

    /// Someone waits no longer.
    pub fn leave(&mut self, waiter: Waiter) {
        for queue in &mut self.queues {
            queue.small.retain(|(other, _)| *other != waiter);
            queue.bulk.retain(|(other, _)| *other != waiter);
        }
    }

    /// Who may go now, in this order.
    pub fn due(&mut self, now_us: u64) -> Vec<Waiter> {
        self.fill(now_us);
        let mut due = Vec::new();
        while self.is_open() {
            let Some((waiter, class, bytes)) = self.next() else {
                break;
            };
            self.serve(class, bytes);
            due.push(waiter);
        }
        due
    }

    /// Microseconds until the next of those who wait may go; none: nobody waits.
    pub fn pause_us(&mut self, now_us: u64) -> Option<u64> {
        if !self.has_waiting() {
            return None;
        }
        self.fill(now_us);
        if self.is_open() {
            return Some(0);
        }
        let missing = u64::try_from(1 - self.level).unwrap_or(u64::MAX);
        Some(missing.div_ceil(self.rate_bytes.max(1)))
    }

    /// Classes in which someone waits.
    pub fn classes_waiting(&self) -> u64 {
        self.queues.iter().filter(|queue| !queue.is_empty()).count() as u64
    }

    fn has_waiting(&self) -> bool {
        self.classes_waiting() > 0
    }

    fn is_open(&self) -> bool {
        self.rate_bytes == 0 || self.level > 0
    }

    fn next(&mut self) -> Option<(Waiter, Class, u64)> {
        let served = self.served;
        let class = Class::ALL
            .into_iter()
            .filter(|class| !self.queues[*class as usize].is_empty())
            .min_by_key(|class| self.queues[*class as usize].until.max(served))?;
        let queue = &mut self.queues[class as usize];
        let (waiter, bytes) = queue.small.pop_front().or_else(|| queue.bulk.pop_front())?;
        Some((waiter, class, bytes))
    }

    fn serve(&mut self, class: Class, bytes: u64) {
        let queue = &mut self.queues[class as usize];
        let start = queue.until.max(self.served);
        queue.until = start.saturating_add(bytes);
        self.served = start;
        if self.rate_bytes > 0 {
            self.level -= i128::from(bytes) * UNIT;
            self.bound();
        }
    }

    fn fill(&mut self, now_us: u64) {
        let passed_us = now_us.saturating_sub(self.filled_us);
        self.filled_us = self.filled_us.max(now_us);
        self.level += i128::from(passed_us) * i128::from(self.rate_bytes);
        self.bound();
    }

    fn bound(&mut self) {
        let rate = i128::from(self.rate_bytes);
        let (least, most) = (-rate * i128::from(DEBT_US), rate * i128::from(BURST_US));
        self.level = self.level.clamp(least, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1_000_000;
    const PART: u64 = 16 << 10;

    /// Keeps a waiter of each class in line and returns what each got in `for_us`.
    fn greedy(bucket: &mut Bucket, classes: &[Class], from_us: u64, for_us: u64) -> Vec<u64> {
        let mut got = vec![0; classes.len()];
        let mut waits = vec![false; classes.len()];
        for now_us in (from_us..from_us + for_us).step_by(1_000) {
            for (index, class) in classes.iter().enumerate() {
                while !waits[index] {
                    if bucket.ask(index as u64, *class, Size::Bulk, PART, now_us) {
                        got[index] += PART;
                    } else {
                        waits[index] = true;
                    }
                }
            }
            for waiter in bucket.due(now_us) {
                let index = usize::try_from(waiter).unwrap();
                got[index] += PART;
                waits[index] = false;
            }
        }
        got
    }

    #[test]
    fn what_goes_keeps_the_rate_however_it_is_asked_for() {
        for classes in [&[Class::Http][..], &Class::ALL[..]] {
            let mut bucket = Bucket::new(RATE, 0);
            let sent: u64 = greedy(&mut bucket, classes, 0, 10_000_000).iter().sum();
            let most = 10 * RATE + RATE / 25 + PART;
            assert!((10 * RATE * 99 / 100..=most).contains(&sent), "{sent}");
        }
    }

    #[test]
    fn classes_get_the_same_however_many_wait_in_them() {
        let mut bucket = Bucket::new(RATE, 0);
        let many = [Class::Iroh, Class::Iroh, Class::Iroh, Class::Http];
        let got = greedy(&mut bucket, &many, 0, 10_000_000);
        let (iroh, http) = (got[0] + got[1] + got[2], got[3]);
        assert!(iroh.abs_diff(http) <= 4 * PART, "{got:?}");
    }

    #[test]
    fn a_class_that_was_idle_has_no_claim_on_the_past() {
        let mut bucket = Bucket::new(RATE, 0);
        greedy(&mut bucket, &[Class::Iroh], 0, 10_000_000);
        let iroh_waits = 7;
        assert!(!bucket.ask(iroh_waits, Class::Iroh, Size::Bulk, PART, 10_000_000));
        bucket.leave(iroh_waits);
        let got = greedy(
            &mut bucket,
            &[Class::Iroh, Class::Http],
            10_000_000,
            10_000_000,
        );
        assert!(got[0].abs_diff(got[1]) <= 4 * PART, "{got:?}");
    }

    #[test]
    fn the_small_go_before_the_bulk_of_their_class() {
        let mut bucket = Bucket::new(RATE, 0);
        bucket.note(RATE / 10, 0);
        assert!(!bucket.ask(1, Class::Http, Size::Bulk, PART, 0));
        assert!(!bucket.ask(2, Class::Http, Size::Small, PART, 0));
        assert_eq!(bucket.due(200_000), [2, 1]);
    }

    #[test]
    fn everyone_waits_for_what_was_moved_without_asking() {
        let mut bucket = Bucket::new(RATE, 0);
        bucket.note(2 * RATE, 0);
        assert!(!bucket.ask(1, Class::Iroh, Size::Bulk, 1, 0));
        assert!(bucket.due(1_999_999).is_empty());
        assert_eq!(bucket.pause_us(1_999_999), Some(2));
        assert_eq!(bucket.due(2_000_001), [1]);
        assert_eq!(bucket.pause_us(2_000_001), None);
    }

    #[test]
    fn debts_and_hoards_are_bounded() {
        let mut bucket = Bucket::new(RATE, 0);
        bucket.note(u64::MAX, 0);
        assert!(!bucket.ask(0, Class::Http, Size::Bulk, 1, 0));
        assert_eq!(bucket.pause_us(0), Some(DEBT_US + 1));
        // A lower rate doesn't make an old debt last longer.
        bucket.set_rate(RATE / 10, 0);
        assert_eq!(bucket.pause_us(0), Some(DEBT_US + 1));
        bucket.leave(0);
        let late_us = 1_000_000_000;
        assert!(bucket.ask(
            1,
            Class::Http,
            Size::Bulk,
            RATE / 10 * BURST_US / 1_000_000,
            late_us
        ));
        assert!(!bucket.ask(2, Class::Http, Size::Bulk, 1, late_us));
    }

    #[test]
    fn what_is_given_back_may_go() {
        let mut bucket = Bucket::new(RATE, 0);
        assert!(bucket.ask(1, Class::Http, Size::Bulk, 1_000, 1_000));
        assert!(!bucket.ask(2, Class::Http, Size::Bulk, 1_000, 1_000));
        bucket.give_back(500);
        assert_eq!(bucket.due(1_000), [2]);
    }

    #[test]
    fn without_a_cap_nobody_waits() {
        let mut bucket = Bucket::new(0, 0);
        bucket.note(u64::MAX, 0);
        assert!(bucket.ask(1, Class::Http, Size::Bulk, u64::MAX, 0));
        // Nor do those who waited when there was one.
        bucket.set_rate(1, 0);
        assert!(!bucket.ask(2, Class::Http, Size::Bulk, 1, 0));
        bucket.set_rate(0, 0);
        assert_eq!(bucket.due(0), [2]);
    }

    #[test]
    fn who_left_is_not_named() {
        let mut bucket = Bucket::new(RATE, 0);
        bucket.note(1, 0);
        assert!(!bucket.ask(1, Class::Http, Size::Bulk, 1, 0));
        bucket.leave(1);
        assert_eq!(bucket.pause_us(0), None);
        assert!(bucket.due(1_000_000).is_empty());
    }
}
