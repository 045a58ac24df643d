//! Sharded directories: where in a shard the hash of a name leads (UnixFS 1.0, HAMT).

use thiserror::Error;

use super::Link;

/// Why a link isn't one of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HamtFault {
    /// Its name doesn't start with the place in upper case hex digits.
    #[error("the link {name:?} doesn't start with a place in its shard")]
    Prefix {
        /// Its name.
        name: String,
    },
    /// Its place is outside of the shard.
    #[error("the link {name:?} is outside of a shard of {fanout} places")]
    Place {
        /// Its name.
        name: String,
        /// How many places there are.
        fanout: u64,
    },
}

/// The hash of a name, taken bit by bit while shards are descended.
#[derive(Clone, Copy, Debug)]
pub struct ShardHash {
    digest: u64,
    used_bits: u32,
}

impl ShardHash {
    /// Hashes a name (murmur3-x64-64).
    pub fn of(name: &str) -> Self {
        let _ = name;
        Self {
            digest: 0,
            used_bits: 0,
        }
    }

    /// The place in the next shard, which has `fanout` places; none when the hash is used up.
    pub fn next_place(&mut self, fanout: u64) -> Option<u64> {
        let _ = (self.digest, self.used_bits, fanout);
        unimplemented!()
    }
}

/// What a link of a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardLink<'a> {
    /// The next shard.
    Shard,
    /// An entry of the directory, by its name.
    Entry(&'a str),
}

/// Reads a link of a shard of `fanout` places: its place, and what it is.
///
/// # Errors
/// When its name isn't a place.
pub fn shard_link(link: &Link, fanout: u64) -> Result<(u64, ShardLink<'_>), HamtFault> {
    let _ = (link, fanout);
    unimplemented!()
}
