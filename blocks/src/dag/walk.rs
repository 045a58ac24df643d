//! What all walks over a DAG share: their limits, the blocks still to visit, what a node may say.
//!
//! Walks believe that blocks have the hash of their name, which [`BlockSource`] promises, and
//! nothing that is in them: depth, width and sizes are checked on the way.

use std::{future, ops::Range, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use cid::Cid;
use thiserror::Error;

use super::{
    BlockError, BlockFault, BlockSource, HamtFault, Link, LinksFault, MAX_BLOCK_BYTES, Node,
    PbFault, ResolveError, ShardLink, UnixFs, UnixFsFault, check_name, codec, inline, shard_link,
};

/// Levels below its start that a walk goes down.
pub const MAX_DEPTH: usize = 64;
/// Blocks still to visit that a walk remembers.
pub const MAX_PENDING: usize = 1 << 18;
/// The longest target of a symbolic link, bytes (`PATH_MAX` of Linux).
pub const MAX_SYMLINK_BYTES: usize = 4096;

/// Why a walk over a DAG ended early.
#[derive(Debug, Error)]
pub enum WalkError {
    /// A block was not given.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The path to where the walk starts leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A block isn't what the walk needs there.
    #[error("can't walk over {cid}")]
    Node {
        /// The block.
        cid: Cid,
        /// Why.
        #[source]
        why: NodeFault,
    },
    /// More levels below each other than [`MAX_DEPTH`].
    #[error("{cid} lies more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// The first block too deep.
        cid: Cid,
    },
    /// More blocks to visit than [`MAX_PENDING`].
    #[error("below {cid} there are more than {MAX_PENDING} blocks to remember")]
    TooWide {
        /// Whose links were too many.
        cid: Cid,
    },
}

/// Why a block can't be what was wanted of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NodeFault {
    /// It isn't canonical dag-pb.
    #[error("it is not canonical dag-pb")]
    Pb(#[from] PbFault),
    /// It isn't of UnixFS.
    #[error("it is not a node of UnixFS")]
    UnixFs(#[from] UnixFsFault),
    /// A link of its shard isn't one.
    #[error("a link of its shard is wrong")]
    Shard(#[from] HamtFault),
    /// A link of its shard comes after one of a later place, or of the same.
    #[error("the link {name:?} of its shard is repeated or out of order")]
    ShardOrder {
        /// Its name.
        name: String,
    },
    /// It isn't what its codec says.
    #[error("it is not what its codec says")]
    Links(#[from] LinksFault),
    /// It isn't a file, or a part of one.
    #[error("it is not a file")]
    NotAFile,
    /// It isn't a directory.
    #[error("it is not a directory")]
    NotADirectory,
    /// A shard links to something else than a shard of as many places.
    #[error("it is not a shard of {fanout} places")]
    NotAShard {
        /// The parent's places.
        fanout: u64,
    },
    /// Its shards lie deeper than the hash of a name has bits.
    #[error("its shards lie deeper than the hash of a name leads")]
    ShardTooDeep,
    /// A shard is in two places of one directory: names can't belong into both.
    #[error("this shard is in its directory twice")]
    ShardTwice,
    /// Its shards lead to shards, and hardly to entries.
    #[error("its shards hold too few entries")]
    TooFewEntries,
    /// It has another size than its parent says.
    #[error("it has {found_bytes} bytes, its parent says {said_bytes}")]
    Size {
        /// What the parent says.
        said_bytes: u64,
        /// What it has.
        found_bytes: u64,
    },
    /// A symbolic link's target is longer than [`MAX_SYMLINK_BYTES`].
    #[error("a symbolic link of {found_bytes} bytes is over the limit of {MAX_SYMLINK_BYTES}")]
    SymlinkTooLong {
        /// Its length.
        found_bytes: usize,
    },
}

impl NodeFault {
    /// The same, said of a block.
    pub(super) fn of(self, cid: Cid) -> WalkError {
        WalkError::Node { cid, why: self }
    }
}

/// Asks for a block, unless its name is its content.
pub(super) async fn fetch<S: BlockSource>(source: &S, cid: &Cid) -> Result<Bytes, BlockError> {
    check_name(cid).map_err(BlockFault::from)?;
    if let Some(bytes) = inline(cid) {
        return Ok(bytes);
    }
    let bytes = source.block(cid).await?;
    if bytes.len() > MAX_BLOCK_BYTES {
        let size_bytes = bytes.len();
        return Err(BlockFault::TooLarge {
            cid: *cid,
            size_bytes,
        }
        .into());
    }
    Ok(bytes)
}

type Fetching = Pin<Box<dyn Future<Output = Result<Bytes, BlockError>> + Send>>;

/// Blocks in the order of a walk, the next one asked for while one is handed out.
pub(super) struct Ahead<S> {
    source: Arc<S>,
    next: Option<(Cid, Next)>,
}

enum Next {
    Running(Fetching),
    Here(Result<Bytes, BlockError>),
}

impl<S: BlockSource + 'static> Ahead<S> {
    pub(super) fn new(source: Arc<S>) -> Self {
        Self { source, next: None }
    }

    /// The source itself.
    pub(super) fn source(&self) -> &S {
        &self.source
    }

    /// A block: the one that was started or put aside, or any other.
    pub(super) async fn block(&mut self, cid: &Cid) -> Result<Bytes, BlockError> {
        match self.next.take_if(|(started, _)| started == cid) {
            Some((_, Next::Running(fetching))) => fetching.await,
            Some((_, Next::Here(result))) => result,
            None => fetch(&*self.source, cid).await,
        }
    }

    /// Asks for the block that comes next, without waiting for it. A source that works in the
    /// background from the first poll on has it sooner.
    pub(super) async fn start(&mut self, cid: Cid) {
        if self
            .next
            .as_ref()
            .is_some_and(|(started, _)| *started == cid)
        {
            return;
        }
        let source = Arc::clone(&self.source);
        let mut fetching: Fetching = Box::pin(async move { fetch(&*source, &cid).await });
        let next = future::poll_fn(|context| {
            Poll::Ready(match fetching.as_mut().poll(context) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            })
        })
        .await;
        self.next = Some((cid, next.map_or(Next::Running(fetching), Next::Here)));
    }

    /// Puts a block aside that was read already and comes next.
    pub(super) fn put(&mut self, cid: Cid, bytes: Bytes) {
        self.next = Some((cid, Next::Here(Ok(bytes))));
    }
}

/// How much of what lies below a block belongs to a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The block alone.
    Block,
    /// Everything.
    All,
    /// The shards of a directory, which have as many places as the first, where it isn't that.
    Shard { fanout: Option<u64> },
    /// A part of a file: where in the file it starts, how long its parent says that it is.
    File { at: u64, size_bytes: u64 },
}

