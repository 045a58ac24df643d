//! What to ask for next of what is missing.

use bao_tree::{ChunkNum, ChunkRanges};

/// Chunks of one request, so that what another fetch got meanwhile isn't fetched twice: 128 MiB.
const SEGMENT_CHUNKS: u64 = 128 * 1024;

/// The first part of what is missing.
pub(super) fn first_segment(missing: &ChunkRanges) -> ChunkRanges {
    let Some(first) = missing.boundaries().first() else {
        return ChunkRanges::empty();
    };
    let end = ChunkNum(first.0.saturating_add(SEGMENT_CHUNKS));
    missing & &ChunkRanges::from(..end)
}

/// The gapless run of missing chunks that begins with the group of byte `at`, up to byte `end`.
pub(super) fn first_gap(held: &ChunkRanges, at: u64, end: u64) -> ChunkRanges {
    let wanted = crate::range::groups(&(at..end));
    let missing = &wanted - held;
    match missing.boundaries() {
        [start, stop, ..] => ChunkRanges::from(*start..*stop),
        _ => missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(start: u64, end: u64) -> ChunkRanges {
        ChunkRanges::from(ChunkNum(start)..ChunkNum(end))
    }

    #[test]
    fn segments_are_bounded_and_start_at_the_first_gap() {
        let missing = ChunkRanges::from(ChunkNum(100)..);
        assert_eq!(first_segment(&missing), chunks(100, 100 + SEGMENT_CHUNKS));
        assert_eq!(first_segment(&ChunkRanges::empty()), ChunkRanges::empty());
    }

    #[test]
    fn a_gap_ends_where_bytes_are_held() {
        let held = chunks(32, 48);
        assert_eq!(first_gap(&held, 20_000, 100_000), chunks(16, 32));
        assert_eq!(
            first_gap(&ChunkRanges::all(), 0, 100_000),
            ChunkRanges::empty()
        );
    }
}
