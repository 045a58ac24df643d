//! Which pieces a peer has.

use std::ops::Range;

use super::Target;

/// Which pieces a peer says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Have {
    /// All of them.
    All,
    /// Those whose bit is set, the first piece being the highest bit of the first byte (BEP 3).
    Pieces(Vec<u8>),
}

impl Have {
    /// Nothing of a torrent.
    pub fn none(target: &Target) -> Self {
        Self::Pieces(vec![0; bytes_of(target.pieces())])
    }

    /// Whether the piece is there.
    pub fn has(&self, piece: u32) -> bool {
        match self {
            Self::All => true,
            Self::Pieces(bits) => {
                let byte = bits.get(piece as usize / 8);
                byte.is_some_and(|byte| byte & mask(piece) != 0)
            }
        }
    }

    /// The bytes of a torrent that are there, in order and with gaps between; none if all are.
    pub fn ranges(&self, target: &Target) -> Option<Vec<Range<u64>>> {
        if *self == Self::All {
            return None;
        }
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for piece in (0..target.pieces()).filter(|piece| self.has(*piece)) {
            let range = target.piece_range(piece);
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        Some(ranges)
    }

    /// From a bitfield message; none if it isn't one of this torrent: another length, or bits set
    /// behind the last piece.
    pub(super) fn from_bitfield(bits: &[u8], pieces: u32) -> Option<Self> {
        let mut spare = (pieces..).take_while(|piece| piece % 8 != 0);
        let fits = bits.len() == bytes_of(pieces);
        let bits = Self::Pieces(bits.to_vec());
        if !fits || spare.any(|piece| bits.has(piece)) {
            return None;
        }
        let is_all = bits.count() == Some(pieces);
        Some(if is_all { Self::All } else { bits })
    }

    /// One more piece; whether it wasn't there.
    pub(super) fn insert(&mut self, piece: u32) -> bool {
        let Self::Pieces(bits) = self else {
            return false;
        };
        let Some(byte) = bits.get_mut(piece as usize / 8) else {
            return false;
        };
        let is_new = *byte & mask(piece) == 0;
        *byte |= mask(piece);
        is_new
    }

    /// As many of the bits are set; none if all pieces are there.
    pub(super) fn count(&self) -> Option<u32> {
        match self {
            Self::All => None,
            Self::Pieces(bits) => Some(bits.iter().map(|byte| byte.count_ones()).sum()),
        }
    }
}

/// Bytes of a bitfield for as many pieces.
pub(super) fn bytes_of(pieces: u32) -> usize {
    pieces.div_ceil(8) as usize
}

fn mask(piece: u32) -> u8 {
    0x80 >> (piece % 8)
}
