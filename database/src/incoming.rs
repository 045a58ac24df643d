//! What comes in: from the own composer, a peer or a file, all by the same gate.

use std::{
    num::NonZero,
    sync::{Arc, mpsc::sync_channel},
    thread,
};

use model::{EndpointKey, Entry, EntryError, Payload, PayloadId, Row, Unverified, Verified};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How an entry reached this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// Signed here.
    Local,
    /// From a peer.
    Peer(EndpointKey),
    /// From an imported file.
    File,
}

/// Bytes as they are stored and exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The entry.
    pub entry: Vec<u8>,
    /// Its payload, where it is at hand.
    pub payload: Option<Vec<u8>>,
}

/// The payload beside an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Header only.
    Withheld,
    /// Readable.
    Payload(Payload),
    /// The bytes are the ones the header names, but no payload: the author's fault.
    Unreadable(Vec<u8>),
}

impl Content {
    /// The bytes, where there are some.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Withheld => None,
            Self::Payload(payload) => Some(payload.bytes()),
            Self::Unreadable(bytes) => Some(bytes),
        }
    }

    pub(crate) fn into_row(self) -> Option<Arc<Row>> {
        match self {
            Self::Payload(payload) => Some(Arc::new(payload.row().clone())),
            Self::Withheld | Self::Unreadable(_) => None,
        }
    }
}

/// A verified entry with what came beside it.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub(crate) entry: Entry<Verified>,
    pub(crate) content: Content,
    pub(crate) source: Source,
}

/// Why a packet is refused before it comes in: always the deliverer's or the author's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// Not an entry, or not signed by its device.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The bytes beside it are another payload: the deliverer's fault.
    #[error("the payload beside the entry is not the one its header names")]
    OtherPayload,
}

impl Incoming {
    /// Puts an entry and the payload bytes that came with it together.
    ///
    /// # Errors
    /// When the bytes are not the payload that the header names.
    pub fn new(
        entry: Entry<Verified>,
        payload: Option<&[u8]>,
        source: Source,
    ) -> Result<Self, PacketError> {
        let header = entry.header();
        let content = match payload {
            None => Content::Withheld,
            Some(bytes) => {
                if PayloadId::of(bytes) != header.payload
                    || bytes.len() != header.payload_size as usize
                {
                    return Err(PacketError::OtherPayload);
                }
                match Payload::decode(bytes) {
                    Ok(payload) => Content::Payload(payload),
                    Err(_) => Content::Unreadable(bytes.to_vec()),
                }
            }
        };
        Ok(Self {
            entry,
            content,
            source,
        })
    }

    /// An entry just signed here, with its payload.
    ///
    /// # Errors
    /// When the payload is not the one that the header names.
    pub fn local(entry: Entry<Verified>, payload: Payload) -> Result<Self, PacketError> {
        let header = entry.header();
        if payload.id() != header.payload || payload.size() != header.payload_size {
            return Err(PacketError::OtherPayload);
        }
        Ok(Self {
            entry,
            content: Content::Payload(payload),
            source: Source::Local,
        })
    }

    /// The entry.
    pub fn entry(&self) -> &Entry<Verified> {
        &self.entry
    }

    /// What came beside it.
    pub fn content(&self) -> &Content {
        &self.content
    }
}

/// Decodes and verifies packets on all cores; results in the same order.
pub fn verify_batch(packets: Vec<Packet>, source: Source) -> Vec<Result<Incoming, PacketError>> {
    verify_part(&packets, source)
}

fn verify_part(packets: &[Packet], source: Source) -> Vec<Result<Incoming, PacketError>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = packets.len().div_ceil(cores).max(MIN_SHARE);
    if packets.len() <= share {
        return packets
            .iter()
            .map(|packet| verify_one(packet, source))
            .collect();
    }
    let mut results = Vec::with_capacity(packets.len());
    thread::scope(|scope| {
        let parts: Vec<_> = packets
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    part.iter()
                        .map(|packet| verify_one(packet, source))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for part in parts {
            match part.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    results
}

/// Gives verified packets to `take` in their order; those of a large batch are verified on other
/// threads while `take` works on the ones before.
pub fn verify_ahead<T>(
    packets: &[Packet],
    source: Source,
    take: impl FnOnce(&mut dyn Iterator<Item = Result<Incoming, PacketError>>) -> T,
) -> T {
    if packets.len() <= 2 * AHEAD {
        return take(&mut verify_part(packets, source).into_iter());
    }
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || {
            for part in packets.chunks(AHEAD) {
                if sender.send(verify_part(part, source)).is_err() {
                    // Nobody takes them any more.
                    return;
                }
            }
        });
        take(&mut receiver.into_iter().flatten())
    })
}

/// Packets verified at once ahead of those that are taken in.
const AHEAD: usize = 256;

/// Packets below which another thread costs more than it saves.
const MIN_SHARE: usize = 16;

fn verify_one(packet: &Packet, source: Source) -> Result<Incoming, PacketError> {
    let entry = Entry::<Unverified>::decode(&packet.entry)?.verify()?;
    Incoming::new(entry, packet.payload.as_deref(), source)
}
