//! A few groups of a blob together with the hashes that prove them: what a challenge is answered
//! with, and how the answer is checked by somebody who has nothing of the blob.
//!
//! The encoding is bao's for groups of 16 KiB, without a size in front: hash pairs and groups in
//! pre-order, only those on the way to the range.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use bao_tree::{
    BaoTree, BlockSize,
    io::{
        BaoContentItem,
        outboard::PreOrderOutboard,
        sync::{DecodeResponseIter, ReadAt, encode_ranges_validated},
    },
};
use bytes::Bytes;
use model::{BlobId, limits};
use thiserror::Error;

use crate::{
    BlobSource, ReadError, StoreError, hash,
    range::{self, GROUP_BYTES},
    store::Blobs,
};

/// Groups have this many chunks, as a power of two.
const GROUP_LOG: u8 = 4;

/// Why a slice proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SliceError {
    /// The bytes or hashes don't lead to the blob's id, or end too early.
    #[error("the bytes don't belong to the blob")]
    Wrong,
    /// There is more than was asked for.
    #[error("the slice goes on after its end")]
    TooLong,
}

/// Longest slice of so many groups, bytes: the groups, and a hash pair for each inner node on the
/// way to them, of which a tree of 2^64 bytes has at most 50 levels.
pub const fn slice_max_bytes(groups: u64) -> u64 {
    groups * (GROUP_BYTES + 64) + 64 * 50
}

impl Blobs {
    /// Whole groups around a range of a blob that is held in full, with their proof. Everything is
    /// checked against the id on the way.
    ///
    /// # Errors
    /// When it isn't held in full, is denied, or what lies on the disk was changed.
    pub async fn slice(&self, blob: BlobId, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let data = self.source(blob).await?;
        let outboard = self.outboard(blob).await?;
        let encoded = tokio::task::spawn_blocking(move || encode(blob, &data, &outboard, &range));
        let encoded = encoded.await.map_err(|_| StoreError::Stopped)?;
        encoded.ok_or(ReadError::Changed(blob))
    }
}

/// The bytes of whole groups around a range of a blob of that size, if the slice proves them.
///
/// The range must not be empty unless the blob is. A range that touches the end proves the size.
///
/// # Errors
/// When the slice proves nothing, or something else.
pub fn check_slice(
    blob: BlobId,
    size_bytes: u64,
    range: &Range<u64>,
    slice: &[u8],
) -> Result<Vec<u8>, SliceError> {
    if size_bytes == 0 {
        let is_empty = slice.is_empty() && blob == BlobId::of(b"");
        return is_empty.then(Vec::new).ok_or(SliceError::Wrong);
    }
    if size_bytes > limits::BLOB_BYTES || range.end > size_bytes || range.is_empty() {
        return Err(SliceError::Wrong);
    }
    let groups = range::groups(range);
    let mut rest = slice;
    let mut bytes = Vec::new();
    for item in DecodeResponseIter::new(hash(blob).into(), tree(size_bytes), &mut rest, &groups) {
        if let BaoContentItem::Leaf(leaf) = item.map_err(|_| SliceError::Wrong)? {
            bytes.extend_from_slice(&leaf.data);
        }
    }
    let expected = range.end.div_ceil(GROUP_BYTES).saturating_mul(GROUP_BYTES);
    let start = range.start / GROUP_BYTES * GROUP_BYTES;
    if bytes.is_empty() || bytes.len() as u64 != expected.min(size_bytes).saturating_sub(start) {
        return Err(SliceError::Wrong);
    }
    if rest.is_empty() {
        Ok(bytes)
    } else {
        Err(SliceError::TooLong)
    }
}

fn tree(size_bytes: u64) -> BaoTree {
    BaoTree::new(size_bytes, BlockSize::from_chunk_log(GROUP_LOG))
}

fn encode(
    blob: BlobId,
    data: &BlobSource,
    outboard: &BlobSource,
    range: &Range<u64>,
) -> Option<Vec<u8>> {
    let size_bytes = data.size_bytes();
    let outboard = PreOrderOutboard {
        root: hash(blob).into(),
        tree: tree(size_bytes),
        data: At::open(outboard).ok()?,
    };
    let mut encoded = Vec::new();
    let groups = range::groups(range);
    encode_ranges_validated(At::open(data).ok()?, outboard, &groups, &mut encoded).ok()?;
    Some(encoded)
}

