//! "Give me these bytes of that blob now": a challenge to a mirror, and what the mirror signs under
//! its answer.
//!
//! An answer shows that the mirror delivered the bytes in time. It shows nothing about where it keeps
//! them, or that it keeps them: delivery, not storage. What is signed is postcard of
//! `(version, nonce, blob, first_group, groups, size_bytes, slice hash)`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{BlobId, EndpointKey, KeyError, SecretKey, key, limits};

const DOMAIN: &[u8] = b"datt/answer/1";
const VERSION: u8 = 1;

/// Smallest part of a blob that can be verified by itself, bytes.
pub const GROUP_BYTES: u64 = 16 * 1024;

/// A range of a blob, asked for by somebody who need not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Of which blob.
    pub blob: BlobId,
    /// First group of 16 KiB; behind the end stands for the last group, which proves the size.
    pub first_group: u64,
    /// How many groups.
    pub groups: u8,
    /// Fresh random bytes: an answer to another challenge does not do.
    pub nonce: [u8; limits::NONCE_BYTES],
}

/// Why a challenge or an answer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChallengeError {
    /// Too few or too many groups, or one beyond what a blob can have.
    #[error(
        "a challenge asks for 1 to {max} groups of a blob",
        max = limits::CHALLENGE_GROUPS
    )]
    Range,
    /// The signature does not stand.
    #[error("the signature under the answer is refused: {0}")]
    Signature(#[from] KeyError),
}

/// What a mirror signs under an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Size of the blob as the mirror says.
    pub size_bytes: u64,
    /// BLAKE3 of the slice as sent.
    pub slice: [u8; 32],
    /// The mirror's signature.
    #[serde(with = "crate::signature")]
    pub signature: [u8; 64],
}

#[derive(Serialize)]
struct Signed<'a> {
    version: u8,
    nonce: &'a [u8; limits::NONCE_BYTES],
    blob: BlobId,
    first_group: u64,
    groups: u8,
    size_bytes: u64,
    slice: [u8; 32],
}

impl Challenge {
    /// Checks what can be checked without the blob.
    ///
    /// # Errors
    /// When the range is out of bounds.
    pub fn check(&self) -> Result<(), ChallengeError> {
        let groups = u64::from(self.groups);
        let end = self.first_group.checked_add(groups);
        let fits = end.is_some_and(|end| end <= limits::BLOB_BYTES / GROUP_BYTES);
        if fits && (1..=limits::CHALLENGE_GROUPS).contains(&self.groups) {
            Ok(())
        } else {
            Err(ChallengeError::Range)
        }
    }

    /// The bytes asked for, in a blob of that size: the last group when the range lies behind its end.
    pub fn bytes(&self, size_bytes: u64) -> std::ops::Range<u64> {
        let last = size_bytes.saturating_sub(1) / GROUP_BYTES;
        let first = self.first_group.min(last);
        let end = first.saturating_add(u64::from(self.groups));
        first * GROUP_BYTES..end.saturating_mul(GROUP_BYTES).min(size_bytes)
    }

    fn signed(&self, size_bytes: u64, slice: [u8; 32]) -> Vec<u8> {
        let signed = Signed {
            version: VERSION,
            nonce: &self.nonce,
            blob: self.blob,
            first_group: self.first_group,
            groups: self.groups,
            size_bytes,
            slice,
        };
        postcard::to_stdvec(&signed).expect("plain numbers and bytes have a postcard form")
    }
}

impl Receipt {
    /// Signs an answer with the mirror's endpoint key.
    pub fn sign(secret: &SecretKey, challenge: &Challenge, size_bytes: u64, slice: &[u8]) -> Self {
        let slice = *blake3::hash(slice).as_bytes();
        Self {
            size_bytes,
            slice,
            signature: secret.sign(DOMAIN, &challenge.signed(size_bytes, slice)),
        }
    }

    /// Checks that this mirror signed an answer to this challenge.
    ///
    /// # Errors
    /// When it signed something else, or nothing.
    pub fn verify(&self, mirror: EndpointKey, challenge: &Challenge) -> Result<(), ChallengeError> {
        let signed = challenge.signed(self.size_bytes, self.slice);
        key::verify(mirror.as_bytes(), DOMAIN, &signed, &self.signature)?;
        Ok(())
    }

    /// Whether these are the bytes that were signed for.
    pub fn is_of(&self, slice: &[u8]) -> bool {
        blake3::hash(slice) == self.slice
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn challenge() -> Challenge {
        Challenge {
            blob: BlobId::of(b"b"),
            first_group: 7,
            groups: 2,
            nonce: [9; limits::NONCE_BYTES],
        }
    }

    #[test]
    fn a_receipt_stands_for_its_challenge_its_bytes_and_its_mirror_only() {
        let secret = SecretKey::from_bytes(&[3; 32]);
        let mirror = EndpointKey::from_bytes(*secret.public().as_bytes());
        let asked = challenge();
        let receipt = Receipt::sign(&secret, &asked, 1 << 20, b"slice");
        assert_eq!(receipt.verify(mirror, &asked), Ok(()));
        assert!(receipt.is_of(b"slice") && !receipt.is_of(b"slicf"));
        let refused = Err(ChallengeError::Signature(KeyError::Signature));
        let mut others = [asked; 4];
        others[0].nonce[0] ^= 1;
        others[1].blob = BlobId::of(b"c");
        others[2].first_group += 1;
        others[3].groups += 1;
        for other in others {
            assert_eq!(receipt.verify(mirror, &other), refused, "{other:?}");
        }
        let other = SecretKey::from_bytes(&[4; 32]);
        let other = EndpointKey::from_bytes(*other.public().as_bytes());
        assert_eq!(receipt.verify(other, &asked), refused);
        let resized = Receipt {
            size_bytes: 1,
            ..receipt
        };
        assert_eq!(resized.verify(mirror, &asked), refused);
    }

    #[test]
    fn ranges_are_bounded() {
        let most = limits::BLOB_BYTES / GROUP_BYTES;
        let table = [
            (0, 1, true),
            (0, limits::CHALLENGE_GROUPS, true),
            (0, limits::CHALLENGE_GROUPS + 1, false),
            (0, 0, false),
            (most - 1, 1, true),
            (most, 1, false),
            (u64::MAX, 1, false),
        ];
        for (first_group, groups, fits) in table {
            let asked = Challenge {
                first_group,
                groups,
                ..challenge()
            };
            assert_eq!(asked.check().is_ok(), fits, "{first_group}+{groups}");
        }
    }

    #[test]
    fn a_range_behind_the_end_is_the_last_group() {
        let at = |first_group, groups, size_bytes| {
            let asked = Challenge {
                first_group,
                groups,
                ..challenge()
            };
            asked.bytes(size_bytes)
        };
        assert_eq!(at(0, 4, 10), 0..10);
        assert_eq!(at(1, 1, 40_000), 16_384..32_768);
        assert_eq!(at(2, 4, 40_000), 32_768..40_000);
        assert_eq!(at(1 << 30, 1, 40_000), 32_768..40_000);
        assert_eq!(at(5, 1, 32_768), 16_384..32_768);
        assert_eq!(at(0, 1, 0), 0..0);
    }
}
