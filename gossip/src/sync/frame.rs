//! Frames: postcard of an enum, each list bounded; on a stream behind a 32-bit length.

use model::{EntryId, SpaceId};
use serde::{Deserialize, Serialize};

use super::PeerFault;
use crate::{Digest, Fingerprint, Packet, Scope, bounds};

/// Version of the protocol, in the first frame of both sides.
pub const VERSION: u16 = 1;

/// The first frame of each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub version: u16,
    /// What more than version 1 asks a side can do, one bit each; none is defined yet, unknown ones
    /// are ignored.
    pub capabilities: u64,
    /// The sender's clock, Unix milliseconds.
    pub clock_ms: u64,
}

/// The responder's answer to [`Frame::Open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing differs: the scope is closed again.
    Same,
    /// The sets differ (or entries are asked for by id): the initiator goes on.
    Differs,
    /// Authority logs differ: [`Frame::Authorities`] follows and the scope is closed again.
    Authorities,
    /// Neither held nor wanted here: the scope is closed again.
    Refused,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// First frame, both sides.
    Hello(Hello),
    /// Initiator: begins a scope.
    Open {
        /// Which.
        scope: Scope,
        /// Outline of the initiator's set.
        set: Fingerprint,
        /// Outline of the authority logs that the scope rests on; none when they were synced before.
        authority: Option<Fingerprint>,
    },
    /// Responder: answers `Open`.
    Opened(Answer),
    /// Responder: fingerprints of its authority logs, after [`Answer::Authorities`].
    Authorities {
        /// Space or identity, and fingerprint.
        list: Vec<(SpaceId, Fingerprint)>,
        /// Whether another such frame follows.
        more: bool,
    },
    /// Both: a negentropy message.
    Reconcile {
        /// Its bytes.
        #[serde(with = "crate::byte_string")]
        message: Vec<u8>,
    },
    /// Both: asks for entries. From the responder, exactly one for each `Offer`.
    Want {
        /// Their ids.
        ids: Vec<EntryId>,
    },
    /// Initiator: entries that the responder seems to lack.
    Offer {
        /// Their ids.
        ids: Vec<EntryId>,
    },
    /// Both: entries that were asked for.
    Packets {
        /// The entries.
        packets: Vec<Packet>,
    },
    /// Both: entries that were asked for and are not held.
    Missing {
        /// Their ids.
        ids: Vec<EntryId>,
    },
    /// Initiator: asks for digests by hash.
    WantDigests {
        /// The hashes.
        hashes: Vec<[u8; 32]>,
    },
    /// Responder: the digests asked for.
    Digests {
        /// The digests.
        digests: Vec<Digest>,
    },
    /// Both: holding statements about the threads of an open scope.
    Holdings {
        /// Bytes of each.
        statements: Vec<Vec<u8>>,
    },
    /// Initiator: has all it wants of the scope.
    Close,
    /// Responder: has all it wants too; the scope is closed.
    Closed,
}

