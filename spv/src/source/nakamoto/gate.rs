//! What peers say, before `nakamoto` hears it.
//!
//! Headers and blocks go to the light client and no further: `nakamoto` keeps no chain of its
//! own, so that none of it has to be right, and its store of headers without parents, which has
//! no bound, stays empty. What it does is to find peers, to connect, and to shake hands.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bitcoin::{Block, BlockHash, block::Header};
use nakamoto_common::bitcoin::{
    self as old,
    hashes::Hash as _,
    network::{
        message::NetworkMessage,
        message_blockdata::{GetHeadersMessage, Inventory},
    },
};

use super::{
    super::link::{Delivery, Link, Offer},
    bans::Bans,
    bridge::{our_hash, our_id, ours, their_hash},
};

/// Headers in one message (`MAX_HEADERS_RESULTS` of Bitcoin Core).
const MAX_HEADERS: usize = 2_000;
/// Version of the protocol in `getheaders`.
const VERSION: u32 = 70_016;
/// Times in a row that a peer is asked for more after headers without parents, or after a full
/// message of known ones beside the active chain, before it is let go: more than the headers that
/// are kept beside it fill.
const MAX_IN_VAIN: u32 = 32;
/// Transactions that are handed to peers who ask.
const MAX_TRANSACTIONS: usize = 64;
/// Peers whose manners are remembered.
const MAX_PEERS: usize = 256;

/// Addresses that `nakamoto` takes down from hearsay, for each start of it.
pub(super) const MAX_ADDRESSES: usize = 10_000;

/// A verdict on one message.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Whether `nakamoto` is to hear it; else why not.
    pub(super) pass: Result<(), &'static str>,
    /// What is said to the peer.
    pub(super) answers: Vec<NetworkMessage>,
}

/// Stands between the peers and `nakamoto`.
#[derive(Debug)]
pub(super) struct Gate {
    link: Link,
    bans: Bans,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    transactions: VecDeque<old::Transaction>,
    /// How often in a row each peer sent headers that led to none that were new.
    in_vain: BTreeMap<SocketAddr, u32>,
    /// Addresses that may still be heard.
    addresses: usize,
    /// Peers that are to be let go.
    unwanted: Vec<SocketAddr>,
    /// When headers last came that were new.
    news: Instant,
}

impl Verdict {
    fn pass(answers: Vec<NetworkMessage>) -> Self {
        Self {
            pass: Ok(()),
            answers,
        }
    }

    fn kept(answers: Vec<NetworkMessage>) -> Self {
        Self {
            pass: Err("it is for the light client"),
            answers,
        }
    }

    fn banned() -> Self {
        Self {
            pass: Err("the peer lied"),
            answers: Vec::new(),
        }
    }
}

impl Gate {
    /// A gate that lets so many addresses through: none where all peers are given.
    pub(super) fn new(link: Link, bans: Bans, addresses: usize) -> Self {
        Self {
            link,
            bans,
            state: Mutex::new(State {
                transactions: VecDeque::new(),
                in_vain: BTreeMap::new(),
                addresses,
                unwanted: Vec::new(),
                news: Instant::now(),
            }),
        }
    }

