//! BitTorrent swarms: seeding files where they lie, downloading torrents of others, finding peers.
//!
//! A [`Swarm`] is one session with one port. It seeds what is [offered](Swarm::offer), as many
//! torrents at a time as [`SwarmOptions::max_live`] allows, and takes turns with the others. Nothing
//! is announced anywhere that isn't offered or downloaded, and only over what is switched on.

mod caps;
mod check;
mod content;
mod download;
mod engine;
mod entry;
mod event;
mod fault;
mod find;
mod folder;
mod keeper;
mod open;
mod options;
mod refuse;
mod rotation;
mod seed;
mod session;
mod shared;
mod storage;
#[cfg(test)]
mod tests;
mod where_to;

pub use download::{Download, DownloadOptions, DownloadProgress, Downloaded, Wanted};
pub use event::{SwarmEvent, WithdrawReason};
pub use fault::SwarmError;
pub use options::{Limits, SwarmOptions};
pub use seed::Seed;
pub use session::{Swarm, TorrentState, Totals};
