//! Messages of the peer protocol, as bytes (BEP 3, 6, 10).
//!
//! Not by librqbit-peer-protocol: its decoder has no limit (a frame that claims 4 GiB is "not
//! enough data" until 4 GiB are there), gives up at message ids that it doesn't know instead of
//! passing over them, so that there is no BEP 6 and no later extension, and decodes extended
//! messages that nobody announced. Here a frame is refused by its first five bytes when it is
//! longer than its kind can be.

mod extended;
mod handshake;
#[cfg(test)]
mod tests;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

pub use extended::{Extensions, InfoMessage, MAX_CLIENT_BYTES};
pub use handshake::{HANDSHAKE_BYTES, Handshake};

/// Bytes of a block, but for a piece's last: more is refused by most, and some want all aligned.
pub const BLOCK_BYTES: u32 = 16 << 10;
/// The longest extended message or one of an unknown kind, bytes.
pub const MAX_EXTENDED_BYTES: usize = 64 << 10;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;
/// Bytes before a block in its message.
const PIECE_HEAD_BYTES: usize = 8;

/// Why bytes are none of the peer protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireFault {
    /// The connection doesn't begin as it must.
    #[error("not a BitTorrent handshake")]
    Handshake,
    /// A message of a length that its kind can't have.
    #[error("a message of kind {id} and {length} bytes")]
    Length {
        /// Its kind.
        id: u8,
        /// Bytes, with the kind's.
        length: usize,
    },
    /// A piece that the torrent hasn't.
    #[error("piece {piece} of {pieces}")]
    Piece {
        /// The piece's index.
        piece: u32,
        /// As many the torrent has.
        pieces: u32,
    },
    /// A bitfield with bits set behind the last piece.
    #[error("a bitfield with spare bits set")]
    SpareBits,
    /// More talk than there is to say.
    #[error("more messages than there is to say")]
    Chatter,
}

/// Part of a piece, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// The piece's index.
    pub piece: u32,
    /// Where in the piece, bytes.
    pub begin: u32,
    /// As many bytes.
    pub length: u32,
}

/// A message of the peer protocol (BEP 3; fast extension: BEP 6; extended: BEP 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Nothing, so that the connection isn't given up.
    KeepAlive,
    /// Requests are not answered from now on.
    Choke,
    /// Requests are answered from now on.
    Unchoke,
    /// The sender would ask for something.
    Interested,
    /// The sender would ask for nothing.
    NotInterested,
    /// The sender has this piece now.
    Have(u32),
    /// What the sender has, piece by piece.
    Bitfield(Bytes),
    /// Wants a block.
    Request(Block),
    /// A block.
    Piece {
        /// The piece's index.
        piece: u32,
        /// Where in the piece, bytes.
        begin: u32,
        /// The block's bytes.
        bytes: Bytes,
    },
    /// Doesn't want a block any more.
    Cancel(Block),
    /// The sender has all pieces (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// A request that isn't answered (BEP 6).
    Reject(Block),
    /// A message of an extension (BEP 10): 0 is the handshake, others as the receiver said.
    Extended {
        /// Whose.
        id: u8,
        /// The extension's own bytes.
        payload: Bytes,
    },
    /// Of a kind that is not looked at; so are the DHT's port (BEP 5), suggestions and allowed fast
    /// pieces (BEP 6).
    Other(u8),
}

mod id {
    pub const CHOKE: u8 = 0;
    pub const UNCHOKE: u8 = 1;
    pub const INTERESTED: u8 = 2;
    pub const NOT_INTERESTED: u8 = 3;
    pub const HAVE: u8 = 4;
    pub const BITFIELD: u8 = 5;
    pub const REQUEST: u8 = 6;
    pub const PIECE: u8 = 7;
    pub const CANCEL: u8 = 8;
    pub const HAVE_ALL: u8 = 14;
    pub const HAVE_NONE: u8 = 15;
    pub const REJECT: u8 = 16;
    pub const EXTENDED: u8 = 20;
}

