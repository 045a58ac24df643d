//! DAG-PB, canonical encodings only (DAG-PB specification, "strict").

use bytes::Bytes;
use cid::Cid;
use thiserror::Error;

use super::{
    MAX_NODE_LINKS,
    block::read_cid,
    wire::{
        BYTES, Field, Fields, VARINT, field_bytes, number_bytes, put_bytes, put_field, put_head,
    },
};

/// Fields of a node: its links come before its data (DAG-PB specification).
const DATA: u8 = 1;
const LINKS: u8 = 2;
/// Fields of a link, in this order.
const HASH: u8 = 1;
const NAME: u8 = 2;
const TSIZE: u8 = 3;

/// A link of a [`Node`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub cid: Cid,
    /// Its name; empty in files, and when it has none.
    pub name: String,
    /// What the DAG below it has, with its own block, as whoever made the link says, bytes (Tsize);
    /// 0 also when nothing is said.
    pub size_bytes: u64,
}

/// A dag-pb block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its links, in order.
    pub links: Vec<Link>,
    /// Its data, UnixFS.
    pub data: Option<Bytes>,
}

/// Why bytes are not a canonical dag-pb block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PbFault {
    /// They end inside a field.
    #[error("ends inside the field at byte {at}")]
    Truncated {
        /// Where the field starts, bytes.
        at: usize,
    },
    /// A number of more than 64 bits.
    #[error("the number at byte {at} has more than 64 bits")]
    VarintTooLong {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A number with needless bytes.
    #[error("the number at byte {at} is not in its shortest form")]
    VarintNotMinimal {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A field that the format doesn't have.
    #[error("unknown field {field} at byte {at}")]
    UnknownField {
        /// Its number.
        field: u64,
        /// Where it starts, bytes.
        at: usize,
    },
    /// A known field of another type.
    #[error("field {field} at byte {at} has the wire type {wire}")]
    WireType {
        /// Its number.
        field: u64,
        /// The type found.
        wire: u8,
        /// Where it starts, bytes.
        at: usize,
    },
    /// A field that comes again, or after one that it must come before.
    #[error("field {field} at byte {at} is repeated or out of order")]
    Order {
        /// Its number.
        field: u64,
        /// Where it starts, bytes.
        at: usize,
    },
    /// More links than [`MAX_NODE_LINKS`].
    #[error("has more than {MAX_NODE_LINKS} links, the next at byte {at}")]
    TooManyLinks {
        /// Where the first too many starts, bytes.
        at: usize,
    },
    /// A link that doesn't begin with a CID.
    #[error("a link has no CID at byte {at}")]
    NoCid {
        /// Where it should be, bytes.
        at: usize,
    },
    /// A link's CID isn't one.
    #[error("the link at byte {at} has no valid CID")]
    Cid {
        /// Where it starts, bytes.
        at: usize,
    },
    /// A link's name isn't UTF-8.
    #[error("the name at byte {at} is not UTF-8")]
    Name {
        /// Where it starts, bytes.
        at: usize,
    },
}

impl Node {
    /// Reads a block. Its data is a slice of the bytes given, not a copy.
    ///
    /// # Errors
    /// When the bytes aren't what [`Node::encode`] would make of the same node, or it has more than
    /// [`MAX_NODE_LINKS`]; links may lack name and size (DAG-PB specification).
    pub fn decode(bytes: &Bytes) -> Result<Self, PbFault> {
        let mut fields = Fields::new(bytes, 0);
        let mut node = Self::default();
        while let Some(field) = fields.next_field()? {
            if node.data.is_some() {
                return Err(field.out_of_order());
            }
            match u8::try_from(field.number) {
                Ok(LINKS) => {
                    field.expect(BYTES)?;
                    if node.links.len() == MAX_NODE_LINKS {
                        return Err(PbFault::TooManyLinks { at: field.at });
                    }
                    let link = fields.bytes()?;
                    let base = fields.position() - link.len();
                    node.links.push(Link::decode(link, base)?);
                }
                Ok(DATA) => {
                    field.expect(BYTES)?;
                    node.data = Some(bytes.slice_ref(fields.bytes()?));
                }
                _ => return Err(field.unknown()),
            }
        }
        Ok(node)
    }

    /// The block's bytes.
    pub fn encode(&self) -> Bytes {
        let mut to = Vec::with_capacity(self.encoded_bytes());
        for link in &self.links {
            link.encode(&mut to);
        }
        if let Some(data) = &self.data {
            put_bytes(&mut to, DATA, data);
        }
        to.into()
    }

    /// How long the block is.
    pub fn encoded_bytes(&self) -> usize {
        let links = self
            .links
            .iter()
            .map(|link| field_bytes(link.inner_bytes()))
            .sum::<usize>();
        let data = self.data.as_ref().map_or(0, |data| field_bytes(data.len()));
        links + data
    }
}

impl Link {
    fn decode(bytes: &[u8], base: usize) -> Result<Self, PbFault> {
        let mut fields = Fields::new(bytes, base);
        let hash = match fields.next_field()? {
            Some(field) if field.number == u64::from(HASH) => field,
            Some(field) if field.number > u64::from(TSIZE) => return Err(field.unknown()),
            _ => return Err(PbFault::NoCid { at: base }),
        };
        hash.expect(BYTES)?;
        let cid_bytes = fields.bytes()?;
        let cid = match read_cid(cid_bytes) {
            Some((cid, length)) if length == cid_bytes.len() => cid,
            _ => return Err(PbFault::Cid { at: hash.at }),
        };
        let mut link = Self {
            cid,
            name: String::new(),
            size_bytes: 0,
        };
        let mut next = fields.next_field()?;
        if let Some(name) = next.take_if(|field| field.number == u64::from(NAME)) {
            name.expect(BYTES)?;
            let text = std::str::from_utf8(fields.bytes()?);
            text.map_err(|_| PbFault::Name { at: name.at })?
                .clone_into(&mut link.name);
            next = fields.next_field()?;
        }
        if let Some(size) = next.take_if(|field| field.number == u64::from(TSIZE)) {
            size.expect(VARINT)?;
            link.size_bytes = fields.number()?;
            next = fields.next_field()?;
        }
        match next {
            Some(field) => Err(Self::unexpected(field)),
            None => Ok(link),
        }
    }

    fn unexpected(field: Field) -> PbFault {
        if (1..=u64::from(TSIZE)).contains(&field.number) {
            field.out_of_order()
        } else {
            field.unknown()
        }
    }

    fn encode(&self, to: &mut Vec<u8>) {
        put_head(to, LINKS, self.inner_bytes());
        put_bytes(to, HASH, &self.cid.to_bytes());
        put_bytes(to, NAME, self.name.as_bytes());
        put_field(to, TSIZE, self.size_bytes);
    }

    /// Bytes of its three fields.
    fn inner_bytes(&self) -> usize {
        link_bytes(&self.cid, &self.name, self.size_bytes)
    }
}

/// Bytes of a link's three fields.
pub(super) fn link_bytes(cid: &Cid, name: &str, size_bytes: u64) -> usize {
    let size = 1 + number_bytes(size_bytes);
    field_bytes(cid.encoded_len()) + field_bytes(name.len()) + size
}
