//! Where headers and blocks come from.
//!
//! A [`HeaderSource`] speaks to the network, on a thread of its own. [`Spv`] keeps one running
//! and believes nothing that it brings: headers are checked by [`crate::chain`], blocks against
//! the header that they stand under.

mod block;
mod desk;
mod error;
mod link;
mod nakamoto;
mod options;
mod shared;
mod spv;
mod supervisor;
#[cfg(test)]
mod tests;

pub use block::check_block;
pub use error::{
    AcceptError, BlockError, BlockFault, Lie, PeerFault, SourceError, SpvError, SubmitError,
};
pub use link::{Delivery, HeaderSource, Link, Offer, Request};
pub use nakamoto::{Frames, MAX_PAYLOAD_BYTES, Nakamoto};
pub use options::{Clock, Patience, SpvOptions, Status};
pub use spv::{ChainView, Spv};
