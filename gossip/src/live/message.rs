//! Gossip messages: a version byte, then postcard of an enum; always below the gossip limit.

use model::{EntryId, SpaceId, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Digest, Packet, bounds, sync::packet_fits};

/// First byte of every message.
const VERSION: u8 = 1;
/// Version, variant, list lengths: what a message adds to its items, at most.
const OVERHEAD: usize = 16;

/// Why bytes are not a message. Nobody is blamed: who delivers forwards before it judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the gossip message can't be read or breaks a limit")]
pub struct MessageError;

/// What goes over a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Whole entries.
    Entries(Vec<Packet>),
    /// Ids of entries too large for a message: fetch them from the deliverer.
    Announce {
        /// Their space.
        space: SpaceId,
        /// Their thread, if they are in one.
        root: Option<EntryId>,
        /// Their ids.
        ids: Vec<EntryId>,
    },
    /// Threads of a space that changed; on its topic only.
    Digests {
        /// The space.
        space: SpaceId,
        /// The threads.
        digests: Vec<Digest>,
    },
    /// Signed holding statements.
    Holdings(Vec<Vec<u8>>),
}

impl Message {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(
            postcard::to_stdvec(self).expect("messages have no types that postcard refuses"),
        );
        debug_assert!(bytes.len() < limits::GOSSIP_BYTES, "{}", bytes.len());
        bytes
    }

    /// Reads bytes from a topic.
    ///
    /// # Errors
    /// When they are no message, or over a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let Some((&VERSION, body)) = bytes.split_first() else {
            return Err(MessageError);
        };
        if bytes.len() >= limits::GOSSIP_BYTES {
            return Err(MessageError);
        }
        let (message, rest) = postcard::take_from_bytes(body).map_err(|_| MessageError)?;
        let fits = match &message {
            Self::Entries(packets) => {
                packets.len() <= bounds::MESSAGE_PACKETS && packets.iter().all(packet_fits)
            }
            Self::Announce { ids, .. } => ids.len() <= bounds::MESSAGE_IDS,
            Self::Digests { digests, .. } => digests.len() <= bounds::MESSAGE_IDS,
            Self::Holdings(list) => list.len() <= bounds::HOLDINGS,
        };
        if fits && rest.is_empty() {
            Ok(message)
        } else {
            Err(MessageError)
        }
    }

    /// Messages that carry these entries of one place: inline those that fit, the rest announced.
    pub fn of_entries(space: SpaceId, root: Option<EntryId>, packets: Vec<Packet>) -> Vec<Self> {
        let mut messages = Vec::new();
        let (mut inline, mut inline_bytes, mut ids) = (Vec::new(), OVERHEAD, Vec::new());
        for packet in packets {
            let bytes = packet.size_bytes() + OVERHEAD;
            if bytes + OVERHEAD >= limits::GOSSIP_BYTES {
                ids.push(packet.id());
                continue;
            }
            if inline_bytes + bytes >= limits::GOSSIP_BYTES
                || inline.len() == bounds::MESSAGE_PACKETS
            {
                messages.push(Self::Entries(std::mem::take(&mut inline)));
                inline_bytes = OVERHEAD;
            }
            inline_bytes += bytes;
            inline.push(packet);
        }
        if !inline.is_empty() {
            messages.push(Self::Entries(inline));
        }
        messages.extend(ids.chunks(bounds::MESSAGE_IDS).map(|ids| Self::Announce {
            space,
            root,
            ids: ids.to_vec(),
        }));
        messages
    }

    /// Messages that carry these digests.
    pub fn of_digests(space: SpaceId, digests: &[Digest]) -> Vec<Self> {
        // A digest has at most 84 bytes.
        digests
            .chunks(40)
            .map(|digests| Self::Digests {
                space,
                digests: digests.to_vec(),
            })
            .collect()
    }

    /// Messages that carry these statements; those too long for one are left to sync.
    pub fn of_holdings(statements: Vec<Vec<u8>>) -> Vec<Self> {
        let mut messages = Vec::new();
        let (mut list, mut bytes) = (Vec::new(), OVERHEAD);
        for statement in statements {
            let more = statement.len() + OVERHEAD;
            if statement.len() > bounds::HOLDING_BYTES {
                continue;
            }
            if bytes + more >= limits::GOSSIP_BYTES || list.len() == bounds::HOLDINGS {
                messages.push(Self::Holdings(std::mem::take(&mut list)));
                bytes = OVERHEAD;
            }
            bytes += more;
            list.push(statement);
        }
        if !list.is_empty() {
            messages.push(Self::Holdings(list));
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Content, Fingerprint};

    fn packet(bytes: usize, mark: u8) -> Packet {
        Packet {
            entry: vec![mark; 400],
            content: Content::Held(vec![mark; bytes]),
        }
    }

    #[test]
    fn entries_go_inline_while_they_fit_and_are_announced_beyond() {
        let space = SpaceId::of(b"s");
        let sizes = [100, 3_000, 3_500, 3_600, 10, 64_000, 800];
        let packets: Vec<Packet> = sizes.iter().map(|size| packet(*size, 1)).collect();
        let messages = Message::of_entries(space, None, packets.clone());
        let (mut inline, mut announced) = (Vec::new(), Vec::new());
        for message in &messages {
            let bytes = message.encode();
            assert!(bytes.len() < limits::GOSSIP_BYTES);
            assert_eq!(Message::decode(&bytes).as_ref(), Ok(message));
            match message {
                Message::Entries(list) => inline.extend(list.clone()),
                Message::Announce { ids, .. } => announced.extend(ids.clone()),
                _ => panic!("unexpected"),
            }
        }
        assert_eq!(inline.len(), 5);
        assert_eq!(announced, [packets[3].id(), packets[5].id()]);
    }

    #[test]
    fn many_digests_and_statements_keep_the_limit() {
        let digest = Digest {
            root: EntryId::of(b"r"),
            last_ms: u64::MAX,
            entries: u64::MAX,
            fingerprint: Fingerprint::from_bytes([9; 32]),
        };
        let digests = Message::of_digests(SpaceId::of(b"s"), &[digest; 100]);
        let holdings = Message::of_holdings(vec![vec![1; 1_300]; 10]);
        assert_eq!((digests.len(), holdings.len()), (3, 4));
        for message in digests.iter().chain(&holdings) {
            assert_eq!(Message::decode(&message.encode()).as_ref(), Ok(message));
        }
    }

    #[test]
    fn garbage_is_refused() {
        let good = Message::Holdings(vec![vec![1; 10]]).encode();
        for cut in 0..good.len() {
            assert!(Message::decode(&good[..cut]).is_err());
        }
        let mut later = good.clone();
        later[0] = 2;
        assert!(Message::decode(&later).is_err());
        assert!(Message::decode(&[good, vec![0]].concat()).is_err());
        assert!(Message::decode(&vec![1; limits::GOSSIP_BYTES]).is_err());
        let mut noise = blake3::Hasher::new().finalize_xof();
        for length in 1..500 {
            let mut bytes = vec![0; length];
            noise.fill(&mut bytes);
            bytes[0] = VERSION;
            let _ = Message::decode(&bytes);
        }
    }
}
