//! The client's thread, and what is asked of it.

use std::{
    cell::RefCell,
    net::{SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use nakamoto_client::{Command, Config, Hooks, Limits, Peer, chan, handle::Handle as _};
use nakamoto_common::{
    bitcoin::network::{constants::ServiceFlags, message::NetworkMessage},
    network::Network,
    p2p::Domain,
};

use super::{
    super::{error::SourceError, supervisor::panicked},
    frames::{Bounded, on_breach},
    gate::Gate,
};

/// Peers that are spoken to at once.
const MAX_PEERS: usize = 8;
/// What this node calls itself (BIP14).
const USER_AGENT: &str = "/datt:0.1.0/";
/// How long an answer of the client is waited for before its caller goes on.
const ANSWER: Duration = Duration::from_millis(500);
/// How long the client may owe an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may owe its first: it asks seeds before.
const FIRST_SILENCE: Duration = Duration::from_secs(180);
/// How long its thread may take to end.
const STOP: Duration = Duration::from_millis(1_200);

type Reactor = Bounded<nakamoto_net_poll::Reactor<TcpStream>>;
type Handle = nakamoto_client::Handle<<Reactor as nakamoto_common::net::Reactor>::Waker>;
/// Sends a message to one peer.
type Direct = Box<dyn FnMut(SocketAddr, NetworkMessage)>;

thread_local! {
    /// On the client's thread: the way out. `nakamoto` itself lets a caller speak to all peers,
    /// or to one that it draws by lot.
    static DIRECT: RefCell<Option<Direct>> = const { RefCell::new(None) };
}

/// A client that runs.
pub(super) struct Client {
    handle: Handle,
    ended: mpsc::Receiver<Result<(), SourceError>>,
    /// A list of peers that the client was asked for, and since when.
    owed: Option<(chan::Receiver<Vec<Peer>>, Instant)>,
    has_answered: bool,
    peers: Vec<Peer>,
}

impl Client {
    /// Starts a client on a thread of its own.
    pub(super) fn start(
        network: Network,
        folder: PathBuf,
        connect: Vec<SocketAddr>,
        gate: &Arc<Gate>,
    ) -> Result<Self, SourceError> {
        let client = nakamoto_client::Client::<Reactor>::new().map_err(failed)?;
        let handle = client.handle();
        let config = Config {
            network,
            connect,
            domains: vec![Domain::IPV4, Domain::IPV6],
            listen: Vec::new(),
            root: folder,
            verify: false,
            user_agent: USER_AGENT,
            hooks: hooks(gate),
            // Transactions are handed on with their witnesses (BIP144): peers that weren't told so
            // (btcd) hang up on the first one.
            services: ServiceFlags::WITNESS,
            limits: Limits {
                max_outbound_peers: MAX_PEERS,
                max_inbound_peers: 0,
                ..Limits::default()
            },
        };
        let (sender, ended) = mpsc::sync_channel(1);
        let breached = Arc::clone(gate);
        let run = move || {
            on_breach(move |peer| breached.let_go(peer));
            let result = catch_unwind(AssertUnwindSafe(|| client.run(config)));
            let result = match result {
                Ok(result) => result.map_err(failed),
                Err(panic) => Err(SourceError::ClientPanicked(panicked(panic.as_ref()))),
            };
            // Nobody listens any more: it was left behind.
            sender.send(result).ok();
        };
        thread::Builder::new()
            .name("spv-nakamoto".to_owned())
            .spawn(run)
            .map_err(SourceError::Thread)?;
        Ok(Self {
            handle,
            ended,
            owed: None,
            has_answered: false,
            peers: Vec::new(),
        })
    }

    /// Asks who is connected, and waits a moment for the answer.
    ///
    /// # Errors
    /// [`SourceError`]: the client ended, or owes an answer for too long.
    pub(super) fn refresh(&mut self) -> Result<(), SourceError> {
        if let Ok(result) = self.ended.try_recv() {
            return Err(result.err().unwrap_or(SourceError::ClientEnded));
        }
        let (answer, since) = match self.owed.take() {
            Some(owed) => owed,
            None => {
                let (sender, answer) = chan::bounded(1);
                self.command(Command::GetPeers(ServiceFlags::NETWORK, sender))?;
                (answer, Instant::now())
            }
        };
        if let Ok(peers) = answer.recv_timeout(ANSWER) {
            self.peers = peers;
            self.has_answered = true;
            return Ok(());
        }
        let most = if self.has_answered {
            SILENCE
        } else {
            FIRST_SILENCE
        };
        if since.elapsed() > most {
            return Err(SourceError::ClientSilent {
                wait_ms: u64::try_from(most.as_millis()).unwrap_or(u64::MAX),
            });
        }
        self.owed = Some((answer, since));
        Ok(())
    }

    /// Who was connected when last asked.
    pub(super) fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// Whether it ever got as far as to answer.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Sends a message to one peer.
    pub(super) fn send(
        &self,
        peer: SocketAddr,
        message: NetworkMessage,
    ) -> Result<(), SourceError> {
        self.command(Command::QueryTree(Arc::new(move |_| {
            DIRECT.with_borrow_mut(|direct| {
                if let Some(direct) = direct {
                    direct(peer, message.clone());
                }
            });
        })))
    }

    /// Sends a message to all peers that are connected.
    pub(super) fn send_all(&self, message: &NetworkMessage) -> Result<(), SourceError> {
        let mut peers = self.peers.iter();
        peers.try_for_each(|one| self.send(one.addr, message.clone()))
    }

    /// Connects to a peer, unless that is under way.
    pub(super) fn connect(&self, peer: SocketAddr) -> Result<(), SourceError> {
        self.command(Command::Connect(peer))
    }

    pub(super) fn disconnect(&self, peer: SocketAddr) -> Result<(), SourceError> {
        self.command(Command::Disconnect(peer))
    }

    /// Ends the client; its thread is left behind when it takes too long.
    pub(super) fn stop(self) {
        // Where it ended before there is nobody to tell.
        self.handle.shutdown().ok();
        if self.ended.recv_timeout(STOP).is_err() {
            tracing::warn!(target: "spv", "nakamoto_left_behind");
        }
    }

    fn command(&self, command: Command) -> Result<(), SourceError> {
        self.handle
            .command(command)
            .map_err(|error| SourceError::Client(Box::new(error)))
    }
}

fn failed(error: nakamoto_client::Error) -> SourceError {
    SourceError::Client(Box::new(error))
}

fn hooks(gate: &Arc<Gate>) -> Hooks {
    let (judge, admit) = (Arc::clone(gate), Arc::clone(gate));
    Hooks {
        on_message: Arc::new(move |peer, message, outbox| {
            DIRECT.with_borrow_mut(|direct| {
                direct.get_or_insert_with(|| {
                    let mut outbox = outbox.clone();
                    Box::new(move |to, message| {
                        outbox.message(to, message);
                    })
                });
            });
            let verdict = judge.judge(peer, message);
            let mut outbox = outbox.clone();
            for answer in verdict.answers {
                outbox.message(peer, answer);
            }
            verdict.pass
        }),
        on_version: Arc::new(move |peer, _| admit.admits(peer)),
        ..Hooks::default()
    }
}
