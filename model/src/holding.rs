//! "I hold this in full until T": a short-lived statement signed by a node's endpoint key.
//!
//! Carried beside entries by gossip and sync, never an entry itself, so that feeds don't grow by it.
//! On the wire: postcard of `(version, endpoint, time_ms, until_ms, items)` and 64 signature bytes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{BlobId, EndpointKey, EntryId, KeyError, SecretKey, key, limits};

const DOMAIN: &[u8] = b"datt/holding/1";
const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
/// Fixed fields, and 33 bytes an item.
const MAX_BYTES: usize = 128 + limits::HOLDING_ITEMS * 33 + SIGNATURE_BYTES;

/// What can be held in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Item {
    /// All bytes of a blob.
    Blob(BlobId),
    /// A post: its entry, its payload and all bytes of its media.
    Post(EntryId),
}

/// Why a statement is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HoldingError {
    /// Not a statement of this version.
    #[error("the holding statement can't be read")]
    Malformed,
    /// Names nothing or too much.
    #[error("a holding statement names 1 to {max} items", max = limits::HOLDING_ITEMS)]
    Items,
    /// Ends before it begins, or lives too long.
    #[error("a holding statement lives at most {max} ms", max = limits::HOLDING_LIFE_MS)]
    Life,
    /// The signature does not stand.
    #[error("the holding statement's signature is refused: {0}")]
    Signature(#[from] KeyError),
}

/// A verified statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    claim: Claim,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    version: u8,
    endpoint: EndpointKey,
    time_ms: u64,
    until_ms: u64,
    items: Vec<Item>,
}

impl Holding {
    /// Signs a statement with the endpoint's key.
    ///
    /// # Errors
    /// When it names nothing or too much, or lives too long.
    pub fn sign(
        secret: &SecretKey,
        items: Vec<Item>,
        time_ms: u64,
        until_ms: u64,
    ) -> Result<Self, HoldingError> {
        let claim = Claim {
            version: VERSION,
            endpoint: EndpointKey::from_bytes(*secret.public().as_bytes()),
            time_ms,
            until_ms,
            items,
        };
        claim.check()?;
        let mut bytes = postcard::to_stdvec(&claim).map_err(|_| HoldingError::Malformed)?;
        let signature = secret.sign(DOMAIN, &bytes);
        bytes.extend_from_slice(&signature);
        Ok(Self { claim, bytes })
    }

    /// Reads and verifies a statement from anywhere.
    ///
    /// # Errors
    /// When it can't be read, breaks a limit or its signature does not stand.
    pub fn decode(bytes: &[u8]) -> Result<Self, HoldingError> {
        if bytes.len() > MAX_BYTES {
            return Err(HoldingError::Malformed);
        }
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_BYTES>()
            .ok_or(HoldingError::Malformed)?;
        let (claim, rest) =
            postcard::take_from_bytes::<Claim>(signed).map_err(|_| HoldingError::Malformed)?;
        if !rest.is_empty() || claim.version != VERSION {
            return Err(HoldingError::Malformed);
        }
        claim.check()?;
        key::verify(claim.endpoint.as_bytes(), DOMAIN, signed, signature)?;
        Ok(Self {
            claim,
            bytes: bytes.to_vec(),
        })
    }

    /// Who holds.
    pub fn endpoint(&self) -> EndpointKey {
        self.claim.endpoint
    }

    /// What.
    pub fn items(&self) -> &[Item] {
        &self.claim.items
    }

    /// When it was signed, by the signer's clock.
    pub fn time_ms(&self) -> u64 {
        self.claim.time_ms
    }

    /// Until when it counts.
    pub fn until_ms(&self) -> u64 {
        self.claim.until_ms
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Claim {
    fn check(&self) -> Result<(), HoldingError> {
        if self.items.is_empty() || self.items.len() > limits::HOLDING_ITEMS {
            return Err(HoldingError::Items);
        }
        match self.until_ms.checked_sub(self.time_ms) {
            Some(life_ms) if life_ms <= limits::HOLDING_LIFE_MS => Ok(()),
            _ => Err(HoldingError::Life),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn signed() -> Holding {
        let secret = SecretKey::from_bytes(&[3; 32]);
        let items = vec![Item::Blob(BlobId::of(b"b")), Item::Post(EntryId::of(b"p"))];
        Holding::sign(&secret, items, 1_000, 2_000).unwrap()
    }

    #[test]
    fn a_statement_round_trips() {
        let holding = signed();
        assert_eq!(Holding::decode(holding.bytes()), Ok(holding));
    }

    #[test]
    fn a_changed_byte_anywhere_is_refused() {
        let bytes = signed().bytes().to_vec();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Holding::decode(&changed).is_err(), "byte {at}");
            assert!(Holding::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn limits_hold() {
        let secret = SecretKey::from_bytes(&[3; 32]);
        let many = vec![Item::Blob(BlobId::of(b"b")); limits::HOLDING_ITEMS + 1];
        assert_eq!(Holding::sign(&secret, many, 0, 1), Err(HoldingError::Items));
        let one = vec![Item::Blob(BlobId::of(b"b"))];
        let late = limits::HOLDING_LIFE_MS + 1;
        assert_eq!(
            Holding::sign(&secret, one.clone(), 0, late),
            Err(HoldingError::Life)
        );
        assert_eq!(Holding::sign(&secret, one, 2, 1), Err(HoldingError::Life));
    }
}
