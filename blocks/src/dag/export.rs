//! CARs of a part of a DAG: what a client needs to verify a path and what it leads to, and nothing
//! more (trustless gateway specification, IPIP-402, IPIP-412).

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use cid::Cid;
use n0_future::{Stream, stream};

use super::{
    BlockSource, Kind, WalkError, car_frame, car_header, codec, inline, links,
    resolve::{End, follow, kind},
    walk::{self, Ahead, NodeFault, Part, Reach, Step, Steps},
};

/// Blocks that are remembered to leave out their repetitions. Those met later may come again.
pub const MAX_SEEN: usize = 1 << 17;
/// Blocks up to this size are put into one piece with their frame's head, bytes.
const JOINED_BYTES: usize = 8 * 1024;

/// What a CAR is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    /// Where the path starts.
    pub root: Cid,
    /// From there to what is wanted.
    pub path: Vec<String>,
    /// How much of it.
    pub scope: Scope,
    /// Which bytes, when it is a file and the scope an entity (`entity-bytes`): the first and the
    /// last, both counted from the end when negative; no last is up to the end.
    pub bytes: Option<(i64, Option<i64>)>,
    /// Whether blocks come as often as the walk meets them (`dups=y`). Otherwise each comes once,
    /// as far as [`MAX_SEEN`] lets that be known.
    pub duplicates: bool,
}

/// How much of what a path leads to a CAR has (`dag-scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Its block.
    Block,
    /// A file whole or its wanted bytes, a directory without what is in it, a block of data.
    Entity,
    /// Everything below it.
    All,
}

/// A CARv1 of the blocks on the path, then those of the scope, depth first and in the order of
/// links. Its root is what the path leads to. Blocks whose name is their content are left out.
/// Frame heads and blocks are pieces of their own, so that no large block is copied.
///
/// The first item is an error when the path leads nowhere, or to what can't be walked; an error later
/// ends the stream, which is a prefix of the CAR then.
pub fn export<S: BlockSource + 'static>(
    source: Arc<S>,
    wanted: ExportRequest,
) -> impl Stream<Item = Result<Bytes, WalkError>> + Send {
    let exporter = Exporter {
        blocks: Ahead::new(source),
        seen: (!wanted.duplicates).then(Seen::default),
        wanted: Some(wanted),
        steps: Steps::default(),
        range: 0..0,
        pieces: VecDeque::new(),
    };
    stream::try_unfold(exporter, |mut exporter| async {
        let bytes = exporter.next().await?;
        Ok(bytes.map(|bytes| (bytes, exporter)))
    })
}

struct Exporter<S> {
    blocks: Ahead<S>,
    /// Until the path was followed.
    wanted: Option<ExportRequest>,
    steps: Steps,
    /// Wanted bytes of the file, if it is one.
    range: Range<u64>,
    /// None when repetitions are wanted.
    seen: Option<Seen>,
    /// Made, and not yet handed out.
    pieces: VecDeque<Bytes>,
}

