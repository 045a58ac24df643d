#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const OWN: EndpointKey = EndpointKey::from_bytes([0; 32]);

fn peer(n: u8) -> EndpointKey {
    EndpointKey::from_bytes([n + 1; 32])
}

fn blob(n: u8) -> BlobId {
    BlobId::of(&[n])
}

fn candidate(n: u8) -> Candidate {
    Candidate {
        blob: blob(n),
        bytes: 10,
        rule: 0,
        space: SpaceId::of(b"s"),
        score: 0,
        last_ms: 0,
        others: BTreeSet::from([peer(0)]),
        is_held: false,
        is_pinned: false,
    }
}

fn held(n: u8) -> Candidate {
    Candidate {
        is_held: true,
        ..candidate(n)
    }
}

fn rule(max_bytes: u64, replicas: u32) -> Bounds {
    Bounds {
        max_bytes,
        replicas,
        is_by_score: true,
    }
}

fn plan_at(candidates: &[Candidate], rules: &[Bounds], room_bytes: u64, now_ms: u64) -> Plan {
    let view = View {
        own: OWN,
        rules,
        room_bytes,
        mirrors: &BTreeMap::new(),
        max_fetches: 100,
    };
    Retention::default().plan(candidates, &view, now_ms)
}

fn plan(candidates: &[Candidate], rules: &[Bounds], room_bytes: u64) -> Plan {
    plan_at(candidates, rules, room_bytes, 0)
}

#[test]
fn the_best_scores_get_the_room_and_the_worst_goes_for_them() {
    let scored = |n: u8, score: i64, is_held: bool| Candidate {
        score,
        is_held,
        ..candidate(n)
    };
    let all = [
        scored(0, 3, true),
        scored(1, 50, false),
        scored(2, 9, true),
        scored(3, 1, false),
    ];
    let plan = plan(&all, &[rule(20, 0)], u64::MAX);
    assert_eq!(plan.fetch, [blob(1)]);
    assert_eq!(plan.drop, [blob(0)]);
    assert_eq!(plan.standing[&blob(3)], Standing::NoRoom);
    assert_eq!(plan.eviction, [blob(2)]);
}

#[test]
fn nothing_goes_while_there_is_room() {
    let all = [held(0), held(1), candidate(2)];
    let plan = plan(&all, &[rule(0, 0)], 30);
    assert_eq!((plan.fetch.len(), plan.drop.len()), (1, 0));
}

#[test]
fn two_of_nearly_the_same_worth_do_not_take_turns() {
    let score = |n: u8, score: i64, is_held: bool| Candidate {
        score,
        is_held,
        ..candidate(n)
    };
    let rules = [rule(10, 0)];
    let near = [score(0, 10, true), score(1, 12, false)];
    assert!(plan(&near, &rules, 100).drop.is_empty());
    let better = [score(0, 10, true), score(1, 13, false)];
    assert_eq!(plan(&better, &rules, 100).drop, [blob(0)]);
    let after = [score(0, 10, false), score(1, 13, true)];
    assert!(plan(&after, &rules, 100).drop.is_empty());
}

#[test]
fn earlier_rules_come_first_and_each_has_its_own_room() {
    let of_rule = |n: u8, rule: usize| Candidate {
        rule,
        ..candidate(n)
    };
    let all = [of_rule(0, 1), of_rule(1, 1), of_rule(2, 0)];
    let in_all = plan(&all, &[rule(0, 0), rule(0, 0)], 20);
    assert_eq!(in_all.standing[&blob(2)], Standing::Fetched);
    let each = plan(&all, &[rule(0, 0), rule(10, 0)], 100);
    assert_eq!(each.fetch.len(), 2);
}

#[test]
fn what_is_pinned_is_never_dropped_and_takes_nothing_of_the_room() {
    let pinned = Candidate {
        is_pinned: true,
        score: i64::MIN,
        ..held(0)
    };
    let plan = plan(&[pinned, held(1)], &[rule(10, 1)], 10);
    assert_eq!(plan.standing[&blob(0)], Standing::Held);
    assert_eq!(plan.drop, []);
    assert_eq!(plan.eviction, [blob(1)]);
}

#[test]
fn nothing_goes_for_what_nobody_is_known_to_have() {
    let unsourced = Candidate {
        others: BTreeSet::new(),
        score: 1_000,
        ..candidate(1)
    };
    let plan = plan(&[held(0), unsourced.clone()], &[rule(10, 0)], 10);
    assert_eq!((plan.fetch.len(), plan.drop.len()), (0, 0));
    let free = plan_at(&[held(0), unsourced], &[rule(20, 0)], 20, 0);
    assert_eq!(free.fetch, [blob(1)]);
}

