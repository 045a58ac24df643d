//! "Please keep this for me": what a person's device signs to ask a mirror.
//!
//! Bytes: postcard of the fields, and 64 signature bytes of the device. That the device belongs to the
//! identity is proven beside it, by the identity's own entries.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    BlobId, DeviceKey, EndpointKey, EntryId, IdentityId, KeyError, SecretKey, SpaceId, key, limits,
};

const DOMAIN: &[u8] = b"datt/pin/1";
const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
/// Fixed fields, and a ticket.
const MAX_BYTES: usize = 512 + limits::TICKET_CHARS + SIGNATURE_BYTES;

/// What a mirror is asked to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PinTarget {
    /// A thread, by its first post.
    Thread(EntryId),
    /// A space.
    Space(SpaceId),
    /// A blob.
    Blob(BlobId),
    /// An identity: its own space, and the media of what it posted.
    Identity(IdentityId),
}

/// Which media a request covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinScope {
    /// Entries only.
    None,
    /// Thumbnails and captions.
    Thumbs,
    /// All.
    All,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinAct {
    /// To keep it; once more renews.
    Pin {
        /// Which media.
        media: PinScope,
        /// Most bytes; none: as many as the mirror gives.
        max_bytes: Option<u64>,
        /// Until when, Unix milliseconds; none: as long as the mirror likes.
        until_ms: Option<u64>,
    },
    /// To keep it no longer.
    Unpin,
}

/// Why a request is refused before it is even considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PinRequestError {
    /// Not a request of this version.
    #[error("the pin request can't be read")]
    Malformed,
    /// Its times are impossible, or it asks until a time that is over.
    #[error("the pin request's times are out of range")]
    Time,
    /// The signature does not stand.
    #[error("the pin request's signature is refused: {0}")]
    Signature(#[from] KeyError),
}

/// The fields of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinAsk {
    /// The mirror that is asked; no other may take it.
    pub mirror: EndpointKey,
    /// Who asks.
    pub identity: IdentityId,
    /// By which device.
    pub device: DeviceKey,
    /// What about.
    pub target: PinTarget,
    /// What is asked.
    pub act: PinAct,
    /// When it was signed, Unix milliseconds.
    pub time_ms: u64,
    /// Fresh random bytes: a request counts once.
    pub nonce: [u8; limits::NONCE_BYTES],
    /// Ticket that leads to the target, for a mirror that doesn't follow it.
    pub ticket: Option<String>,
}

/// A request whose signature stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinDemand {
    ask: PinAsk,
    bytes: Vec<u8>,
}

impl PinDemand {
    /// Signs a request with the device's key, whose public half it names.
    ///
    /// # Errors
    /// When a field is out of range.
    pub fn sign(secret: &SecretKey, mut ask: PinAsk) -> Result<Self, PinRequestError> {
        ask.device = secret.public();
        ask.check()?;
        let mut bytes =
            postcard::to_stdvec(&(VERSION, &ask)).map_err(|_| PinRequestError::Malformed)?;
        let signature = secret.sign(DOMAIN, &bytes);
        bytes.extend_from_slice(&signature);
        Ok(Self { ask, bytes })
    }

    /// Reads and verifies a request from anywhere.
    ///
    /// # Errors
    /// When it can't be read, a field is out of range, or its signature does not stand.
    pub fn decode(bytes: &[u8]) -> Result<Self, PinRequestError> {
        if bytes.len() > MAX_BYTES {
            return Err(PinRequestError::Malformed);
        }
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_BYTES>()
            .ok_or(PinRequestError::Malformed)?;
        let ((version, ask), rest) = postcard::take_from_bytes::<(u8, PinAsk)>(signed)
            .map_err(|_| PinRequestError::Malformed)?;
        if !rest.is_empty() || version != VERSION {
            return Err(PinRequestError::Malformed);
        }
        ask.check()?;
        key::verify(ask.device.as_bytes(), DOMAIN, signed, signature)?;
        Ok(Self {
            ask,
            bytes: bytes.to_vec(),
        })
    }

    /// What it says.
    pub fn ask(&self) -> &PinAsk {
        &self.ask
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl PinAsk {
    fn check(&self) -> Result<(), PinRequestError> {
        if self
            .ticket
            .as_ref()
            .is_some_and(|ticket| ticket.len() > limits::TICKET_CHARS)
        {
            return Err(PinRequestError::Malformed);
        }
        let until_ms = match self.act {
            PinAct::Pin { until_ms, .. } => until_ms,
            PinAct::Unpin => None,
        };
        let ends = until_ms.is_none_or(|until| until > self.time_ms && until < limits::TIME_MS);
        if self.time_ms < limits::TIME_MS && ends {
            Ok(())
        } else {
            Err(PinRequestError::Time)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ask() -> PinAsk {
        PinAsk {
            mirror: EndpointKey::from_bytes([8; 32]),
            identity: IdentityId::of(b"i"),
            device: DeviceKey::from_bytes([0; 32]),
            target: PinTarget::Thread(EntryId::of(b"t")),
            act: PinAct::Pin {
                media: PinScope::All,
                max_bytes: Some(1 << 20),
                until_ms: Some(2_000),
            },
            time_ms: 1_000,
            nonce: [5; limits::NONCE_BYTES],
            ticket: Some("datt…".to_owned()),
        }
    }

    #[test]
    fn a_request_round_trips_and_every_changed_byte_is_seen() {
        let secret = SecretKey::from_bytes(&[3; 32]);
        for act in [ask().act, PinAct::Unpin] {
            let request = PinDemand::sign(&secret, PinAsk { act, ..ask() }).unwrap();
            assert_eq!(request.ask().device, secret.public());
            assert_eq!(PinDemand::decode(request.bytes()), Ok(request.clone()));
            for at in 0..request.bytes().len() {
                let mut changed = request.bytes().to_vec();
                changed[at] ^= 1;
                assert!(PinDemand::decode(&changed).is_err(), "byte {at}");
                assert!(PinDemand::decode(&request.bytes()[..at]).is_err());
            }
        }
    }

    #[test]
    fn limits_hold() {
        let secret = SecretKey::from_bytes(&[3; 32]);
        let pin = |until_ms| PinAct::Pin {
            media: PinScope::None,
            max_bytes: None,
            until_ms,
        };
        let table = [
            (pin(None), 1_000, Ok(())),
            (pin(Some(1_000)), 1_000, Err(PinRequestError::Time)),
            (pin(Some(limits::TIME_MS)), 0, Err(PinRequestError::Time)),
            (PinAct::Unpin, limits::TIME_MS, Err(PinRequestError::Time)),
        ];
        for (act, time_ms, expected) in table {
            let ask = PinAsk {
                act,
                time_ms,
                ..ask()
            };
            assert_eq!(PinDemand::sign(&secret, ask).map(|_| ()), expected);
        }
        let long = PinAsk {
            ticket: Some("d".repeat(limits::TICKET_CHARS + 1)),
            ..ask()
        };
        assert_eq!(
            PinDemand::sign(&secret, long),
            Err(PinRequestError::Malformed)
        );
    }
}
