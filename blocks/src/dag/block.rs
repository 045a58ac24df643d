//! Names of blocks: which can be served at all, and which bytes have them.

use bytes::Bytes;
use cid::{
    Cid, Version,
    multibase::{self, Base},
    multihash::Multihash,
};
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

use super::{MAX_BLOCK_BYTES, MAX_IDENTITY_BYTES, codec, hash};

/// Why a CID can't name a block here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameFault {
    /// Its codec isn't one of a block's.
    #[error("{cid} has the codec 0x{codec:x}, which is not supported")]
    Codec {
        /// The CID.
        cid: Cid,
        /// Its multicodec.
        codec: u64,
    },
    /// Its hash function isn't known.
    #[error("{cid} has the hash function 0x{code:x}, which is not supported")]
    Hash {
        /// The CID.
        cid: Cid,
        /// Its multihash code.
        code: u64,
    },
    /// Its digest is cut, or too long for its hash function.
    #[error("{cid} has a digest of {found_bytes} bytes, its hash function gives {wanted_bytes}")]
    Digest {
        /// The CID.
        cid: Cid,
        /// What the hash function gives, bytes.
        wanted_bytes: usize,
        /// What the CID has, bytes.
        found_bytes: usize,
    },
    /// More content inside the CID than is accepted.
    #[error("an identity CID of {found_bytes} bytes is over the limit of {MAX_IDENTITY_BYTES}")]
    IdentityTooLong {
        /// What it holds, bytes.
        found_bytes: usize,
    },
}

/// Why bytes are not the block that a CID names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockFault {
    /// The CID can't name a block.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// More bytes than a block may have.
    #[error("block {cid} has {size_bytes} bytes, over the limit of {MAX_BLOCK_BYTES}")]
    TooLarge {
        /// The block.
        cid: Cid,
        /// What was given, bytes.
        size_bytes: usize,
    },
    /// The bytes have another hash.
    #[error("these bytes are not the block {cid}: their hash is another")]
    Mismatch {
        /// What they were said to be.
        cid: Cid,
    },
}

/// Checks that a CID can name a block: codec, hash function, length of its digest.
///
/// # Errors
/// What about it isn't supported.
pub fn check_name(cid: &Cid) -> Result<(), NameFault> {
    match cid.codec() {
        codec::RAW
        | codec::DAG_PB
        | codec::DAG_CBOR
        | codec::DAG_JSON
        | codec::CBOR
        | codec::JSON => {}
        codec => return Err(NameFault::Codec { cid: *cid, codec }),
    }
    let found_bytes = cid.hash().digest().len();
    let wanted_bytes = match cid.hash().code() {
        hash::IDENTITY if found_bytes > MAX_IDENTITY_BYTES => {
            return Err(NameFault::IdentityTooLong { found_bytes });
        }
        hash::IDENTITY => found_bytes,
        hash::SHA2_256 | hash::BLAKE3 => 32,
        hash::SHA2_512 => 64,
        code => return Err(NameFault::Hash { cid: *cid, code }),
    };
    if found_bytes != wanted_bytes {
        return Err(NameFault::Digest {
            cid: *cid,
            wanted_bytes,
            found_bytes,
        });
    }
    Ok(())
}

/// Checks that bytes are the block that a CID names.
///
/// # Errors
/// When the CID can't name a block, the bytes are too many, or their hash is another.
pub fn verify(cid: &Cid, bytes: &[u8]) -> Result<(), BlockFault> {
    check_name(cid)?;
    if bytes.len() > MAX_BLOCK_BYTES {
        return Err(BlockFault::TooLarge {
            cid: *cid,
            size_bytes: bytes.len(),
        });
    }
    let digest = cid.hash().digest();
    let is_same = match cid.hash().code() {
        hash::SHA2_256 => Sha256::digest(bytes)[..] == *digest,
        hash::SHA2_512 => Sha512::digest(bytes)[..] == *digest,
        hash::BLAKE3 => blake3::hash(bytes).as_bytes()[..] == *digest,
        // check_name leaves identity.
        _ => bytes == digest,
    };
    if is_same {
        Ok(())
    } else {
        Err(BlockFault::Mismatch { cid: *cid })
    }
}

/// The name of a block: CIDv1, SHA-256. Hashes the bytes.
pub fn name_of(codec: u64, bytes: &[u8]) -> Cid {
    let hash = Multihash::wrap(hash::SHA2_256, &Sha256::digest(bytes))
        .expect("32 bytes fit a multihash of 64");
    Cid::new_v1(codec, hash)
}

/// The content of an identity CID, which is a block that needs no source. None for other CIDs, and
/// for those that [`check_name`] refuses.
pub fn inline(cid: &Cid) -> Option<Bytes> {
    (cid.hash().code() == hash::IDENTITY && check_name(cid).is_ok())
        .then(|| Bytes::copy_from_slice(cid.hash().digest()))
}

/// Reads a CID at the start of bytes: it, and how many bytes it takes. None unless it is one in its
/// shortest form.
pub(super) fn read_cid(bytes: &[u8]) -> Option<(Cid, usize)> {
    let mut rest = bytes;
    let cid = Cid::read_bytes(&mut rest).ok()?;
    let length = bytes.len() - rest.len();
    (length == cid.encoded_len()).then_some((cid, length))
}

/// Reads a CID's text. None unless the whole text is one, where [`Cid`] itself would also take a
/// URL that ends in one, and bytes after it.
pub fn parse_cid(text: &str) -> Option<Cid> {
    let is_v0 = Version::is_v0_str(text);
    let bytes = if is_v0 {
        Base::Base58Btc.decode(text).ok()?
    } else {
        multibase::decode(text).ok()?.1
    };
    let (cid, length) = read_cid(&bytes)?;
    (length == bytes.len() && (cid.version() == Version::V0) == is_v0).then_some(cid)
}
