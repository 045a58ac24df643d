//! Reading a CAR as its bytes come.

use bytes::{Bytes, BytesMut};
use cid::Cid;
use serde::Deserialize;
use thiserror::Error;

use super::{
    super::{BlockFault, MAX_BLOCK_BYTES, block::read_cid, verify},
    Header, MAX_CAR_HEADER_BYTES,
};

/// Bytes of the longest length (unsigned varint).
const VARINT_BYTES: usize = 9;
/// Bytes of the longest CID: version, codec, hash function, length and digest.
const MAX_CID_BYTES: usize = 4 * VARINT_BYTES + 64;

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
    #[error("the section at byte {offset} of the CAR has {size_bytes} bytes, more than any block")]
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
    #[error("at byte {offset} of the CAR is not the block {cid}")]
    Block {
        /// Where.
        offset: u64,
        /// The CID that was given with them.
        cid: Cid,
        /// Why.
        #[source]
        source: Box<BlockFault>,
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
/// [`CarDecoder::next`] until it gives none before each [`CarDecoder::push`]. Blocks are slices of
/// what was pushed: whoever keeps a small one for long copies it.
#[derive(Debug, Default)]
pub struct CarDecoder {
    buffer: BytesMut,
    /// Where the buffer starts in the stream, bytes.
    offset: u64,
    has_header: bool,
    fault: Option<CarFault>,
}

impl CarDecoder {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream; none after a fault.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.fault.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next part; none when more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the stream; the same again when it is asked again.
    #[expect(
        clippy::should_implement_trait,
        reason = "no iterator: none is not the end"
    )]
    pub fn next(&mut self) -> Result<Option<CarItem>, CarFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.section().inspect_err(|fault| {
            self.fault = Some(fault.clone());
            self.buffer = BytesMut::new();
        })
    }

    /// Whether the stream may end here, once [`CarDecoder::next`] gave none.
    ///
    /// # Errors
    /// When it ends inside a section, had no header, or was at fault before.
    pub fn end(&self) -> Result<(), CarFault> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None if self.has_header && self.buffer.is_empty() => Ok(()),
            None => Err(CarFault::Truncated {
                offset: self.offset,
            }),
        }
    }

    /// Where the next section starts, or the one at fault, bytes from the start of the stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that are set aside for what was pushed and not taken.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn section(&mut self) -> Result<Option<CarItem>, CarFault> {
        let Some((length, prefix_bytes)) = self.length()? else {
            return Ok(None);
        };
        let length = self.bounded(length)?;
        let wanted_bytes = prefix_bytes + length;
        if self.buffer.len() < wanted_bytes {
            self.buffer.reserve(wanted_bytes - self.buffer.len());
            return Ok(None);
        }
        let section = self.buffer.split_to(wanted_bytes).freeze();
        let section = section.slice(prefix_bytes..);
        let item = if self.has_header {
            block(section, self.offset)?
        } else {
            header(&section)?
        };
        self.has_header = true;
        self.offset += wanted_bytes as u64;
        Ok(Some(item))
    }

    /// The length that the next section says, and the bytes that this takes; none when they aren't
    /// all there (unsigned varint, up to nine bytes).
    fn length(&self) -> Result<Option<(u64, usize)>, CarFault> {
        let offset = self.offset;
        let mut length = 0u64;
        for (place, byte) in self.buffer.iter().take(VARINT_BYTES).enumerate() {
            length |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                if place > 0 && *byte == 0 {
                    return Err(CarFault::VarintNotMinimal { offset });
                }
                return Ok(Some((length, place + 1)));
            }
        }
        if self.buffer.len() >= VARINT_BYTES {
            return Err(CarFault::VarintTooLong { offset });
        }
        Ok(None)
    }

    /// Refuses a section before it is waited for.
    fn bounded(&self, size_bytes: u64) -> Result<usize, CarFault> {
        let offset = self.offset;
        let max_bytes = if self.has_header {
            MAX_BLOCK_BYTES + MAX_CID_BYTES
        } else {
            MAX_CAR_HEADER_BYTES
        };
        match usize::try_from(size_bytes) {
            Ok(length) if (1..=max_bytes).contains(&length) => Ok(length),
            _ if !self.has_header => Err(CarFault::HeaderLength { size_bytes }),
            Ok(0) => Err(CarFault::SectionEmpty { offset }),
            _ => Err(CarFault::SectionTooLarge { offset, size_bytes }),
        }
    }
}

fn block(section: Bytes, offset: u64) -> Result<CarItem, CarFault> {
    let (cid, cid_bytes) = read_cid(&section).ok_or(CarFault::Cid { offset })?;
    let bytes = section.slice(cid_bytes..);
    match verify(&cid, &bytes) {
        Ok(()) => Ok(CarItem::Block { cid, bytes }),
        Err(source) => Err(CarFault::Block {
            offset,
            cid,
            source: Box::new(source),
        }),
    }
}

/// The version comes first: the header of another has other fields.
fn header(bytes: &[u8]) -> Result<CarItem, CarFault> {
    let fault = |error: serde_ipld_dagcbor::DecodeError<_>| CarFault::Header {
        reason: error.to_string(),
    };
    let Version { version } = serde_ipld_dagcbor::from_slice(bytes).map_err(fault)?;
    if version != 1 {
        return Err(CarFault::Version { version });
    }
    let Header { roots, .. } = serde_ipld_dagcbor::from_slice(bytes).map_err(fault)?;
    Ok(CarItem::Header { roots })
}

/// What headers of all versions have.
#[derive(Deserialize)]
struct Version {
    version: u64,
}
