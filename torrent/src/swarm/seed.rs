//! What is seeded.

use std::path::PathBuf;

use crate::Metainfo;

/// A torrent whose bytes are all here, in files that are only read.
#[derive(Clone, Debug)]
pub struct Seed {
    /// What it shares, and hints where to find it.
    pub metainfo: Metainfo,
    /// One file for each of [`crate::Info::files`], padding included (whose path is not looked at).
    pub files: Vec<PathBuf>,
    /// Peers known to hold it; fewer = taken in earlier.
    pub rarity: u32,
}