/// A block to visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) cid: Cid,
    pub(super) depth: usize,
    pub(super) reach: Reach,
}

impl Step {
    /// What is in the block, and below it, at the start of a walk.
    pub(super) fn first(cid: Cid, reach: Reach) -> Self {
        let depth = 0;
        Self { cid, depth, reach }
    }
}

/// The blocks that a walk has yet to visit, depth first. Bounded.
#[derive(Debug, Default)]
pub(super) struct Steps(Vec<Step>);

impl Steps {
    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    pub(super) fn pop(&mut self) -> Option<Step> {
        self.0.pop()
    }

    /// The one that [`Steps::pop`] gives next.
    pub(super) fn next(&self) -> Option<&Step> {
        self.0.last()
    }

    /// Puts the children of a block before all others, the first of them first.
    pub(super) fn descend(
        &mut self,
        parent: &Step,
        children: impl Iterator<Item = (Cid, Reach)>,
    ) -> Result<(), WalkError> {
        let depth = parent.depth + 1;
        let start = self.0.len();
        for (cid, reach) in children {
            if depth > MAX_DEPTH {
                return Err(WalkError::TooDeep { cid });
            }
            if self.0.len() >= MAX_PENDING {
                return Err(WalkError::TooWide { cid: parent.cid });
            }
            self.0.push(Step { cid, depth, reach });
        }
        self.0[start..].reverse();
        Ok(())
    }
}

/// A block of a file: the bytes in it, then those below its links.
#[derive(Debug)]
pub(super) struct Part {
    /// Bytes in it.
    pub(super) data: Bytes,
    /// What follows, and how long each is.
    pub(super) children: Vec<(Cid, u64)>,
    /// All together.
    pub(super) size_bytes: u64,
}

impl Part {
    /// Reads a block that a file links to.
    pub(super) fn of(cid: &Cid, bytes: &Bytes) -> Result<Self, NodeFault> {
        match cid.codec() {
            codec::RAW => Ok(Self::leaf(bytes.clone())),
            codec::DAG_PB => Self::of_node(&Node::decode(bytes)?),
            _ => Err(NodeFault::NotAFile),
        }
    }