    /// Whether a peer may shake hands.
    pub(super) fn admits(&self, peer: SocketAddr) -> Result<(), &'static str> {
        if self.bans.holds(&peer) {
            return Err("the peer lied");
        }
        Ok(())
    }

    /// Judges a message.
    pub(super) fn judge(&self, peer: SocketAddr, message: &NetworkMessage) -> Verdict {
        if self.bans.holds(&peer) {
            return Verdict::banned();
        }
        match message {
            NetworkMessage::Verack => Verdict::pass(self.greet()),
            NetworkMessage::Headers(headers) => self.headers(peer, headers),
            NetworkMessage::Inv(inventory) => self.announced(inventory),
            NetworkMessage::Block(block) => self.block(peer, block),
            NetworkMessage::NotFound(missing) => {
                for one in missing {
                    if let Inventory::Block(hash) | Inventory::WitnessBlock(hash) = one {
                        self.link.unasked(&our_hash(hash));
                    }
                }
                Verdict::kept(Vec::new())
            }
            NetworkMessage::Addr(addresses) => self.hearsay(addresses.len()),
            NetworkMessage::GetData(wanted) => Verdict::kept(self.wanted(wanted)),
            NetworkMessage::GetHeaders(_)
            | NetworkMessage::Tx(_)
            | NetworkMessage::CFHeaders(_)
            | NetworkMessage::CFilter(_) => Verdict::kept(Vec::new()),
            _ => Verdict::pass(Vec::new()),
        }
    }

    /// Asks for the headers after those here.
    pub(super) fn ask(&self) -> NetworkMessage {
        get_headers(&self.link.locator())
    }

    /// How long nothing new came.
    pub(super) fn quiet(&self) -> Duration {
        self.state().news.elapsed()
    }

    /// Peers that are to be let go, since the last time.
    pub(super) fn unwanted(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.state().unwanted)
    }

    /// Keeps a transaction for peers that ask for it; returns its announcement.
    pub(super) fn hand_on(&self, transaction: old::Transaction) -> NetworkMessage {
        let inventory = announcement(&transaction);
        let mut state = self.state();
        state
            .transactions
            .retain(|one| one.txid() != transaction.txid());
        if state.transactions.len() >= MAX_TRANSACTIONS {
            state.transactions.pop_front();
        }
        state.transactions.push_back(transaction);
        NetworkMessage::Inv(inventory)
    }

    /// After a handshake: what is missing here, and what is to be handed on.
    fn greet(&self) -> Vec<NetworkMessage> {
        let mut answers = vec![self.ask()];
        let state = self.state();
        for transaction in &state.transactions {
            self.link.announced(&our_id(&transaction.txid()), 1);
        }
        let inventory: Vec<_> = state.transactions.iter().flat_map(announcement).collect();
        if !inventory.is_empty() {
            answers.push(NetworkMessage::Inv(inventory));
        }
        answers
    }

    fn headers(&self, peer: SocketAddr, theirs: &[old::BlockHeader]) -> Verdict {
        if theirs.len() > MAX_HEADERS {
            self.let_go(peer);
            return Verdict::kept(Vec::new());
        }
        let headers: Result<Vec<Header>, _> = theirs.iter().map(ours).collect();
        let Some(headers) = headers.ok().filter(|one| !one.is_empty()) else {
            return Verdict::kept(Vec::new());
        };
        let last = headers[headers.len() - 1].block_hash();
        let is_full = headers.len() == MAX_HEADERS;
        if self.link.knows(&last) {
            // What the locator of the active chain can't reach: a branch beside it may go on.
            let goes_on = is_full && self.link.knows_aside(&last) && !self.is_too_often(peer);
            let more = goes_on.then(|| get_headers(&[last]));
            return Verdict::kept(more.into_iter().collect());
        }
        match self.link.offer(Some(peer), &headers) {
            Offer::Taken(_) => {
                let mut state = self.state();
                state.news = Instant::now();
                state.in_vain.remove(&peer);
                drop(state);
                let more = is_full.then(|| get_headers(&[last]));
                Verdict::kept(more.into_iter().collect())
            }
            Offer::Unconnected => Verdict::kept(self.fill(peer)),
            Offer::Unjudged => Verdict::kept(Vec::new()),
            Offer::Lie(fault) => {
                tracing::warn!(target: "spv", %fault, "peer_lied");
                self.bans.add(peer);
                self.let_go(peer);
                Verdict::banned()
            }
        }
    }

    /// Asks for what lies between the chain and headers that hang in the air.
    fn fill(&self, peer: SocketAddr) -> Vec<NetworkMessage> {
        if self.is_too_often(peer) {
            return Vec::new();
        }
        vec![self.ask()]
    }

    /// Counts a message that brought nothing new; whether that was one too many: the peer is let
    /// go then.
    fn is_too_often(&self, peer: SocketAddr) -> bool {
        let mut state = self.state();
        if state.in_vain.len() >= MAX_PEERS {
            state.in_vain.clear();
        }
        let count = state.in_vain.entry(peer).or_insert(0);
        *count += 1;
        let is_too_often = *count > MAX_IN_VAIN;
        drop(state);
        if is_too_often {
            self.let_go(peer);
        }
        is_too_often
    }

    fn announced(&self, inventory: &[Inventory]) -> Verdict {
        let is_news = inventory.iter().any(|one| match one {
            Inventory::Block(hash) | Inventory::WitnessBlock(hash) => {
                !self.link.knows(&our_hash(hash))
            }
            _ => false,
        });
        Verdict::kept(if is_news {
            vec![self.ask()]
        } else {
            Vec::new()
        })
    }

    fn block(&self, peer: SocketAddr, theirs: &old::Block) -> Verdict {
        let hash = our_hash(&theirs.block_hash());
        if !self.link.wants(&hash) {
            return Verdict::kept(Vec::new());
        }
        let Ok(block) = ours::<_, Block>(theirs) else {
            self.link.unasked(&hash);
            return Verdict::kept(Vec::new());
        };
        if let Delivery::Lie(fault) = self.link.deliver(Some(peer), &block) {
            tracing::warn!(target: "spv", %fault, "peer_lied");
            self.bans.add(peer);
            self.let_go(peer);
            return Verdict::banned();
        }
        Verdict::kept(Vec::new())
    }

    /// Transactions for a peer that asks for them.
    fn wanted(&self, wanted: &[Inventory]) -> Vec<NetworkMessage> {
        let state = self.state();
        let found = wanted.iter().filter_map(|one| {
            let mut transactions = state.transactions.iter();
            match one {
                Inventory::Transaction(id) | Inventory::WitnessTransaction(id) => {
                    transactions.find(|known| known.txid() == *id)
                }
                Inventory::WTx(id) => transactions.find(|known| known.wtxid() == *id),
                _ => None,
            }
        });
        found
            .take(MAX_TRANSACTIONS)
            .cloned()
            .map(NetworkMessage::Tx)
            .collect()
    }

    fn hearsay(&self, addresses: usize) -> Verdict {
        let mut state = self.state();
        match state.addresses.checked_sub(addresses) {
            Some(left) => {
                state.addresses = left;
                Verdict::pass(Vec::new())
            }
            None => Verdict::kept(Vec::new()),
        }
    }

    /// Has a peer disconnected.
    pub(super) fn let_go(&self, peer: SocketAddr) {
        let mut state = self.state();
        if state.unwanted.len() < MAX_PEERS && !state.unwanted.contains(&peer) {
            state.unwanted.push(peer);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By both names: peers look at the one that they agreed on (BIP339), and pass over the other.
fn announcement(transaction: &old::Transaction) -> Vec<Inventory> {
    vec![
        Inventory::Transaction(transaction.txid()),
        Inventory::WTx(transaction.wtxid()),
    ]
}

fn get_headers(locator: &[BlockHash]) -> NetworkMessage {
    NetworkMessage::GetHeaders(GetHeadersMessage {
        version: VERSION,
        locator_hashes: locator.iter().map(their_hash).collect(),
        stop_hash: old::BlockHash::all_zeros(),
    })
}

#[cfg(test)]
mod tests;
