//! Directories: one node while it is small, sharded above (profile `unixfs-v1-2025`, IPIP-499).

use bytes::Bytes;
use cid::Cid;
use thiserror::Error;

use super::{
    build::{Emit, Root, node},
    hamt::{ShardHash, place_text},
    pb::{Link, link_bytes},
    unixfs::{MURMUR3, UnixFs},
    wire::field_bytes,
};

/// The largest node of a directory that isn't sharded, bytes; counted as it is encoded (IPIP-499,
/// "block-bytes").
const MAX_DIRECTORY_BYTES: usize = 256 << 10;
/// Places in a shard (IPIP-499).
const FANOUT: u64 = 256;
/// A bit for each place.
const BITFIELD_BYTES: usize = 256 / 8;
/// The longest name of an entry, bytes: a shard full of them is still a block.
const MAX_NAME_BYTES: usize = 1024;

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

impl Entry {
    fn into_link(self) -> Link {
        Link {
            cid: self.cid,
            name: self.name,
            size_bytes: self.dag_bytes,
        }
    }
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
pub fn directory(mut entries: Vec<Entry>, emit: Emit<'_>) -> Result<Root, DirectoryFault> {
    if let Some(entry) = entries.iter().find(|entry| !is_name(&entry.name)) {
        return Err(DirectoryFault::Name {
            name: entry.name.clone(),
        });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(DirectoryFault::Repeated {
            name: pair[0].name.clone(),
        });
    }
    let links = |entries: Vec<Entry>| entries.into_iter().map(Entry::into_link).collect();
    if node_bytes(&entries) <= MAX_DIRECTORY_BYTES {
        return Ok(node(links(entries), &UnixFs::Directory, 0, emit));
    }
    let mut hashed: Vec<(ShardHash, Entry)> = entries
        .into_iter()
        .map(|entry| (ShardHash::of(&entry.name), entry))
        .collect();
    hashed.sort_unstable_by_key(|(hash, _)| *hash);
    shard(&mut hashed, emit)
}

/// Whether a directory can have an entry of this name.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME_BYTES && !name.contains(['/', '\0'])
}

/// How long the one node of these entries would be.
fn node_bytes(entries: &[Entry]) -> usize {
    let links = entries
        .iter()
        .map(|entry| field_bytes(link_bytes(&entry.cid, &entry.name, entry.dag_bytes)));
    links.sum::<usize>() + field_bytes(UnixFs::Directory.encode().len())
}

/// Builds the shard of entries that share all places above it; they are in the order of their
/// hashes. Its depth is bounded by the bits of a hash.
fn shard(entries: &mut [(ShardHash, Entry)], emit: Emit<'_>) -> Result<Root, DirectoryFault> {
    let mut places = Vec::with_capacity(entries.len());
    for (hash, entry) in &mut *entries {
        let place = hash.next_place(FANOUT);
        places.push(place.ok_or_else(|| DirectoryFault::Collision {
            name: entry.name.clone(),
        })?);
    }
    let mut bitfield = [0u8; BITFIELD_BYTES];
    let mut links = Vec::new();
    let mut rest = entries;
    for same in places.chunk_by(|a, b| a == b) {
        let place = same[0];
        let (here, after) = rest.split_at_mut(same.len());
        rest = after;
        let mut name = place_text(place, FANOUT);
        links.push(match here {
            [(_, entry)] => {
                name.push_str(&entry.name);
                Link {
                    cid: entry.cid,
                    name,
                    size_bytes: entry.dag_bytes,
                }
            }
            _ => {
                let below = shard(here, emit)?;
                Link {
                    cid: below.cid,
                    name,
                    size_bytes: below.dag_bytes,
                }
            }
        });
        let byte = usize::try_from(place / 8).expect("a shard has few places");
        bitfield[BITFIELD_BYTES - 1 - byte] |= 1 << (place % 8);
    }
    let zeros = bitfield.iter().take_while(|byte| **byte == 0).count();
    let meaning = UnixFs::Shard {
        bitfield: Bytes::copy_from_slice(&bitfield[zeros..]),
        fanout: FANOUT,
        hash: MURMUR3,
    };
    Ok(node(links, &meaning, 0, emit))
}
