//! Who said what: thread topics, reconciliation and catching up; sans-io cores with an iroh driver.
//!
//! The cores ([`sync::Session`], [`live::Topics`], [`Schedule`], and [`Node`] that joins the last two)
//! have no clock, no I/O and no global randomness: time and seeds are handed in, outputs come back.
//! [`net`] drives them over iroh; the simulation drives the same ones over a lossy network of its own.
//! `docs/protocol/sync.md` describes everything that crosses the network, to the byte.

pub mod bounds;
mod byte_string;
mod event;
mod jitter;
pub mod live;
mod memory;
pub mod net;
pub mod node;
mod replica;
pub mod schedule;
mod scope;
pub mod sync;
#[cfg(test)]
mod testing;

pub use event::{Event, Part};
pub use memory::MemoryReplica;
pub use node::Node;
pub use replica::{
    Channel, Content, Digest, Fingerprint, Follow, HoldingOutcome, Item, Missing, Outcome, Packet,
    Replica, ReplicaError,
};
pub use schedule::Schedule;
pub use scope::Scope;
