//! Gateways of every kind, simulated: what is asked of whom, until all of it is here or nobody is left.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::*;

/// Bytes that a healthy gateway sends in a step.
const STEP_BYTES: u64 = 1 << 20;
const STEP_MS: u64 = 100;
/// No simulation takes longer, milliseconds.
const END_MS: u64 = 600_000;

/// What a simulated gateway does.
#[derive(Clone, Debug)]
enum Kind {
    Honest,
    /// Sends so many bytes in a step.
    Slow(u64),
    /// Answers nothing at all.
    Dead,
    /// Refuses connections.
    Refusing,
    /// Sends so many blocks truly, then wrong bytes.
    Lying(usize),
    /// Sends so many blocks of each answer, then falls silent.
    Stalling(usize),
    /// Sends so many blocks of each answer, then breaks off.
    Truncating(usize),
    /// Sends so many blocks in all, then is gone.
    Leaving(usize),
    /// Doesn't have these blocks.
    Without(BTreeSet<Cid>),
    /// Gives no CARs.
    NoCars,
    /// Sends blocks that nobody asked for.
    Talking,
    /// Says that it is busy so many times.
    Busy(usize),
    /// Ends CARs well after their first block.
    Short,
}

/// A DAG: each block with its links.
#[derive(Clone, Debug, Default)]
struct Dag {
    blocks: BTreeMap<Cid, (Bytes, Vec<Cid>)>,
}

impl Dag {
    fn leaf(&mut self, text: &str) -> Cid {
        let cid = dag::name_of(codec::RAW, text.as_bytes());
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.blocks.insert(cid, (bytes, Vec::new()));
        cid
    }

    /// The bytes only have to differ: the plan reads none.
    fn node(&mut self, links: Vec<Cid>) -> Cid {
        let text = format!("{links:?}");
        let cid = dag::name_of(codec::DAG_PB, text.as_bytes());
        let cid = Cid::new_v0(*cid.hash()).unwrap();
        self.blocks.insert(cid, (text.into(), links));
        cid
    }

    /// So many nodes with so many leaves each, below a root.
    fn file(nodes: usize, leaves: usize) -> (Self, Cid) {
        let mut dag = Self::default();
        let nodes = (0..nodes).map(|node| {
            let leaves = (0..leaves).map(|leaf| dag.leaf(&format!("{node} {leaf}")));
            let leaves = leaves.collect();
            dag.node(leaves)
        });
        let nodes = nodes.collect();
        let root = dag.node(nodes);
        (dag, root)
    }

    /// The answer to a CAR request: depth first, each once.
    fn below(&self, root: Cid) -> Vec<Cid> {
        let (mut order, mut seen, mut open) = (Vec::new(), BTreeSet::new(), vec![root]);
        while let Some(cid) = open.pop() {
            if seen.insert(cid) {
                let Some((_, links)) = self.blocks.get(&cid) else {
                    continue;
                };
                order.push(cid);
                open.extend(links.iter().rev());
            }
        }
        order
    }
}

/// An answer under way.
struct Answer {
    ask: Ask,
    blocks: Vec<Cid>,
    sent: usize,
}

struct World {
    dag: Dag,
    kinds: Vec<Kind>,
    /// Blocks sent by each gateway.
    sent: Vec<usize>,
    asked: Vec<usize>,
    store: BTreeSet<Cid>,
    answers: Vec<Answer>,
    reports: Vec<Report>,
    /// Blocks that came more than once.
    twice: usize,
}

impl World {
    fn new(dag: &Dag, kinds: &[Kind]) -> Self {
        Self {
            dag: dag.clone(),
            kinds: kinds.to_vec(),
            sent: vec![0; kinds.len()],
            asked: vec![0; kinds.len()],
            store: BTreeSet::new(),
            answers: Vec::new(),
            reports: Vec::new(),
            twice: 0,
        }
    }

    /// Runs until it is over; how, and when.
    fn run(&mut self, root: Cid) -> (Result<(), PlanError>, u64) {
        self.read(root, Depth::All)
    }

