//! Which groups of a blob's file are what its name says, in one pass and little memory.

use std::{fs::File, io, ops::ControlFlow, os::unix::fs::FileExt, path::Path, sync::Arc};

use bao_tree::{
    BaoTree, BlockSize, ChunkRanges,
    io::{
        BaoContentItem, Leaf, Parent,
        outboard::{PreOrderMemOutboard, PreOrderOutboard},
        sync,
    },
    iter::BaoChunk,
};
use bytes::{Bytes, BytesMut};
use model::BlobId;

use crate::{
    outboard::{PAIR_BYTES, join, subtree},
    range::groups,
    source::{GROUP_LOG, INLINE_OUTBOARD_BYTES},
};

/// Read at a time for a whole outboard, bytes.
const BUFFER_BYTES: usize = 1024 * 1024;

/// The files of one blob. Clones read the same ones, even when they were deleted meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) blob: BlobId,
    pub(super) size_bytes: u64,
    pub(super) data: Arc<File>,
    pairs: Pairs,
}

/// Where the outboard is.
#[derive(Clone, Debug)]
enum Pairs {
    File(Arc<File>),
    /// Computed, where the store keeps it in its database: right if the blob is.
    Memory(Bytes),
}

/// What a walk comes to.
pub(super) enum Step {
    /// It is right.
    Item(BaoContentItem),
    /// This group isn't, or can't be read.
    BadGroup,
    /// No group below this pair can be told.
    BadPair,
}

/// What a survey found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Chunks that are right.
    pub(super) good: ChunkRanges,
    /// Groups that aren't.
    pub(super) bad_groups: u64,
    /// Pairs of the outboard that aren't.
    pub(super) bad_pairs: u64,
}

impl Survey {
    pub(super) fn is_all_right(&self) -> bool {
        self.bad_groups == 0 && self.bad_pairs == 0
    }
}

fn tree(size_bytes: u64) -> BaoTree {
    BaoTree::new(size_bytes, BlockSize::from_chunk_log(GROUP_LOG))
}

impl Opened {
    /// Opens the files of a blob, to be written to. Waits for the disk.
    pub(super) fn open(
        blob: BlobId,
        size_bytes: u64,
        data: &Path,
        outboard: &Path,
    ) -> io::Result<Self> {
        let open = |path| File::options().read(true).write(true).open(path);
        let data = Arc::new(open(data)?);
        let pairs = match open(outboard) {
            Ok(file) => Pairs::File(Arc::new(file)),
            Err(_) if tree(size_bytes).outboard_size() <= INLINE_OUTBOARD_BYTES => {
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut io::Read::take(&*data, size_bytes), &mut bytes)?;
                let group = BlockSize::from_chunk_log(GROUP_LOG);
                Pairs::Memory(PreOrderMemOutboard::create(&bytes, group).data.into())
            }
            // Made anew, if the bytes are right.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut options = File::options();
                options.read(true).write(true).create(true).truncate(false);
                Pairs::File(Arc::new(options.open(outboard)?))
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            blob,
            size_bytes,
            data,
            pairs,
        })
    }

    /// Checks the chunks that are wanted, in order; says of each group what it is. Ends early when
    /// `on` breaks off. Waits for the disk.
    pub(super) fn walk(
        &self,
        wanted: &ChunkRanges,
        mut on: impl FnMut(Step) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let tree = tree(self.size_bytes);
        let wanted = wanted & &groups(&(0..self.size_bytes));
        if wanted.is_empty() {
            return ControlFlow::Continue(());
        }
        // None below a pair that is wrong.
        let mut above = vec![Some(*self.blob.as_bytes())];
        for step in tree.ranges_pre_order_chunks_iter_ref(&wanted, 0) {
            let expected = above.pop().flatten();
            match step {
                BaoChunk::Parent {
                    node,
                    is_root,
                    left,
                    right,
                    ..
                } => {
                    let pair = tree.pre_order_offset(node).and_then(|at| self.pair(at));
                    let pair = pair.filter(|(l, r)| Some(join(l, r, is_root)) == expected);
                    above.extend(right.then_some(pair.map(|(_, r)| r)));
                    above.extend(left.then_some(pair.map(|(l, _)| l)));
                    match pair {
                        Some((l, r)) => {
                            let pair = (l.into(), r.into());
                            on(Step::Item(BaoContentItem::Parent(Parent { node, pair })))?;
                        }
                        // One that is wrong is told of once.
                        None if expected.is_some() => on(Step::BadPair)?,
                        None => {}
                    }
                }
                BaoChunk::Leaf {
                    start_chunk,
                    size,
                    is_root,
                    ..
                } => {
                    let offset = start_chunk.to_bytes();
                    let group = expected.and_then(|expected| {
                        let group = self.group(offset, size).ok()?;
                        (subtree(offset, &group, is_root) == expected).then_some(group)
                    });
                    match group {
                        Some(data) => {
                            on(Step::Item(BaoContentItem::Leaf(Leaf { offset, data })))?;
                        }
                        None => on(Step::BadGroup)?,
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Finds out which of the wanted chunks are right; none when `is_over` says so. Waits for the
    /// disk.
    pub(super) fn survey(
        &self,
        wanted: &ChunkRanges,
        is_over: impl Fn() -> bool,
    ) -> Option<Survey> {
        let mut survey = Survey::default();
        let mut run = 0..0;
        let walked = self.walk(wanted, |step| {
            match step {
                Step::Item(BaoContentItem::Leaf(leaf)) => {
                    let end = leaf.offset + leaf.data.len() as u64;
                    if run.end == leaf.offset && !run.is_empty() {
                        run.end = end;
                    } else {
                        survey.good |= groups(&run);
                        run = leaf.offset..end;
                    }
                }
                Step::Item(BaoContentItem::Parent(_)) => {}
                Step::BadGroup => survey.bad_groups += 1,
                Step::BadPair => survey.bad_pairs += 1,
            }
            if is_over() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        survey.good |= groups(&run);
        walked.is_continue().then_some(survey)
    }

    /// Writes the outboard anew, of bytes that have the right hash. Waits for the disk.
    pub(super) fn mend_outboard(&self) -> io::Result<()> {
        let Pairs::File(file) = &self.pairs else {
            return Ok(());
        };
        let mut outboard = PreOrderOutboard {
            root: (*self.blob.as_bytes()).into(),
            tree: tree(self.size_bytes),
            data: file.try_clone()?,
        };
        io::Seek::rewind(&mut &*self.data)?;
        let data = io::BufReader::with_capacity(BUFFER_BYTES, &*self.data);
        sync::outboard(data, tree(self.size_bytes), &mut outboard)?;
        file.set_len(tree(self.size_bytes).outboard_size())?;
        file.sync_data()
    }

    fn pair(&self, number: u64) -> Option<([u8; 32], [u8; 32])> {
        let mut pair = [0; PAIR_BYTES];
        let at = number.checked_mul(PAIR_BYTES as u64)?;
        match &self.pairs {
            Pairs::File(file) => file.read_exact_at(&mut pair, at).ok()?,
            Pairs::Memory(bytes) => {
                let at = usize::try_from(at).ok()?;
                pair.copy_from_slice(bytes.get(at..at.checked_add(PAIR_BYTES)?)?);
            }
        }
        let (left, right) = pair.as_chunks::<32>().0.split_first()?;
        Some((*left, *right.first()?))
    }

    fn group(&self, offset: u64, size: usize) -> io::Result<Bytes> {
        let mut group = BytesMut::zeroed(size);
        self.data.read_exact_at(&mut group, offset)?;
        Ok(group.freeze())
    }
}
