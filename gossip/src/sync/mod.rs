//! Sync sessions: two nodes compare what they have, and send each other the difference.
//!
//! One session is one bidirectional stream. Who opened it (the initiator) works through an agenda of
//! scopes; the other answers. Entries flow both ways: the initiator asks for what it lacks and offers
//! what the other lacks, and the other asks for what it wants of that. Nothing is sent unasked.

mod fault;
mod frame;
mod initiator;
mod outline;
mod reconcile;
mod responder;
mod session;
#[cfg(test)]
mod tests;
mod transfer;

pub use fault::{PeerFault, SessionError};
pub(crate) use frame::packet_fits;
pub use frame::{Answer, Frame, Hello, VERSION};
pub(crate) use outline::digest_hash;
pub use session::{News, Session};
