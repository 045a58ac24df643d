//! Which peers got which bytes from us. Pure.

use std::collections::{BTreeMap, VecDeque};

use bao_tree::{ChunkNum, ChunkRanges};
use iroh::EndpointId;
use model::BlobId;

/// Pairs of blob and peer that are remembered; beyond it the oldest are forgotten.
const PAIRS: usize = 64 * 1024;
/// Bytes of a chunk.
const CHUNK_BYTES: u64 = 1024;

/// What was sent to whom.
#[derive(Debug, Default)]
pub(super) struct SentBook {
    parts: BTreeMap<(BlobId, EndpointId), Part>,
    order: VecDeque<(BlobId, EndpointId)>,
}

#[derive(Debug)]
enum Part {
    Some(ChunkRanges),
    All,
}

impl SentBook {
    /// Chunks of a blob arrived at a peer. True when with these it has got the blob in full.
    pub(super) fn note(
        &mut self,
        blob: BlobId,
        peer: EndpointId,
        chunks: &ChunkRanges,
        size_bytes: u64,
    ) -> bool {
        let key = (blob, peer);
        if !self.parts.contains_key(&key) {
            if self.order.len() >= PAIRS
                && let Some(oldest) = self.order.pop_front()
            {
                self.parts.remove(&oldest);
            }
            self.order.push_back(key);
        }
        let part = self
            .parts
            .entry(key)
            .or_insert_with(|| Part::Some(ChunkRanges::empty()));
        let Part::Some(sent) = part else { return false };
        *sent |= chunks.clone();
        let whole = ChunkRanges::from(..ChunkNum(size_bytes.div_ceil(CHUNK_BYTES)));
        if !sent.is_superset(&whole) {
            return false;
        }
        *part = Part::All;
        true
    }

    /// Peers that got the blob in full.
    pub(super) fn got_all(&self, blob: BlobId) -> Vec<EndpointId> {
        self.parts
            .iter()
            .filter(|((of, _), part)| *of == blob && matches!(part, Part::All))
            .map(|((_, peer), _)| *peer)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_add_up() {
        let mut book = SentBook::default();
        let blob = BlobId::of(b"b");
        let peer = iroh::SecretKey::from_bytes(&[1; 32]).public();
        let chunks = |range: std::ops::Range<u64>| {
            ChunkRanges::from(ChunkNum(range.start)..ChunkNum(range.end))
        };
        assert!(!book.note(blob, peer, &chunks(0..16), 20_000));
        assert!(book.got_all(blob).is_empty());
        assert!(book.note(blob, peer, &ChunkRanges::from(ChunkNum(16)..), 20_000));
        assert!(
            !book.note(blob, peer, &chunks(0..16), 20_000),
            "only said once"
        );
        assert_eq!(book.got_all(blob), [peer]);
    }
}
