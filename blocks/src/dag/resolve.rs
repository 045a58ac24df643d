//! Paths: from a root over directories and data blocks to what they lead to.

use bytes::Bytes;
use cid::Cid;
use thiserror::Error;

use super::{
    BlockError, BlockSource, Link, Node, NodeFault, ShardHash, UnixFs, UnixFsFault, codec,
    data::{self, Found},
    inline,
    walk::{self, MAX_DEPTH, Place, checked_target, places},
};

/// Segments that a path may have.
pub const MAX_SEGMENTS: usize = 1024;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Every block that was read on the way, in order, shards of directories too; the last is that
    /// of `cid`. Without those whose name is their content.
    pub visited: Vec<Cid>,
    /// The root, and what each crossing of the path into another entity led to (`X-Ipfs-Roots`).
    pub roots: Vec<Cid>,
    /// What the path leads to, or the data block in which it ends.
    pub cid: Cid,
    /// What that is.
    pub kind: Kind,
    /// The end of the path, inside of the data block, where there is a value. Empty otherwise.
    pub remainder: Vec<String>,
}

/// What a CID stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A UnixFS file, or a raw block.
    File {
        /// Its length, bytes.
        size_bytes: u64,
    },
    /// A UnixFS directory.
    Directory {
        /// Whether it is split into shards.
        is_sharded: bool,
    },
    /// A UnixFS symbolic link.
    Symlink {
        /// Where it leads. Not followed here.
        target: String,
    },
    /// A block of data, or of dag-pb that isn't of UnixFS. There is its block and nothing more.
    Data {
        /// Its multicodec.
        codec: u64,
        /// Its length, bytes.
        block_bytes: u64,
        /// Why nothing can be made of a block of dag-pb that has data of some kind, or isn't what
        /// its codec says.
        fault: Option<NodeFault>,
    },
}

/// Why a path leads nowhere.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// There is nothing of that name.
    #[error("{cid} has no link {name:?}")]
    NoLink {
        /// Where it was looked for.
        cid: Cid,
        /// The name, key or index.
        name: String,
    },
    /// The path goes on below something that has nothing below it: a file, a symbolic link, a block
    /// of plain JSON or CBOR.
    #[error("{cid} is not a directory, {name:?} can't be in it")]
    ThroughFile {
        /// What it is.
        cid: Cid,
        /// The first segment below it.
        name: String,
    },
    /// More segments than [`MAX_SEGMENTS`].
    #[error("the path has more than {MAX_SEGMENTS} segments")]
    TooLong,
    /// A block was not given.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A block on the way isn't what its codec says, or no sound node.
    #[error("can't find a path through {cid}")]
    Node {
        /// The block.
        cid: Cid,
        /// Why.
        #[source]
        why: NodeFault,
    },
    /// It crosses more than [`MAX_DEPTH`] entities, or a shard lies deeper than its names' hash has
    /// bits.
    #[error("the path leads more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// Finds what a path leads to: names in directories, keys and indexes in dag-cbor and dag-json.
/// Reads the block at its end too, which may be anything: what can't be understood is
/// [`Kind::Data`]. Symbolic links aren't followed.
///
/// # Errors
/// See [`ResolveError`]; the block that it names is the last that was read.
pub async fn resolve<S: BlockSource>(
    source: &S,
    root: Cid,
    path: &[String],
) -> Result<Resolved, ResolveError> {
    let end = follow(source, root, path).await?;
    Ok(Resolved {
        kind: kind(&end.cid, &end.bytes),
        visited: end.visited,
        roots: end.roots,
        cid: end.cid,
        remainder: end.remainder,
    })
}

/// The end of a path, before anything is made of it.
pub(super) struct End {
    pub(super) visited: Vec<Cid>,
    roots: Vec<Cid>,
    pub(super) cid: Cid,
    pub(super) bytes: Bytes,
    remainder: Vec<String>,
}

/// Finds the block at the end of a path, whatever it is.
pub(super) async fn follow<S: BlockSource>(
    source: &S,
    root: Cid,
    path: &[String],
) -> Result<End, ResolveError> {
    if path.len() > MAX_SEGMENTS {
        return Err(ResolveError::TooLong);
    }
    let mut way = Way {
        source,
        visited: Vec::new(),
    };
    let mut roots = vec![root];
    let mut cid = root;
    let mut rest = path;
    loop {
        let bytes = way.read(&cid).await?;
        let Some((next, segments)) = way.step(cid, &bytes, rest).await? else {
            return Ok(End {
                visited: way.visited,
                roots,
                cid,
                bytes,
                remainder: rest.to_vec(),
            });
        };
        if roots.len() > MAX_DEPTH {
            return Err(ResolveError::TooDeep);
        }
        cid = next;
        roots.push(cid);
        rest = &rest[segments..];
    }
}

