//! Reading a CAR as its bytes come.

use bytes::{Bytes, BytesMut};
use cid::Cid;
use thiserror::Error;

use super::{
    super::{BlockFault, MAX_BLOCK_BYTES},
    MAX_CAR_HEADER_BYTES,
};

/// What is wrong with a CAR. Offsets are those of the section, from the start of the stream, bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CarFault {
    /// The length of a section has more than 63 bits.
    #[error("the length at byte {offset} of the CAR has more than 63 bits")]
    VarintTooLong {
        /// Where.
        offset: u64,
    },
    /// The length of a section has needless bytes.
    #[error("the length at byte {offset} of the CAR is not in its shortest form")]
    VarintNotMinimal {
        /// Where.
        offset: u64,
    },
    /// The header is empty or over [`MAX_CAR_HEADER_BYTES`].
    #[error("the header of the CAR has {size_bytes} bytes, the limit is {MAX_CAR_HEADER_BYTES}")]
    HeaderLength {
        /// What it says.
        size_bytes: u64,
    },
    /// The header isn't a CAR's.
    #[error("this is not a CAR: {reason}")]
    Header {
        /// Why.
        reason: String,
    },
    /// A version that isn't read.
    #[error("a CAR of version {version}; only version 1 is read")]
    Version {
        /// Which.
        version: u64,
    },
    /// A section without anything in it.
    #[error("the section at byte {offset} of the CAR is empty")]
    SectionEmpty {
        /// Where.
        offset: u64,
    },
    /// A section that no block fills.
    #[error(
        "the section at byte {offset} of the CAR has {size_bytes} bytes; a block has up to {MAX_BLOCK_BYTES}"
    )]
    SectionTooLarge {
        /// Where.
        offset: u64,
        /// What it says.
        size_bytes: u64,
    },
    /// A section doesn't start with a CID.
    #[error("the section at byte {offset} of the CAR doesn't start with a CID")]
    Cid {
        /// Where.
        offset: u64,
    },
    /// A section's bytes aren't the block that its CID names.
    #[error("at byte {offset} of the CAR: {fault}")]
    Block {
        /// Where.
        offset: u64,
        /// The CID that was given with them.
        cid: Cid,
        /// Why.
        #[source]
        fault: BlockFault,
    },
    /// The stream ended inside a section, or before the header.
    #[error("the CAR ends inside the section at byte {offset}")]
    Truncated {
        /// Where the section starts.
        offset: u64,
    },
}

/// A part of a CAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarItem {
    /// Its header, once, first.
    Header {
        /// Its roots: may be none, and nothing says that their blocks will come.
        roots: Vec<Cid>,
    },
    /// A block; its bytes have its name.
    Block {
        /// Its name.
        cid: Cid,
        /// Its bytes.
        bytes: Bytes,
    },
}

/// Reads a CARv1 from pieces of any length. Holds at most what was pushed and not taken yet: call
/// [`CarDecoder::next`] until it gives none before each [`CarDecoder::push`].
#[derive(Debug, Default)]
pub struct CarDecoder {
    buffer: BytesMut,
    offset: u64,
}

impl CarDecoder {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part; none when more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the stream; the same again when it is asked again.
    #[expect(
        clippy::should_implement_trait,
        reason = "no iterator: none means not yet"
    )]
    pub fn next(&mut self) -> Result<Option<CarItem>, CarFault> {
        unimplemented!()
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// When it ends inside a section, or had no header.
    pub fn end(&self) -> Result<(), CarFault> {
        unimplemented!()
    }

    /// Where the next section starts, bytes from the start of the stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}
