//! The first bytes of a connection.

use super::WireFault;
use crate::InfoHash;

/// Bytes of a handshake.
pub const HANDSHAKE_BYTES: usize = 68;

/// How every connection begins (BEP 3).
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";
/// Says that extended messages are understood: byte and bit of the reserved ones (BEP 10).
const EXTENDED: (usize, u8) = (5, 0x10);
/// Says that the fast extension is understood (BEP 6).
const FAST: (usize, u8) = (7, 0x04);

/// What both sides say first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Which torrent.
    pub infohash: InfoHash,
    /// Who, as they say.
    pub peer_id: [u8; 20],
    /// Whether extended messages are understood (BEP 10).
    pub is_extended: bool,
    /// Whether the fast extension is understood (BEP 6).
    pub is_fast: bool,
}

impl Handshake {
    /// Reads the first bytes of a connection; none if they aren't all there.
    ///
    /// # Errors
    /// When they are none of a handshake, as soon as that shows.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, WireFault> {
        if !bytes
            .iter()
            .zip(PROTOCOL)
            .all(|(found, expected)| found == expected)
        {
            return Err(WireFault::Handshake);
        }
        let Some(bytes) = bytes.first_chunk::<HANDSHAKE_BYTES>() else {
            return Ok(None);
        };
        let (_, rest) = bytes.split_at(PROTOCOL.len());
        let (reserved, rest) = rest.split_at(8);
        let (ids, _) = rest.as_chunks::<20>();
        let says = |(byte, bit): (usize, u8)| reserved[byte] & bit != 0;
        Ok(Some(Self {
            infohash: InfoHash::from_bytes(ids[0]),
            peer_id: ids[1],
            is_extended: says(EXTENDED),
            is_fast: says(FAST),
        }))
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; HANDSHAKE_BYTES] {
        let mut reserved = [0; 8];
        for ((byte, bit), says) in [(EXTENDED, self.is_extended), (FAST, self.is_fast)] {
            reserved[byte] |= if says { bit } else { 0 };
        }
        let mut bytes = [0; HANDSHAKE_BYTES];
        let parts: [&[u8]; 4] = [PROTOCOL, &reserved, self.infohash.as_bytes(), &self.peer_id];
        bytes.copy_from_slice(&parts.concat());
        bytes
    }
}
