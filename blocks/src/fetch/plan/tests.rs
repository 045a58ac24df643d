use std::time::Duration;

use super::{
    Spans,
    simulation::{BULK, Behaviour, World},
};

const MIB: u64 = 1 << 20;
/// Groups of a MiB.
const PER_MIB: u64 = 64;
const LONG: Duration = Duration::from_secs(600);

/// How long it takes to get so many MiB from such sources.
fn finish(mib: u64, sources: &[Behaviour]) -> Duration {
    let mut world = World::new(0, mib * PER_MIB);
    for (id, behaviour) in (0..).zip(sources) {
        world.join(id, behaviour.clone());
    }
    world.want_all();
    assert!(world.run(LONG, World::is_done));
    assert_few_duplicates(&world);
    world.now
}

fn assert_few_duplicates(world: &World) {
    let (delivered, duplicates) = world.plan.counts();
    assert!(
        duplicates * 10 <= delivered,
        "{duplicates} groups came again, {delivered} once"
    );
}

#[test]
fn five_equal_sources_are_nearly_five_times_as_fast_as_one() {
    let one = Behaviour::of_rate(4 * MIB);
    let alone = finish(64, std::slice::from_ref(&one));
    let all = finish(64, &vec![one; 5]);
    assert!(alone < Duration::from_millis(16_500), "{alone:?}");
    assert!(all * 4 < alone, "{all:?} against {alone:?}");
}

#[test]
fn a_fetch_ends_when_the_fast_ones_are_done_and_not_when_the_slowest_is() {
    let fast = Behaviour::of_rate(10 * MIB);
    let slow = Behaviour::of_rate(16 << 10);
    let took = finish(32, &[fast.clone(), fast, slow.clone(), slow]);
    assert!(took < Duration::from_millis(2_100), "{took:?}");
}

#[test]
fn a_kill_half_way_costs_little_more_than_the_share_of_the_killed() {
    let one = Behaviour::of_rate(4 * MIB);
    let mut fastest = one.clone();
    fastest.rate = 5 * MIB;
    let mut sources = vec![one; 4];
    sources.push(fastest);
    let whole = finish(128, &sources);
    for is_loud in [false, true] {
        sources[4].dies = Some(whole / 2);
        sources[4].dies_loudly = is_loud;
        let killed = finish(128, &sources);
        assert!(killed < whole * 5 / 4, "{killed:?} against {whole:?}");
    }
}

#[test]
fn a_reader_notices_little_when_the_source_it_reads_from_dies() {
    for is_alone in [true, false] {
        let mut world = World::new(0, 64 * PER_MIB);
        for id in 0..3 {
            world.join(id, Behaviour::of_rate((4 * MIB) >> id));
        }
        if !is_alone {
            world.want_all();
        }
        world.play(0, 5 * MIB / 4);
        world.run(Duration::from_secs(10), |_| false);
        world.kill(0);
        let ended = |world: &World| world.player.as_ref().unwrap().at == 64 * PER_MIB;
        assert!(world.run(LONG, ended));
        assert_few_duplicates(&world);
        let player = world.player.unwrap();
        let longest = player.stalls.iter().max().copied().unwrap_or_default();
        assert!(longest < Duration::from_secs(1), "{longest:?}");
        let first = player.first_byte.unwrap();
        assert!(first < Duration::from_millis(60), "{first:?}");
    }
}

#[test]
fn the_first_byte_of_a_reader_does_not_wait_for_what_is_merely_stored() {
    for in_order in [false, true] {
        let mut world = World::new(0, 256 * PER_MIB);
        for id in 0..3 {
            let mut behaviour = Behaviour::of_rate(4 * MIB);
            behaviour.in_order = in_order;
            world.join(id, behaviour);
        }
        world.want_all();
        world.run(Duration::from_secs(5), |_| false);
        for at in [100 * PER_MIB, 200 * PER_MIB, 130 * PER_MIB, 0] {
            // At last, into the middle of what is on its way without haste.
            let first_gap = world.plan.held().gaps(&(0..world.groups)).next();
            let at = if at == 0 {
                first_gap.unwrap().start + 100
            } else {
                at
            };
            world.play(at, MIB);
            let began = |world: &World| world.player.as_ref().unwrap().first_byte.is_some();
            assert!(world.run(LONG, began));
            let first = world.player.as_ref().unwrap().first_byte.unwrap();
            assert!(
                first < Duration::from_millis(250),
                "{in_order} {at} {first:?}"
            );
            let until = world.now + Duration::from_secs(1);
            world.run(until, |_| false);
        }
        assert!(world.run(LONG, World::is_done));
        assert_few_duplicates(&world);
    }
}

