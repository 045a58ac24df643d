//! How many blocks are asked for at once.

use std::time::{Duration, Instant};

use super::wire::BLOCK_BYTES;

/// At least as many blocks are asked for.
const MIN_BLOCKS: u32 = 16;
/// At most as many, whatever the peer takes.
const MAX_BLOCKS: u32 = 1024;
/// As many a peer takes that doesn't say (libtorrent assumes the same).
const USUAL_BLOCKS: u32 = 250;
/// The peer shall have work for this long. It has to be more than what lies between a request and
/// its answer, or the window would shrink for ever: Transmission answers every half second. More
/// would delay what is asked for next.
const QUEUE: Duration = Duration::from_secs(1);
/// The rate is measured over this long.
const MIN_PERIOD: Duration = Duration::from_millis(50);

/// Follows the rate at which blocks come: as long as asking for more makes more come, it grows with
/// every round trip; then it stays at what keeps the peer busy.
#[derive(Debug)]
pub(super) struct Window {
    /// As many the peer takes.
    limit: u32,
    bytes_per_s: u64,
    /// When the period began that is being measured.
    since: Option<Instant>,
    bytes: u64,
    /// Whether it held requests back in this period: only then less than before means a slower
    /// peer.
    was_full: bool,
}

impl Window {
    pub fn new() -> Self {
        Self {
            limit: USUAL_BLOCKS,
            bytes_per_s: 0,
            since: None,
            bytes: 0,
            was_full: false,
        }
    }

    /// As many blocks may be asked for and not be there yet.
    pub fn blocks(&self) -> usize {
        let bytes = u128::from(self.bytes_per_s) * QUEUE.as_millis() / 1000;
        let blocks = u32::try_from(bytes / u128::from(BLOCK_BYTES)).unwrap_or(MAX_BLOCKS);
        blocks.max(MIN_BLOCKS).min(self.limit) as usize
    }

    /// The peer says how many requests it takes. It is not asked for quite as many: Transmission
    /// refuses the last one that it says it takes, and tells only ten seconds later.
    pub fn set_limit(&mut self, requests: u32) {
        self.limit = (requests - requests / 8).clamp(1, MAX_BLOCKS);
    }

    /// A block is asked for.
    pub fn asked(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// A block isn't asked for because as many already are.
    pub fn held_back(&mut self) {
        self.was_full = true;
    }

    /// Nothing is asked for: what comes later is measured on its own.
    pub fn idle(&mut self) {
        self.since = None;
        self.bytes = 0;
        self.was_full = false;
    }

    /// A block came.
    pub fn arrived(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes as u64;
        let since = *self.since.get_or_insert(now);
        let took = now.saturating_duration_since(since);
        if took < MIN_PERIOD {
            return;
        }
        let sample = u128::from(self.bytes) * 1_000_000 / took.as_micros().max(1);
        let sample = u64::try_from(sample).unwrap_or(u64::MAX);
        if sample > self.bytes_per_s {
            self.bytes_per_s = sample;
        } else if self.was_full {
            self.bytes_per_s -= (self.bytes_per_s - sample) / 4;
        }
        self.since = Some(now);
        self.bytes = 0;
        self.was_full = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a peer of this rate and round trip for as long, and gives the window and the rate of
    /// the last second.
    fn run(bytes_per_s: u64, round_trip: Duration, limit: u32) -> (usize, u64) {
        let start = Instant::now();
        let (mut now, mut window) = (start, Window::new());
        window.set_limit(limit);
        let block_time = Duration::from_nanos(1_000_000_000 * u64::from(BLOCK_BYTES) / bytes_per_s);
        let (mut free_at, mut late) = (now, 0);
        let mut flight = std::collections::VecDeque::new();
        let end = start + Duration::from_secs(8);
        while now < end {
            while flight.len() < window.blocks() {
                free_at = free_at.max(now + round_trip / 2) + block_time;
                flight.push_back(free_at + round_trip / 2);
                window.asked(now);
            }
            window.held_back();
            now = flight.pop_front().unwrap();
            window.arrived(BLOCK_BYTES as usize, now);
            late += u64::from(now + Duration::from_secs(1) > end) * u64::from(BLOCK_BYTES);
        }
        (window.blocks(), late)
    }

    #[test]
    fn a_window_fills_the_way_to_the_peer() {
        for (mib_per_s, round_trip_ms) in [(1, 1), (10, 20), (100, 1), (100, 100), (10, 500)] {
            let bytes_per_s = mib_per_s << 20;
            let round_trip = Duration::from_millis(round_trip_ms);
            let (blocks, late) = run(bytes_per_s, round_trip, MAX_BLOCKS);
            let name = format!("{mib_per_s} MiB/s, {round_trip_ms} ms: {blocks} blocks, {late}");
            assert!(late * 10 > bytes_per_s * 9, "{name}");
            let needed = bytes_per_s * round_trip_ms / 1000 / u64::from(BLOCK_BYTES);
            assert!(blocks as u64 >= needed, "{name}");
        }
    }

    #[test]
    fn a_slow_peer_gets_no_long_queue() {
        let (blocks, _) = run(1 << 20, Duration::from_millis(10), MAX_BLOCKS);
        assert!(blocks < 80, "{blocks}");
        let (blocks, _) = run(20 << 10, Duration::from_millis(10), MAX_BLOCKS);
        assert_eq!(blocks, MIN_BLOCKS as usize);
    }

    #[test]
    fn no_more_than_the_peer_takes() {
        for (limit, expected) in [(0, 1), (5, 5), (512, 448), (u32::MAX, MAX_BLOCKS)] {
            let (blocks, _) = run(1 << 30, Duration::from_millis(100), limit);
            assert_eq!(blocks, expected as usize);
        }
    }
}
