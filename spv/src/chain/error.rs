//! Why a header is refused.

use bitcoin::{BlockHash, CompactTarget};
use thiserror::Error;

use super::Change;

/// A header of a batch was refused; those before it are kept, those after it were not looked at.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("header {header} (number {index} of its batch) is refused: {fault}")]
pub struct ChainError {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Its hash.
    pub header: BlockHash,
    /// What is wrong with it.
    #[source]
    pub fault: HeaderFault,
    /// How the chain moved by the headers before it.
    pub kept: Box<Change>,
}

/// What is wrong with a header.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HeaderFault {
    /// Its parent is not known: ask for the headers between, from the locator on.
    #[error("the block before it, {0}, is not known here")]
    Unconnected(BlockHash),
    /// Its target is not the one that the chain before it demands.
    #[error("its target is {found:#010x}, where the blocks before it demand {expected:#010x}")]
    WrongTarget {
        /// What the chain demands.
        expected: CompactTarget,
        /// What it says.
        found: CompactTarget,
    },
    /// Its hash is above its target.
    #[error("its hash does not meet its target")]
    NoWork,
    /// Not later than the median of the eleven blocks before it.
    #[error("its time {time_s} is not after {median_s}, the median of the blocks before it")]
    TooEarly {
        /// Its time, seconds since 1970.
        time_s: u32,
        /// The median.
        median_s: u32,
    },
    /// The first of a period lies too long before the last of the period before it (BIP94).
    #[error("it begins a period at {time_s}, too long before {before_s}, where the last ended")]
    TimeWarp {
        /// Its time, seconds since 1970.
        time_s: u32,
        /// Time of the block before it.
        before_s: u32,
    },
    /// More than two hours ahead of the clock here: refused for now, it may be true later.
    #[error("its time {time_s} is more than two hours ahead of the clock here, {now_s}")]
    TooLate {
        /// Its time, seconds since 1970.
        time_s: u32,
        /// The clock.
        now_s: u32,
    },
    /// A block version that soft forks (BIP34, BIP66, BIP65) have ended before its height.
    #[error("its version {version} is too old for height {height}")]
    OldVersion {
        /// Its version.
        version: i32,
        /// Its height.
        height: u32,
    },
    /// Another block than the known one at the height of a checkpoint.
    #[error("at height {height} stands the block {expected}")]
    NotTheCheckpoint {
        /// The height.
        height: u32,
        /// The block that everybody's chain has there.
        expected: BlockHash,
    },
    /// Another block than the known ones below a checkpoint that was passed.
    #[error("it stands at height {height}, below the checkpoint at {checkpoint}")]
    BelowCheckpoint {
        /// Its height.
        height: u32,
        /// Height of the last checkpoint on the chain.
        checkpoint: u32,
    },
    /// A branch too far below the end of the chain.
    #[error("it stands at height {height}, too far below the end of the chain at {tip}")]
    TooDeep {
        /// Its height.
        height: u32,
        /// Height of the end.
        tip: u32,
    },
    /// Side branches fill their room, and this one has the least work of all.
    #[error("there is no room for another side branch with so little work")]
    NoRoom,
    /// The chain is as long as it may become here.
    #[error("chains are not kept beyond height {0}")]
    TooHigh(u32),
}

impl HeaderFault {
    /// Whether an honest peer with an honest clock could not have sent it.
    pub fn is_lie(&self) -> bool {
        match self {
            Self::WrongTarget { .. }
            | Self::NoWork
            | Self::TooEarly { .. }
            | Self::TimeWarp { .. }
            | Self::OldVersion { .. }
            | Self::NotTheCheckpoint { .. }
            | Self::BelowCheckpoint { .. } => true,
            Self::Unconnected(_)
            | Self::TooLate { .. }
            | Self::TooDeep { .. }
            | Self::NoRoom
            | Self::TooHigh(_) => false,
        }
    }
}
