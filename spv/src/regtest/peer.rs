//! A peer over loopback.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bitcoin::{
    Transaction,
    p2p::{
        message::NetworkMessage,
        message_blockdata::{GetHeadersMessage, Inventory},
    },
};

use super::{
    branch::Branch,
    lies::{Shown, garbage},
    miner::Miner,
    talk::{Listener, Speaker, halves, version},
};

/// How often what runs looks whether it shall end.
const TICK: Duration = Duration::from_millis(50);
/// Headers that are announced as such; more by their hash (`MAX_BLOCKS_TO_ANNOUNCE`).
const MAX_ANNOUNCED: usize = 8;
/// Transactions that are kept.
const MAX_TRANSACTIONS: usize = 10_000;

/// How a peer treats those who ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Truly.
    Honest,
    /// Keeps to a chain that ends 6 blocks before the end there was at its start.
    StaleTip,
    /// Keeps to a branch of its own with less work, and boasts of its height.
    LowerWork,
    /// True headers, other transactions in the blocks.
    ForgedBlocks,
    /// Forged headers on top of the true ones.
    ForgedHeaders,
    /// Shakes hands, boasts of its height, and says nothing more.
    Silent,
    /// Shakes hands, and sends what is no message: of three kinds, by connection.
    Garbage,
}

/// A peer that serves a miner's chain over loopback, honestly or not. It ends with its handle.
#[derive(Debug)]
pub struct MockPeer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    miner: Miner,
    shown: Shown,
    behaviour: Behaviour,
    received: Mutex<Vec<Transaction>>,
    /// Rings when a transaction or a connection comes.
    arrived: Condvar,
    speakers: Mutex<Vec<Speaker>>,
    connections: AtomicU64,
    blocks_served: AtomicU64,
    /// Lies told, so that they differ.
    turns: AtomicU64,
    is_stopping: AtomicBool,
}

impl MockPeer {
    /// Starts a peer at a free port.
    ///
    /// # Errors
    /// What the system says to the socket or to the thread.
    pub fn start(miner: &Miner, behaviour: Behaviour) -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            miner: miner.clone(),
            shown: Shown::new(miner, behaviour),
            behaviour,
            received: Mutex::new(Vec::new()),
            arrived: Condvar::new(),
            speakers: Mutex::new(Vec::new()),
            connections: AtomicU64::new(0),
            blocks_served: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        });
        let peer = Arc::clone(&shared);
        thread::Builder::new()
            .name("mock-peer".to_owned())
            .spawn(move || accept(&peer, &socket))?;
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Transactions that it was given, in the order they came.
    pub fn received(&self) -> Vec<Transaction> {
        self.shared.received().clone()
    }

    /// Knows of no transaction any more: what it is given again, it takes again.
    pub fn forget_received(&self) {
        self.shared.received().clear();
    }

    /// Waits until it was given so many transactions, or not; returns what it has.
    pub fn wait_received(&self, count: usize, deadline: Duration) -> Vec<Transaction> {
        let received = self.shared.received();
        let waited = self
            .shared
            .arrived
            .wait_timeout_while(received, deadline, |received| received.len() < count);
        let (received, _) = waited.unwrap_or_else(PoisonError::into_inner);
        received.clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Waits until there were so many connections, or not; returns how many.
    pub fn wait_connections(&self, count: u64, deadline: Duration) -> u64 {
        let received = self.shared.received();
        let waited = self
            .shared
            .arrived
            .wait_timeout_while(received, deadline, |_| self.connections() < count);
        drop(waited);
        self.connections()
    }

    /// Blocks that it sent, forged ones too.
    pub fn blocks_served(&self) -> u64 {
        self.shared.blocks_served.load(Ordering::Relaxed)
    }

    /// Closes all connections; who was connected may come back.
    pub fn hang_up(&self) {
        let mut speakers = self.shared.speakers();
        speakers.drain(..).for_each(|one| one.hang_up());
    }
}

impl Drop for MockPeer {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.hang_up();
        // Wakes the thread that accepts: it sees that it is to end.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Vec<Transaction>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn speakers(&self) -> MutexGuard<'_, Vec<Speaker>> {
        self.speakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }
}

fn accept(peer: &Arc<Shared>, socket: &TcpListener) {
    for stream in socket.incoming() {
        if peer.is_stopping() {
            return;
        }
        let Ok((speaker, listener)) = stream.and_then(halves) else {
            continue;
        };
        let received = peer.received();
        let number = peer.connections.fetch_add(1, Ordering::Relaxed);
        peer.arrived.notify_all();
        drop(received);
        peer.speakers().push(speaker.clone());
        let session = Session {
            number,
            peer: Arc::clone(peer),
            speaker: speaker.clone(),
            is_over: Arc::new(AtomicBool::new(false)),
        };
        let started = thread::Builder::new()
            .name("mock-connection".to_owned())
            .spawn(move || session.run(listener));
        if started.is_err() {
            speaker.hang_up();
        }
    }
}

