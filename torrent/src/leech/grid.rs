//! A torrent's blocks, counted through all pieces.

use std::ops::Range;

use super::{
    Target,
    wire::{BLOCK_BYTES, Block},
};

/// A block of the torrent, counted from its first; a piece's last block may be shorter, and the
/// next piece begins with a block of its own.
pub(super) type BlockIndex = u64;

/// How a torrent is cut into blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    target: Target,
    blocks_per_piece: u32,
}

impl Grid {
    /// Of a torrent whose lengths were checked.
    pub fn new(target: Target) -> Self {
        let blocks_per_piece = target.piece_bytes.div_ceil(BLOCK_BYTES);
        Self {
            target,
            blocks_per_piece,
        }
    }

    /// The torrent.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The blocks that touch a range of bytes.
    pub fn blocks(&self, range: &Range<u64>) -> Range<BlockIndex> {
        if range.is_empty() {
            return 0..0;
        }
        self.at(range.start)..self.at(range.end - 1) + 1
    }

    /// The pieces that touch a range of bytes.
    pub fn pieces(&self, range: &Range<u64>) -> Range<u32> {
        if range.is_empty() {
            return 0..0;
        }
        self.place(self.at(range.start)).0..self.place(self.at(range.end - 1)).0 + 1
    }

    /// The block's bytes in the file.
    pub fn range(&self, index: BlockIndex) -> Range<u64> {
        let (piece, begin) = self.place(index);
        let piece = self.target.piece_range(piece);
        let start = piece.start + u64::from(begin);
        start..piece.end.min(start + u64::from(BLOCK_BYTES))
    }

    /// The block, as it is asked for.
    pub fn block(&self, index: BlockIndex) -> Block {
        let (piece, begin) = self.place(index);
        let range = self.range(index);
        let length = u32::try_from(range.end.saturating_sub(range.start));
        Block {
            piece,
            begin,
            length: length.unwrap_or(BLOCK_BYTES),
        }
    }

    /// The block that begins there; none if none does.
    pub fn index(&self, piece: u32, begin: u32) -> Option<BlockIndex> {
        let range = self.target.piece_range(piece);
        let is_one = begin.is_multiple_of(BLOCK_BYTES)
            && piece < self.target.pieces()
            && u64::from(begin) < range.end - range.start;
        let first = u64::from(piece) * u64::from(self.blocks_per_piece);
        is_one.then_some(first + u64::from(begin / BLOCK_BYTES))
    }

    /// The block of a byte.
    fn at(&self, offset: u64) -> BlockIndex {
        let piece_bytes = u64::from(self.target.piece_bytes);
        let first = offset / piece_bytes * u64::from(self.blocks_per_piece);
        first + offset % piece_bytes / u64::from(BLOCK_BYTES)
    }

    /// The block's piece, and where in it it begins.
    fn place(&self, index: BlockIndex) -> (u32, u32) {
        let per_piece = u64::from(self.blocks_per_piece);
        let piece = u32::try_from(index / per_piece).unwrap_or(u32::MAX);
        let at = u32::try_from(index % per_piece).unwrap_or(u32::MAX);
        (piece, at.saturating_mul(BLOCK_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InfoHash;

    fn grid(piece_bytes: u32, length_bytes: u64) -> Grid {
        Grid::new(Target {
            infohash: InfoHash::of(b""),
            piece_bytes,
            length_bytes,
        })
    }

    #[test]
    fn blocks_cover_every_byte_once() {
        for (piece_bytes, length_bytes) in [
            (1 << 20, 3 << 20),
            (1 << 20, (3 << 20) + 1),
            (1 << 20, 5),
            (40_000, 100_000),
            (16_384, 16_384),
            (1000, 4500),
        ] {
            let grid = grid(piece_bytes, length_bytes);
            let mut end = 0;
            for index in grid.blocks(&(0..length_bytes)) {
                let range = grid.range(index);
                assert_eq!(range.start, end);
                assert!((1..=u64::from(BLOCK_BYTES)).contains(&(range.end - range.start)));
                let block = grid.block(index);
                assert_eq!(u64::from(block.length), range.end - range.start);
                assert_eq!(grid.index(block.piece, block.begin), Some(index));
                assert_eq!(grid.blocks(&range), index..index + 1);
                assert_eq!(grid.pieces(&range), block.piece..block.piece + 1);
                end = range.end;
            }
            assert_eq!(end, length_bytes);
        }
    }

    #[test]
    fn places_without_a_block_have_no_index() {
        let grid = grid(40_000, 100_000);
        for (piece, begin, expected) in [
            (0, 0, Some(0)),
            (0, 32_768, Some(2)),
            (1, 16_384, Some(4)),
            (2, 16_384, Some(7)),
            (2, 32_768, None),
            (0, 49_152, None),
            (0, 1, None),
            (3, 0, None),
            (u32::MAX, u32::MAX, None),
        ] {
            assert_eq!(grid.index(piece, begin), expected, "{piece} {begin}");
        }
        assert!(grid.blocks(&(7..7)).is_empty() && grid.pieces(&(7..7)).is_empty());
    }
}
