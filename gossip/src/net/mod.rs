//! The driver: the cores over iroh.

mod driver;
mod handle;
mod protocol;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
mod topic;

pub use crate::Event;
pub use driver::{Driver, Options};
pub use handle::{Handle, Path, PeerStats, Published, Stats, Stopped};
pub use protocol::SyncProtocol;

/// ALPN of sync sessions.
pub const ALPN: &[u8] = b"datt/sync/1";

/// Code that closes a connection whose peer lied.
const LIED: u32 = 1;
/// Code that closes a connection with a banned peer.
const BANNED: u32 = 2;