    /// Reads a block that is to be read by itself: of a file the first, of a symbolic link the
    /// target, of data all.
    pub(super) fn of_root(cid: &Cid, bytes: &Bytes) -> Result<Self, NodeFault> {
        if cid.codec() != codec::DAG_PB {
            return Ok(Self::leaf(bytes.clone()));
        }
        let node = Node::decode(bytes)?;
        match UnixFs::of(&node)? {
            UnixFs::Symlink { target } => Ok(Self::leaf(checked_target(target)?.into())),
            _ => Self::of_node(&node),
        }
    }

    fn of_node(node: &Node) -> Result<Self, NodeFault> {
        let UnixFs::File {
            data,
            block_sizes,
            size_bytes,
        } = UnixFs::of(node)?
        else {
            return Err(NodeFault::NotAFile);
        };
        let cids = node.links.iter().map(|link| link.cid);
        Ok(Self {
            data,
            children: cids.zip(block_sizes).collect(),
            size_bytes,
        })
    }

    fn leaf(data: Bytes) -> Self {
        Self {
            size_bytes: data.len() as u64,
            data,
            children: Vec::new(),
        }
    }

    /// Checks the size against what the parent said.
    pub(super) fn sized(self, said_bytes: u64) -> Result<Self, NodeFault> {
        let found_bytes = self.size_bytes;
        if found_bytes != said_bytes {
            return Err(NodeFault::Size {
                said_bytes,
                found_bytes,
            });
        }
        Ok(self)
    }

    /// The wanted bytes of those in the block, when its part of the file starts at `at`.
    pub(super) fn data_in(&self, at: u64, wanted: &Range<u64>) -> Bytes {
        let length = self.data.len() as u64;
        let start = wanted.start.saturating_sub(at).min(length);
        let end = wanted.end.saturating_sub(at).min(length);
        match (usize::try_from(start), usize::try_from(end)) {
            (Ok(start), Ok(end)) if start < end => self.data.slice(start..end),
            _ => Bytes::new(),
        }
    }

    /// The children that have wanted bytes. Empty ones never do.
    pub(super) fn children_in<'a>(
        &'a self,
        at: u64,
        wanted: &'a Range<u64>,
    ) -> impl Iterator<Item = (Cid, Reach)> + 'a {
        let mut at = at.saturating_add(self.data.len() as u64);
        self.children.iter().filter_map(move |(cid, size_bytes)| {
            let size_bytes = *size_bytes;
            let start = at;
            at = at.saturating_add(size_bytes);
            let is_wanted = wanted.start.max(start) < wanted.end.min(at);
            is_wanted.then_some((
                *cid,
                Reach::File {
                    at: start,
                    size_bytes,
                },
            ))
        })
    }
}

/// A symbolic link's target, unless it is too long.
pub(super) fn checked_target(target: String) -> Result<String, NodeFault> {
    let found_bytes = target.len();
    if found_bytes > MAX_SYMLINK_BYTES {
        return Err(NodeFault::SymlinkTooLong { found_bytes });
    }
    Ok(target)
}

/// A taken place of a shard.
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) cid: Cid,
    /// What the DAG below it has, as the shard says, bytes (Tsize).
    pub(super) size_bytes: u64,
    /// The name of the entry there; none when the next shard is there.
    pub(super) entry: Option<String>,
}

/// The places of a shard, and how many there are with those that aren't taken. `above` is that of
/// the shard that links to it.
pub(super) fn shard(
    cid: &Cid,
    bytes: &Bytes,
    above: Option<u64>,
) -> Result<(Vec<Place>, u64), NodeFault> {
    let not_a_shard = || match above {
        Some(fanout) => NodeFault::NotAShard { fanout },
        None => NodeFault::NotADirectory,
    };
    if cid.codec() != codec::DAG_PB {
        return Err(not_a_shard());
    }
    let node = Node::decode(bytes)?;
    match UnixFs::of(&node)? {
        UnixFs::Shard { fanout, .. } if above.is_none_or(|above| above == fanout) => {
            Ok((places(&node.links, fanout)?, fanout))
        }
        _ => Err(not_a_shard()),
    }
}

/// Reads the links of a shard, which are in the order of their places.
pub(super) fn places(links: &[Link], fanout: u64) -> Result<Vec<Place>, NodeFault> {
    let mut places: Vec<Place> = Vec::with_capacity(links.len());
    for link in links {
        let (number, what) = shard_link(link, fanout)?;
        if places.last().is_some_and(|last| last.number >= number) {
            return Err(NodeFault::ShardOrder {
                name: link.name.clone(),
            });
        }
        places.push(Place {
            number,
            cid: link.cid,
            size_bytes: link.size_bytes,
            entry: match what {
                ShardLink::Entry(name) => Some(name.to_owned()),
                ShardLink::Shard => None,
            },
        });
    }
    Ok(places)
}
