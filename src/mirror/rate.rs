//! How many questions a peer may put: pure, the clock is handed in.

use std::collections::BTreeMap;

use model::EndpointKey;

/// Peers remembered; whoever was silent for longest is forgotten first.
const PEERS: usize = 4_096;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ranges, and statements of what is held.
    Look,
    /// To keep something: it is written down.
    Request,
}

impl Kind {
    /// At once, and one more each so many milliseconds.
    fn allowance(self) -> (u64, u64) {
        match self {
            Self::Look => (64, 250),
            Self::Request => (16, 4_000),
        }
    }
}

/// When each peer's questions will all have been made up for, Unix milliseconds.
#[derive(Debug, Default)]
pub struct Rates {
    by_peer: BTreeMap<EndpointKey, [u64; 2]>,
}

impl Rates {
    /// Lets a question pass, or tells how many milliseconds to wait.
    ///
    /// # Errors
    /// When the peer asked too often.
    pub fn take(&mut self, peer: EndpointKey, kind: Kind, now_ms: u64) -> Result<(), u64> {
        if self.by_peer.len() >= PEERS && !self.by_peer.contains_key(&peer) {
            let quietest = self
                .by_peer
                .iter()
                .min_by_key(|(_, until)| until.iter().max());
            if let Some(quietest) = quietest.map(|(peer, _)| *peer) {
                self.by_peer.remove(&quietest);
            }
        }
        let (burst, each_ms) = kind.allowance();
        let until_ms = &mut self.by_peer.entry(peer).or_default()[kind as usize];
        let next_ms = (*until_ms).max(now_ms) + each_ms;
        let latest_ms = now_ms + burst * each_ms;
        if next_ms > latest_ms {
            return Err(next_ms - latest_ms);
        }
        *until_ms = next_ms;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn peer(number: u64) -> EndpointKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        EndpointKey::from_bytes(bytes)
    }

    #[test]
    fn who_asks_too_often_waits_and_others_do_not() {
        let mut rates = Rates::default();
        for _ in 0..16 {
            rates.take(peer(1), Kind::Request, 1_000).unwrap();
        }
        assert_eq!(rates.take(peer(1), Kind::Request, 1_000), Err(4_000));
        assert_eq!(rates.take(peer(1), Kind::Request, 4_999), Err(1));
        assert_eq!(rates.take(peer(1), Kind::Look, 1_000), Ok(()));
        assert_eq!(rates.take(peer(2), Kind::Request, 1_000), Ok(()));
        assert_eq!(rates.take(peer(1), Kind::Request, 5_000), Ok(()));
        assert!(rates.take(peer(1), Kind::Request, 5_000).is_err());
    }

    #[test]
    fn a_crowd_takes_no_more_memory() {
        let mut rates = Rates::default();
        for number in 0..10_000 {
            rates.take(peer(number), Kind::Look, number).unwrap();
        }
        assert_eq!(rates.by_peer.len(), PEERS);
    }
}
