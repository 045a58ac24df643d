//! `nakamoto` as a source.
//!
//! Of the client it uses what finds and keeps peers. Its `rescan` and `watch` are never called:
//! they panic in reorgs. Its chain is not used either: headers go from the peers to ours, by
//! which each lie has a liar. It picks its peers itself, from those that it was given, else from
//! DNS seeds and hearsay; a liar among those given is left out by starting it again without him,
//! any other is disconnected whenever he shakes hands. He may come back after an hour.

mod bans;
mod bridge;
mod calls;
mod client;
mod frames;
mod gate;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bitcoin::{BlockHash, Transaction};
use nakamoto_common::{
    bitcoin::network::{message::NetworkMessage, message_blockdata::Inventory},
    network::Network as Theirs,
};

use self::{
    bans::Bans,
    bridge::{their_hash, theirs},
    calls::Calls,
    client::Client,
    gate::{Gate, MAX_ADDRESSES},
};
use super::{
    error::SourceError,
    link::{HeaderSource, Link, Request},
    options::SpvOptions,
};
use crate::Network;

pub use frames::{Frames, MAX_PAYLOAD_BYTES};

/// Its name.
const NAME: &str = "nakamoto";
/// How often it is looked who is connected.
const LOOK: Duration = Duration::from_millis(1_000);
/// The same, while nobody is.
const LOOK_ALONE: Duration = Duration::from_millis(100);
/// How long nothing new may come before all peers are asked, while one claims to have more.
const QUIET: Duration = Duration::from_secs(5);
/// The longest between two rounds of asking all peers.
const QUIET_MOST: Duration = Duration::from_secs(600);

/// The light client `nakamoto` 0.4. Clones share the list of liars.
#[derive(Clone, Debug)]
pub struct Nakamoto {
    network: Network,
    peers: Vec<SocketAddr>,
    bans: Bans,
}

/// Why a client was left.
enum Left {
    /// It is time to stop.
    Stopped,
    /// A peer that it was given lied: it is to start without him.
    Liar,
}

impl Nakamoto {
    /// A source by the same options as the light client's.
    ///
    /// # Errors
    /// [`SourceError::NoSuchNetwork`] for testnet4, which it doesn't speak;
    /// [`SourceError::NoPeers`] where there are neither peers nor seeds.
    pub fn new(options: &SpvOptions) -> Result<Self, SourceError> {
        their_network(options.network)?;
        if options.peers.is_empty() && !options.seeds {
            return Err(SourceError::NoPeers(NAME));
        }
        Ok(Self {
            network: options.network,
            peers: options.peers.clone(),
            bans: Bans::default(),
        })
    }

    fn run_client(&self, link: &Link) -> Result<Left, SourceError> {
        let known = self.peers.iter().copied();
        let connect: Vec<_> = known.filter(|one| !self.bans.holds(one)).collect();
        if connect.is_empty() && !self.peers.is_empty() {
            return Err(SourceError::OnlyLiars(self.peers.len()));
        }
        let addresses = if connect.is_empty() { MAX_ADDRESSES } else { 0 };
        let gate = Arc::new(Gate::new(link.clone(), self.bans.clone(), addresses));
        let folder = link.folder().join(NAME);
        let network = their_network(self.network)?;
        let client = Client::start(network, folder.clone(), connect.clone(), &gate)?;
        let mut round = Round {
            link,
            gate,
            client,
            looked: None,
            asked: Instant::now(),
            pause: QUIET,
            owing: BTreeMap::new(),
            calls: Calls::new(connect),
        };
        link.lost();
        let left = round.run(|peer| self.peers.contains(peer));
        if left.is_err() && !round.client.has_answered() {
            // It reads no damaged files. They hold nothing but addresses: the chain is ours.
            tracing::warn!(target: "spv", "nakamoto_files_removed");
            std::fs::remove_dir_all(&folder).ok();
        }
        round.client.stop();
        left
    }
}

impl HeaderSource for Nakamoto {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(self: Box<Self>, link: Link) -> Result<(), SourceError> {
        while let Left::Liar = self.run_client(&link)? {}
        Ok(())
    }
}

/// One client, from its start to its end.
struct Round<'a> {
    link: &'a Link,
    gate: Arc<Gate>,
    client: Client,
    looked: Option<Instant>,
    /// When all peers were last asked for headers.
    asked: Instant,
    /// How long until they are again.
    pause: Duration,
    /// How often each peer was asked for a block in vain.
    owing: BTreeMap<SocketAddr, u32>,
    calls: Calls,
}

