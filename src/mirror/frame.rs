//! Questions to a mirror and its answers, to the byte: postcard, one of each on a stream of its own.
//!
//! See `docs/protocol/mirror.md`. The first byte is the place in the list.

use model::{Challenge, Item, Receipt, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest question, bytes.
pub const QUESTION_BYTES: usize = 16 * 1024;
/// Longest answer, bytes: the slice of a challenge, and what is signed under it.
pub const ANSWER_BYTES: usize = 80 * 1024;
/// Longest pin request within a question, bytes.
const DEMAND_BYTES: usize = 4 * 1024;
/// Entries that prove that a device belongs to an identity: the genesis and the row of the device.
pub const PROOF_ENTRIES: usize = 2;
/// Longest payload among them, bytes.
const PROOF_PAYLOAD_BYTES: usize = 1024;

/// What comes is not a frame of this version, or over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a frame of the mirror protocol: {0}")]
pub struct BrokenFrame(pub &'static str);

/// An entry and its payload, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofEntry {
    /// Header and signature.
    pub entry: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
}

/// What a mirror is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// For a range of a blob.
    Challenge(Challenge),
    /// To keep something, or to keep it no longer.
    Pin {
        /// A signed [`model::PinDemand`].
        demand: Vec<u8>,
        /// What proves that its device belongs to its identity.
        proof: Vec<ProofEntry>,
    },
    /// Which of these it holds in full.
    Holding {
        /// These.
        items: Vec<Item>,
    },
}

/// What a mirror answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The range that was asked for.
    Slice {
        /// What the mirror signs for.
        receipt: Receipt,
        /// Groups, and the hashes that prove them.
        slice: Vec<u8>,
    },
    /// No range.
    Refused(Refusal),
    /// About a pin request.
    Pin(PinAnswer),
    /// A signed [`model::Holding`]; none when nothing of it is held.
    Holding(Option<Vec<u8>>),
}

/// Why a challenge isn't answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The blob isn't here, not in full, or damaged.
    NotHeld,
    /// It is on the mirror's denylist.
    Denied,
    /// The mirror doesn't give it to peers.
    NotShared,
    /// The range is out of bounds.
    Range,
    /// Too many questions: later.
    Busy,
}

/// What became of a pin request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinAnswer {
    /// Promised.
    Accepted {
        /// Bytes on the mirror's disk that it may take at most.
        max_bytes: u64,
        /// Bytes that the requester has left there.
        left_bytes: u64,
        /// Until when, Unix milliseconds; none: until taken back.
        until_ms: Option<u64>,
    },
    /// Kept no longer.
    Released {
        /// Bytes that the requester has left there.
        left_bytes: u64,
    },
    /// Not promised.
    Refused(PinRefusal),
}

/// Why a pin request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum PinRefusal {
    /// `accept = nobody`.
    #[error("this mirror takes no requests")]
    Nobody,
    /// `accept = followed`, and this identity isn't.
    #[error("this mirror takes requests of those only whom its person follows")]
    NotFollowed,
    /// Not a request of this version.
    #[error("the request can't be read by this mirror: it may be of another version")]
    Unreadable,
    /// The signature does not stand.
    #[error("the request's signature does not stand")]
    Signature,
    /// The proof doesn't show that the device belongs to the identity.
    #[error("nothing shows that the device that signed belongs to the identity")]
    Device,
    /// It was for another mirror.
    #[error("the request is for another mirror")]
    OtherMirror,
    /// It came before.
    #[error("the request came before: each counts once")]
    Replayed,
    /// Its time is too far from the mirror's clock.
    #[error(
        "the request was signed too long ago, or the clocks differ: the mirror's says {now_ms} ms"
    )]
    Stale {
        /// The mirror's clock, Unix milliseconds.
        now_ms: u64,
    },
    /// More than a single request may ask for.
    #[error("a single request gets at most {limit_bytes} bytes here")]
    ItemTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The requester's room is used up.
    #[error("{left_bytes} bytes are left of this requester's room")]
    RequesterFull {
        /// What is left.
        left_bytes: u64,
    },
    /// The room for all requests is used up.
    #[error("{left_bytes} bytes are left of the room for all requests")]
    AllFull {
        /// What is left.
        left_bytes: u64,
    },
    /// The disk, or its quota, has no room.
    #[error("{left_bytes} bytes are left on this mirror")]
    NoRoom {
        /// What is left.
        left_bytes: u64,
    },
    /// So many requests of one requester, or of all, are kept and no more.
    #[error("too many requests are kept already: take one back first")]
    TooMany,
    /// Too many came in a short time.
    #[error("too many requests at a time: try again in {after_s} s")]
    Busy {
        /// Seconds to wait.
        after_s: u32,
    },
    /// On the mirror's denylist.
    #[error("it is on this mirror's denylist")]
    Denied,
    /// It isn't here, and the request carries no ticket of the one who asks that leads to it.
    #[error("this mirror doesn't know it, and no ticket of the requester leads to it")]
    Unknown,
    /// A fault of the mirror's machine.
    #[error("the mirror can't note the request: a fault of its own")]
    Fault,
    /// To be taken back, and never asked for.
    #[error("it isn't kept for this requester")]
    NotPinned,
}

