//! What can go wrong between this node and the network of a chain.

use std::{io, net::SocketAddr};

use bitcoin::BlockHash;
use thiserror::Error;

use crate::{
    Network,
    chain::{ChainError, HeaderFileError, StoreError},
};

/// A source of headers can't run, or ended.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The source speaks to no peers of this network: its headers are imported from a file.
    #[error("{source_name} knows no network `{network}`: its headers are imported from a file")]
    NoSuchNetwork {
        /// The source.
        source_name: &'static str,
        /// The network.
        network: Network,
    },
    /// The source has neither peers nor seeds to find any.
    #[error("{0} was given no peers, and may not ask seeds for any")]
    NoPeers(&'static str),
    /// Every peer that it was given lied within the last hour.
    #[error("all {0} peers that were given lied within the last hour")]
    OnlyLiars(usize),
    /// This machine gave no thread.
    #[error("no thread was to be had for the source")]
    Thread(#[source] io::Error),
    /// The client failed.
    #[error("the client stopped")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The client's thread panicked: a bug of its own.
    #[error("the client panicked: {0}")]
    ClientPanicked(String),
    /// The client ended without having been told to.
    #[error("the client ended by itself")]
    ClientEnded,
    /// The client answers no more.
    #[error("the client did not answer within {wait_ms} ms")]
    ClientSilent {
        /// How long was waited.
        wait_ms: u64,
    },
}

/// The light client can't start.
#[derive(Debug, Error)]
pub enum SpvError {
    /// Its folder can't be made.
    #[error("the folder for headers could not be made")]
    Folder(#[source] io::Error),
    /// Its file of headers can't be opened.
    #[error("the headers could not be opened")]
    Headers(#[from] HeaderFileError),
    /// This machine gave no thread.
    #[error("no thread was to be had for the light client")]
    Thread(#[source] io::Error),
}

/// What a peer did that no honest one does.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{} sent a lie: {fault}", name(.peer))]
pub struct PeerFault {
    /// Its address; none where the source can't tell.
    pub peer: Option<SocketAddr>,
    /// The lie.
    #[source]
    pub fault: Lie,
}

/// Something that can't be true.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Lie {
    /// A header.
    #[error(transparent)]
    Headers(#[from] ChainError),
    /// A block under a true header.
    #[error("block {block} is forged: {fault}")]
    Block {
        /// The hash that the header has.
        block: BlockHash,
        /// What is wrong with the rest.
        #[source]
        fault: BlockFault,
    },
}

/// Why the transactions of a block are not those that its header commits to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BlockFault {
    /// Larger than any block may be.
    #[error("it has {bytes} bytes")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It doesn't begin with a coinbase, or has several.
    #[error("its coinbase is missing, or not the only one")]
    Coinbase,
    /// Its transactions have another merkle root.
    #[error("its transactions have another merkle root than its header")]
    MerkleRoot,
    /// A transaction twice: the same merkle root for another list (CVE-2012-2459).
    #[error("a transaction stands in it twice")]
    Repeated,
    /// Its witnesses are not those that its coinbase commits to (BIP141).
    #[error("its witnesses are not those that its coinbase commits to")]
    Witnesses,
}

/// A block was not to be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BlockError {
    /// No header of the active chain has this hash.
    #[error("block {0} is not on the chain with the most work")]
    Unknown(BlockHash),
    /// No source runs that could bring it.
    #[error("there is no source for blocks: headers are only imported")]
    NoSource,
    /// Too many blocks are asked for already.
    #[error("{0} blocks are asked for already")]
    Busy(usize),
    /// Every peer that answered forged it.
    #[error("block {block} came forged {} times, the last time: {last}", .tries)]
    Forged {
        /// The block.
        block: BlockHash,
        /// How often it came forged.
        tries: u32,
        /// The last forgery.
        last: Box<PeerFault>,
    },
    /// No peer brought it in time.
    #[error("no peer brought block {block} within {deadline_ms} ms{}", but(.last))]
    Deadline {
        /// The block.
        block: BlockHash,
        /// How long was waited.
        deadline_ms: u64,
        /// The last forgery, if there was one.
        last: Option<Box<PeerFault>>,
    },
    /// The light client is stopped.
    #[error("the light client is stopped")]
    Stopped,
}

/// A transaction was not handed to the network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// No source runs.
    #[error("there is no source that could hand it on: headers are only imported")]
    NoSource,
    /// Larger than peers relay.
    #[error("a transaction of {weight} weight units is handed on by nobody")]
    TooLarge {
        /// Its weight (BIP141).
        weight: u64,
    },
    /// Too many transactions are handed on already.
    #[error("{0} transactions are handed on already")]
    Busy(usize),
    /// No peer was there in time.
    #[error("no peer was connected within {deadline_ms} ms; it is handed on when one is")]
    NoPeers {
        /// How long was waited.
        deadline_ms: u64,
    },
    /// The light client is stopped.
    #[error("the light client is stopped")]
    Stopped,
}

/// Headers were not taken: as the store says.
pub type AcceptError = StoreError;

fn name(peer: &Option<SocketAddr>) -> String {
    peer.map_or_else(|| "a peer".to_owned(), |one| one.to_string())
}

fn but(last: &Option<Box<PeerFault>>) -> String {
    last.as_ref()
        .map_or_else(String::new, |one| format!("; {one}"))
}