impl Frame {
    /// Its bytes, without the length.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = postcard::to_stdvec(self).expect("frames have no types that postcard refuses");
        debug_assert!(bytes.len() <= bounds::FRAME_BYTES, "{}", self.name());
        bytes
    }

    /// Reads bytes from a peer.
    ///
    /// # Errors
    /// When they are over the limit, not exactly one frame, or hold a list over its bound.
    pub fn decode(bytes: &[u8]) -> Result<Self, PeerFault> {
        if bytes.len() > bounds::FRAME_BYTES {
            return Err(PeerFault::FrameTooLong { found: bytes.len() });
        }
        let (frame, rest) =
            postcard::take_from_bytes::<Self>(bytes).map_err(|_| PeerFault::BrokenFrame {
                what: "not a frame of version 1",
            })?;
        if !rest.is_empty() {
            return Err(PeerFault::BrokenFrame {
                what: "bytes after its end",
            });
        }
        frame.check()?;
        Ok(frame)
    }

    /// Its name, for logs and faults.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Open { .. } => "Open",
            Self::Opened(_) => "Opened",
            Self::Authorities { .. } => "Authorities",
            Self::Reconcile { .. } => "Reconcile",
            Self::Want { .. } => "Want",
            Self::Offer { .. } => "Offer",
            Self::Packets { .. } => "Packets",
            Self::Missing { .. } => "Missing",
            Self::WantDigests { .. } => "WantDigests",
            Self::Digests { .. } => "Digests",
            Self::Holdings { .. } => "Holdings",
            Self::Close => "Close",
            Self::Closed => "Closed",
        }
    }

    fn check(&self) -> Result<(), PeerFault> {
        let (holds, what) = match self {
            Self::Open { scope, .. } => (scope.is_well_formed(), "a scope out of bounds"),
            Self::Authorities { list, .. } => (
                list.len() <= bounds::AUTHORITIES,
                "too many authority fingerprints",
            ),
            Self::Reconcile { message } => (
                message.len() <= bounds::RECONCILE_BYTES,
                "a reconciling message too long",
            ),
            Self::Want { ids } | Self::Offer { ids } | Self::Missing { ids } => {
                (ids.len() <= bounds::FRAME_IDS, "too many ids")
            }
            Self::Packets { packets } => {
                let fits = packets.iter().all(packet_fits);
                (
                    fits && packets.len() <= bounds::FRAME_PACKETS,
                    "too many packets, or one over its limit",
                )
            }
            Self::WantDigests { hashes } => (
                hashes.len() <= bounds::FRAME_DIGESTS,
                "too many digest hashes",
            ),
            Self::Digests { digests } => {
                (digests.len() <= bounds::FRAME_DIGESTS, "too many digests")
            }
            Self::Holdings { statements } => (
                statements.len() <= bounds::HOLDINGS
                    && statements.iter().all(|s| s.len() <= bounds::HOLDING_BYTES),
                "too many holding statements, or one over its limit",
            ),
            Self::Hello(_) | Self::Opened(_) | Self::Close | Self::Closed => (true, ""),
        };
        if holds {
            Ok(())
        } else {
            Err(PeerFault::BrokenFrame { what })
        }
    }
}

