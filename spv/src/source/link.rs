//! What a source of headers is, and its way to the light client.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bitcoin::{Block, BlockHash, Transaction, Txid, block::Header};

use super::{
    error::{PeerFault, SourceError},
    shared::Shared,
};
use crate::{
    Network,
    chain::{Change, Tip},
};

/// Brings headers and blocks, and hands transactions on.
///
/// It runs on a thread of its own, may block there, and may die: then another is made.
/// Nothing that it brings is believed.
pub trait HeaderSource: Send + 'static {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// Runs until [`Request::Stop`].
    ///
    /// It asks [`Link::next`] for work at least every few seconds: that is its sign of life.
    ///
    /// # Errors
    /// [`SourceError`]: it is started again, later each time.
    fn run(self: Box<Self>, link: Link) -> Result<(), SourceError>;
}

/// What a source is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Bring a block, if it can be from none of some peers. Repeated until it came.
    Block {
        /// Its hash.
        hash: BlockHash,
        /// Who was asked before, or brought it forged.
        avoid: Vec<SocketAddr>,
    },
    /// Hand a transaction to all peers, those that come later included.
    Submit(Arc<Transaction>),
    /// End.
    Stop,
}

/// What became of headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// They are on disk.
    Taken(Change),
    /// The first one's parent is not known: those between are missing.
    Unconnected,
    /// Not to be judged now: a clock that is behind, no room, a disk that is full.
    Unjudged,
    /// They are lies.
    Lie(PeerFault),
}

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was waited for.
    Taken,
    /// Nobody waits for it.
    Unasked,
    /// It is forged, and will be asked for again.
    Lie(PeerFault),
}

/// A source's way to the light client. Clones are the same one.
///
/// A source that was given up has a link that leads nowhere: it is told to stop.
#[derive(Clone, Debug)]
pub struct Link {
    shared: Arc<Shared>,
    run: u64,
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>, run: u64) -> Self {
        Self { shared, run }
    }

    /// The chain that headers are wanted of.
    pub fn network(&self) -> Network {
        self.shared.options.network
    }

    /// Where a source may keep files, in a folder of its own name.
    pub fn folder(&self) -> &Path {
        &self.shared.options.folder
    }

    /// The end of the chain here.
    pub fn tip(&self) -> Tip {
        self.shared.store().chain().tip()
    }

    /// Hashes to ask for headers with, newest first.
    pub fn locator(&self) -> Vec<BlockHash> {
        self.shared.store().chain().locator()
    }

    /// Whether a header is known, on whichever branch.
    pub fn knows(&self, block: &BlockHash) -> bool {
        self.shared.store().chain().contains(block)
    }

    /// Whether a header is known, on a branch with less work than the active one.
    pub fn knows_aside(&self, block: &BlockHash) -> bool {
        let store = self.shared.store();
        let chain = store.chain();
        chain.contains(block) && chain.height_of(block).is_none()
    }

    /// Headers of the active chain from a height on.
    pub fn headers(&self, from: u32, most: u32) -> Vec<Header> {
        let store = self.shared.store();
        let heights = from..from.saturating_add(most);
        heights
            .map_while(|height| store.chain().header(height))
            .collect()
    }

    /// Offers headers, each the parent of the next. They are checked and written here and now.
    pub fn offer(&self, peer: Option<SocketAddr>, headers: &[Header]) -> Offer {
        if !self.shared.is_present(self.run) {
            return Offer::Unjudged;
        }
        self.shared.offer(peer, headers)
    }

    /// Brings a block that was asked for, or wasn't.
    pub fn deliver(&self, peer: Option<SocketAddr>, block: &Block) -> Delivery {
        if !self.shared.is_present(self.run) {
            return Delivery::Unasked;
        }
        self.shared.deliver(peer, block)
    }

    /// Whether a block is waited for.
    pub fn wants(&self, block: &BlockHash) -> bool {
        self.shared.desk().blocks.contains_key(block)
    }

    /// Says whom a block was asked from.
    pub fn asked(&self, block: &BlockHash, peer: SocketAddr) {
        self.shared.desk().asked(block, peer);
    }

    /// Says that nobody was there to ask a block from: it is asked for again soon.
    pub fn unasked(&self, block: &BlockHash) {
        self.shared.desk().unasked(block);
    }

    /// Says that connections were lost: whatever was asked for is to be asked for again.
    pub fn lost(&self) {
        self.shared.desk().lost(self.run);
    }

    /// Says that a transaction was announced to some more peers.
    pub fn announced(&self, transaction: &Txid, peers: u32) {
        self.shared.announced(transaction, peers);
    }

    /// Says how many peers are there, and what height the highest claims.
    pub fn peers(&self, peers: u32, claimed_height: Option<u32>) {
        self.shared.set_peers(self.run, peers, claimed_height);
    }

    /// Says that the source is alive; for work that takes long.
    pub fn beat(&self) {
        self.shared.beat(self.run);
    }

    /// The next thing to do, waiting for it at most so long.
    pub fn next(&self, wait: Duration) -> Option<Request> {
        self.shared.next(self.run, wait)
    }
}
