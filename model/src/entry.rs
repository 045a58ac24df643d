//! An entry: `[header, signature]`, canonical DAG-CBOR, named by the BLAKE3 hash of its bytes.

use std::{fmt, marker::PhantomData, sync::Arc};

use ipld_core::ipld::Ipld;
use thiserror::Error;

use crate::{EntryId, Header, HeaderError, KeyError, SecretKey, key, limits};

/// Goes before the header bytes when they are signed.
const DOMAIN: &[u8] = b"datt/entry/1";
/// Array of two: the first byte of every entry.
const ARRAY_OF_2: u8 = 0x82;
/// A byte string of 64: what opens the signature.
const BYTES_OF_64: [u8; 2] = [0x58, 0x40];
const SIGNATURE_BYTES: usize = 64;

/// State of an [`Entry`] whose signature has not been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {}
/// State of an [`Entry`] whose signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {}

/// Why bytes are not an entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Longer than the limit.
    #[error("an entry has at most {max} bytes, this one has {found}", max = limits::ENTRY_BYTES)]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not DAG-CBOR.
    #[error("the entry is not DAG-CBOR: {0}")]
    Cbor(String),
    /// Not `[header, 64 bytes]`.
    #[error("the entry is not an array of a header and a 64-byte signature")]
    Shape,
    /// Readable, but not in the one canonical form.
    #[error("the entry is not in canonical form")]
    NotCanonical,
    /// The header breaks a rule.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// The signature does not stand.
    #[error("the entry's signature is refused: {0}")]
    Signature(#[from] KeyError),
}

/// A signed block; `S` tells whether the signature was checked.
pub struct Entry<S> {
    id: EntryId,
    header: Header,
    bytes: Arc<[u8]>,
    state: PhantomData<fn() -> S>,
}

impl<S> Entry<S> {
    /// Its CID.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes as received or signed.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The Ed25519 signature.
    pub fn signature(&self) -> &[u8; SIGNATURE_BYTES] {
        self.bytes
            .last_chunk()
            .expect("decoding and signing leave a signature at the end")
    }

    /// The bytes that are signed, after the domain.
    fn header_bytes(&self) -> &[u8] {
        header_bytes(&self.bytes)
    }
}

impl Entry<Unverified> {
    /// Reads bytes from anywhere.
    ///
    /// # Errors
    /// When they are not exactly one canonical, well-formed entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > limits::ENTRY_BYTES {
            return Err(EntryError::TooLong { found: bytes.len() });
        }
        let ipld: Ipld = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| EntryError::Cbor(error.to_string()))?;
        let Ipld::List(list) = ipld else {
            return Err(EntryError::Shape);
        };
        let Ok([header, Ipld::Bytes(signature)]) = <[Ipld; 2]>::try_from(list) else {
            return Err(EntryError::Shape);
        };
        if signature.len() != SIGNATURE_BYTES {
            return Err(EntryError::Shape);
        }
        let header = Header::from_ipld(header)?;
        if encode(&header) != header_bytes(bytes) || bytes[0] != ARRAY_OF_2 {
            return Err(EntryError::NotCanonical);
        }
        Ok(Self {
            id: EntryId::of(bytes),
            header,
            bytes: bytes.into(),
            state: PhantomData,
        })
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// When `verify_strict` refuses it.
    pub fn verify(self) -> Result<Entry<Verified>, EntryError> {
        key::verify(
            self.header.device.as_bytes(),
            DOMAIN,
            self.header_bytes(),
            self.signature(),
        )?;
        Ok(Entry {
            id: self.id,
            header: self.header,
            bytes: self.bytes,
            state: PhantomData,
        })
    }
}

impl Entry<Verified> {
    /// Signs a header.
    ///
    /// # Errors
    /// When the header breaks a rule or names another device than the key's.
    pub fn sign(header: Header, secret: &SecretKey) -> Result<Self, EntryError> {
        header.check()?;
        if header.device != secret.public() {
            return Err(EntryError::Signature(KeyError::PublicKey));
        }
        let encoded = encode(&header);
        let mut bytes = Vec::with_capacity(encoded.len() + 3 + SIGNATURE_BYTES);
        bytes.push(ARRAY_OF_2);
        bytes.extend_from_slice(&encoded);
        bytes.extend_from_slice(&BYTES_OF_64);
        bytes.extend_from_slice(&secret.sign(DOMAIN, &encoded));
        if bytes.len() > limits::ENTRY_BYTES {
            return Err(EntryError::TooLong { found: bytes.len() });
        }
        Ok(Self {
            id: EntryId::of(&bytes),
            header,
            bytes: bytes.into(),
            state: PhantomData,
        })
    }

    /// Reads back what this node verified before it stored it.
    ///
    /// # Errors
    /// When the bytes no longer hash to `id` or are not an entry: the store is damaged.
    pub fn from_store(id: EntryId, bytes: &[u8]) -> Result<Self, EntryError> {
        if EntryId::of(bytes) != id {
            return Err(EntryError::NotCanonical);
        }
        let entry = Entry::<Unverified>::decode(bytes)?;
        Ok(Self {
            id,
            header: entry.header,
            bytes: entry.bytes,
            state: PhantomData,
        })
    }
}

fn encode(header: &Header) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(&header.to_ipld()).expect("a header's values all have a CBOR form")
}

/// Between the array's first byte and the signature's two.
fn header_bytes(entry: &[u8]) -> &[u8] {
    let end = entry
        .len()
        .saturating_sub(SIGNATURE_BYTES + BYTES_OF_64.len());
    entry.get(1..end).unwrap_or_default()
}

impl<S> Clone for Entry<S> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            header: self.header.clone(),
            bytes: self.bytes.clone(),
            state: PhantomData,
        }
    }
}

impl<S> PartialEq for Entry<S> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<S> Eq for Entry<S> {}

impl<S> fmt::Debug for Entry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
