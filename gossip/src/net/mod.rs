//! The driver: the cores over iroh.

mod driver;
mod handle;
mod protocol;

pub use driver::{Driver, Options};
pub use handle::{Event, Handle, Path, PeerStats, Published, Stats, Stopped};
pub use protocol::SyncProtocol;

/// ALPN of sync sessions.
pub const ALPN: &[u8] = b"datt/sync/1";
