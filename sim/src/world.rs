//! The simulated world: one queue of happenings, one clock, one source of chance.

mod people;
mod talk;
mod wires;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gossip::{
    Event, Follow, Node, bounds,
    node::{Input, Output},
};
use model::{EndpointKey, EntryId, SpaceId};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    forum::{Parent, Person},
    ledger::Ledger,
    liar::Lie,
    mesh::{Mesh, Number},
    outcome::Outcome,
    peer::{Peer, key_of},
    scenario::Scenario,
};
use talk::Talk;

/// When the world begins, Unix milliseconds.
const EPOCH_MS: u64 = 1_790_000_000_000;
/// How often nodes look at the time, milliseconds.
const TICK_MS: u64 = 500;
/// How often silent sessions are looked at, milliseconds.
const CHECK_MS: u64 = 5_000;
/// Nodes that a node knows at first.
const KNOWN: usize = 3;

/// What happens next.
enum Happening {
    Tick(Number, u32),
    Link([u8; 32], Number, Number),
    Near {
        topic: [u8; 32],
        node: Number,
        other: Number,
        up: bool,
    },
    Message {
        topic: [u8; 32],
        to: Number,
        from: Number,
        bytes: Arc<[u8]>,
    },
    Connect(u64),
    Frame {
        talk: u64,
        to_opener: bool,
        bytes: Vec<u8>,
    },
    Check,
    Write(Work),
    Split(usize),
    Heal,
    Stop(Number),
    Begin(Number),
    Flood(Number),
}

/// What people are about to write.
#[derive(Clone, Copy, Debug)]
enum Work {
    Thread(Number),
    Reply(Number, usize),
    Vote(Number),
}

/// A thread as its writers know it.
struct Thread {
    root: EntryId,
    posts: Vec<Parent>,
}

/// The world.
pub struct World {
    scenario: Scenario,
    chance: ChaCha8Rng,
    now_ms: u64,
    /// The same, for the disks.
    clock: Arc<AtomicU64>,
    queue: BTreeMap<(u64, u64), Happening>,
    order: u64,
    steps: u64,
    trace: blake3::Hasher,
    peers: Vec<Peer>,
    numbers: BTreeMap<EndpointKey, Number>,
    mesh: Mesh,
    talks: BTreeMap<u64, Talk>,
    next_talk: u64,
    /// Nodes on the far side of a partition.
    far: BTreeSet<Number>,
    space: SpaceId,
    threads: Vec<Thread>,
    written: BTreeMap<EntryId, u64>,
    arrivals: BTreeMap<EntryId, Vec<u64>>,
    bans: BTreeSet<(Number, Number)>,
}

impl World {
    /// A world before its first moment.
    pub fn new(scenario: Scenario) -> Self {
        let chance = ChaCha8Rng::seed_from_u64(scenario.seed);
        let mut founder = Person::new(0, EPOCH_MS);
        let board = founder.board(EPOCH_MS);
        let space = SpaceId::from(board.id());
        let clock = Arc::new(AtomicU64::new(EPOCH_MS));
        let lies = lies(&scenario);
        let first_liar = scenario.nodes - lies.len();
        let peers: Vec<Peer> = (0..scenario.nodes)
            .map(|number| {
                let lie = number.checked_sub(first_liar).map(|place| lies[place]);
                Peer::new(number, Arc::new(Ledger::new(clock.clone())), lie)
            })
            .collect();
        let mut world = Self {
            numbers: (0..scenario.nodes).map(|n| (key_of(n), n)).collect(),
            scenario,
            chance,
            now_ms: EPOCH_MS,
            clock,
            queue: BTreeMap::new(),
            order: 0,
            steps: 0,
            trace: blake3::Hasher::new(),
            peers,
            mesh: Mesh::default(),
            talks: BTreeMap::new(),
            next_talk: 0,
            far: BTreeSet::new(),
            space,
            threads: Vec::new(),
            written: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            bans: BTreeSet::new(),
        };
        world.populate(founder, board);
        world.plan_all();
        world
    }

