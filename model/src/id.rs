//! Ids: 32-byte newtypes. Those of blocks are the BLAKE3 digest inside a CIDv1.

use std::{fmt, str::FromStr};

use cid::Cid;
use multihash::Multihash;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// Multicodec of canonical DAG-CBOR.
pub(crate) const DAG_CBOR: u64 = 0x71;
/// Multicodec of raw bytes.
pub(crate) const RAW: u64 = 0x55;
/// Multihash code of BLAKE3.
pub(crate) const BLAKE3: u64 = 0x1e;

/// Why a text or a CID is not the id that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not a CID at all.
    #[error("not a CID: {0}")]
    NotACid(String),
    /// A CID of another version.
    #[error("a {expected} is a CIDv1")]
    Version {
        /// What was asked for.
        expected: &'static str,
    },
    /// A CID with another codec.
    #[error("a {expected} has codec 0x{wanted:x}, this CID has 0x{found:x}")]
    Codec {
        /// What was asked for.
        expected: &'static str,
        /// Its multicodec.
        wanted: u64,
        /// The one found.
        found: u64,
    },
    /// A CID with another hash function or digest length.
    #[error("a {expected} is named by a 32-byte BLAKE3 hash, this CID has hash 0x{found:x}")]
    Hash {
        /// What was asked for.
        expected: &'static str,
        /// Multihash code found.
        found: u64,
    },
    /// Not 64 hex digits.
    #[error("a {expected} is 64 hex digits")]
    Hex {
        /// What was asked for.
        expected: &'static str,
    },
}

macro_rules! plain_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first characters, for logs and narrow columns.
            pub fn short(&self) -> String {
                let text = self.to_string();
                text[text.len() - 8..].to_owned()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(D::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

macro_rules! cid_id {
    ($(#[$doc:meta])* $name:ident, $codec:expr, $noun:literal) => {
        plain_id!($(#[$doc])* $name);

        impl $name {
            /// The id of these bytes: hashes them.
            pub fn of(bytes: &[u8]) -> Self {
                Self(*blake3::hash(bytes).as_bytes())
            }

            /// As a CID.
            pub fn to_cid(&self) -> Cid {
                let hash = Multihash::<64>::wrap(BLAKE3, &self.0)
                    .expect("32 bytes fit a multihash of 64");
                Cid::new_v1($codec, hash)
            }
        }

        impl TryFrom<&Cid> for $name {
            type Error = IdError;

            fn try_from(cid: &Cid) -> Result<Self, IdError> {
                digest(cid, $codec, $noun).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.to_cid().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(&parse_cid(text)?)
            }
        }
    };
}

macro_rules! key_id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        plain_id!($(#[$doc])* $name);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                data_encoding::HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or(IdError::Hex { expected: $noun })
            }
        }
    };
}

cid_id!(
    /// Name of an entry: CIDv1, dag-cbor, BLAKE3.
    EntryId, DAG_CBOR, "entry CID"
);
cid_id!(
    /// Name of a payload: CIDv1, dag-cbor, BLAKE3.
    PayloadId, DAG_CBOR, "payload CID"
);
cid_id!(
    /// Name of a blob: CIDv1, raw, BLAKE3; the same 32 bytes as the iroh-blobs hash.
    BlobId, RAW, "blob CID"
);
cid_id!(
    /// Name of a schema's canonical text: CIDv1, raw, BLAKE3.
    SchemaId, RAW, "schema CID"
);
cid_id!(
    /// Name of a space: the CID of its genesis entry.
    SpaceId, DAG_CBOR, "space id"
);
cid_id!(
    /// Name of an identity: the CID of its genesis entry.
    IdentityId, DAG_CBOR, "identity CID"
);
key_id!(
    /// Ed25519 public key of a device: who signs entries.
    DeviceKey, "device key"
);
key_id!(
    /// Ed25519 public key of a node's endpoint: who is reached over the network.
    EndpointKey, "endpoint id"
);

impl From<EntryId> for SpaceId {
    fn from(genesis: EntryId) -> Self {
        Self(genesis.0)
    }
}

impl From<EntryId> for IdentityId {
    fn from(genesis: EntryId) -> Self {
        Self(genesis.0)
    }
}

impl SpaceId {
    /// The genesis entry.
    pub const fn entry(&self) -> EntryId {
        EntryId(self.0)
    }
}

impl IdentityId {
    /// The genesis entry.
    pub const fn entry(&self) -> EntryId {
        EntryId(self.0)
    }

    /// The identity's own space.
    pub const fn space(&self) -> SpaceId {
        SpaceId(self.0)
    }
}

fn parse_cid(text: &str) -> Result<Cid, IdError> {
    // A CID of any hash in use is far shorter; bounding it bounds the work of a bad one.
    if text.len() > 256 {
        return Err(IdError::NotACid("longer than 256 characters".to_owned()));
    }
    Cid::try_from(text).map_err(|error| IdError::NotACid(error.to_string()))
}

fn digest(cid: &Cid, codec: u64, expected: &'static str) -> Result<[u8; 32], IdError> {
    if cid.version() != cid::Version::V1 {
        return Err(IdError::Version { expected });
    }
    if cid.codec() != codec {
        return Err(IdError::Codec {
            expected,
            wanted: codec,
            found: cid.codec(),
        });
    }
    let hash = cid.hash();
    if hash.code() != BLAKE3 {
        return Err(IdError::Hash {
            expected,
            found: hash.code(),
        });
    }
    hash.digest().try_into().map_err(|_| IdError::Hash {
        expected,
        found: hash.code(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_forms_round_trip() {
        let entry = EntryId::of(b"entry");
        assert_eq!(entry.to_string().parse::<EntryId>().unwrap(), entry);
        assert!(entry.to_string().starts_with("bafy"));
        let blob = BlobId::of(b"blob");
        assert_eq!(blob.to_string().parse::<BlobId>().unwrap(), blob);
        let key = DeviceKey::from_bytes([7; 32]);
        assert_eq!(key.to_string().parse::<DeviceKey>().unwrap(), key);
    }

    #[test]
    fn wrong_ids_say_why() {
        let blob = BlobId::of(b"x").to_string();
        assert!(matches!(
            blob.parse::<EntryId>(),
            Err(IdError::Codec { .. })
        ));
        assert!(matches!(
            "nonsense".parse::<EntryId>(),
            Err(IdError::NotACid(_))
        ));
        let sha = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
        assert!(matches!(sha.parse::<BlobId>(), Err(IdError::Codec { .. })));
        let sha_raw = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        assert!(matches!(
            sha_raw.parse::<BlobId>(),
            Err(IdError::Hash { .. })
        ));
        assert!(matches!(
            "AB".parse::<DeviceKey>(),
            Err(IdError::Hex { .. })
        ));
    }
}
