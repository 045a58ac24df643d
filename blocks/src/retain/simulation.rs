//! Mirrors of one space with small quotas, that learn late who holds what.
#![allow(clippy::unwrap_used)]

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::*;

const STEP_MS: u64 = 10_000;
/// Steps until a statement has reached everybody.
const LATE: usize = 3;

/// Holds everything, and is no mirror.
const AUTHOR: EndpointKey = EndpointKey::from_bytes([255; 32]);

struct Item {
    bytes: u64,
    score: i64,
}

struct Mirror {
    key: EndpointKey,
    room_bytes: u64,
    held: BTreeSet<usize>,
    retention: Retention,
    /// What is coming, and at which step it is here.
    coming: BTreeMap<usize, usize>,
    is_up: bool,
}

struct World {
    items: Vec<Item>,
    names: BTreeMap<BlobId, usize>,
    mirrors: Vec<Mirror>,
    /// Copies that mirrors are to hold, besides the author's.
    copies: u32,
    /// Who said at each step what he holds.
    said: Vec<BTreeMap<EndpointKey, BTreeSet<usize>>>,
    fetched_bytes: u64,
    dropped: usize,
    random: ChaCha8Rng,
}

fn name(item: usize) -> BlobId {
    BlobId::of(&item.to_le_bytes())
}

impl World {
    fn new(seed: u64, items: usize, mirrors: usize, copies: u32, load_percent: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let items: Vec<Item> = (0..items)
            .map(|_| Item {
                bytes: 1_000 + random.next_u64() % 50_000,
                score: i64::try_from(random.next_u64() % 100).unwrap(),
            })
            .collect();
        let needed_bytes: u64 =
            items.iter().map(|item| item.bytes).sum::<u64>() * u64::from(copies);
        let room_bytes = needed_bytes * 100 / load_percent / mirrors as u64;
        let mirrors = (0..mirrors)
            .map(|n| Mirror {
                key: EndpointKey::from_bytes([u8::try_from(n).unwrap(); 32]),
                // Some have twice the room of others.
                room_bytes: room_bytes * 2 / 3 * (1 + n as u64 % 2),
                held: BTreeSet::new(),
                retention: Retention::default(),
                coming: BTreeMap::new(),
                is_up: true,
            })
            .collect();
        Self {
            names: (0..items.len()).map(|item| (name(item), item)).collect(),
            items,
            mirrors,
            copies,
            said: Vec::new(),
            fetched_bytes: 0,
            dropped: 0,
            random,
        }
    }

    /// What was known of the others a little while ago.
    fn known(&self) -> BTreeMap<EndpointKey, BTreeSet<usize>> {
        let at = self.said.len().saturating_sub(LATE);
        self.said.get(at).cloned().unwrap_or_default()
    }

    fn step(&mut self) {
        let step = self.said.len();
        let now_ms = step as u64 * STEP_MS;
        let known = self.known();
        let mut mirrors = std::mem::take(&mut self.mirrors);
        for mirror in mirrors.iter_mut().filter(|mirror| mirror.is_up) {
            let here: Vec<usize> = mirror
                .coming
                .iter()
                .filter(|(_, at)| **at <= step)
                .map(|(item, _)| *item)
                .collect();
            for item in here {
                mirror.coming.remove(&item);
                mirror.held.insert(item);
                self.fetched_bytes += self.items[item].bytes;
            }
            self.decide(mirror, &known, step, now_ms);
        }
        let said = mirrors
            .iter()
            .filter(|mirror| mirror.is_up)
            .map(|mirror| (mirror.key, mirror.held.clone()))
            .collect();
        self.said.push(said);
        self.mirrors = mirrors;
    }

