//! Chosen ranges of a torrent of one file, from one peer at a time (BEP 3, 6, 9, 10): a source for
//! whoever plans what to fetch from where, and checks what comes. Bytes are given as peers sent
//! them.
//!
//! [`Leecher::connect`] gives a [`Peer`], on whose one connection any number of ranges are read at
//! once. Nothing is given to the peer: to it, we have nothing.

mod core;
mod driver;
mod fault;
mod grid;
mod have;
mod peer;
mod reads;
mod shared;
#[cfg(test)]
mod tests;
mod window;
pub mod wire;

use std::{fmt, future::Future, ops::Range, pin::Pin, sync::Arc, time::Duration};

use crate::{InfoHash, MAX_LENGTH_BYTES, MAX_PIECE_BYTES, MAX_PIECES};

pub use fault::{LeechError, Lie};
pub use have::Have;
pub use peer::{Blocks, Leecher, Peer};

/// A future that can be kept and sent.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What holds transfers to a rate.
pub trait Throttle: Send + Sync + 'static {
    /// Ends when as many bytes may be received. They are then asked for.
    fn take(&self, bytes: u64) -> BoxFuture<'_, ()>;
}

/// A torrent of one file, as peers must share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The torrent's name.
    pub infohash: InfoHash,
    /// Bytes of a piece but the last.
    pub piece_bytes: u32,
    /// Bytes of the file.
    pub length_bytes: u64,
}

/// How peers are asked.
#[derive(Clone)]
pub struct LeechOptions {
    /// How long a connection may take to come about, the handshake not included.
    pub connect_timeout: Duration,
    /// How long a peer that may be asked, and was, may send no block; so too with the handshake and
    /// with a part of the info dictionary.
    pub stall_timeout: Duration,
    /// How long a peer may not let us ask, or go on without sending a block in all.
    pub choke_timeout: Duration,
    /// What to wait for before bytes are asked for.
    pub throttle: Option<Arc<dyn Throttle>>,
    /// The program's name and version, as peers see it (BEP 10).
    pub client: String,
}

impl Default for LeechOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            // some tell only after ten that they refuse
            stall_timeout: Duration::from_secs(15),
            // others rotate whom they serve every thirty seconds
            choke_timeout: Duration::from_secs(40),
            throttle: None,
            client: concat!("datt/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl fmt::Debug for LeechOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeechOptions")
            .field("connect_timeout", &self.connect_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .field("choke_timeout", &self.choke_timeout)
            .field("throttle", &self.throttle.is_some())
            .field("client", &self.client)
            .finish()
    }
}

impl Target {
    /// As many pieces, for lengths that were checked.
    pub(crate) fn pieces(&self) -> u32 {
        let pieces = self.length_bytes.div_ceil(self.piece_bytes.into());
        u32::try_from(pieces).unwrap_or(u32::MAX)
    }

    /// The bytes of a piece.
    pub(crate) fn piece_range(&self, piece: u32) -> Range<u64> {
        let start = u64::from(piece) * u64::from(self.piece_bytes);
        start..self.length_bytes.min(start + u64::from(self.piece_bytes))
    }

    fn check(&self) -> Result<(), LeechError> {
        let is_possible = (1..=MAX_PIECE_BYTES).contains(&self.piece_bytes)
            && (1..=MAX_LENGTH_BYTES).contains(&self.length_bytes)
            && self.length_bytes.div_ceil(self.piece_bytes.into()) <= MAX_PIECES;
        is_possible.then_some(()).ok_or(LeechError::Target {
            piece_bytes: self.piece_bytes,
            length_bytes: self.length_bytes,
        })
    }
}
