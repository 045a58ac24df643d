//! The actor that joins the cores to iroh.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use iroh::{Endpoint, Watcher, address_lookup::memory::MemoryLookup};
use iroh_gossip::net::Gossip;
use model::{EndpointKey, EntryId};
use n0_future::StreamExt;
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Handle, SyncProtocol,
    handle::{self, Command, PeerStats, Published, Stats},
    shared::{Shared, now_ms, to_key},
    stream,
    topic::{self, Order},
};
use crate::{
    Event, Node, Replica,
    node::{Input, Output},
    schedule::{Ending, Plan, Start},
    sync::Session,
};

/// Inputs that wait for the core.
const INPUTS: usize = 4_096;
/// Inputs handled in one turn.
const TURN: usize = 512;
/// How often the core looks at the time.
const TICK: Duration = Duration::from_millis(250);
/// Every so many ticks the statistics are renewed.
const STATS_TICKS: u32 = 4;

/// What can be chosen; the defaults are those of the protocol page.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of jitter: any number, another one for each node.
    pub seed: u64,
    /// Topics of threads to be in at once.
    pub live_topics: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            live_topics: crate::bounds::LIVE_TOPICS,
        }
    }
}

struct JoinedTopic {
    orders: mpsc::Sender<Order>,
    leave: CancellationToken,
}

/// Runs the exchange; made by [`Driver::new`], run once.
pub struct Driver {
    gossip: Gossip,
    lookup: MemoryLookup,
    shared: Arc<Shared>,
    node: Box<Node>,
    commands: mpsc::Receiver<Command>,
    inputs: mpsc::Receiver<Input>,
    events: broadcast::Sender<Event>,
    stats: watch::Sender<Arc<Stats>>,
    topics: BTreeMap<[u8; 32], JoinedTopic>,
    tasks: JoinSet<()>,
}