    /// Runs to the end.
    pub fn run(mut self) -> Outcome {
        let end_ms = EPOCH_MS + self.scenario.duration_s * 1_000;
        while let Some(((due_ms, _), happening)) = self.queue.pop_first() {
            if due_ms > end_ms {
                break;
            }
            self.now_ms = due_ms;
            self.clock.store(due_ms, Ordering::Relaxed);
            self.steps += 1;
            self.note("step", &self.steps.to_le_bytes());
            self.happen(happening);
        }
        self.outcome()
    }

    /// Adds to the trace.
    fn note(&mut self, what: &str, bytes: &[u8]) {
        self.trace.update(&self.now_ms.to_le_bytes());
        self.trace.update(what.as_bytes());
        self.trace.update(&(bytes.len() as u64).to_le_bytes());
        self.trace.update(bytes);
    }

    fn at(&mut self, due_ms: u64, happening: Happening) {
        self.order += 1;
        self.queue.insert((due_ms, self.order), happening);
    }

    fn latency_ms(&mut self) -> u64 {
        let [least, most] = self.scenario.network.latency_ms;
        self.chance.random_range(least..=most)
    }

    fn reaches(&self, a: Number, b: Number) -> bool {
        self.peers[a].is_on()
            && self.peers[b].is_on()
            && self.far.contains(&a) == self.far.contains(&b)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(node, life) => self.tick(node, life),
            Happening::Link(topic, a, b) => self.link(topic, a, b),
            Happening::Near {
                topic,
                node,
                other,
                up,
            } => {
                let peer = key_of(other);
                self.input(node, vec![Input::Neighbor { topic, peer, up }]);
            }
            Happening::Message {
                topic,
                to,
                from,
                bytes,
            } => self.message(topic, to, from, &bytes),
            Happening::Connect(talk) => self.connect(talk),
            Happening::Frame {
                talk,
                to_opener,
                bytes,
            } => self.frame(talk, to_opener, &bytes),
            Happening::Check => self.check_talks(),
            Happening::Write(work) => self.write(work),
            Happening::Split(place) => self.split(place),
            Happening::Heal => self.heal(),
            Happening::Stop(node) => self.stop(node),
            Happening::Begin(node) => self.begin(node),
            Happening::Flood(node) => self.flood(node),
        }
    }

    fn tick(&mut self, node: Number, life: u32) {
        if self.peers[node].life == life && self.peers[node].is_on() {
            self.input(node, vec![Input::Tick]);
            self.at(self.now_ms + TICK_MS, Happening::Tick(node, life));
        }
    }

    /// Starts a node with what is on its disk.
    fn begin(&mut self, node: Number) {
        self.note("begin", &node.to_le_bytes());
        let seed = self.scenario.seed ^ (node as u64) << 20;
        let peer = &mut self.peers[node];
        peer.life += 1;
        let life = peer.life;
        let core = Node::new(
            peer.key,
            seed + u64::from(life),
            bounds::LIVE_TOPICS,
            self.now_ms,
        );
        peer.core = Some(core);
        peer.passed.clear();
        let mut inputs = vec![Input::Start];
        inputs.extend(peer.knows.iter().map(|number| Input::Peer(key_of(*number))));
        self.input(node, inputs);
        let first = self.chance.random_range(0..TICK_MS);
        self.at(self.now_ms + first, Happening::Tick(node, life));
    }

    /// Pulls the plug: the disk stays.
    fn stop(&mut self, node: Number) {
        self.note("stop", &node.to_le_bytes());
        self.peers[node].core = None;
        for topic in self.mesh.of(node) {
            self.unsubscribe(topic, node);
        }
        self.drop_talks(|talk| talk.opener == node || talk.answerer == node);
    }

    /// Hands inputs to a node and carries out what it wants.
    fn input(&mut self, node: Number, inputs: Vec<Input>) {
        let now_ms = self.now_ms;
        let peer = &mut self.peers[node];
        let Some(core) = &mut peer.core else {
            return;
        };
        let outputs = core
            .handle(inputs, now_ms, &*peer.voice)
            .expect("simulated disks don't fail");
        for output in outputs {
            self.carry_out(node, output);
        }
    }

    fn carry_out(&mut self, node: Number, output: Output) {
        match output {
            Output::Join { topic, peers } => {
                self.mesh.join(topic, node);
                self.invite(topic, node, &peers);
            }
            Output::Invite { topic, peers } => self.invite(topic, node, &peers),
            Output::Leave { topic } => self.unsubscribe(topic, node),
            Output::Broadcast { topic, bytes } => self.broadcast(topic, node, bytes.into()),
            Output::Start(start) => self.start_talk(node, start),
            Output::Ban { peer, .. } => {
                let banned = self.numbers[&peer];
                self.note("ban", &[node, banned].map(usize::to_le_bytes).concat());
                self.bans.insert((node, banned));
            }
            Output::Event(event) => {
                self.note("event", format!("{node} {event:?}").as_bytes());
                if let Event::NewEntries { ids, .. } = event
                    && self.peers[node].lie.is_none()
                {
                    for id in ids {
                        self.arrivals.entry(id).or_default().push(self.now_ms);
                    }
                }
            }
        }
    }

    fn outcome(self) -> Outcome {
        let ids: Vec<EntryId> = self.written.keys().copied().collect();
        let (mut behind, mut views, mut honest) = (Vec::new(), BTreeSet::new(), 0);
        for (number, peer) in self.peers.iter().enumerate() {
            if peer.lie.is_some() || !peer.is_on() {
                continue;
            }
            honest += 1;
            let lacking = peer.disk.lacking(&ids).expect("simulated disks don't fail");
            if !lacking.is_empty() {
                behind.push((number, lacking.len()));
            }
            views.insert(peer.disk.view(self.space));
        }
        let is_liar = |number: Number| self.peers[number].lie.is_some();
        let just = |of: Number| {
            let by = self
                .bans
                .iter()
                .filter(|(by, whom)| !is_liar(*by) && *whom == of);
            by.count()
        };
        let wronged = (0..self.peers.len()).filter(|n| !is_liar(*n) && just(*n) > 0);
        let found_out = self.peers.iter().enumerate().filter_map(|(number, peer)| {
            let lie = peer.lie.filter(|lie| lie.is_found_out())?;
            Some((lie, just(number)))
        });
        Outcome {
            steps: self.steps,
            honest,
            written: ids.len(),
            behind,
            views: views.len(),
            view_bytes: views.iter().map(Vec::len).min().unwrap_or(0),
            wronged: wronged.count(),
            found_out: found_out.collect(),
            spread_ms: self.spread_ms(honest),
            trace: self.trace.finalize().to_hex().to_string(),
        }
    }

    fn spread_ms(&self, honest: usize) -> Option<u64> {
        let mut times: Vec<u64> = Vec::new();
        for (id, written_ms) in &self.written {
            let mut arrivals = self.arrivals.get(id).cloned().unwrap_or_default();
            arrivals.sort_unstable();
            if let Some(half) = arrivals.get(honest / 2 - 1) {
                times.push(half - written_ms);
            }
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    fn follow_all(&mut self) {
        for peer in &self.peers {
            peer.disk.follow(Follow::Space(self.space));
        }
    }
}

/// The liars of a scenario, in the order of their numbers.
fn lies(scenario: &Scenario) -> Vec<Lie> {
    let liars = &scenario.liars;
    [
        (Lie::Garbage, liars.garbage),
        (Lie::Forged, liars.forged),
        (Lie::Wrong, liars.wrong),
        (Lie::Withheld, liars.withheld),
        (Lie::Silent, liars.silent),
        (Lie::Flood, liars.flood),
    ]
    .into_iter()
    .flat_map(|(lie, count)| std::iter::repeat_n(lie, count))
    .collect()
}