/// One connection.
#[derive(Clone, Debug)]
struct Session {
    /// Connections to the peer before this one.
    number: u64,
    peer: Arc<Shared>,
    speaker: Speaker,
    is_over: Arc<AtomicBool>,
}

impl Session {
    fn run(self, mut listener: Listener) {
        while let Ok(message) = listener.hear() {
            if self.answer(message).is_err() || self.peer.is_stopping() {
                break;
            }
        }
        self.is_over.store(true, Ordering::Relaxed);
        self.speaker.hang_up();
    }

    fn answer(&self, message: NetworkMessage) -> io::Result<()> {
        let peer = &self.peer;
        match message {
            NetworkMessage::Version(theirs) => {
                let height = peer.shown.claimed_height();
                self.speaker.say(version(&theirs, peer.turn(), height))?;
                self.speaker.say(NetworkMessage::Verack)
            }
            NetworkMessage::Verack => self.begin(),
            _ if peer.behaviour == Behaviour::Silent => Ok(()),
            NetworkMessage::Ping(nonce) => self.speaker.say(NetworkMessage::Pong(nonce)),
            NetworkMessage::GetAddr => self.speaker.say(NetworkMessage::Addr(Vec::new())),
            NetworkMessage::GetHeaders(asked) => self.headers(&asked),
            NetworkMessage::GetData(wanted) => self.data(wanted),
            NetworkMessage::Inv(inventory) => self.fetch(&inventory),
            NetworkMessage::Tx(transaction) => {
                let mut received = peer.received();
                if received.len() < MAX_TRANSACTIONS && !received.contains(&transaction) {
                    received.push(transaction);
                    peer.arrived.notify_all();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// After the handshake: from here on blocks are announced.
    fn begin(&self) -> io::Result<()> {
        if self.peer.behaviour == Behaviour::Garbage {
            return self.speaker.send(&garbage(self.number));
        }
        if self.peer.shown.announces() {
            let session = self.clone();
            // Whatever is mined from here on is news.
            let told = self.peer.miner.active();
            thread::Builder::new()
                .name("mock-announcer".to_owned())
                .spawn(move || session.announce(told))?;
        }
        Ok(())
    }

    fn announce(&self, mut told: Branch) {
        while !self.peer.is_stopping() && !self.is_over.load(Ordering::Relaxed) {
            let Some(new) = self.peer.miner.moved_from(&told.tip_hash(), TICK) else {
                continue;
            };
            let headers = self.peer.shown.news(&told, &new, self.peer.turn());
            let message = if headers.len() > MAX_ANNOUNCED {
                NetworkMessage::Inv(vec![Inventory::Block(new.tip_hash())])
            } else {
                NetworkMessage::Headers(headers)
            };
            if self.speaker.say(message).is_err() {
                return;
            }
            told = new;
        }
    }

    fn headers(&self, asked: &GetHeadersMessage) -> io::Result<()> {
        let headers = self.peer.shown.headers(asked, self.peer.turn());
        self.speaker.say(NetworkMessage::Headers(headers))
    }

    fn data(&self, wanted: Vec<Inventory>) -> io::Result<()> {
        let mut missing = Vec::new();
        for one in wanted {
            let block = match one {
                Inventory::Block(hash) => self.peer.shown.block(&hash, false),
                Inventory::WitnessBlock(hash) => self.peer.shown.block(&hash, true),
                _ => None,
            };
            match block {
                Some(block) => {
                    self.peer.blocks_served.fetch_add(1, Ordering::Relaxed);
                    self.speaker.say(NetworkMessage::Block(block))?;
                }
                None => missing.push(one),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.speaker.say(NetworkMessage::NotFound(missing))
    }

    /// Asks for transactions that were announced.
    fn fetch(&self, inventory: &[Inventory]) -> io::Result<()> {
        let wanted = inventory.iter().filter_map(|one| match one {
            Inventory::Transaction(id) | Inventory::WitnessTransaction(id) => {
                Some(Inventory::WitnessTransaction(*id))
            }
            Inventory::WTx(id) => Some(Inventory::WTx(*id)),
            _ => None,
        });
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.speaker.say(NetworkMessage::GetData(wanted))
    }
}
