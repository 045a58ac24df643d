//! How a challenge went: a record signed by the challenger, which anybody can check later.
//!
//! Of an answer it holds the mirror's own signature as well, so that neither of the two can make one
//! up. Of a failure it is the challenger's word alone.
//! Bytes: postcard of the fields, and 64 signature bytes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Challenge, ChallengeError, EndpointKey, KeyError, Receipt, SecretKey, key, limits};

const DOMAIN: &[u8] = b"datt/audit/1";
const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
const MAX_BYTES: usize = 512;

/// What became of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum AuditOutcome {
    /// The right bytes, signed for, within the deadline.
    #[error("answered in time")]
    Answered,
    /// The right bytes, signed for, after the deadline.
    #[error("answered too late")]
    Late,
    /// Nothing came for twice the deadline.
    #[error("no answer")]
    Silent,
    /// There was no connection to be had.
    #[error("not reached")]
    Unreachable,
    /// The mirror says that it doesn't hold the blob.
    #[error("it says that it doesn't hold the bytes")]
    NotHeld,
    /// The mirror refuses the blob: by its denylist, or because it doesn't share it with peers.
    #[error("it refuses to give the bytes")]
    Refused,
    /// The bytes don't agree with the blob's id.
    #[error("wrong bytes")]
    WrongBytes,
    /// The bytes are right, and the mirror's signature is not, or is for another challenge.
    #[error("right bytes, wrong signature")]
    WrongSignature,
    /// Not an answer of this protocol.
    #[error("something that is no answer")]
    Garbage,
}

impl AuditOutcome {
    /// Whether the mirror did what was asked of it.
    pub fn is_answered(self) -> bool {
        self == Self::Answered
    }

    /// The stable word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Late => "late",
            Self::Silent => "silent",
            Self::Unreachable => "unreachable",
            Self::NotHeld => "not_held",
            Self::Refused => "refused",
            Self::WrongBytes => "wrong_bytes",
            Self::WrongSignature => "wrong_signature",
            Self::Garbage => "garbage",
        }
    }
}

