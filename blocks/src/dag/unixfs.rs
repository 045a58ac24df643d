//! What a dag-pb node means in UnixFS 1.0.

use bytes::Bytes;
use thiserror::Error;

use super::{
    pb::{Node, PbFault},
    wire::{BYTES, Field, Fields, VARINT, put_bytes, put_field},
};

/// Multihash code of murmur3-x64-64, by which directories are sharded.
pub const MURMUR3: u64 = 0x22;

/// Fields of the data (UnixFS 1.0).
const TYPE: u8 = 1;
const CONTENT: u8 = 2;
const FILE_SIZE: u8 = 3;
const BLOCK_SIZES: u8 = 4;
const HASH_TYPE: u8 = 5;
const FANOUT: u8 = 6;

/// Values of the type.
const RAW: u64 = 0;
const DIRECTORY: u64 = 1;
const FILE: u64 = 2;
const SYMLINK: u64 = 4;
const SHARD: u64 = 5;

/// Smallest and largest number of places in a shard; a byte's and what Kubo takes.
const FANOUTS: std::ops::RangeInclusive<u64> = 8..=1024;

/// A node of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixFs {
    /// A file, or a part of one.
    File {
        /// Bytes in this node, before those of its links.
        data: Bytes,
        /// Bytes below each link.
        block_sizes: Vec<u64>,
        /// All together.
        size_bytes: u64,
    },
    /// A directory whose links are its entries.
    Directory,
    /// A part of a sharded directory (HAMT).
    Shard {
        /// Which of the shard's places are taken, most significant byte first, leading zeros cut.
        bitfield: Bytes,
        /// How many places it has, a power of two.
        fanout: u64,
        /// Multihash code of the hash function that finds the place of a name.
        hash: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: String,
    },
}

/// Why a node isn't one of UnixFS.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnixFsFault {
    /// It has no data.
    #[error("has no UnixFS data")]
    NoData,
    /// Its data can't be read.
    #[error("its UnixFS data can't be read")]
    Data(#[from] PbFault),
    /// It says no type.
    #[error("its UnixFS data says no type")]
    NoType,
    /// A type that isn't supported.
    #[error("UnixFS type {0} is not supported")]
    Type(u64),
    /// Not as many sizes as links.
    #[error("has {links} links and {sizes} block sizes")]
    Sizes {
        /// Links.
        links: usize,
        /// Sizes.
        sizes: usize,
    },
    /// Its parts don't sum to the size that it says.
    #[error("says {said_bytes} bytes, its parts have {found_bytes}")]
    Sum {
        /// What it says.
        said_bytes: u64,
        /// What its parts have; the largest number when it is over 64 bits.
        found_bytes: u64,
    },
    /// A shard's number of places isn't a power of two between 8 and 1024.
    #[error("a shard of {0} places")]
    Fanout(u64),
    /// A shard's hash function isn't murmur3-x64-64.
    #[error("a shard by the hash function 0x{0:x}")]
    Hash(u64),
    /// A shard's bits don't say what its links do.
    #[error("a shard with {links} links and {bits} bits")]
    Bitfield {
        /// Links.
        links: usize,
        /// Bits that are set.
        bits: usize,
    },
    /// A symbolic link's target isn't UTF-8, or it has links.
    #[error("a symbolic link without a valid target")]
    Symlink,
}

impl UnixFs {
    /// What a node means. Raw nodes count as files.
    ///
    /// # Errors
    /// When it means nothing.
    pub fn of(node: &Node) -> Result<Self, UnixFsFault> {
        let bytes = node.data.as_ref().ok_or(UnixFsFault::NoData)?;
        let data = Data::decode(bytes)?;
        match data.kind.ok_or(UnixFsFault::NoType)? {
            RAW | FILE => data.file(node.links.len()),
            DIRECTORY => Ok(Self::Directory),
            SYMLINK => data.symlink(node.links.len()),
            SHARD => data.shard(node.links.len()),
            kind => Err(UnixFsFault::Type(kind)),
        }
    }

    /// The data of a node that means this; its links are the caller's.
    pub fn encode(&self) -> Bytes {
        let mut to = Vec::new();
        match self {
            Self::File {
                data,
                block_sizes,
                size_bytes,
            } => {
                put_field(&mut to, TYPE, FILE);
                if !data.is_empty() {
                    put_bytes(&mut to, CONTENT, data);
                }
                put_field(&mut to, FILE_SIZE, *size_bytes);
                for size in block_sizes {
                    put_field(&mut to, BLOCK_SIZES, *size);
                }
            }
            Self::Directory => put_field(&mut to, TYPE, DIRECTORY),
            Self::Shard {
                bitfield,
                fanout,
                hash,
            } => {
                put_field(&mut to, TYPE, SHARD);
                put_bytes(&mut to, CONTENT, bitfield);
                put_field(&mut to, HASH_TYPE, *hash);
                put_field(&mut to, FANOUT, *fanout);
            }
            Self::Symlink { target } => {
                put_field(&mut to, TYPE, SYMLINK);
                put_bytes(&mut to, CONTENT, target.as_bytes());
            }
        }
        to.into()
    }
}

