//! Directories: their entries.

use std::collections::BTreeSet;

use bytes::Bytes;
use cid::Cid;

use super::{
    BlockSource, Node, NodeFault, UnixFs, WalkError, codec,
    walk::{self, Reach, Step, Steps},
};

/// Shards that a directory may have besides two for each entry. Whoever makes them puts at least two
/// entries below each, but names may share many bits of their hash.
const SPARE_SHARDS: usize = 1024;
/// Bits of a name's hash, of which each level of shards takes some.
const HASH_BITS: usize = 64;

/// The entries of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Sorted by name, byte by byte.
    pub entries: Vec<Listed>,
    /// Whether there are more than were asked for.
    pub is_cut: bool,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, as it stands there: nothing about it is checked but that it is UTF-8.
    pub name: String,
    /// What it is.
    pub cid: Cid,
    /// What the DAG below it has, as the directory says, bytes (Tsize).
    pub size_bytes: u64,
}

/// Lists a directory, plain or sharded, at most `max` of its entries; of more in a sharded one,
/// which come is up to its shards.
///
/// # Errors
/// [`NodeFault::NotADirectory`] for anything else, faults of shards that no directory has, and
/// whatever ends a walk.
pub async fn list<S: BlockSource>(source: &S, cid: Cid, max: usize) -> Result<Listing, WalkError> {
    if cid.codec() != codec::DAG_PB {
        return Err(NodeFault::NotADirectory.of(cid));
    }
    let bytes = walk::fetch(source, &cid).await?;
    let fault = |why: NodeFault| why.of(cid);
    let node = Node::decode(&bytes).map_err(|why| fault(why.into()))?;
    let mut listing = Listing::default();
    match UnixFs::of(&node).map_err(|why| fault(why.into()))? {
        UnixFs::Directory => {
            for link in node.links {
                if !listing.take(link.name, link.cid, link.size_bytes, max) {
                    break;
                }
            }
        }
        UnixFs::Shard { .. } => list_shards(source, cid, bytes, max, &mut listing).await?,
        _ => return Err(fault(NodeFault::NotADirectory)),
    }
    listing.entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

async fn list_shards<S: BlockSource>(
    source: &S,
    root: Cid,
    mut bytes: Bytes,
    max: usize,
    listing: &mut Listing,
) -> Result<(), WalkError> {
    let mut steps = Steps::default();
    let mut step = Step::first(root, Reach::Shard { fanout: None });
    let mut seen = BTreeSet::from([root]);
    loop {
        let Reach::Shard { fanout } = step.reach else {
            return Err(NodeFault::NotADirectory.of(step.cid));
        };
        let (places, fanout) =
            walk::shard(&step.cid, &bytes, fanout).map_err(|why| why.of(step.cid))?;
        if (step.depth + 1) * fanout.trailing_zeros() as usize > HASH_BITS {
            return Err(NodeFault::ShardTooDeep.of(step.cid));
        }
        let mut shards = Vec::new();
        for place in places {
            let Some(name) = place.entry else {
                let fanout = Some(fanout);
                shards.push((place.cid, Reach::Shard { fanout }));
                continue;
            };
            if !listing.take(name, place.cid, place.size_bytes, max) {
                return Ok(());
            }
        }
        steps.descend(&step, shards.into_iter())?;
        let Some(next) = steps.pop() else {
            return Ok(());
        };
        if !seen.insert(next.cid) {
            return Err(NodeFault::ShardTwice.of(next.cid));
        }
        if seen.len() > SPARE_SHARDS + 2 * listing.entries.len() {
            return Err(NodeFault::TooFewEntries.of(root));
        }
        bytes = walk::fetch(source, &next.cid).await?;
        step = next;
    }
}

impl Listing {
    /// Adds an entry, unless there are enough.
    fn take(&mut self, name: String, cid: Cid, size_bytes: u64, max: usize) -> bool {
        self.is_cut = self.entries.len() >= max;
        if !self.is_cut {
            self.entries.push(Listed {
                name,
                cid,
                size_bytes,
            });
        }
        !self.is_cut
    }
}

#[cfg(test)]
mod tests;