impl Driver {
    /// The driver, the handle to it, and the handler of [`super::ALPN`] for the router.
    ///
    /// `gossip` must have been spawned with a message size of at least 4,096 bytes and be accepted
    /// under its own ALPN by the same router.
    pub fn new(
        endpoint: Endpoint,
        gossip: Gossip,
        replica: Arc<dyn Replica>,
        options: Options,
    ) -> (Self, Handle, SyncProtocol) {
        let (sender, commands) = mpsc::channel(handle::COMMANDS);
        let (to_core, inputs) = mpsc::channel(INPUTS);
        let (events, _) = broadcast::channel(handle::EVENTS);
        let (stats, watched) = watch::channel(Arc::new(Stats::default()));
        let lookup = MemoryLookup::new();
        if let Ok(services) = endpoint.address_lookup() {
            services.add(lookup.clone());
        }
        let me = to_key(endpoint.id());
        let node = Node::new(me, options.seed, options.live_topics, now_ms());
        let shared = Arc::new(Shared::new(endpoint, replica, to_core));
        let handle = Handle {
            commands: sender,
            events: events.clone(),
            stats: watched,
        };
        let driver = Self {
            gossip,
            lookup,
            shared: shared.clone(),
            node: Box::new(node),
            commands,
            inputs,
            events,
            stats,
            topics: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        (driver, handle, SyncProtocol::new(shared))
    }

    /// Runs until cancelled; all of its tasks have ended when it returns.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut addresses = self.shared.endpoint.watch_addr().stream_updates_only();
        let mut ticks = 0_u32;
        self.turn(vec![Input::Start]).await;
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                Some(input) = self.inputs.recv() => {
                    let mut turn = vec![input];
                    while turn.len() < TURN && let Ok(input) = self.inputs.try_recv() {
                        turn.push(input);
                    }
                    self.turn(turn).await;
                }
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
                Some(_) = addresses.next() => {
                    self.turn(vec![Input::NetworkChange]).await;
                }
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.turn(vec![Input::Tick]).await;
                    if ticks.is_multiple_of(STATS_TICKS) {
                        self.shared.close_idle();
                        self.renew_stats();
                    }
                }
            }
        }
        self.inputs.close();
        for topic in self.topics.values() {
            topic.leave.cancel();
        }
        self.shared.close_all();
        self.tasks.shutdown().await;
    }

    /// Lets the core handle what happened, away from the runtime's own threads.
    async fn turn(&mut self, inputs: Vec<Input>) -> Vec<[u8; 32]> {
        let shared = self.shared.clone();
        let me = to_key(shared.endpoint.id());
        let idle = Box::new(Node::new(me, 0, 0, 0));
        let mut node = std::mem::replace(&mut self.node, idle);
        let work = move || {
            let outputs = node.handle(inputs, now_ms(), &*shared.replica);
            (node, outputs)
        };
        let outputs = match tokio::task::spawn_blocking(work).await {
            Ok((node, outputs)) => {
                self.node = node;
                outputs
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Vec::new(),
        };
        match outputs {
            Ok(outputs) => outputs
                .into_iter()
                .filter_map(|output| self.carry_out(output))
                .collect(),
            Err(error) => {
                tracing::error!(%error, source = %error.source, "exchange");
                Vec::new()
            }
        }
    }

    /// Gives the topic of a broadcast.
    fn carry_out(&mut self, output: Output) -> Option<[u8; 32]> {
        match output {
            Output::Join { topic, peers } => self.join(topic, peers),
            Output::Invite { topic, peers } => self.order(topic, Order::Invite(peers)),
            Output::Leave { topic } => {
                if let Some(joined) = self.topics.remove(&topic) {
                    joined.leave.cancel();
                }
            }
            Output::Broadcast { topic, bytes } => {
                self.order(topic, Order::Broadcast(bytes.into()));
                return Some(topic);
            }
            Output::Start(start) => {
                self.tasks.spawn(open(self.shared.clone(), start));
            }
            Output::Ban { peer, until_ms } => self.shared.ban(peer, until_ms),
            Output::Event(event) => {
                if let Event::NewEntries { peer, ids } = &event {
                    self.shared.count(*peer, ids.len() as u64, 0);
                }
                // Nobody listens: nothing lost.
                let _ = self.events.send(event);
            }
        }
        None
    }

    fn join(&mut self, topic: [u8; 32], peers: Vec<EndpointKey>) {
        let (orders, waiting) = mpsc::channel(topic::ORDERS);
        let leave = CancellationToken::new();
        let inputs = self.shared.inputs.clone();
        let gossip = self.gossip.clone();
        self.tasks.spawn(topic::run(
            gossip,
            topic,
            peers,
            waiting,
            inputs,
            leave.clone(),
        ));
        let joined = JoinedTopic { orders, leave };
        if let Some(before) = self.topics.insert(topic, joined) {
            before.leave.cancel();
        }
    }

    fn order(&mut self, topic: [u8; 32], order: Order) {
        if let Some(joined) = self.topics.get(&topic)
            && joined.orders.try_send(order).is_err()
        {
            tracing::debug!("a topic is too busy; the rest heals by sync");
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Publish(ids, reply) => {
                let topics = self.turn(vec![Input::Publish(ids)]).await;
                let neighbors = self.neighbors(&topics);
                for peer in &neighbors {
                    self.shared.count(*peer, 0, topics.len() as u64);
                }
                let neighbors = neighbors.len();
                let _ = reply.send(Published { neighbors });
            }
            Command::Follow(subject, peers) => {
                let keys = peers.iter().map(|address| to_key(address.id)).collect();
                for address in peers {
                    self.lookup.add_endpoint_info(address);
                }
                self.turn(vec![Input::Follow(subject, keys)]).await;
            }
            Command::Unfollow(subject) => {
                self.turn(vec![Input::Unfollow(subject)]).await;
            }
            Command::AddPeer(address) => {
                let peer = to_key(address.id);
                self.lookup.add_endpoint_info(address);
                self.turn(vec![Input::Peer(peer)]).await;
            }
            Command::Holdings(space, statements) => {
                self.turn(vec![Input::Holdings(space, statements)]).await;
            }
            Command::Sync(scope, reply) => {
                let _ = reply.send(self.node.peers_up().len());
                self.turn(vec![Input::Sync(scope)]).await;
            }
            Command::Fetch(ids, reply) => self.fetch(ids, reply),
            Command::NetworkChange => {
                self.shared.close_all();
                let endpoint = self.shared.endpoint.clone();
                self.tasks
                    .spawn(async move { endpoint.network_change().await });
                self.turn(vec![Input::NetworkChange]).await;
            }
        }
    }

    fn neighbors(&self, topics: &[[u8; 32]]) -> BTreeSet<EndpointKey> {
        let subjects = topics.iter().filter_map(|t| self.node.topics().subject(*t));
        subjects
            .flat_map(|subject| self.node.topics().neighbors(&subject))
            .collect()
    }

    /// Asks peers one after the other, those that are up first.
    fn fetch(&mut self, ids: Vec<EntryId>, reply: tokio::sync::oneshot::Sender<bool>) {
        let mut peers: Vec<(bool, EndpointKey)> =
            self.node.peers().map(|(key, up, _)| (!up, key)).collect();
        peers.sort_unstable();
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let mut held = false;
            for (_, peer) in peers {
                let lacking = lacking(&shared, ids.clone()).await;
                held = lacking.is_empty();
                if held {
                    break;
                }
                let session = Session::fetch(peer, lacking, now_ms());
                let ending = connect_and_run(&shared, session, Some(u64::MAX)).await;
                if let Ending::Lied(reason) = ending {
                    let _ = shared.inputs.send(Input::Lied { peer, reason }).await;
                }
            }
            held = held || lacking(&shared, ids).await.is_empty();
            let _ = reply.send(held);
        });
    }

    fn renew_stats(&self) {
        let known = self
            .node
            .peers()
            .map(|(peer, up, seen_ms)| (peer, (up, seen_ms)));
        let banned = self.node.bans().map(|(peer, _)| (peer, (false, 0)));
        let all: BTreeMap<EndpointKey, (bool, u64)> = banned.chain(known).collect();
        let peers = all.into_iter().map(|(peer, (up, seen_ms))| {
            let counts = self.shared.counts(peer);
            let (path, rtt) = self.shared.path(peer);
            let stats = PeerStats {
                entries_in: counts.received,
                entries_out: counts.sent,
                rtt,
                path,
                topics: self.node.topics().shared_with(peer),
                seen_ms,
                up,
                banned_until_ms: self.node.banned_until(peer),
            };
            (peer, stats)
        });
        let stats = Stats {
            peers: peers.collect(),
            topics: self.node.topics().len(),
            sessions: self.node.sessions(),
        };
        self.stats.send_if_modified(|before| {
            let changed = **before != stats;
            if changed {
                *before = Arc::new(stats);
            }
            changed
        });
    }
}