    fn read(&mut self, root: Cid, depth: Depth) -> (Result<(), PlanError>, u64) {
        let mut plan = Plan::new(root, depth, Gateways::new(self.kinds.len()));
        let mut now_ms = 0;
        loop {
            while let Some(cid) = plan.next_look() {
                plan.looked(match self.store.contains(&cid) {
                    true => Held::Links(self.dag.blocks[&cid].1.clone()),
                    false => Held::Missing,
                });
            }
            self.reports.extend(plan.take_reports());
            for id in plan.take_cancelled() {
                self.answers.retain(|answer| answer.ask.id != id);
            }
            if plan.is_done() {
                return (Ok(()), now_ms);
            }
            loop {
                match plan.next_ask(now_ms) {
                    Ok(Some(ask)) => self.ask(ask),
                    Ok(None) => break,
                    Err(error) => return (Err(error), now_ms),
                }
            }
            for answer in std::mem::take(&mut self.answers) {
                if let Some(answer) = self.step(&mut plan, answer, now_ms) {
                    self.answers.push(answer);
                }
            }
            plan.tick(now_ms);
            assert!(plan.next_ms(now_ms) > now_ms || self.answers.is_empty());
            now_ms += STEP_MS;
            assert!(now_ms < END_MS, "it never ends");
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.asked[ask.gateway] += 1;
        let blocks = match ask.form {
            Form::Raw => vec![ask.cid],
            Form::Car => self.dag.below(ask.cid),
        };
        self.answers.push(Answer {
            ask,
            blocks,
            sent: 0,
        });
    }

    /// A step of an answer; none when it is over.
    fn step(&mut self, plan: &mut Plan, mut answer: Answer, now_ms: u64) -> Option<Answer> {
        let ask = answer.ask;
        let kind = self.kinds[ask.gateway].clone();
        let fault = |fault| Ending::Fault(fault, None);
        let broken = || fault(GatewayFault::Broken("broke off".to_owned()));
        let of_answer = answer.sent;
        let ending = match &kind {
            Kind::Dead => return Some(answer),
            Kind::Refusing => Some(broken()),
            Kind::Lying(after) if self.sent[ask.gateway] >= *after => {
                let block = answer.blocks[of_answer.min(answer.blocks.len() - 1)];
                Some(fault(GatewayFault::Lie { block }))
            }
            Kind::Stalling(after) if of_answer >= *after => return Some(answer),
            Kind::Truncating(after) if of_answer >= *after => Some(broken()),
            Kind::Leaving(after) if self.sent[ask.gateway] >= *after => Some(broken()),
            Kind::Without(lacks) if lacks.contains(&ask.cid) => Some(Ending::Lacking),
            // As the specification has it: a CAR ends where a block is missing.
            Kind::Without(lacks) if lacks.contains(&answer.blocks[of_answer]) => Some(broken()),
            Kind::NoCars if ask.form == Form::Car => Some(Ending::NoCar),
            Kind::Busy(times) if self.asked[ask.gateway] <= *times => {
                Some(Ending::Fault(GatewayFault::Busy, Some(2_000)))
            }
            Kind::Short if of_answer == 1 => Some(Ending::Whole),
            _ => None,
        };
        if let Some(ending) = ending {
            plan.ended(ask.id, ending, now_ms);
            return None;
        }
        if let Kind::Slow(bytes) = kind {
            plan.heard(ask.id, bytes, now_ms);
            // A block has a mebibyte, as far as time is concerned.
            if !(now_ms / STEP_MS).is_multiple_of(STEP_BYTES / bytes) {
                return Some(answer);
            }
        } else {
            plan.heard(ask.id, STEP_BYTES, now_ms);
        }
        let cid = match kind {
            Kind::Talking => dag::name_of(codec::RAW, format!("{of_answer} noise").as_bytes()),
            _ => answer.blocks[of_answer],
        };
        // As some gateways write it.
        let written = cid.into_v1().unwrap();
        if let Some(cid) = plan.expected(ask.id, &written, 1 << 20, now_ms) {
            self.twice += usize::from(!self.store.insert(cid));
            plan.taken(ask.id, cid, self.dag.blocks[&cid].1.clone());
        }
        answer.sent += 1;
        self.sent[ask.gateway] += 1;
        if answer.sent == answer.blocks.len() && !matches!(kind, Kind::Talking) {
            plan.ended(ask.id, Ending::Whole, now_ms);
            return None;
        }
        Some(answer)
    }
}

fn faults(world: &World) -> Vec<(usize, bool)> {
    let told = world.reports.iter();
    told.map(|report| (report.gateway, report.fault.is_lie()))
        .collect()
}

#[test]
fn every_gateway_is_left_for_the_next_when_it_has_to_be() {
    let (dag, root) = Dag::file(4, 8);
    let second = dag.blocks[&root].1[1];
    for (what, kinds) in [
        ("one honest", vec![Kind::Honest]),
        ("a dead one first", vec![Kind::Dead, Kind::Honest]),
        ("a refusing one first", vec![Kind::Refusing, Kind::Honest]),
        ("a liar at once", vec![Kind::Lying(0), Kind::Honest]),
        ("a liar later", vec![Kind::Lying(7), Kind::Honest]),
        (
            "two liars",
            vec![Kind::Lying(3), Kind::Lying(2), Kind::Honest],
        ),
        ("one that stalls", vec![Kind::Stalling(5), Kind::Honest]),
        ("one that stalls, alone", vec![Kind::Stalling(5)]),
        ("one that breaks off, alone", vec![Kind::Truncating(5)]),
        ("one that leaves", vec![Kind::Leaving(9), Kind::Honest]),
        (
            "one that lacks a part",
            vec![Kind::Without([second].into()), Kind::Honest],
        ),
        (
            "one that lacks all",
            vec![Kind::Without([root].into()), Kind::Honest],
        ),
        ("one without CARs", vec![Kind::NoCars]),
        ("one that talks", vec![Kind::Talking, Kind::Honest]),
        ("a busy one, alone", vec![Kind::Busy(2)]),
        ("one that sends little, alone", vec![Kind::Short]),
        ("a slow one, alone", vec![Kind::Slow(STEP_BYTES / 8)]),
    ] {
        let mut world = World::new(&dag, &kinds);
        let (done, took_ms) = world.run(root);
        assert_eq!(done, Ok(()), "{what}");
        assert_eq!(world.store.len(), dag.blocks.len(), "{what}");
        assert_eq!(world.twice, 0, "{what}: asked for what was here");
        assert!(took_ms < 120_000, "{what}: {took_ms} ms");
    }
}

#[test]
fn halves_make_a_whole() {
    let (dag, root) = Dag::file(2, 8);
    let nodes = &dag.blocks[&root].1;
    let below = |node: Cid| dag.below(node).into_iter().collect::<BTreeSet<_>>();
    let kinds = [
        Kind::Without(below(nodes[0])),
        Kind::Without(below(nodes[1])),
    ];
    let mut world = World::new(&dag, &kinds);
    assert_eq!(world.run(root).0, Ok(()));
    assert_eq!(world.store.len(), dag.blocks.len());
}

#[test]
fn liars_are_named_and_not_asked_again() {
    let (dag, root) = Dag::file(3, 5);
    let mut world = World::new(&dag, &[Kind::Lying(4), Kind::Talking, Kind::Honest]);
    assert_eq!(world.run(root).0, Ok(()));
    assert_eq!(
        faults(&world).iter().filter(|(_, is_lie)| *is_lie).count(),
        2
    );
    let lie = &world.reports[0];
    assert!(matches!(lie.fault, GatewayFault::Lie { .. }) && lie.gateway == 0);
    let talk = &world.reports[1];
    assert_eq!((talk.gateway, &talk.fault), (1, &GatewayFault::TooMuch));
    assert_eq!(world.asked[0], 1);
}

#[test]
fn when_nobody_is_left_it_is_said_why() {
    let (dag, root) = Dag::file(2, 2);
    let all = Kind::Without(dag.blocks.keys().copied().collect());
    for (kinds, why) in [
        (vec![], NobodyLeft::Unreachable),
        (vec![all.clone(), all.clone()], NobodyLeft::NotFound),
        (vec![Kind::Lying(0), Kind::Lying(0)], NobodyLeft::Lies),
        (vec![Kind::Lying(2), Kind::Talking], NobodyLeft::Lies),
        (vec![Kind::Lying(0), all], NobodyLeft::NotFound),
        (vec![Kind::Lying(0), Kind::Refusing], NobodyLeft::Lies),
        (vec![Kind::Refusing, Kind::Dead], NobodyLeft::Unreachable),
        (vec![Kind::Leaving(3)], NobodyLeft::Unreachable),
    ] {
        let mut world = World::new(&dag, &kinds);
        match world.run(root) {
            (Err(PlanError::Nobody { why: found, .. }), _) => assert_eq!(found, why, "{kinds:?}"),
            (other, _) => panic!("{kinds:?}: {other:?}"),
        }
    }
}

#[test]
fn a_slow_gateway_is_left_only_for_a_better_one() {
    let (dag, root) = Dag::file(8, 64);
    // one block in a hundred seconds
    let slow = Kind::Slow(STEP_BYTES / 1_000);
    let mut world = World::new(&dag, &[slow.clone(), Kind::Honest]);
    let (done, took_ms) = world.run(root);
    assert_eq!(done, Ok(()));
    assert!(took_ms < 90_000, "{took_ms} ms");
    assert_eq!(world.reports[0].fault, GatewayFault::Slow);
    assert_eq!(
        faults(&world).iter().filter(|(_, is_lie)| *is_lie).count(),
        0
    );
    let (dag, root) = Dag::file(1, 1);
    let mut world = World::new(&dag, &[slow]);
    assert_eq!(world.run(root).0, Ok(()));
    assert_eq!(world.reports, []);
}

#[test]
fn what_is_held_is_not_asked_for() {
    let (dag, root) = Dag::file(4, 8);
    let order = dag.below(root);
    for held in [1, 2, 10, order.len() - 1, order.len()] {
        let mut world = World::new(&dag, &[Kind::Honest]);
        world.store.extend(&order[..held]);
        assert_eq!(world.run(root).0, Ok(()));
        assert_eq!(world.sent[0], order.len() - held, "{held} held");
        assert_eq!(world.twice, 0);
    }
}

#[test]
fn a_block_alone_is_all_that_is_asked_for_on_a_path() {
    let (dag, root) = Dag::file(4, 8);
    let mut world = World::new(&dag, &[Kind::Lying(0), Kind::Honest]);
    assert_eq!(world.read(root, Depth::Block).0, Ok(()));
    assert_eq!(world.store, BTreeSet::from([root]));
}

#[test]
fn what_repeats_is_had_once_and_depth_has_an_end() {
    // 2 to the power of 40 paths, 41 blocks
    let mut dag = Dag::default();
    let mut node = dag.leaf("the only leaf");
    for _ in 0..40 {
        let other = dag.node(vec![node]);
        node = dag.node(vec![node, other]);
    }
    let mut world = World::new(&dag, &[Kind::Honest]);
    assert_eq!(world.run(node).0, Ok(()));
    assert_eq!((world.store.len(), world.twice), (dag.blocks.len(), 0));
    for (levels, fits) in [
        (MAX_DEPTH - 1, true),
        (MAX_DEPTH + 1, false),
        (10_000, false),
    ] {
        let mut dag = Dag::default();
        let mut node = dag.leaf("deep down");
        for _ in 0..levels {
            node = dag.node(vec![node]);
        }
        for kind in [Kind::Honest, Kind::NoCars] {
            let (done, _) = World::new(&dag, &[kind]).run(node);
            assert_eq!(done.is_ok(), fits, "{levels} levels: {done:?}");
        }
    }
}

#[test]
fn names_that_hold_their_block_and_names_of_no_block_are_not_asked_for() {
    let mut dag = Dag::default();
    let inline = Cid::new_v1(codec::RAW, dag_hash(0x00, b"here"));
    let key = Cid::new_v1(0x72, dag_hash(0x12, &[1; 32]));
    let leaf = dag.leaf("a leaf");
    let root = dag.node(vec![inline, key, leaf]);
    dag.blocks
        .insert(inline, (Bytes::from_static(b"here"), Vec::new()));
    let mut world = World::new(&dag, &[Kind::NoCars]);
    world.store.insert(inline);
    assert_eq!(world.run(root).0, Ok(()));
    assert!(world.store.contains(&leaf) && !world.store.contains(&key));
}

fn dag_hash(code: u64, digest: &[u8]) -> cid::multihash::Multihash<64> {
    cid::multihash::Multihash::wrap(code, digest).unwrap()
}

#[test]
fn the_same_gateways_give_the_same_course() {
    let (dag, root) = Dag::file(6, 9);
    let kinds = [
        Kind::Lying(11),
        Kind::Truncating(4),
        Kind::Slow(1 << 16),
        Kind::Busy(1),
    ];
    let course = || {
        let mut world = World::new(&dag, &kinds);
        let (done, took_ms) = world.run(root);
        (done, took_ms, world.asked, world.sent, world.reports)
    };
    assert_eq!(course(), course());
}
