//! Files: their bytes in order, of all of them or a range.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use cid::Cid;
use n0_future::{Stream, stream};

use super::{
    BlockSource, WalkError,
    walk::{Ahead, NodeFault, Part, Reach, Step, Steps},
};

/// The bytes of a UnixFS file, a raw block, or the block of data that a CID names; of a symbolic
/// link its target. A range ends where the file does. Only blocks that have bytes of the range, or
/// links to such, are asked for; the next one while one is handed out. One node and one leaf are in
/// memory at a time, and the links on the way down.
///
/// After an error nothing follows: a block that is missing ends the stream with
/// [`super::BlockError::NotHeld`], sizes that contradict each other with [`WalkError::Node`].
pub fn read<S: BlockSource + 'static>(
    source: Arc<S>,
    cid: Cid,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, WalkError>> + Send {
    let reader = Reader {
        blocks: Ahead::new(source),
        root: Some(cid),
        steps: Steps::default(),
        range,
    };
    stream::try_unfold(reader, |mut reader| async {
        let bytes = reader.next().await?;
        Ok(bytes.map(|bytes| (bytes, reader)))
    })
}

struct Reader<S> {
    blocks: Ahead<S>,
    /// Until it was read.
    root: Option<Cid>,
    steps: Steps,
    range: Range<u64>,
}

impl<S: BlockSource + 'static> Reader<S> {
    /// The next bytes, never none of them.
    async fn next(&mut self) -> Result<Option<Bytes>, WalkError> {
        if let Some(cid) = self.root.take() {
            let bytes = self.blocks.block(&cid).await?;
            let part = Part::of_root(&cid, &bytes).map_err(|why| why.of(cid))?;
            let data = self.take(&Step::first(cid, Reach::Block), &part, 0).await?;
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        while let Some(step) = self.steps.pop() {
            let Reach::File { at, size_bytes } = step.reach else {
                return Err(NodeFault::NotAFile.of(step.cid));
            };
            let bytes = self.blocks.block(&step.cid).await?;
            let part = Part::of(&step.cid, &bytes)
                .and_then(|part| part.sized(size_bytes))
                .map_err(|why| why.of(step.cid))?;
            let data = self.take(&step, &part, at).await?;
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Takes what is wanted of a part of the file that starts at `at`.
    async fn take(&mut self, step: &Step, part: &Part, at: u64) -> Result<Bytes, WalkError> {
        self.steps
            .descend(step, part.children_in(at, &self.range))?;
        if let Some(next) = self.steps.next() {
            self.blocks.start(next.cid).await;
        }
        Ok(part.data_in(at, &self.range))
    }
}

#[cfg(test)]
mod tests;
