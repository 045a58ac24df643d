//! What can go wrong in a session, and who is to blame.

use model::EntryId;
use thiserror::Error;

use crate::{ReplicaError, bounds};

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeerFault {
    /// A frame longer than the limit.
    #[error("the peer sent a frame of {found} bytes, over {max}", max = bounds::FRAME_BYTES)]
    FrameTooLong {
        /// Its announced length.
        found: usize,
    },
    /// Bytes that are no frame, or a list over its bound.
    #[error("the peer sent a broken frame: {what}")]
    BrokenFrame {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A well-formed frame that has no place here.
    #[error("the peer sent a frame out of turn: {what}")]
    OutOfTurn {
        /// Which.
        what: &'static str,
    },
    /// Entry bytes that hash to none of the ids that were asked for.
    #[error("the peer sent bytes that are none of the entries asked for")]
    WrongBytes,
    /// An entry that is malformed, badly signed, or has a payload of another hash.
    #[error("the peer sent an invalid entry {id}: {reason}")]
    InvalidEntry {
        /// Its id.
        id: EntryId,
        /// Why, from the replica.
        reason: String,
    },
    /// A holding statement that is not well-formed and signed.
    #[error("the peer sent an invalid holding statement")]
    InvalidHolding,
    /// More than was asked for, or faster than agreed.
    #[error("the peer floods: {what}")]
    Flood {
        /// With what.
        what: &'static str,
    },
    /// Reconciling that does not come to an end.
    #[error("the peer's set never settles")]
    Endless,
    /// Another version of the protocol.
    #[error("the peer speaks version {found} of sync")]
    Version {
        /// Its version.
        found: u16,
    },
    /// Nothing came for too long.
    #[error("the peer sent nothing for {wait} ms", wait = bounds::STALL_MS)]
    Stalled,
    /// The stream or connection ended in the middle.
    #[error("the connection ended before the session did")]
    Gone,
}

impl PeerFault {
    /// Whether an honest node would never do it: then the peer is banned. The rest is being slow,
    /// away or of another version.
    pub fn is_lie(&self) -> bool {
        !matches!(self, Self::Version { .. } | Self::Stalled | Self::Gone)
    }
}

/// Why a session ended early.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The peer's doing.
    #[error(transparent)]
    Peer(#[from] PeerFault),
    /// Our own store's.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// A set too large for one session.
    #[error("the set has {found} entries, one session takes {max}", max = bounds::SET_ENTRIES)]
    SetTooLarge {
        /// Its size.
        found: usize,
    },
}
