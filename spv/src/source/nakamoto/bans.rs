//! Peers that lied.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a liar is left out.
const BAN: Duration = Duration::from_secs(3_600);
/// Liars that are remembered; the one that was first makes room.
const MAX_BANS: usize = 512;

/// Who is not spoken to for a while. Clones are the same list; it outlives restarts.
#[derive(Clone, Debug, Default)]
pub(super) struct Bans(Arc<Mutex<BTreeMap<SocketAddr, Instant>>>);

impl Bans {
    pub(super) fn add(&self, peer: SocketAddr) {
        let mut bans = self.bans();
        if bans.len() >= MAX_BANS && !bans.contains_key(&peer) {
            let first = bans.iter().min_by_key(|(_, since)| **since);
            if let Some(first) = first.map(|(peer, _)| *peer) {
                bans.remove(&first);
            }
        }
        bans.insert(peer, Instant::now());
    }

    pub(super) fn holds(&self, peer: &SocketAddr) -> bool {
        let mut bans = self.bans();
        let Some(since) = bans.get(peer) else {
            return false;
        };
        if since.elapsed() < BAN {
            return true;
        }
        bans.remove(peer);
        false
    }

    fn bans(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_liars_is_bounded_and_keeps_the_last() {
        let bans = Bans::default();
        for port in 0..=MAX_BANS {
            bans.add(([127, 0, 0, 1], u16::try_from(port).unwrap()).into());
        }
        assert_eq!(bans.bans().len(), MAX_BANS);
        assert!(!bans.holds(&([127, 0, 0, 1], 0).into()));
        assert!(bans.holds(&([127, 0, 0, 1], 512).into()));
    }
}