/// The data's fields. Their order is free; those that aren't read here are passed over.
#[derive(Default)]
struct Data {
    kind: Option<u64>,
    content: Option<Bytes>,
    file_size: Option<u64>,
    block_sizes: Vec<u64>,
    hash: Option<u64>,
    fanout: Option<u64>,
}

impl Data {
    fn decode(bytes: &Bytes) -> Result<Self, PbFault> {
        let mut fields = Fields::new(bytes, 0);
        let mut data = Self::default();
        while let Some(field) = fields.next_field()? {
            match u8::try_from(field.number) {
                Ok(TYPE) => set_number(&mut data.kind, field, &mut fields)?,
                Ok(FILE_SIZE) => set_number(&mut data.file_size, field, &mut fields)?,
                Ok(HASH_TYPE) => set_number(&mut data.hash, field, &mut fields)?,
                Ok(FANOUT) => set_number(&mut data.fanout, field, &mut fields)?,
                Ok(CONTENT) => {
                    field.expect(BYTES)?;
                    let content = bytes.slice_ref(fields.bytes()?);
                    if data.content.replace(content).is_some() {
                        return Err(field.out_of_order());
                    }
                }
                Ok(BLOCK_SIZES) if field.wire == BYTES => {
                    let packed = fields.bytes()?;
                    let base = fields.position() - packed.len();
                    let mut sizes = Fields::new(packed, base);
                    while sizes.position() < base + packed.len() {
                        data.block_sizes.push(sizes.number()?);
                    }
                }
                Ok(BLOCK_SIZES) => {
                    field.expect(VARINT)?;
                    data.block_sizes.push(fields.number()?);
                }
                _ => fields.skip(field)?,
            }
        }
        Ok(data)
    }

    fn file(self, links: usize) -> Result<UnixFs, UnixFsFault> {
        if self.block_sizes.len() != links {
            return Err(UnixFsFault::Sizes {
                links,
                sizes: self.block_sizes.len(),
            });
        }
        let data = self.content.unwrap_or_default();
        let found_bytes = self
            .block_sizes
            .iter()
            .try_fold(data.len() as u64, |sum, size| sum.checked_add(*size));
        let said_bytes = self.file_size.or(found_bytes).unwrap_or(u64::MAX);
        if found_bytes != Some(said_bytes) {
            return Err(UnixFsFault::Sum {
                said_bytes,
                found_bytes: found_bytes.unwrap_or(u64::MAX),
            });
        }
        Ok(UnixFs::File {
            data,
            block_sizes: self.block_sizes,
            size_bytes: said_bytes,
        })
    }

    fn symlink(self, links: usize) -> Result<UnixFs, UnixFsFault> {
        let target = self.content.filter(|_| links == 0);
        let target = target.as_deref().map(std::str::from_utf8);
        match target {
            Some(Ok(target)) => Ok(UnixFs::Symlink {
                target: target.to_owned(),
            }),
            _ => Err(UnixFsFault::Symlink),
        }
    }

    fn shard(self, links: usize) -> Result<UnixFs, UnixFsFault> {
        let fanout = self.fanout.unwrap_or(0);
        if !fanout.is_power_of_two() || !FANOUTS.contains(&fanout) {
            return Err(UnixFsFault::Fanout(fanout));
        }
        let hash = self.hash.unwrap_or(0);
        if hash != MURMUR3 {
            return Err(UnixFsFault::Hash(hash));
        }
        let bitfield = self.content.unwrap_or_default();
        let bits = bitfield.iter().map(|byte| byte.count_ones() as usize).sum();
        if bits != links || bitfield.len() as u64 > fanout / 8 {
            return Err(UnixFsFault::Bitfield { links, bits });
        }
        Ok(UnixFs::Shard {
            bitfield,
            fanout,
            hash,
        })
    }
}

fn set_number(to: &mut Option<u64>, field: Field, fields: &mut Fields<'_>) -> Result<(), PbFault> {
    field.expect(VARINT)?;
    if to.replace(fields.number()?).is_some() {
        return Err(field.out_of_order());
    }
    Ok(())
}