#[test]
fn what_is_rare_comes_first() {
    let groups = 16 * PER_MIB;
    let mut world = World::new(0, groups);
    let rare = Spans::one(groups - PER_MIB..groups);
    for id in 0..4 {
        let mut common = Behaviour::of_rate(MIB);
        common.has = Some(Spans::one(0..groups - PER_MIB));
        world.join(id, common);
    }
    world.join(9, Behaviour::of_rate(MIB));
    world.want_all();
    world.run(Duration::from_secs(2), |_| false);
    assert!(world.plan.held().covers(&rare.all().next().unwrap()));
    assert!(world.run(LONG, World::is_done));
}

#[test]
fn nobody_waits_for_bytes_that_nobody_has() {
    let mut world = World::new(0, 4 * PER_MIB);
    let mut partial = Behaviour::of_rate(MIB);
    partial.has = Some(Spans::one(0..100));
    world.join(1, partial.clone());
    partial.is_frank = false;
    world.join(2, partial);
    world.want_all();
    assert!(world.run(LONG, |world| world.given_up));
    assert!(world.now < Duration::from_secs(10), "{:?}", world.now);
    assert_eq!(world.plan.held().count(), 100);
    assert_eq!(world.plan.lacking(BULK), 4 * PER_MIB - 100);
}

/// A world of honest, slow, partial, dying, lying and leaving sources, by its seed.
fn any_world(seed: u64) -> (World, Vec<u64>) {
    let mut world = World::new(seed, 0);
    let groups = 64 + world.random_below(400);
    world = World::new(seed ^ 0xda77, groups);
    let mut liars = Vec::new();
    let honest = 1 + world.random_below(3);
    // Together these have everything, and they stay.
    for id in 0..honest {
        let mut behaviour = any_source(&mut world);
        if honest > 1 {
            let mut has = Spans::default();
            for start in (0..groups).step_by(10) {
                if (start / 10) % honest == id || world.random_below(3) == 0 {
                    has.insert(start..(start + 10).min(groups));
                }
            }
            behaviour.has = Some(has);
        }
        world.join(id, behaviour);
    }
    for id in 10..10 + world.random_below(6) {
        let mut behaviour = any_source(&mut world);
        let when = Duration::from_millis(world.random_below(8000));
        match world.random_below(5) {
            0 => {
                behaviour.lies = Some(1 + world.random_below(40));
                liars.push(id);
            }
            1 => behaviour.dies = Some(when),
            2 => {
                (behaviour.dies, behaviour.dies_loudly) = (Some(when), true);
            }
            3 => {
                let pause = Duration::from_millis(world.random_below(10_000));
                (behaviour.dies, behaviour.revives) = (Some(when), Some(when + pause));
            }
            _ => {
                let start = world.random_below(groups);
                behaviour.has = Some(Spans::one(start..groups));
                behaviour.is_frank = world.random_below(2) == 0;
            }
        }
        world.join(id, behaviour);
    }
    (world, liars)
}

fn any_source(world: &mut World) -> Behaviour {
    let mut behaviour = Behaviour::of_rate((256 << 10) << world.random_below(6));
    behaviour.latency = Duration::from_millis(1 + world.random_below(200));
    behaviour.in_order = world.random_below(2) == 0;
    behaviour
}

#[test]
fn whatever_else_sources_do_a_blob_that_honest_ones_have_is_fetched() {
    let mut banned = 0;
    for seed in 0..1000 {
        let (mut world, liars) = any_world(seed);
        world.want_all();
        let seeks = world.random_below(3);
        for _ in 0..seeks {
            let at = world.random_below(world.groups);
            world.play(at, MIB);
            let until = world.now + Duration::from_millis(world.random_below(3000));
            world.run(until, |_| false);
        }
        if seeks == 2 && world.random_below(2) == 0 {
            world.leave(0);
            let mut back = any_source(&mut world);
            back.has = None;
            world.join(100, back);
        }
        assert!(world.run(LONG, World::is_done), "seed {seed}");
        assert!(!world.given_up, "seed {seed}");
        let (delivered, duplicates) = world.plan.counts();
        assert_eq!(delivered, world.groups);
        assert!(
            duplicates <= 8 + delivered / 10,
            "seed {seed}: {duplicates} of {delivered}"
        );
        banned += liars.iter().filter(|id| world.is_banned(**id)).count();
    }
    assert!(banned > 100, "{banned}");
}

#[test]
fn a_seed_always_gives_the_same_run() {
    let trace = |seed| {
        let (mut world, _) = any_world(seed);
        world.want_all();
        world.run(LONG, World::is_done);
        (world.now, world.plan.counts(), world.stalled)
    };
    for seed in 0..50 {
        assert_eq!(trace(seed), trace(seed));
    }
}