impl Question {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("frames have no types that postcard refuses")
    }

    /// Reads bytes from a peer.
    ///
    /// # Errors
    /// When they are not exactly one question, or over a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, BrokenFrame> {
        let question: Self = decode(bytes, QUESTION_BYTES)?;
        match &question {
            Self::Pin { demand, proof } => {
                let fits = |one: &ProofEntry| {
                    one.entry.len() <= limits::ENTRY_BYTES
                        && one.payload.len() <= PROOF_PAYLOAD_BYTES
                };
                if demand.len() > DEMAND_BYTES {
                    return Err(BrokenFrame("a pin request too long"));
                }
                if proof.len() > PROOF_ENTRIES || !proof.iter().all(fits) {
                    return Err(BrokenFrame("too long a proof"));
                }
            }
            Self::Holding { items } => {
                if items.is_empty() || items.len() > limits::HOLDING_ITEMS {
                    return Err(BrokenFrame("too many items, or none"));
                }
            }
            Self::Challenge(_) => {}
        }
        Ok(question)
    }
}

impl Answer {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("frames have no types that postcard refuses")
    }

    /// Reads bytes from a peer.
    ///
    /// # Errors
    /// When they are not exactly one answer, or over a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, BrokenFrame> {
        decode(bytes, ANSWER_BYTES)
    }
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], max_bytes: usize) -> Result<T, BrokenFrame> {
    if bytes.len() > max_bytes {
        return Err(BrokenFrame("too long"));
    }
    match postcard::take_from_bytes(bytes) {
        Ok((frame, [])) => Ok(frame),
        Ok(_) => Err(BrokenFrame("bytes after its end")),
        Err(_) => Err(BrokenFrame("not of version 1")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::{BlobId, EntryId, SecretKey};

    use super::*;

    fn challenge() -> Challenge {
        Challenge {
            blob: BlobId::of(b"b"),
            first_group: 9,
            groups: 1,
            nonce: [4; limits::NONCE_BYTES],
        }
    }

    fn questions() -> Vec<Question> {
        vec![
            Question::Challenge(challenge()),
            Question::Pin {
                demand: vec![1; 300],
                proof: vec![
                    ProofEntry {
                        entry: vec![2; 400],
                        payload: vec![3; 100],
                    };
                    PROOF_ENTRIES
                ],
            },
            Question::Holding {
                items: vec![Item::Post(EntryId::of(b"p"))],
            },
        ]
    }

    fn answers() -> Vec<Answer> {
        let secret = SecretKey::from_bytes(&[1; 32]);
        vec![
            Answer::Slice {
                receipt: Receipt::sign(&secret, &challenge(), 1 << 20, b"slice"),
                slice: b"slice".to_vec(),
            },
            Answer::Refused(Refusal::Busy),
            Answer::Pin(PinAnswer::Refused(PinRefusal::Stale { now_ms: 1 << 45 })),
            Answer::Holding(Some(vec![5; 200])),
        ]
    }

    #[test]
    fn frames_round_trip_and_their_first_byte_is_their_place() {
        for (place, question) in questions().into_iter().enumerate() {
            let bytes = question.encode();
            assert_eq!(usize::from(bytes[0]), place);
            assert_eq!(Question::decode(&bytes), Ok(question));
        }
        for (place, answer) in answers().into_iter().enumerate() {
            let bytes = answer.encode();
            assert_eq!(usize::from(bytes[0]), place);
            assert_eq!(Answer::decode(&bytes), Ok(answer));
        }
    }

    #[test]
    fn cut_or_lengthened_frames_are_broken() {
        for bytes in questions().iter().map(Question::encode) {
            for cut in 0..bytes.len() {
                assert!(Question::decode(&bytes[..cut]).is_err());
            }
            assert!(Question::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        for bytes in answers().iter().map(Answer::encode) {
            for cut in 0..bytes.len() {
                assert!(Answer::decode(&bytes[..cut]).is_err());
            }
            assert!(Answer::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn what_is_over_a_limit_is_broken() {
        let entry = |entry: usize, payload: usize| ProofEntry {
            entry: vec![0; entry],
            payload: vec![0; payload],
        };
        let pin = |demand: usize, proof| Question::Pin {
            demand: vec![0; demand],
            proof,
        };
        let item = Item::Post(EntryId::of(b"p"));
        let table = [
            (pin(DEMAND_BYTES, vec![entry(2048, 1024)]), true),
            (pin(DEMAND_BYTES + 1, Vec::new()), false),
            (pin(0, vec![entry(2049, 0)]), false),
            (pin(0, vec![entry(0, 1025)]), false),
            (pin(0, vec![entry(0, 0); PROOF_ENTRIES + 1]), false),
            (
                Question::Holding {
                    items: vec![item; 32],
                },
                true,
            ),
            (
                Question::Holding {
                    items: vec![item; 33],
                },
                false,
            ),
            (Question::Holding { items: Vec::new() }, false),
        ];
        for (question, fits) in table {
            assert_eq!(Question::decode(&question.encode()).is_ok(), fits);
        }
        assert!(Question::decode(&vec![0; QUESTION_BYTES + 1]).is_err());
        assert!(Answer::decode(&vec![0; ANSWER_BYTES + 1]).is_err());
    }

    #[test]
    fn the_longest_slice_fits() {
        let bytes = blocks::slice_max_bytes(u64::from(limits::CHALLENGE_GROUPS));
        assert!(bytes + 256 <= ANSWER_BYTES as u64);
    }
}