impl<S: BlockSource + 'static> Exporter<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, WalkError> {
        if let Some(wanted) = self.wanted.take() {
            let end = follow(self.blocks.source(), wanted.root, &wanted.path).await?;
            let header = car_header(&[end.cid]);
            self.begin(&wanted, end)?;
            self.pieces.push_back(header);
        }
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece));
            }
            let Some(step) = self.steps.pop() else {
                return Ok(None);
            };
            self.visit(&step).await?;
        }
    }

    /// Plans the blocks of the path, then the end of it, then what is below. That the end can't be
    /// walked shows here, before anything is given.
    fn begin(&mut self, wanted: &ExportRequest, end: End) -> Result<(), WalkError> {
        let reach = match wanted.scope {
            Scope::Block => Reach::Block,
            Scope::All => Reach::All,
            Scope::Entity => match kind(&end.cid, &end.bytes) {
                Kind::File { size_bytes } => {
                    let whole = (0, None);
                    self.range = range(wanted.bytes.unwrap_or(whole), size_bytes);
                    Reach::File { at: 0, size_bytes }
                }
                Kind::Directory { is_sharded: true } => Reach::Shard { fanout: None },
                // Nobody knows what is part of it.
                Kind::Data {
                    fault: Some(why), ..
                } => return Err(why.of(end.cid)),
                _ => Reach::Block,
            },
        };
        self.descend(&Step::first(end.cid, reach), &end.bytes)?;
        self.steps.push(Step::first(end.cid, Reach::Block));
        let path = end.visited.iter().rev();
        for cid in path.skip_while(|cid| **cid == end.cid) {
            self.steps.push(Step::first(*cid, Reach::Block));
        }
        self.blocks.put(end.cid, end.bytes);
        Ok(())
    }

    async fn visit(&mut self, step: &Step) -> Result<(), WalkError> {
        let is_whole = match step.reach {
            Reach::File { at, size_bytes } => {
                self.range.start <= at && at.saturating_add(size_bytes) <= self.range.end
            }
            _ => true,
        };
        let is_inline = inline(&step.cid).is_some();
        let todo = match &mut self.seen {
            Some(seen) if !is_inline => seen.meet(&step.cid, is_whole),
            _ => Todo::GIVE,
        };
        let is_leaf = step.reach == Reach::Block || step.cid.codec() == codec::RAW;
        if !todo.is_given && (!todo.is_descended || is_leaf) {
            return Ok(());
        }
        let bytes = self.blocks.block(&step.cid).await?;
        if todo.is_descended {
            self.descend(step, &bytes)?;
            if let Some(next) = self.steps.next()
                && !self.seen.as_ref().is_some_and(|seen| seen.has(&next.cid))
            {
                self.blocks.start(next.cid).await;
            }
        }
        if todo.is_given && !is_inline {
            self.give(&step.cid, bytes);
        }
        Ok(())
    }

    /// Plans what is below a block and wanted.
    fn descend(&mut self, step: &Step, bytes: &Bytes) -> Result<(), WalkError> {
        let cid = step.cid;
        let fault = |why: NodeFault| why.of(cid);
        match step.reach {
            Reach::Block => Ok(()),
            Reach::All => {
                let all = links(&cid, bytes).map_err(|why| fault(why.into()))?;
                self.steps
                    .descend(step, all.into_iter().map(|cid| (cid, Reach::All)))
            }
            Reach::Shard { fanout } => {
                let (places, fanout) = walk::shard(&cid, bytes, fanout).map_err(fault)?;
                let fanout = Some(fanout);
                let shards = places.iter().filter(|place| place.entry.is_none());
                let shards = shards.map(|place| (place.cid, Reach::Shard { fanout }));
                self.steps.descend(step, shards)
            }
            Reach::File { at, size_bytes } => {
                let part = Part::of(&cid, bytes)
                    .and_then(|part| part.sized(size_bytes))
                    .map_err(fault)?;
                self.steps.descend(step, part.children_in(at, &self.range))
            }
        }
    }

    fn give(&mut self, cid: &Cid, bytes: Bytes) {
        let head = car_frame(cid, bytes.len());
        if bytes.len() > JOINED_BYTES {
            self.pieces.push_back(head);
            self.pieces.push_back(bytes);
            return;
        }
        let mut joined = BytesMut::with_capacity(head.len() + bytes.len());
        joined.extend_from_slice(&head);
        joined.extend_from_slice(&bytes);
        self.pieces.push_back(joined.freeze());
    }
}

/// The bytes that `entity-bytes` says of a file of that size. What is before the file's start or
/// after its end is left out.
fn range((from, to): (i64, Option<i64>), size_bytes: u64) -> Range<u64> {
    let absolute = |place: i64| match u64::try_from(place) {
        Ok(place) => Some(place),
        Err(_) => size_bytes.checked_sub(place.unsigned_abs()),
    };
    let start = absolute(from).unwrap_or(0).min(size_bytes);
    let end = match to {
        None => size_bytes,
        Some(to) => absolute(to).map_or(0, |last| last.saturating_add(1).min(size_bytes)),
    };
    start..end.max(start)
}

/// What to do with a block that the walk has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Todo {
    is_given: bool,
    is_descended: bool,
}

impl Todo {
    const GIVE: Self = Self {
        is_given: true,
        is_descended: true,
    };
}

/// The first bytes of a CID, enough to tell it from all others.
type Key = [u8; 36];

/// Blocks that were given, and whether everything below them was too.
#[derive(Debug, Default)]
struct Seen(BTreeMap<Key, bool>);

impl Seen {
    /// Notes a block. `is_whole` says that the walk wants all that is below it.
    fn meet(&mut self, cid: &Cid, is_whole: bool) -> Todo {
        let is_full = self.0.len() >= MAX_SEEN;
        match self.0.get_mut(&key(cid)) {
            None => {
                if !is_full {
                    self.0.insert(key(cid), is_whole);
                }
                Todo::GIVE
            }
            Some(was_whole) => {
                let is_descended = !*was_whole;
                *was_whole |= is_whole;
                Todo {
                    is_given: false,
                    is_descended,
                }
            }
        }
    }

    fn has(&self, cid: &Cid) -> bool {
        self.0.contains_key(&key(cid))
    }
}

fn key(cid: &Cid) -> Key {
    let mut key = [0; 36];
    let bytes = cid.to_bytes();
    let length = bytes.len().min(key.len());
    key[..length].copy_from_slice(&bytes[..length]);
    key
}

#[cfg(test)]
mod tests;