/// Why a record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// Not a record of this version.
    #[error("the audit record can't be read")]
    Malformed,
    /// An answer without the mirror's signature, or a silence with one.
    #[error("the audit record has a receipt exactly when an answer came")]
    Receipt,
    /// Its times are impossible.
    #[error("the audit record's times are out of range")]
    Time,
    /// The challenge, or the mirror's signature.
    #[error("the audit record's answer does not stand: {0}")]
    Answer(#[from] ChallengeError),
    /// The challenger's signature.
    #[error("the audit record's signature is refused: {0}")]
    Signature(#[from] KeyError),
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFacts {
    /// Who asked.
    pub challenger: EndpointKey,
    /// Who was asked.
    pub mirror: EndpointKey,
    /// For what.
    pub challenge: Challenge,
    /// When, Unix milliseconds by the challenger's clock.
    pub at_ms: u64,
    /// How long it took, or was waited, milliseconds.
    pub took_ms: u32,
    /// An answer after this many milliseconds doesn't count.
    pub deadline_ms: u32,
    /// How it went.
    pub outcome: AuditOutcome,
    /// What the mirror signed, of answers only.
    pub receipt: Option<Receipt>,
}

/// A verified record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditResult {
    facts: AuditFacts,
    bytes: Vec<u8>,
}

impl AuditResult {
    /// Signs a record with the challenger's endpoint key.
    ///
    /// # Errors
    /// When the facts contradict each other.
    pub fn sign(secret: &SecretKey, facts: AuditFacts) -> Result<Self, AuditError> {
        facts.check()?;
        let signed = (VERSION, &facts);
        let mut bytes = postcard::to_stdvec(&signed).map_err(|_| AuditError::Malformed)?;
        let signature = secret.sign(DOMAIN, &bytes);
        bytes.extend_from_slice(&signature);
        Ok(Self { facts, bytes })
    }

    /// Reads and verifies a record from anywhere, without the blob and without asking anybody.
    ///
    /// # Errors
    /// When it can't be read, contradicts itself, or a signature does not stand.
    pub fn decode(bytes: &[u8]) -> Result<Self, AuditError> {
        if bytes.len() > MAX_BYTES {
            return Err(AuditError::Malformed);
        }
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_BYTES>()
            .ok_or(AuditError::Malformed)?;
        let ((version, facts), rest) = postcard::take_from_bytes::<(u8, AuditFacts)>(signed)
            .map_err(|_| AuditError::Malformed)?;
        if !rest.is_empty() || version != VERSION {
            return Err(AuditError::Malformed);
        }
        facts.check()?;
        key::verify(facts.challenger.as_bytes(), DOMAIN, signed, signature)?;
        Ok(Self {
            facts,
            bytes: bytes.to_vec(),
        })
    }

    /// What it says.
    pub fn facts(&self) -> &AuditFacts {
        &self.facts
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl AuditFacts {
    fn check(&self) -> Result<(), AuditError> {
        self.challenge.check()?;
        let in_time = self.took_ms <= self.deadline_ms;
        let agrees = match self.outcome {
            AuditOutcome::Answered => in_time,
            AuditOutcome::Late => !in_time,
            _ => true,
        };
        if self.at_ms >= limits::TIME_MS || !agrees {
            return Err(AuditError::Time);
        }
        let came = matches!(self.outcome, AuditOutcome::Answered | AuditOutcome::Late);
        match &self.receipt {
            Some(receipt) if came => Ok(receipt.verify(self.mirror, &self.challenge)?),
            None if !came => Ok(()),
            _ => Err(AuditError::Receipt),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::BlobId;

    fn endpoint(secret: &SecretKey) -> EndpointKey {
        EndpointKey::from_bytes(*secret.public().as_bytes())
    }

    fn keys() -> (SecretKey, SecretKey) {
        (
            SecretKey::from_bytes(&[1; 32]),
            SecretKey::from_bytes(&[2; 32]),
        )
    }

    fn answered() -> AuditFacts {
        let (challenger, mirror) = keys();
        let challenge = Challenge {
            blob: BlobId::of(b"b"),
            first_group: 3,
            groups: 1,
            nonce: [7; limits::NONCE_BYTES],
        };
        AuditFacts {
            challenger: endpoint(&challenger),
            mirror: endpoint(&mirror),
            challenge,
            at_ms: 1_000,
            took_ms: 12,
            deadline_ms: 5_000,
            outcome: AuditOutcome::Answered,
            receipt: Some(Receipt::sign(&mirror, &challenge, 1 << 20, b"slice")),
        }
    }

    #[test]
    fn a_record_round_trips_and_every_changed_byte_is_seen() {
        let record = AuditResult::sign(&keys().0, answered()).unwrap();
        assert_eq!(AuditResult::decode(record.bytes()), Ok(record.clone()));
        for at in 0..record.bytes().len() {
            let mut changed = record.bytes().to_vec();
            changed[at] ^= 1;
            assert!(AuditResult::decode(&changed).is_err(), "byte {at}");
            assert!(AuditResult::decode(&record.bytes()[..at]).is_err());
        }
    }

    #[test]
    fn an_answer_that_the_mirror_never_gave_can_not_be_made_up() {
        let (challenger, _) = keys();
        let mut facts = answered();
        facts.receipt = Some(Receipt::sign(&challenger, &facts.challenge, 1, b"slice"));
        let refused = AuditError::Answer(ChallengeError::Signature(KeyError::Signature));
        assert_eq!(AuditResult::sign(&challenger, facts), Err(refused));
    }

    #[test]
    fn facts_that_contradict_each_other_are_refused() {
        type Change = fn(&mut AuditFacts);
        let table: [(Change, AuditError); 5] = [
            (|facts| facts.receipt = None, AuditError::Receipt),
            (
                |facts| facts.outcome = AuditOutcome::Silent,
                AuditError::Receipt,
            ),
            (|facts| facts.took_ms = 5_001, AuditError::Time),
            (|facts| facts.outcome = AuditOutcome::Late, AuditError::Time),
            (
                |facts| facts.challenge.groups = 0,
                AuditError::Answer(ChallengeError::Range),
            ),
        ];
        for (change, refused) in table {
            let mut facts = answered();
            change(&mut facts);
            assert_eq!(AuditResult::sign(&keys().0, facts), Err(refused));
        }
    }
}