/// Whether entry and payload keep their limits.
pub(crate) fn packet_fits(packet: &Packet) -> bool {
    packet.entry.len() <= model::limits::ENTRY_BYTES
        && match &packet.content {
            crate::Content::Held(bytes) => bytes.len() <= model::limits::PAYLOAD_BYTES,
            crate::Content::Withheld => true,
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Content;

    fn ids(count: usize) -> Vec<EntryId> {
        (0..count).map(|i| EntryId::of(&i.to_le_bytes())).collect()
    }

    fn packet(entry: usize, payload: usize) -> Packet {
        Packet {
            entry: vec![1; entry],
            content: Content::Held(vec![2; payload]),
        }
    }

    fn samples() -> Vec<Frame> {
        let space = SpaceId::of(b"s");
        let digest = Digest {
            root: EntryId::of(b"r"),
            last_ms: 7,
            entries: 1 << 40,
            fingerprint: Fingerprint::EMPTY,
        };
        vec![
            Frame::Hello(Hello {
                version: VERSION,
                capabilities: 3,
                clock_ms: 1 << 45,
            }),
            Frame::Open {
                scope: Scope::thread(space, EntryId::of(b"r")),
                set: Fingerprint::EMPTY,
                authority: Some(Fingerprint::EMPTY),
            },
            Frame::Opened(Answer::Refused),
            Frame::Authorities {
                list: vec![(space, Fingerprint::EMPTY)],
                more: true,
            },
            Frame::Reconcile {
                message: vec![0x61; 300],
            },
            Frame::Want { ids: ids(3) },
            Frame::Offer { ids: ids(2) },
            Frame::Packets {
                packets: vec![packet(300, 400)],
            },
            Frame::Missing { ids: ids(1) },
            Frame::WantDigests {
                hashes: vec![[1; 32]],
            },
            Frame::Digests {
                digests: vec![digest],
            },
            Frame::Holdings {
                statements: vec![vec![1; 200]],
            },
            Frame::Close,
            Frame::Closed,
        ]
    }

    #[test]
    fn frames_round_trip_and_their_first_byte_is_their_place_in_the_list() {
        for (place, frame) in samples().into_iter().enumerate() {
            let bytes = frame.encode();
            assert_eq!(usize::from(bytes[0]), place, "{}", frame.name());
            assert_eq!(Frame::decode(&bytes), Ok(frame));
        }
    }

    #[test]
    fn cut_or_lengthened_frames_are_broken() {
        for frame in samples() {
            let bytes = frame.encode();
            for cut in 0..bytes.len() {
                assert!(Frame::decode(&bytes[..cut]).is_err(), "{}", frame.name());
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(matches!(
                Frame::decode(&longer),
                Err(PeerFault::BrokenFrame { .. })
            ));
        }
    }

    #[test]
    fn lists_over_their_bounds_are_refused() {
        let space = SpaceId::of(b"s");
        let roots = |count| {
            let mut roots = ids(count);
            roots.sort();
            Frame::Open {
                scope: Scope::Threads { space, roots },
                set: Fingerprint::EMPTY,
                authority: None,
            }
        };
        let unsorted = Frame::Open {
            scope: Scope::Authorities(vec![space, space]),
            set: Fingerprint::EMPTY,
            authority: None,
        };
        let table = [
            (roots(bounds::SCOPE_THREADS), true),
            (roots(bounds::SCOPE_THREADS + 1), false),
            (roots(0), false),
            (unsorted, false),
            (
                Frame::Want {
                    ids: ids(bounds::FRAME_IDS),
                },
                true,
            ),
            (
                Frame::Want {
                    ids: ids(bounds::FRAME_IDS + 1),
                },
                false,
            ),
            (
                Frame::Packets {
                    packets: vec![packet(2_048, 65_536)],
                },
                true,
            ),
            (
                Frame::Packets {
                    packets: vec![packet(2_049, 1)],
                },
                false,
            ),
            (
                Frame::Packets {
                    packets: vec![packet(1, 65_537)],
                },
                false,
            ),
            (
                Frame::Reconcile {
                    message: vec![0; bounds::RECONCILE_BYTES + 1],
                },
                false,
            ),
            (
                Frame::Holdings {
                    statements: vec![vec![]; bounds::HOLDINGS + 1],
                },
                false,
            ),
            (
                Frame::Holdings {
                    statements: vec![vec![0; bounds::HOLDING_BYTES + 1]],
                },
                false,
            ),
            (
                Frame::WantDigests {
                    hashes: vec![[0; 32]; bounds::FRAME_DIGESTS + 1],
                },
                false,
            ),
        ];
        for (frame, fits) in table {
            let bytes = postcard::to_stdvec(&frame).unwrap();
            assert_eq!(Frame::decode(&bytes).is_ok(), fits, "{}", frame.name());
        }
        assert_eq!(
            Frame::decode(&vec![0; bounds::FRAME_BYTES + 1]),
            Err(PeerFault::FrameTooLong {
                found: bounds::FRAME_BYTES + 1
            })
        );
    }

    #[test]
    fn a_claimed_length_reserves_no_memory() {
        // `Want` that claims 2^32 ids in nine bytes.
        assert!(Frame::decode(&[5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]).is_err());
        let mut noise = blake3::Hasher::new().finalize_xof();
        for length in 0..600 {
            let mut bytes = vec![0; length];
            noise.fill(&mut bytes);
            let _ = Frame::decode(&bytes);
        }
    }
}
