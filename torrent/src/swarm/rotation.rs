//! Whose turn it is to be in the session. Pure: the clock comes in, decisions go out.

use std::collections::BTreeMap;

use crate::InfoHash;

/// How long a torrent stays in before it gives its place to one that waits, ms.
pub(super) const TURN_MS: u64 = 15 * 60 * 1000;
/// How long a torrent that was asked for, or served bytes, isn't put out for one that wasn't, ms.
pub(super) const DEMAND_MS: u64 = 30 * 60 * 1000;
/// As many torrents change places at once when nobody asks for them.
pub(super) const MAX_SWAPS: usize = 16;
/// Peers that hold it above which a torrent isn't less rare.
const COMMON: u32 = 16;

/// Places in the session, and who has them.
#[derive(Debug)]
pub(super) struct Rotation {
    max_live: usize,
    torrents: BTreeMap<InfoHash, Place>,
}

#[derive(Debug, Default)]
struct Place {
    rarity: u32,
    live_since_ms: Option<u64>,
    left_ms: Option<u64>,
    demand_ms: Option<u64>,
}

/// Who goes, then who comes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Out of the session.
    pub(super) leave: Vec<InfoHash>,
    /// Into the session.
    pub(super) enter: Vec<InfoHash>,
}

impl Place {
    fn is_wanted(&self, now_ms: u64) -> bool {
        let until = self.demand_ms.map(|at| at.saturating_add(DEMAND_MS));
        until.is_some_and(|until| until > now_ms)
    }

    /// When its turn is due: the rarer, the sooner after the last one, so that all get one.
    fn due_ms(&self) -> u64 {
        let turns = u64::from(self.rarity.min(COMMON));
        self.left_ms
            .unwrap_or(0)
            .saturating_add(turns.saturating_mul(TURN_MS))
    }
}

impl Rotation {
    /// With as many places; at least one.
    pub(super) fn new(max_live: usize) -> Self {
        Self {
            max_live: max_live.max(1),
            torrents: BTreeMap::new(),
        }
    }

    /// Takes part from now on, or is as rare as this now.
    pub(super) fn offer(&mut self, infohash: InfoHash, rarity: u32) {
        self.torrents.entry(infohash).or_default().rarity = rarity;
    }

    /// Takes no part any more.
    pub(super) fn withdraw(&mut self, infohash: InfoHash) {
        self.torrents.remove(&infohash);
    }

    /// It was asked for, or served bytes.
    pub(super) fn demand(&mut self, infohash: InfoHash, now_ms: u64) {
        if let Some(place) = self.torrents.get_mut(&infohash) {
            place.demand_ms = Some(now_ms);
        }
    }

    /// It isn't in: it couldn't come, or was put out. It goes to the end of the queue.
    pub(super) fn is_out(&mut self, infohash: InfoHash, now_ms: u64) {
        if let Some(place) = self.torrents.get_mut(&infohash) {
            place.live_since_ms = None;
            place.left_ms = Some(now_ms);
        }
    }

    /// All leave.
    pub(super) fn clear(&mut self, now_ms: u64) -> Turn {
        let live = self.torrents.iter_mut();
        let live = live.filter(|(_, place)| place.live_since_ms.is_some());
        let leave = live.map(|(infohash, place)| {
            place.live_since_ms = None;
            place.left_ms = Some(now_ms);
            *infohash
        });
        Turn {
            leave: leave.collect(),
            enter: Vec::new(),
        }
    }

    /// Decides who changes places now, and takes it as done.
    pub(super) fn turn(&mut self, now_ms: u64) -> Turn {
        let mut turn = Turn::default();
        let mut waiting = self.waiting(now_ms).into_iter();
        let mut leavers = self.leavers(now_ms).into_iter().peekable();
        let live = self.torrents.values();
        let live = live.filter(|place| place.live_since_ms.is_some()).count();
        let free = self.max_live.saturating_sub(live);
        turn.enter.extend(waiting.by_ref().take(free));
        let mut swaps = 0;
        for infohash in waiting {
            let Some(leaver) = leavers.peek() else {
                break;
            };
            let wanted = self.torrents[&infohash].is_wanted(now_ms);
            if !self.gives_way(*leaver, infohash, now_ms) || (!wanted && swaps == MAX_SWAPS) {
                break;
            }
            swaps += usize::from(!wanted);
            turn.leave.extend(leavers.next());
            turn.enter.push(infohash);
        }
        for infohash in &turn.leave {
            self.is_out(*infohash, now_ms);
        }
        for infohash in &turn.enter {
            if let Some(place) = self.torrents.get_mut(infohash) {
                place.live_since_ms = Some(now_ms);
            }
        }
        turn
    }

    /// Those that are out, who comes first first.
    fn waiting(&self, now_ms: u64) -> Vec<InfoHash> {
        let out = self.torrents.iter();
        let mut out: Vec<_> = out
            .filter(|(_, place)| place.live_since_ms.is_none())
            .collect();
        out.sort_by_key(|(infohash, place)| {
            let wanted = place.is_wanted(now_ms);
            let demand_ms = place.demand_ms.filter(|_| wanted);
            let latest_first = u64::MAX - demand_ms.unwrap_or(0);
            (latest_first, place.due_ms(), **infohash)
        });
        out.into_iter().map(|(infohash, _)| *infohash).collect()
    }

