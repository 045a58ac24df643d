//! Directories: one node while it is small, sharded above (profile `unixfs-v1-2025`, IPIP-499).

use cid::Cid;
use thiserror::Error;

use super::build::{Emit, Root};

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name: not empty, no `/`.
    pub name: String,
    /// Its root.
    pub cid: Cid,
    /// [`Root::dag_bytes`] of it.
    pub dag_bytes: u64,
}

/// Why entries make no directory.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DirectoryFault {
    /// A name that no directory has.
    #[error("{name:?} can't be the name of an entry")]
    Name {
        /// The name.
        name: String,
    },
    /// Two entries of one name.
    #[error("two entries are called {name:?}")]
    Repeated {
        /// The name.
        name: String,
    },
    /// Names whose hashes are the same.
    #[error("the hash of {name:?} is another entry's too")]
    Collision {
        /// One of them.
        name: String,
    },
}

/// Builds a directory of entries in any order. `emit` gets its node, or all of its shards.
///
/// # Errors
/// When a name is empty, too long, repeated or has a `/`, or names collide.
pub fn directory(entries: Vec<Entry>, emit: Emit<'_>) -> Result<Root, DirectoryFault> {
    let _ = (entries, emit);
    unimplemented!()
}