#[test]
fn enough_copies_are_enough_and_of_too_many_the_last_ranked_goes() {
    let many = |is_held| Candidate {
        others: (0..5).map(peer).collect(),
        is_held,
        ..candidate(0)
    };
    let rules = [rule(0, 3)];
    let not_here = plan(&[many(false)], &rules, 100);
    assert_eq!(not_here.standing[&blob(0)], Standing::Enough);
    // Six hold it: exactly three of them would give it up, if they needed the room.
    let endpoints: BTreeSet<EndpointKey> = (0..6).map(peer).collect();
    let given_up = endpoints.iter().filter(|own| {
        let mut others = endpoints.clone();
        others.remove(*own);
        let view = View {
            own: **own,
            rules: &rules,
            room_bytes: 10,
            mirrors: &BTreeMap::new(),
            max_fetches: 10,
        };
        let rare = candidate(1);
        let all = [
            Candidate { others, ..held(0) },
            Candidate { score: -5, ..rare },
        ];
        let plan = Retention::default().plan(&all, &view, 0);
        plan.drop == [blob(0)]
    });
    assert_eq!(given_up.count(), 3);
}

#[test]
fn as_many_mirrors_as_copies_lack_begin_and_the_others_wait_for_their_turn() {
    let all: BTreeSet<EndpointKey> = (0..10).map(peer).collect();
    let mirrors = BTreeMap::from([(SpaceId::of(b"s"), all.clone())]);
    let rules = [rule(0, 3)];
    let rare = Candidate {
        others: BTreeSet::from([EndpointKey::from_bytes([99; 32])]),
        ..candidate(0)
    };
    let mut beginning = 0;
    for own in &all {
        let view = View {
            own: *own,
            rules: &rules,
            room_bytes: 100,
            mirrors: &mirrors,
            max_fetches: 10,
        };
        let mut retention = Retention::default();
        let first = retention.plan(std::slice::from_ref(&rare), &view, 1_000);
        if first.fetch.is_empty() {
            let at_ms = first.next_ms.unwrap();
            let before = retention.plan(std::slice::from_ref(&rare), &view, at_ms - 1);
            assert_eq!(before.standing[&blob(0)], Standing::Waiting);
            let then = retention.plan(std::slice::from_ref(&rare), &view, at_ms);
            assert_eq!(then.fetch, [blob(0)]);
        } else {
            beginning += 1;
        }
    }
    assert_eq!(beginning, 2);
}

#[test]
fn the_rarest_come_first() {
    let held_by = |n: u8, count: u8| Candidate {
        others: (0..count).map(peer).collect(),
        score: i64::from(count),
        ..candidate(n)
    };
    let plan = plan(
        &[held_by(0, 3), held_by(1, 1), held_by(2, 2)],
        &[rule(0, 9)],
        100,
    );
    assert_eq!(plan.fetch, [blob(1), blob(2), blob(0)]);
}

prop_compose! {
    fn any_candidate()(
        bytes in 0..60u64,
        rule in 0..3usize,
        score in -20..20i64,
        last_ms in 0..10_000_000u64,
        others in proptest::collection::btree_set(0..6u8, 0..6),
        is_held in any::<bool>(),
        is_pinned in proptest::bool::weighted(0.1),
    ) -> Candidate {
        Candidate {
            bytes, rule, score, last_ms, is_held, is_pinned,
            others: others.into_iter().map(peer).collect(),
            ..candidate(0)
        }
    }
}

fn numbered(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    for (n, candidate) in candidates.iter_mut().enumerate() {
        candidate.blob = BlobId::of(&n.to_le_bytes());
    }
    candidates
}

proptest! {
    #[test]
    fn limits_hold_and_plans_are_stable(
        candidates in proptest::collection::vec(any_candidate(), 0..60).prop_map(numbered),
        limits in proptest::collection::vec((0..400u64, 0..4u32, any::<bool>()), 3),
        room_bytes in 0..800u64,
    ) {
        let rules: Vec<Bounds> = limits
            .iter()
            .map(|(max_bytes, replicas, is_by_score)| Bounds {
                max_bytes: *max_bytes,
                replicas: *replicas,
                is_by_score: *is_by_score,
            })
            .collect();
        let made = plan(&candidates, &rules, room_bytes);
        prop_assert_eq!(made.standing.len(), candidates.len());
        // After the drops and the fetches everything is within its limit.
        let mut after = candidates.clone();
        for candidate in &mut after {
            let pinned = candidate.is_pinned;
            prop_assert!(!(pinned && made.drop.contains(&candidate.blob)));
            candidate.is_held |= made.fetch.contains(&candidate.blob);
            candidate.is_held &= !made.drop.contains(&candidate.blob);
        }
        let taken = |rule: Option<usize>| -> u64 {
            let of_rule = after.iter().filter(|c| c.is_held && !c.is_pinned);
            let of_rule = of_rule.filter(|c| rule.is_none_or(|rule| c.rule == rule));
            of_rule.map(|c| c.bytes).sum()
        };
        prop_assert!(taken(None) <= room_bytes);
        for (at, rule) in rules.iter().enumerate() {
            prop_assert!(rule.max_bytes == 0 || taken(Some(at)) <= rule.max_bytes);
        }
        // Once that is done, nothing more is.
        let again = plan(&after, &rules, room_bytes);
        prop_assert_eq!(&again.drop, &Vec::<BlobId>::new());
        // The order in which candidates are named doesn't matter.
        after.reverse();
        let reversed = plan(&after, &rules, room_bytes);
        prop_assert_eq!(again, reversed);
    }
}