impl Round<'_> {
    fn run(&mut self, is_given: impl Fn(&SocketAddr) -> bool) -> Result<Left, SourceError> {
        loop {
            for peer in self.gate.unwanted() {
                if is_given(&peer) && self.gate.admits(peer).is_err() {
                    return Ok(Left::Liar);
                }
                self.client.disconnect(peer)?;
            }
            let look = if self.client.peers().is_empty() {
                LOOK_ALONE
            } else {
                LOOK
            };
            if self.looked.is_none_or(|since| since.elapsed() >= look) {
                self.look()?;
            }
            match self.link.next(look) {
                Some(Request::Stop) => return Ok(Left::Stopped),
                Some(Request::Block { hash, avoid }) => self.fetch(&hash, &avoid)?,
                Some(Request::Submit(transaction)) => self.submit(&transaction)?,
                None => {}
            }
        }
    }

    /// Sees who is there, and asks all of them where one claims more than there is here.
    fn look(&mut self) -> Result<(), SourceError> {
        self.client.refresh()?;
        self.looked = Some(Instant::now());
        let peers = self.client.peers();
        let connected: Vec<_> = peers.iter().map(|one| one.addr).collect();
        for peer in self.calls.due(&connected, Instant::now()) {
            self.client.connect(peer)?;
        }
        let claimed = peers.iter().map(|one| one.height).max();
        let claimed = claimed.map(|one| u32::try_from(one).unwrap_or(u32::MAX));
        self.link
            .peers(u32::try_from(peers.len()).unwrap_or(u32::MAX), claimed);
        let quiet = self.gate.quiet();
        if quiet < QUIET {
            self.pause = QUIET;
            return Ok(());
        }
        let is_behind = claimed.is_some_and(|one| one > self.link.tip().height);
        let pause = if is_behind { self.pause } else { QUIET_MOST };
        if self.asked.elapsed() >= pause {
            self.asked = Instant::now();
            self.pause = (self.pause * 2).min(QUIET_MOST);
            self.client.send_all(&self.gate.ask())?;
        }
        Ok(())
    }

    /// Asks a peer for a block: one that wasn't asked for it yet, if there is one.
    fn fetch(&mut self, hash: &BlockHash, avoid: &[SocketAddr]) -> Result<(), SourceError> {
        self.look()?;
        let peers = self.client.peers().iter().map(|one| one.addr);
        let connected: Vec<_> = peers.filter(|one| self.gate.admits(*one).is_ok()).collect();
        if let Some(last) = avoid.last() {
            *self.owing.entry(*last).or_insert(0) += 1;
        }
        self.owing.retain(|one, _| connected.contains(one));
        // Who was asked longest ago, and of those who answered best.
        let turn = |peer: &SocketAddr| {
            let asked = avoid.iter().rposition(|one| one == peer);
            let owing = self.owing.get(peer).copied().unwrap_or(0);
            (asked.map_or(0, |index| index + 1), owing)
        };
        let Some(peer) = connected.iter().copied().min_by_key(turn) else {
            self.link.unasked(hash);
            return Ok(());
        };
        self.link.asked(hash, peer);
        let wanted = vec![Inventory::Block(their_hash(hash))];
        self.client.send(peer, NetworkMessage::GetData(wanted))
    }

    fn submit(&mut self, transaction: &Transaction) -> Result<(), SourceError> {
        let Ok(theirs) = theirs(transaction) else {
            return Ok(());
        };
        let announcement = self.gate.hand_on(theirs);
        self.client.refresh()?;
        self.client.send_all(&announcement)?;
        let peers = u32::try_from(self.client.peers().len()).unwrap_or(u32::MAX);
        self.link.announced(&transaction.compute_txid(), peers);
        Ok(())
    }
}

fn their_network(network: Network) -> Result<Theirs, SourceError> {
    match network {
        Network::Bitcoin => Ok(Theirs::Mainnet),
        Network::Signet => Ok(Theirs::Signet),
        Network::Regtest => Ok(Theirs::Regtest),
        Network::Testnet4 => Err(SourceError::NoSuchNetwork {
            source_name: NAME,
            network,
        }),
    }
}
