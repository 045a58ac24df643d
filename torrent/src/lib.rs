//! BitTorrent: what torrents are named by, the files and links that say so, and swarms.
//!
//! All but [`swarm`] and [`leech`] is pure: bytes in, bytes out; no files, no sockets, no clock.
//!
//! - [`bencode`]: the encoding of everything here, canonical only (BEP 3). A value knows where it
//!   stands, so that hashes are taken over bytes as they were received.
//! - [`Metainfo`]: a `.torrent` file (BEP 3, 5, 12, 19), read and written.
//! - [`Info`]: what is shared, whose hash is the torrent's name: read from strangers, or made for a
//!   file ([`Info::of_file`]) or an album ([`Info::of_files`]).
//! - [`Magnet`]: a link that names a torrent (BEP 9), read and written.
//! - [`PieceHasher`]: piece hashes, from bytes as they come.
//! - [`InfoHash`], [`HostPort`]: a torrent's name; where someone listens.
//! - [`swarm`]: seeding, and downloading torrents of others.
//! - [`leech`]: chosen ranges of a file from single peers.
//!
//! Version 1 only: torrents that have just the second version's hashes (BEP 52) are told apart and
//! refused, those that have both are read as version 1.

mod address;
pub mod bencode;
mod fault;
mod info;
mod infohash;
pub mod leech;
mod magnet;
mod metainfo;
mod pieces;
pub mod swarm;
#[cfg(test)]
mod tests;

pub use address::{AddressFault, HostPort};
pub use fault::{MetainfoFault, PathFault};
pub use info::{
    FileRole, Info, MAX_LENGTH_BYTES, MAX_PATH_BYTES, MAX_PIECE_BYTES, MAX_PIECES, TorrentFile,
};
pub use infohash::{InfoHash, InfoHashFault};
pub use magnet::{MAX_MAGNET_BYTES, Magnet, MagnetFault};
pub use metainfo::{MAX_ADDRESSES, MAX_METAINFO_BYTES, Metainfo};
pub use pieces::{PIECE_BYTES, PieceHash, PieceHasher};
