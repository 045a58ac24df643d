//! Piece hashes, from bytes as they come.

use std::num::NonZeroU32;

use sha1::{Digest, Sha1};

/// Bytes of a piece of what is shared from here: as many as a leaf of UnixFS has, so that a leaf
/// equals a piece.
pub const PIECE_BYTES: NonZeroU32 = NonZeroU32::new(1 << 20).expect("2^20 is not 0");

/// SHA-1 of a piece (BEP 3).
pub type PieceHash = [u8; 20];

/// Hashes bytes that come in slices of any length, piece by piece. The files of an album are one
/// stream, without gaps (BEP 3).
#[derive(Clone, Debug)]
pub struct PieceHasher {
    piece_bytes: usize,
    current: Sha1,
    /// Bytes in the current piece, fewer than a piece has.
    filled: usize,
    pieces: Vec<PieceHash>,
}

impl Default for PieceHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl PieceHasher {
    /// In pieces of [`PIECE_BYTES`].
    pub fn new() -> Self {
        Self::with_piece_bytes(PIECE_BYTES)
    }

    /// In pieces of another length, as torrents of others have them.
    pub fn with_piece_bytes(piece_bytes: NonZeroU32) -> Self {
        Self {
            piece_bytes: piece_bytes.get() as usize,
            current: Sha1::new(),
            filled: 0,
            pieces: Vec::new(),
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.piece_bytes - self.filled;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.current.update(now);
            self.filled += now.len();
            if self.filled == self.piece_bytes {
                self.close();
            }
            bytes = later;
        }
    }

    /// The hashes of all pieces, the last one of what remained; none for no bytes.
    pub fn finish(mut self) -> Vec<PieceHash> {
        if self.filled > 0 {
            self.close();
        }
        self.pieces
    }

    fn close(&mut self) {
        self.pieces.push(self.current.finalize_reset().into());
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha1(bytes: &[u8]) -> PieceHash {
        Sha1::digest(bytes).into()
    }

    fn pieces(bytes: &[u8], piece_bytes: u32, slice_bytes: usize) -> Vec<PieceHash> {
        let mut hasher = PieceHasher::with_piece_bytes(NonZeroU32::new(piece_bytes).unwrap());
        for slice in bytes.chunks(slice_bytes) {
            hasher.push(slice);
        }
        hasher.push(&[]);
        hasher.finish()
    }

    #[test]
    fn slices_change_nothing() {
        for length in [0, 1, 9, 10, 11, 20, 25, 30, 99] {
            let bytes: Vec<u8> = (0..length).collect();
            let expected: Vec<PieceHash> = bytes.chunks(10).map(sha1).collect();
            for slice_bytes in [1, 3, 10, 11, 40, 100] {
                assert_eq!(pieces(&bytes, 10, slice_bytes), expected, "{length} bytes");
            }
        }
    }

    #[test]
    fn a_full_last_piece_is_the_last() {
        let mib = PIECE_BYTES.get() as usize;
        for (length, count) in [
            (0, 0),
            (1, 1),
            (mib - 1, 1),
            (mib, 1),
            (mib + 1, 2),
            (2 * mib, 2),
        ] {
            let mut hasher = PieceHasher::new();
            hasher.push(&vec![7; length]);
            assert_eq!(hasher.finish().len(), count, "{length} bytes");
        }
    }
}