/// A source to be read at any offset.
enum At {
    File(File),
    Bytes(Bytes),
}

impl At {
    fn open(source: &BlobSource) -> io::Result<Self> {
        Ok(match source {
            BlobSource::File { path, .. } => Self::File(File::open(path)?),
            BlobSource::Bytes(bytes) => Self::Bytes(bytes.clone()),
        })
    }
}

impl ReadAt for At {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => FileExt::read_at(file, buffer, at),
            Self::Bytes(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let length = buffer.len().min(bytes.len() - start);
                buffer[..length].copy_from_slice(&bytes[start..start + length]);
                Ok(length)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bao_tree::io::outboard::PreOrderMemOutboard;

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn made(bytes: &[u8], range: &Range<u64>) -> (BlobId, Vec<u8>) {
        let blob = BlobId::of(bytes);
        let outboard = PreOrderMemOutboard::create(bytes, BlockSize::from_chunk_log(GROUP_LOG));
        let data = BlobSource::Bytes(Bytes::copy_from_slice(bytes));
        let outboard = BlobSource::Bytes(outboard.data.into());
        (blob, encode(blob, &data, &outboard, range).unwrap())
    }

    #[test]
    fn a_slice_proves_its_groups() {
        for length in [0, 1, 16_384, 16_385, 100_000, 1 << 20] {
            let bytes = noise(length);
            let size_bytes = length as u64;
            for at in [0, 1, 3, 6, 63] {
                let start = (at * GROUP_BYTES).min(size_bytes / GROUP_BYTES * GROUP_BYTES);
                let start = if start == size_bytes { 0 } else { start };
                let range = start..(start + 2 * GROUP_BYTES).min(size_bytes);
                let (blob, slice) = made(&bytes, &range);
                assert!(slice.len() as u64 <= slice_max_bytes(2), "{length} {at}");
                let proven = check_slice(blob, size_bytes, &range, &slice).unwrap();
                let start = usize::try_from(range.start).unwrap();
                let end = usize::try_from(range.end).unwrap();
                assert_eq!(proven, bytes[start..end], "{length} {at}");
            }
        }
    }

    #[test]
    fn a_changed_cut_or_lengthened_slice_proves_nothing() {
        let bytes = noise(200_000);
        let range = 3 * GROUP_BYTES..4 * GROUP_BYTES;
        let (blob, slice) = made(&bytes, &range);
        for at in (0..slice.len()).step_by(97) {
            let mut changed = slice.clone();
            changed[at] ^= 1;
            let refused = check_slice(blob, 200_000, &range, &changed);
            assert_eq!(refused, Err(SliceError::Wrong), "byte {at}");
            let refused = check_slice(blob, 200_000, &range, &slice[..at]);
            assert_eq!(refused, Err(SliceError::Wrong), "cut at {at}");
        }
        let longer = [&slice[..], &[0]].concat();
        let refused = check_slice(blob, 200_000, &range, &longer);
        assert_eq!(refused, Err(SliceError::TooLong));
        let other = check_slice(BlobId::of(b"other"), 200_000, &range, &slice);
        assert_eq!(other, Err(SliceError::Wrong));
        let elsewhere = 4 * GROUP_BYTES..5 * GROUP_BYTES;
        let refused = check_slice(blob, 200_000, &elsewhere, &slice);
        assert_eq!(refused, Err(SliceError::Wrong));
    }

    #[test]
    fn the_last_group_proves_the_size() {
        let bytes = noise(100_000);
        let last = 6 * GROUP_BYTES..100_000;
        let (blob, slice) = made(&bytes, &last);
        assert!(check_slice(blob, 100_000, &last, &slice).is_ok());
        for size_bytes in [0_u64, 1, 16_384, 98_305, 99_999, 100_001, 1 << 20, 1 << 60] {
            let end = size_bytes.saturating_sub(1) / GROUP_BYTES * GROUP_BYTES;
            let claimed = end..size_bytes;
            assert_eq!(
                check_slice(blob, size_bytes, &claimed, &slice),
                Err(SliceError::Wrong),
                "{size_bytes}"
            );
        }
    }
}
