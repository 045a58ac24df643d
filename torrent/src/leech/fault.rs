//! What can go wrong with a peer.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;

use super::wire::WireFault;

/// Why a peer gave nothing, or gives nothing any more. But for [`Self::is_lasting`], the connection
/// is over.
#[derive(Clone, Debug, Error)]
pub enum LeechError {
    /// No connection came about.
    #[error("can't reach {addr}")]
    Unreachable {
        /// Where it should listen.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// It shares another torrent.
    #[error("the peer does not share this torrent")]
    NotThisTorrent,
    /// It ended the connection, or the network did.
    #[error("the connection to the peer broke")]
    Broke {
        /// Why, if it wasn't simply closed.
        #[source]
        source: Option<Arc<io::Error>>,
    },
    /// It owed us something and sent nothing.
    #[error("the peer sent nothing for {} ms", waited.as_millis())]
    Stalled {
        /// For how long.
        waited: Duration,
    },
    /// It has what is wanted and didn't let us ask for it.
    #[error("the peer did not let us ask for {} ms", waited.as_millis())]
    Choked {
        /// For how long.
        waited: Duration,
    },
    /// It sent something other than it was asked for.
    #[error("the peer does not keep its word: {0}")]
    Lied(#[from] Lie),
    /// It doesn't speak the protocol.
    #[error("the peer sent garbage: {0}")]
    Garbage(#[from] WireFault),
    /// It hasn't this piece, as it said itself.
    #[error("the peer does not have piece {piece}")]
    Lacks {
        /// The piece's index.
        piece: u32,
    },
    /// It doesn't give the info dictionary (BEP 9).
    #[error("the peer does not give the torrent's info dictionary")]
    NoInfo,
    /// These bytes don't exist in the torrent.
    #[error("bytes {start} to {end} are not in a torrent of {length_bytes} bytes")]
    Range {
        /// The first byte asked for.
        start: u64,
        /// The byte behind the last one asked for.
        end: u64,
        /// Bytes of the torrent.
        length_bytes: u64,
    },
    /// No torrent has such lengths.
    #[error("a torrent of {length_bytes} bytes in pieces of {piece_bytes} bytes is not possible")]
    Target {
        /// Bytes of a piece.
        piece_bytes: u32,
        /// Bytes of the torrent.
        length_bytes: u64,
    },
    /// The connection was closed from here.
    #[error("the connection was closed")]
    Closed,
    /// This machine has no randomness.
    #[error("can't draw a peer id")]
    Random(#[source] getrandom::Error),
}

/// How a peer didn't keep its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Lie {
    /// A block of another length than was asked for.
    #[error("{found} bytes instead of {expected} at byte {begin} of piece {piece}")]
    Length {
        /// The piece's index.
        piece: u32,
        /// Where in the piece, bytes.
        begin: u32,
        /// Bytes asked for.
        expected: usize,
        /// Bytes sent.
        found: usize,
    },
    /// A block, or its refusal, that was not asked for.
    #[error("an answer about byte {begin} of piece {piece} that nobody asked for")]
    Unasked {
        /// The piece's index.
        piece: u32,
        /// Where in the piece, bytes.
        begin: u32,
    },
    /// It refuses what it says that it has (BEP 6).
    #[error("refuses byte {begin} of piece {piece}, which it says it has")]
    Refused {
        /// The piece's index.
        piece: u32,
        /// Where in the piece, bytes.
        begin: u32,
    },
    /// An info dictionary that has another infohash (BEP 9).
    #[error("an info dictionary of another torrent")]
    InfoHash,
}

impl LeechError {
    /// Whether only what was asked for failed, and the connection goes on.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Lacks { .. } | Self::NoInfo | Self::Range { .. })
    }

    /// Whether the peer showed that it is no use to ask it again: it lies, or speaks something
    /// else.
    pub fn is_hostile(&self) -> bool {
        matches!(self, Self::Lied(_) | Self::Garbage(_))
    }
}
