//! Outboards: the inner hashes of a blob, by which bytes from anybody are verified group by group.
//!
//! An outboard is checked against the blob's name before it is used. What it says of the size is a
//! claim until the blob's last group agrees with it ([`Outboard::prove_size`]): somebody who knows
//! the blob can make pairs of a longer one that join to the same root, and honest bytes would then
//! look wrong.
//!
//! # Protocol `datt/outboard/1`
//!
//! One bidirectional stream for each request. Integers are little-endian.
//!
//! | who | bytes | what |
//! |---|---|---|
//! | client | 32 | the blob, BLAKE3; then it ends its side |
//! | server | 1 | [`Status`] |
//! | server | 8 | size of the blob, bytes; only after [`Status::Here`], as all that follows |
//! | server | (groups − 1) · 64 | hash pairs in pre-order, one for each inner node down to groups of 16 KiB |
//! | server | 0 to 16384 | the blob's last group, which proves the size |

mod client;
mod serve;
mod tree;

use bao_tree::{
    BaoTree, BlockSize,
    io::{BaoContentItem, Leaf, Parent},
    iter::BaoChunk,
};
use bytes::Bytes;
use model::BlobId;
use thiserror::Error;

use crate::{GROUP_BYTES, range::groups, source::GROUP_LOG};

pub use client::fetch_outboard;
pub use serve::{OutboardLimits, OutboardProtocol};
use tree::Walk;
pub(crate) use tree::{PAIR_BYTES, join, subtree};

/// The protocol that outboards are asked for by.
pub const OUTBOARD_ALPN: &[u8] = b"datt/outboard/1";

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The outboard follows.
    Here,
    /// The blob isn't held in full.
    NotHeld,
    /// This peer doesn't get it.
    Refused,
    /// Too much to do.
    Busy,
}

impl Status {
    const fn byte(self) -> u8 {
        match self {
            Self::Here => 0,
            Self::NotHeld => 1,
            Self::Refused => 2,
            Self::Busy => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Here),
            1 => Some(Self::NotHeld),
            2 => Some(Self::Refused),
            3 => Some(Self::Busy),
            _ => None,
        }
    }
}

/// Bytes of the outboard of a blob of that size.
pub const fn outboard_bytes(size_bytes: u64) -> u64 {
    tree::groups_of(size_bytes)
        .saturating_sub(1)
        .saturating_mul(PAIR_BYTES as u64)
}

/// What is wrong with an outboard, or with bytes that were held against it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OutboardFault {
    /// It hasn't the length that the size makes.
    #[error(
        "the outboard of a blob of {size_bytes} bytes has {expected_bytes} bytes, not {found_bytes}"
    )]
    Length {
        /// Size of the blob, as claimed.
        size_bytes: u64,
        /// What it makes.
        expected_bytes: u64,
        /// What came.
        found_bytes: u64,
    },
    /// It is longer than the caller takes.
    #[error("the outboard has {found_bytes} bytes, more than the {max_bytes} that are accepted")]
    TooLong {
        /// What it has.
        found_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A pair doesn't join to the hash above it.
    #[error("pair {pair} of the outboard doesn't match the hash above it")]
    Pair {
        /// Which, from 0, in pre-order.
        pair: u64,
    },
    /// Bytes don't match.
    #[error("the bytes at {offset_bytes} don't match the outboard")]
    Data {
        /// Where the group begins that doesn't.
        offset_bytes: u64,
    },
    /// Not whole groups, or beyond the end. The caller's fault.
    #[error("{len_bytes} bytes at {offset_bytes} aren't whole groups of the blob")]
    Range {
        /// Where they begin.
        offset_bytes: u64,
        /// How many.
        len_bytes: u64,
    },
}

/// The inner hashes of a blob, each checked against the blob's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outboard {
    blob: BlobId,
    size_bytes: u64,
    pairs: Bytes,
    tail: Option<Bytes>,
}

impl Outboard {
    /// Checks an outboard from anywhere: hash pairs of 64 bytes in pre-order, without a prefix, as
    /// [`crate::Blobs::outboard`] gives them. The size is a claim until it is proven.
    ///
    /// # Errors
    /// When it hasn't the right length, or a pair doesn't match.
    pub fn verified_from(
        blob: BlobId,
        size_bytes: u64,
        bytes: Bytes,
    ) -> Result<Self, OutboardFault> {
        let (expected_bytes, found_bytes) = (outboard_bytes(size_bytes), bytes.len() as u64);
        if expected_bytes != found_bytes {
            return Err(OutboardFault::Length {
                size_bytes,
                expected_bytes,
                found_bytes,
            });
        }
        let mut walk = Walk::new(blob, size_bytes);
        for pair in bytes.as_chunks().0 {
            walk.pair(pair)?;
        }
        Ok(Self {
            blob,
            size_bytes,
            pairs: bytes,
            tail: None,
        })
    }