    /// Those that are in, who goes first first.
    fn leavers(&self, now_ms: u64) -> Vec<InfoHash> {
        let live = self.torrents.iter();
        let mut live: Vec<_> = live
            .filter(|(_, place)| place.live_since_ms.is_some())
            .collect();
        live.sort_by_key(|(infohash, place)| {
            let demand_ms = place.demand_ms.filter(|_| place.is_wanted(now_ms));
            (demand_ms, place.live_since_ms, **infohash)
        });
        live.into_iter().map(|(infohash, _)| *infohash).collect()
    }

    fn gives_way(&self, live: InfoHash, waiting: InfoHash, now_ms: u64) -> bool {
        let (live, waiting) = (&self.torrents[&live], &self.torrents[&waiting]);
        if waiting.is_wanted(now_ms) {
            return !live.is_wanted(now_ms) || live.demand_ms < waiting.demand_ms;
        }
        let since = live.live_since_ms.unwrap_or(now_ms);
        !live.is_wanted(now_ms) && now_ms.saturating_sub(since) >= TURN_MS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id(number: u8) -> InfoHash {
        InfoHash::from_bytes([number; InfoHash::BYTES])
    }

    fn offered(max_live: usize, rarities: &[u32]) -> Rotation {
        let mut rotation = Rotation::new(max_live);
        for (number, rarity) in (0..).zip(rarities) {
            rotation.offer(id(number), *rarity);
        }
        rotation
    }

    fn turn(leave: &[u8], enter: &[u8]) -> Turn {
        let ids = |numbers: &[u8]| numbers.iter().copied().map(id).collect();
        Turn {
            leave: ids(leave),
            enter: ids(enter),
        }
    }

    #[test]
    fn all_are_in_while_there_is_room() {
        let mut rotation = offered(3, &[9, 0, 3]);
        assert_eq!(rotation.turn(0), turn(&[], &[1, 2, 0]));
        assert_eq!(rotation.turn(TURN_MS * 9), Turn::default());
        rotation.withdraw(id(1));
        rotation.offer(id(7), 0);
        assert_eq!(rotation.turn(TURN_MS * 9), turn(&[], &[7]));
    }

    #[test]
    fn the_rare_come_first_and_all_have_their_turn() {
        let mut rotation = offered(1, &[3, 0, 1]);
        assert_eq!(rotation.turn(0), turn(&[], &[1]));
        assert_eq!(rotation.turn(TURN_MS - 1), Turn::default());
        assert_eq!(rotation.turn(TURN_MS), turn(&[1], &[2]));
        let mut seen = BTreeSet::new();
        for round in 2..20 {
            seen.extend(rotation.turn(TURN_MS * round).enter);
        }
        assert_eq!(seen, (0..3).map(id).collect());
    }

    #[test]
    fn what_is_asked_for_comes_at_once() {
        let mut rotation = offered(2, &[0, 0, 9, 9]);
        assert_eq!(rotation.turn(0), turn(&[], &[0, 1]));
        rotation.demand(id(3), 10);
        assert_eq!(rotation.turn(10), turn(&[0], &[3]));
        rotation.demand(id(2), 20);
        assert_eq!(rotation.turn(20), turn(&[1], &[2]));
        rotation.demand(id(0), 30);
        assert_eq!(rotation.turn(30), turn(&[3], &[0]));
        assert_eq!(rotation.turn(31), Turn::default(), "3 asked earlier than 2");
    }

    #[test]
    fn what_serves_bytes_stays() {
        let mut rotation = offered(2, &[0, 0, 0]);
        rotation.turn(0);
        rotation.demand(id(0), TURN_MS - 1);
        assert_eq!(rotation.turn(TURN_MS), turn(&[1], &[2]));
        let later = TURN_MS - 1 + DEMAND_MS;
        assert_eq!(rotation.turn(later), turn(&[0], &[1]));
    }

    #[test]
    fn few_change_places_at_once() {
        let many = u8::try_from(MAX_SWAPS * 2).unwrap();
        let mut rotation = Rotation::new(usize::from(many));
        for number in 0..many * 2 {
            rotation.offer(id(number), 0);
        }
        assert_eq!(rotation.turn(0).enter.len(), usize::from(many));
        let swap = rotation.turn(TURN_MS);
        assert_eq!([swap.leave.len(), swap.enter.len()], [MAX_SWAPS; 2]);
    }

    #[test]
    fn what_could_not_come_waits_behind_the_others() {
        let mut rotation = offered(1, &[0, 0]);
        assert_eq!(rotation.turn(1), turn(&[], &[0]));
        rotation.is_out(id(0), 1);
        assert_eq!(rotation.turn(2), turn(&[], &[1]));
        assert_eq!(rotation.clear(3), turn(&[1], &[]));
        assert_eq!(rotation.turn(4), turn(&[], &[0]));
    }
}
