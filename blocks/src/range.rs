//! Byte ranges and the chunk ranges in which bytes are verified.

use std::ops::Range;

use bao_tree::{ChunkNum, ChunkRanges};

/// Smallest piece that can be verified by itself: 16 chunks of BLAKE3.
pub const GROUP_BYTES: u64 = 16 * 1024;
const CHUNK_BYTES: u64 = 1024;

/// The whole groups that cover a byte range.
pub(crate) fn groups(range: &Range<u64>) -> ChunkRanges {
    if range.is_empty() {
        return ChunkRanges::empty();
    }
    let start = range.start / GROUP_BYTES * (GROUP_BYTES / CHUNK_BYTES);
    let end = range.end.div_ceil(GROUP_BYTES) * (GROUP_BYTES / CHUNK_BYTES);
    ChunkRanges::from(ChunkNum(start)..ChunkNum(end))
}

/// The chunk that proves a blob's size.
#[cfg(test)]
pub(crate) fn last_chunk() -> ChunkRanges {
    ChunkRanges::from(ChunkNum(u64::MAX)..)
}

/// How many bytes from `at` on are held without a gap, at most up to `end`.
pub(crate) fn held_from(held: &ChunkRanges, at: u64, end: u64) -> u64 {
    let chunk = ChunkNum(at / CHUNK_BYTES);
    if at >= end || !held.contains(&chunk) {
        return 0;
    }
    let until = held
        .boundaries()
        .iter()
        .find(|boundary| **boundary > chunk)
        .map_or(end, |boundary| {
            boundary.0.saturating_mul(CHUNK_BYTES).min(end)
        });
    until - at
}

/// Bytes of these chunks in a blob of that size.
pub(crate) fn bytes_in(ranges: &ChunkRanges, size_bytes: u64) -> u64 {
    let mut total = 0;
    for pair in ranges.boundaries().chunks(2) {
        let start = pair[0].0.saturating_mul(CHUNK_BYTES);
        let end = pair.get(1).map_or(size_bytes, |end| {
            end.0.saturating_mul(CHUNK_BYTES).min(size_bytes)
        });
        total += end.saturating_sub(start);
    }
    total
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use super::*;

    fn chunks(range: Range<u64>) -> ChunkRanges {
        ChunkRanges::from(ChunkNum(range.start)..ChunkNum(range.end))
    }

    #[test]
    fn ranges_grow_to_whole_groups() {
        assert_eq!(groups(&(0..1)), chunks(0..16));
        assert_eq!(groups(&(16_383..16_385)), chunks(0..32));
        assert_eq!(groups(&(16_384..32_768)), chunks(16..32));
        assert_eq!(groups(&(5..5)), ChunkRanges::empty());
    }

    #[test]
    fn held_bytes_end_at_the_first_gap() {
        let held = &chunks(0..16) | &chunks(32..48);
        assert_eq!(held_from(&held, 100, 1_000_000), 16 * 1024 - 100);
        assert_eq!(held_from(&held, 16 * 1024, 1_000_000), 0);
        assert_eq!(held_from(&held, 32 * 1024, 33 * 1024), 1024);
        assert_eq!(held_from(&ChunkRanges::all(), 5, 10), 5);
    }

    #[test]
    fn bytes_stop_at_the_size() {
        assert_eq!(bytes_in(&ChunkRanges::all(), 1500), 1500);
        assert_eq!(bytes_in(&chunks(0..16), 1500), 1500);
        assert_eq!(bytes_in(&(&chunks(0..1) | &last_chunk()), 1500), 1024);
    }
}
