//! What happens by itself.

use crate::InfoHash;

/// What happened without being asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwarmEvent {
    /// A seed can't be served any more, and was taken back.
    Withdrawn {
        /// The torrent.
        infohash: InfoHash,
        /// Why.
        reason: WithdrawReason,
    },
}

/// Why a seed was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithdrawReason {
    /// A file has another size or time than when it was offered, and its bytes are others.
    Changed {
        /// Which of [`super::Seed::files`].
        file: usize,
    },
    /// A file can't be read.
    Unreadable {
        /// Which of [`super::Seed::files`].
        file: usize,
    },
    /// Pieces don't have the hashes that the torrent names.
    Damaged,
}