    fn decide(
        &mut self,
        mirror: &mut Mirror,
        known: &BTreeMap<EndpointKey, BTreeSet<usize>>,
        step: usize,
        now_ms: u64,
    ) {
        let space = SpaceId::of(b"s");
        let others = known.iter().filter(|(key, _)| **key != mirror.key);
        let holders = |item: usize| {
            let holders = others.clone().filter(move |(_, held)| held.contains(&item));
            holders.map(|(key, _)| *key)
        };
        let names: Vec<BlobId> = (0..self.items.len()).map(name).collect();
        let candidates: Vec<Candidate> = (0..self.items.len())
            .map(|item| Candidate {
                blob: names[item],
                bytes: self.items[item].bytes,
                rule: 0,
                space,
                score: self.items[item].score,
                last_ms: item as u64,
                others: holders(item).chain([AUTHOR]).collect(),
                is_held: mirror.held.contains(&item),
                is_pinned: false,
            })
            .collect();
        let rules = [Bounds {
            max_bytes: 0,
            replicas: self.copies + 1,
            is_by_score: true,
        }];
        let mirrors = BTreeMap::from([(space, known.keys().copied().collect())]);
        let view = View {
            own: mirror.key,
            rules: &rules,
            room_bytes: mirror.room_bytes,
            mirrors: &mirrors,
            max_fetches: 4,
        };
        let plan = mirror.retention.plan(&candidates, &view, now_ms);
        let item_of = |blob: &BlobId| self.names.get(blob).copied();
        let dropped: Vec<usize> = plan.drop.iter().filter_map(item_of).collect();
        let wanted: Vec<usize> = plan.fetch.iter().filter_map(item_of).collect();
        for item in dropped {
            mirror.held.remove(&item);
            self.dropped += 1;
        }
        mirror.coming.retain(|item, _| wanted.contains(item));
        for item in wanted {
            let steps = 1 + usize::try_from(self.random.next_u64() % 4).unwrap();
            mirror.coming.entry(item).or_insert(step + steps);
        }
        let held_bytes: u64 = mirror.held.iter().map(|item| self.items[*item].bytes).sum();
        assert!(held_bytes <= mirror.room_bytes, "a mirror is over its room");
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
    }

    fn copies_of(&self, item: usize) -> usize {
        let up = self.mirrors.iter().filter(|mirror| mirror.is_up);
        up.filter(|mirror| mirror.held.contains(&item)).count()
    }

    fn needed_bytes(&self) -> u64 {
        self.items.iter().map(|item| item.bytes).sum::<u64>() * u64::from(self.copies)
    }

    fn everything_has_its_copies(&self) -> bool {
        (0..self.items.len()).all(|item| self.copies_of(item) >= self.copies as usize)
    }

    /// Nothing comes or goes any longer.
    fn is_quiet(&mut self) -> bool {
        let before = (self.fetched_bytes, self.dropped);
        self.run(120);
        before == (self.fetched_bytes, self.dropped)
    }
}

#[test]
fn ten_mirrors_with_small_quotas_reach_the_copies_of_everything_that_fits() {
    for seed in 0..4 {
        let mut world = World::new(seed, 80, 10, 3, 85);
        world.run(400);
        assert!(world.everything_has_its_copies(), "seed {seed}");
        let excess = world.fetched_bytes as f64 / world.needed_bytes() as f64;
        assert!(
            excess < 1.5,
            "seed {seed}: fetched {excess} of what is needed"
        );
        assert!(world.is_quiet(), "seed {seed}");
    }
}

#[test]
fn mirrors_that_leave_are_made_up_for() {
    for seed in 0..2 {
        let mut world = World::new(seed, 60, 10, 3, 60);
        world.run(300);
        assert!(world.everything_has_its_copies(), "seed {seed}");
        for gone in [1, 4] {
            world.mirrors[gone].is_up = false;
        }
        world.run(400);
        assert!(world.everything_has_its_copies(), "seed {seed}");
        assert!(world.is_quiet(), "seed {seed}");
    }
}

#[test]
fn when_not_everything_fits_the_best_has_its_copies() {
    for seed in 0..2 {
        let mut world = World::new(seed, 60, 10, 3, 200);
        world.run(600);
        let mut by_score: Vec<usize> = (0..world.items.len()).collect();
        by_score.sort_by_key(|item| std::cmp::Reverse(world.items[*item].score));
        let best = &by_score[..by_score.len() / 3];
        for item in best {
            assert!(
                world.copies_of(*item) >= 3,
                "seed {seed}, {}",
                world.items[*item].score
            );
        }
        assert!(world.is_quiet(), "seed {seed}");
    }
}

#[test]
fn a_world_of_one_seed_goes_one_way() {
    let trace = || {
        let mut world = World::new(7, 40, 5, 2, 90);
        world.run(200);
        let held: Vec<_> = world
            .mirrors
            .iter()
            .map(|mirror| mirror.held.clone())
            .collect();
        (held, world.fetched_bytes, world.dropped)
    };
    assert_eq!(trace(), trace());
}