async fn lacking(shared: &Arc<Shared>, ids: Vec<EntryId>) -> Vec<EntryId> {
    let shared = shared.clone();
    let all = ids.clone();
    let work = tokio::task::spawn_blocking(move || shared.replica.lacking(&ids));
    match work.await {
        Ok(Ok(lacking)) => lacking,
        _ => all,
    }
}

/// A session of ours, from connecting to its end.
async fn open(shared: Arc<Shared>, start: Start) {
    let session = match start.plan {
        Plan::Scope(scope) => Session::initiate(start.peer, vec![scope], now_ms()),
        Plan::Fetch { ids, .. } => Session::fetch(start.peer, ids, now_ms()),
    };
    let ending = connect_and_run(&shared, session, Some(start.id)).await;
    let ended = Input::Ended {
        session: start.id,
        peer: start.peer,
        ending,
    };
    // Gone only when the node stops.
    let _ = shared.inputs.send(ended).await;
}

async fn connect_and_run(shared: &Arc<Shared>, session: Session, id: Option<u64>) -> Ending {
    let peer = session.peer();
    let Some(connection) = shared.connect(peer).await else {
        return Ending::Failed;
    };
    let ending = match connection.open_bi().await {
        Ok((send, recv)) => stream::run(shared.clone(), session, id, send, recv).await,
        Err(_) => Ending::Failed,
    };
    shared.release(peer, &connection, ending == Ending::Done);
    if let Ending::Lied(_) = ending {
        connection.close(super::LIED.into(), b"fault");
    }
    ending
}
