//! Whatever a peer sends is messages or refused, in bounds; what is read is written as it was.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use torrent::leech::wire::{
    BLOCK_BYTES, Extensions, Handshake, InfoMessage, MAX_CLIENT_BYTES, MAX_EXTENDED_BYTES, Message,
};

/// Pieces of the torrent that the peer shares.
const PIECES: u32 = 12;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(handshake)) = Handshake::decode(bytes) {
        assert_eq!(Handshake::decode(&handshake.encode()), Ok(Some(handshake)));
    }
    let mut inbox = BytesMut::from(bytes);
    loop {
        let before = inbox.clone();
        let (message, length) = match Message::decode(&mut inbox, PIECES) {
            Ok(Some(read)) => read,
            Ok(None) => {
                assert_eq!(inbox, before);
                assert!(inbox.len() < 4 + 1 + MAX_EXTENDED_BYTES);
                return;
            }
            Err(_) => return,
        };
        assert_eq!(inbox, before[length..]);
        if let Message::Piece { piece, bytes, .. } = &message {
            assert!(*piece < PIECES && bytes.len() <= BLOCK_BYTES as usize);
        }
        if let Message::Extended { payload, .. } = &message {
            extended(payload);
        }
        let mut written = BytesMut::new();
        message.encode(&mut written);
        assert!(matches!(message, Message::Other(_)) || written == before[..length]);
    }
});

fn extended(payload: &Bytes) {
    let extensions = Extensions::decode(payload);
    let client = extensions.client.as_deref().unwrap_or_default();
    assert!(client.len() <= MAX_CLIENT_BYTES);
    assert_eq!(Extensions::decode(&extensions.encode()), extensions);
    if let Some(message) = InfoMessage::decode(payload) {
        assert_eq!(InfoMessage::decode(&message.encode(9)), Some(message));
    }
}
