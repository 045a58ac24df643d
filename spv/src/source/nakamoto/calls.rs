//! When peers that were given are called again.
//!
//! `nakamoto` calls them again by itself, but loses sight of it when another of its timers is
//! near, and waits for up to an hour.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long after a peer is first missed it is called.
const FIRST: Duration = Duration::from_secs(2);
/// The longest between two calls.
const LONGEST: Duration = Duration::from_secs(60);

/// Peers that are to be connected, and when to call those that aren't.
#[derive(Debug)]
pub(super) struct Calls {
    given: Vec<SocketAddr>,
    missing: BTreeMap<SocketAddr, Call>,
}

#[derive(Debug)]
struct Call {
    due: Instant,
    pause: Duration,
}

impl Calls {
    pub(super) fn new(given: Vec<SocketAddr>) -> Self {
        Self {
            given,
            missing: BTreeMap::new(),
        }
    }

    /// Whom to call now.
    pub(super) fn due(&mut self, connected: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let mut due = Vec::new();
        for peer in &self.given {
            if connected.contains(peer) {
                self.missing.remove(peer);
                continue;
            }
            let call = self.missing.entry(*peer).or_insert(Call {
                due: now + FIRST,
                pause: FIRST,
            });
            if call.due <= now {
                call.pause = (call.pause * 2).min(LONGEST);
                call.due = now + call.pause;
                due.push(*peer);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_missing_is_called_less_and_less_often_and_at_once_when_missed_anew() {
        let peers: Vec<SocketAddr> = [1, 2].map(|port| ([127, 0, 0, 1], port).into()).to_vec();
        let mut calls = Calls::new(peers.clone());
        let start = Instant::now();
        let mut called = Vec::new();
        for second in 0..200 {
            let now = start + Duration::from_secs(second);
            if calls.due(&peers[..1], now) == peers[1..] {
                called.push(second);
            }
        }
        assert_eq!(called, [2, 6, 14, 30, 62, 122, 182]);
        let now = start + Duration::from_secs(200);
        assert!(calls.due(&peers, now).is_empty());
        assert!(calls.due(&peers[..1], now).is_empty());
        assert_eq!(calls.due(&peers[..1], now + FIRST), peers[1..]);
    }
}
