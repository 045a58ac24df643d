//! Directories: their entries.

use cid::Cid;

use super::{
    BlockSource, Node, NodeFault, ShardLink, UnixFs, WalkError, codec, shard_link,
    walk::{self, Reach, Step, Steps},
};

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
/// [`NodeFault::NotADirectory`] for anything else, and whatever ends a walk.
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
                let _ = listing.take(link.name, link.cid, link.size_bytes, max);
            }
        }
        UnixFs::Shard { fanout, .. } => list_shards(source, cid, fanout, max, &mut listing).await?,
        _ => return Err(fault(NodeFault::NotADirectory)),
    }
    listing.entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

async fn list_shards<S: BlockSource>(
    source: &S,
    root: Cid,
    fanout: u64,
    max: usize,
    listing: &mut Listing,
) -> Result<(), WalkError> {
    let mut steps = Steps::default();
    let reach = Reach::Shard {
        fanout: Some(fanout),
    };
    steps.push(Step::first(root, reach));
    while let Some(step) = steps.pop() {
        let bytes = walk::fetch(source, &step.cid).await?;
        let fault = |why: NodeFault| why.of(step.cid);
        let (links, _) = walk::shard(&step.cid, &bytes, Some(fanout)).map_err(fault)?;
        let mut shards = Vec::new();
        for link in &links {
            match shard_link(link, fanout).map_err(|why| fault(why.into()))? {
                (_, ShardLink::Shard) => shards.push((link.cid, step.reach)),
                (_, ShardLink::Entry(name)) => {
                    if !listing.take(name.to_owned(), link.cid, link.size_bytes, max) {
                        return Ok(());
                    }
                }
            }
        }
        steps.descend(&step, shards.into_iter())?;
    }
    Ok(())
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