    /// The blob.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// Size of the blob, bytes; proven or not, see [`Outboard::is_size_proven`].
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The hash pairs.
    pub fn bytes(&self) -> &Bytes {
        &self.pairs
    }

    /// Whether the blob's last group has agreed: then nothing but wrong bytes fail to verify.
    pub fn is_size_proven(&self) -> bool {
        self.tail.is_some()
    }

    /// The last group, if the size was proven by it.
    pub fn tail(&self) -> Option<&Bytes> {
        self.tail.as_ref()
    }

    /// Where the last group begins, byte of the blob.
    pub fn tail_offset(&self) -> u64 {
        (tree::groups_of(self.size_bytes) - 1) * GROUP_BYTES
    }

    /// Proves the size by the blob's last group, from [`Outboard::tail_offset`] to the end. When it
    /// fails, either the outboard or the bytes are wrong, and nothing tells which.
    ///
    /// # Errors
    /// When it doesn't match.
    pub fn prove_size(mut self, tail: Bytes) -> Result<Self, OutboardFault> {
        let offset_bytes = self.tail_offset();
        if tail.len() as u64 != self.size_bytes - offset_bytes {
            return Err(OutboardFault::Range {
                offset_bytes,
                len_bytes: tail.len() as u64,
            });
        }
        if self.size_bytes == 0 && BlobId::of(&[]) != self.blob {
            return Err(OutboardFault::Data { offset_bytes });
        }
        self.verify_range(offset_bytes, &tail)?;
        self.tail = Some(tail);
        Ok(self)
    }

    /// Verifies bytes that begin at a group and end at the end of one or of the blob. Gives them as
    /// the store takes them in: each leaf behind the pairs above it.
    ///
    /// # Errors
    /// When they aren't whole groups, or the first group that doesn't match.
    pub(crate) fn verify_range(
        &self,
        offset_bytes: u64,
        data: &Bytes,
    ) -> Result<Vec<BaoContentItem>, OutboardFault> {
        let len_bytes = data.len() as u64;
        let end = offset_bytes.saturating_add(len_bytes);
        let ends_right = end == self.size_bytes || end.is_multiple_of(GROUP_BYTES);
        if !offset_bytes.is_multiple_of(GROUP_BYTES) || end > self.size_bytes || !ends_right {
            return Err(OutboardFault::Range {
                offset_bytes,
                len_bytes,
            });
        }
        let chunks = groups(&(offset_bytes..end));
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let tree = BaoTree::new(self.size_bytes, BlockSize::from_chunk_log(GROUP_LOG));
        let mut above = vec![*self.blob.as_bytes()];
        let mut items = Vec::new();
        for step in tree.ranges_pre_order_chunks_iter_ref(&chunks, 0) {
            // A walk in pre-order leaves what it needs on the stack, whatever the bytes are.
            let expected = above.pop().unwrap_or_default();
            match step {
                BaoChunk::Parent {
                    node,
                    is_root,
                    left,
                    right,
                    ..
                } => {
                    let number = tree.pre_order_offset(node).unwrap_or(u64::MAX);
                    let pair = self.pair(number);
                    let pair = pair.filter(|(l, r)| join(l, r, is_root) == expected);
                    let (l, r) = pair.ok_or(OutboardFault::Pair { pair: number })?;
                    above.extend(right.then_some(r));
                    above.extend(left.then_some(l));
                    let pair = (l.into(), r.into());
                    items.push(BaoContentItem::Parent(Parent { node, pair }));
                }
                BaoChunk::Leaf {
                    start_chunk,
                    size,
                    is_root,
                    ..
                } => {
                    let offset = start_chunk.to_bytes();
                    let start = usize::try_from(offset - offset_bytes).unwrap_or(usize::MAX);
                    let group = start
                        .checked_add(size)
                        .filter(|end| *end <= data.len())
                        .map(|end| data.slice(start..end))
                        .filter(|group| subtree(offset, group, is_root) == expected);
                    let data = group.ok_or(OutboardFault::Data {
                        offset_bytes: offset,
                    })?;
                    items.push(BaoContentItem::Leaf(Leaf { offset, data }));
                }
            }
        }
        Ok(items)
    }

    fn pair(&self, number: u64) -> Option<([u8; 32], [u8; 32])> {
        let pairs = self.pairs.as_chunks::<PAIR_BYTES>().0;
        let pair = pairs.get(usize::try_from(number).ok()?)?;
        let (left, right) = pair.as_chunks::<32>().0.split_first()?;
        Some((*left, *right.first()?))
    }
}

#[cfg(test)]
mod tests;