/// The next entity of a path, and how many segments lead to it. None when the path ends.
type Onward = Option<(Cid, usize)>;

/// A path being followed.
struct Way<'a, S> {
    source: &'a S,
    visited: Vec<Cid>,
}

impl<S: BlockSource> Way<'_, S> {
    async fn read(&mut self, cid: &Cid) -> Result<Bytes, ResolveError> {
        let bytes = walk::fetch(self.source, cid).await?;
        if inline(cid).is_none() {
            self.visited.push(*cid);
        }
        Ok(bytes)
    }

    async fn step(
        &mut self,
        cid: Cid,
        bytes: &Bytes,
        path: &[String],
    ) -> Result<Onward, ResolveError> {
        let fault = |why| ResolveError::Node { cid, why };
        let Some(name) = path.first() else {
            return Ok(None);
        };
        let through = || ResolveError::ThroughFile {
            cid,
            name: name.clone(),
        };
        match cid.codec() {
            codec::DAG_CBOR | codec::DAG_JSON => data_step(&cid, bytes, path),
            codec::DAG_PB => {
                let node = Node::decode(bytes).map_err(|why| fault(why.into()))?;
                let found = match UnixFs::of(&node) {
                    Ok(UnixFs::Directory) | Err(UnixFsFault::NoData) => named(&node.links, name),
                    Ok(UnixFs::Shard { fanout, .. }) => {
                        let places = places(&node.links, fanout).map_err(fault)?;
                        self.in_shards(places, fanout, name).await?
                    }
                    Ok(UnixFs::File { .. } | UnixFs::Symlink { .. }) => return Err(through()),
                    Err(why) => return Err(fault(why.into())),
                };
                let cid = found.ok_or_else(|| ResolveError::NoLink {
                    cid,
                    name: name.clone(),
                })?;
                Ok(Some((cid, 1)))
            }
            _ => Err(through()),
        }
    }

    /// The entry of a sharded directory, whose first shard's places are given.
    async fn in_shards(
        &mut self,
        mut places: Vec<Place>,
        fanout: u64,
        name: &str,
    ) -> Result<Option<Cid>, ResolveError> {
        let mut hash = ShardHash::of(name);
        loop {
            let number = hash.next_place(fanout).ok_or(ResolveError::TooDeep)?;
            let Some(place) = places.iter().find(|place| place.number == number) else {
                return Ok(None);
            };
            let cid = place.cid;
            if let Some(entry) = &place.entry {
                return Ok((entry == name).then_some(cid));
            }
            let bytes = self.read(&cid).await?;
            (places, _) = walk::shard(&cid, &bytes, Some(fanout))
                .map_err(|why| ResolveError::Node { cid, why })?;
        }
    }
}

fn named(links: &[Link], name: &str) -> Option<Cid> {
    links
        .iter()
        .find(|link| link.name == name)
        .map(|link| link.cid)
}

fn data_step(cid: &Cid, bytes: &Bytes, path: &[String]) -> Result<Onward, ResolveError> {
    let cid = *cid;
    let found = data::find(&cid, bytes, path).map_err(|why| ResolveError::Node {
        cid,
        why: why.into(),
    })?;
    match found {
        Found::Link { cid, segments } => Ok(Some((cid, segments))),
        Found::Value => Ok(None),
        Found::Nothing { segment } => Err(ResolveError::NoLink {
            cid,
            name: path[segment].clone(),
        }),
    }
}

/// What a block stands for.
pub(super) fn kind(cid: &Cid, bytes: &Bytes) -> Kind {
    let data = |fault| Kind::Data {
        codec: cid.codec(),
        block_bytes: bytes.len() as u64,
        fault,
    };
    match cid.codec() {
        codec::RAW => Kind::File {
            size_bytes: bytes.len() as u64,
        },
        codec::DAG_PB => match unixfs_kind(bytes) {
            Ok(kind) => kind,
            Err(NodeFault::UnixFs(UnixFsFault::NoData)) => data(None),
            Err(fault) => data(Some(fault)),
        },
        _ => data(None),
    }
}

fn unixfs_kind(bytes: &Bytes) -> Result<Kind, NodeFault> {
    Ok(match UnixFs::of(&Node::decode(bytes)?)? {
        UnixFs::File { size_bytes, .. } => Kind::File { size_bytes },
        UnixFs::Directory => Kind::Directory { is_sharded: false },
        UnixFs::Shard { .. } => Kind::Directory { is_sharded: true },
        UnixFs::Symlink { target } => Kind::Symlink {
            target: checked_target(target)?,
        },
    })
}

#[cfg(test)]
mod tests;