impl Message {
    /// Takes the first message from what was received of a peer that shares a torrent of as many
    /// pieces, with its length in bytes; none if it isn't whole yet.
    ///
    /// # Errors
    /// When the message can't be one, as soon as its kind and length are there.
    pub fn decode(inbox: &mut BytesMut, pieces: u32) -> Result<Option<(Self, usize)>, WireFault> {
        let Some((head, rest)) = inbox.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head) as usize;
        if length == 0 {
            inbox.advance(LENGTH_BYTES);
            return Ok(Some((Self::KeepAlive, LENGTH_BYTES)));
        }
        let Some(kind) = rest.first().copied() else {
            return Ok(None);
        };
        if !may_be(kind, length - 1, pieces) {
            return Err(WireFault::Length { id: kind, length });
        }
        let Some(body) = rest.get(1..length) else {
            return Ok(None);
        };
        let message = read(kind, body, pieces)?;
        inbox.advance(LENGTH_BYTES + length);
        Ok(Some((message, LENGTH_BYTES + length)))
    }

    /// Appends the message.
    pub fn encode(&self, outbox: &mut BytesMut) {
        match self {
            Self::KeepAlive => outbox.put_u32(0),
            Self::Choke => put(outbox, id::CHOKE, &[], &[]),
            Self::Unchoke => put(outbox, id::UNCHOKE, &[], &[]),
            Self::Interested => put(outbox, id::INTERESTED, &[], &[]),
            Self::NotInterested => put(outbox, id::NOT_INTERESTED, &[], &[]),
            Self::Have(piece) => put(outbox, id::HAVE, &piece.to_be_bytes(), &[]),
            Self::Bitfield(bits) => put(outbox, id::BITFIELD, &[], bits),
            Self::Request(block) => put(outbox, id::REQUEST, &block.to_bytes(), &[]),
            Self::Piece {
                piece,
                begin,
                bytes,
            } => {
                let head = [piece.to_be_bytes(), begin.to_be_bytes()];
                put(outbox, id::PIECE, head.as_flattened(), bytes);
            }
            Self::Cancel(block) => put(outbox, id::CANCEL, &block.to_bytes(), &[]),
            Self::HaveAll => put(outbox, id::HAVE_ALL, &[], &[]),
            Self::HaveNone => put(outbox, id::HAVE_NONE, &[], &[]),
            Self::Reject(block) => put(outbox, id::REJECT, &block.to_bytes(), &[]),
            Self::Extended { id, payload } => put(outbox, id::EXTENDED, &[*id], payload),
            Self::Other(id) => put(outbox, *id, &[], &[]),
        }
    }
}

impl Block {
    const BYTES: usize = 12;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = [self.piece, self.begin, self.length];
        for (to, number) in bytes.as_chunks_mut().0.iter_mut().zip(numbers) {
            *to = number.to_be_bytes();
        }
        bytes
    }
}

fn put(outbox: &mut BytesMut, id: u8, head: &[u8], body: &[u8]) {
    let length = u32::try_from(1 + head.len() + body.len());
    outbox.put_u32(length.expect("what is sent is shorter than 4 GiB"));
    outbox.put_u8(id);
    outbox.put_slice(head);
    outbox.put_slice(body);
}

/// Whether a message of this kind may have a body of as many bytes.
fn may_be(kind: u8, bytes: usize, pieces: u32) -> bool {
    match kind {
        id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED => bytes == 0,
        id::HAVE_ALL | id::HAVE_NONE => bytes == 0,
        id::HAVE => bytes == size_of::<u32>(),
        id::BITFIELD => bytes == super::have::bytes_of(pieces),
        id::REQUEST | id::CANCEL | id::REJECT => bytes == Block::BYTES,
        id::PIECE => (PIECE_HEAD_BYTES..=PIECE_HEAD_BYTES + BLOCK_BYTES as usize).contains(&bytes),
        id::EXTENDED => (1..=MAX_EXTENDED_BYTES).contains(&bytes),
        _ => bytes <= MAX_EXTENDED_BYTES,
    }
}

/// Reads a message whose length its kind may have.
fn read(kind: u8, mut body: &[u8], pieces: u32) -> Result<Message, WireFault> {
    Ok(match kind {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(read_piece(&mut body, pieces)?),
        id::BITFIELD => Message::Bitfield(Bytes::copy_from_slice(body)),
        id::REQUEST => Message::Request(read_block(body, pieces)?),
        id::PIECE => Message::Piece {
            piece: read_piece(&mut body, pieces)?,
            begin: body.get_u32(),
            bytes: Bytes::copy_from_slice(body),
        },
        id::CANCEL => Message::Cancel(read_block(body, pieces)?),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT => Message::Reject(read_block(body, pieces)?),
        id::EXTENDED => Message::Extended {
            id: body.get_u8(),
            payload: Bytes::copy_from_slice(body),
        },
        other => Message::Other(other),
    })
}

fn read_block(mut body: &[u8], pieces: u32) -> Result<Block, WireFault> {
    Ok(Block {
        piece: read_piece(&mut body, pieces)?,
        begin: body.get_u32(),
        length: body.get_u32(),
    })
}

fn read_piece(body: &mut &[u8], pieces: u32) -> Result<u32, WireFault> {
    let piece = body.get_u32();
    if piece < pieces {
        Ok(piece)
    } else {
        Err(WireFault::Piece { piece, pieces })
    }
}
