use bytes::{Bytes, BytesMut};

use super::*;
use crate::InfoHash;

/// Pieces of the torrent in these tables: a bitfield has two bytes.
const PIECES: u32 = 12;

fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, WireFault> {
    Message::decode(&mut BytesMut::from(bytes), PIECES)
}

fn block() -> Block {
    Block {
        piece: 11,
        begin: 0x0102_0304,
        length: 0x4000,
    }
}

#[test]
fn messages_are_written_and_read() {
    let bytes = Bytes::from_static;
    let request = b"\0\0\0\x0d\x06\0\0\0\x0b\x01\x02\x03\x04\0\0\x40\0";
    let cancel = b"\0\0\0\x0d\x08\0\0\0\x0b\x01\x02\x03\x04\0\0\x40\0";
    let reject = b"\0\0\0\x0d\x10\0\0\0\x0b\x01\x02\x03\x04\0\0\x40\0";
    let piece = Message::Piece {
        piece: 3,
        begin: 0x4000,
        bytes: bytes(b"block"),
    };
    let extended = Message::Extended {
        id: 7,
        payload: bytes(b"de"),
    };
    let table: [(Message, &[u8]); 16] = [
        (Message::KeepAlive, b"\0\0\0\0"),
        (Message::Choke, b"\0\0\0\x01\0"),
        (Message::Unchoke, b"\0\0\0\x01\x01"),
        (Message::Interested, b"\0\0\0\x01\x02"),
        (Message::NotInterested, b"\0\0\0\x01\x03"),
        (Message::Have(11), b"\0\0\0\x05\x04\0\0\0\x0b"),
        (
            Message::Bitfield(bytes(b"\xff\x50")),
            b"\0\0\0\x03\x05\xff\x50",
        ),
        (Message::Request(block()), request),
        (piece, b"\0\0\0\x0e\x07\0\0\0\x03\0\0\x40\0block"),
        (Message::Cancel(block()), cancel),
        (Message::Other(9), b"\0\0\0\x01\x09"),
        (Message::HaveAll, b"\0\0\0\x01\x0e"),
        (Message::HaveNone, b"\0\0\0\x01\x0f"),
        (Message::Reject(block()), reject),
        (extended, b"\0\0\0\x04\x14\x07de"),
        (Message::Other(255), b"\0\0\0\x01\xff"),
    ];
    for (message, expected) in table {
        let mut written = BytesMut::new();
        message.encode(&mut written);
        assert_eq!(written, expected, "{message:?}");
        for short in 0..expected.len() {
            assert_eq!(decode(&expected[..short]), Ok(None), "{message:?}");
        }
        let read = Some((message, expected.len()));
        assert_eq!(decode(&[expected, b"more"].concat()), Ok(read));
    }
}

#[test]
fn messages_that_nobody_looks_at_are_passed_over_whole() {
    // the DHT's port, an allowed fast piece, and what may be invented yet
    for bytes in [
        &b"\0\0\0\x03\x09\x1a\xe1"[..],
        b"\0\0\0\x05\x11\0\0\0\x01",
        b"\0\0\0\x02\x63x",
    ] {
        let mut inbox = BytesMut::from(bytes);
        inbox.extend_from_slice(b"\0\0\0\x01\x01");
        let read = Message::decode(&mut inbox, PIECES);
        assert_eq!(read, Ok(Some((Message::Other(bytes[4]), bytes.len()))));
        let read = Message::decode(&mut inbox, PIECES);
        assert_eq!(read, Ok(Some((Message::Unchoke, 5))));
        assert!(inbox.is_empty());
    }
}

#[test]
fn lengths_that_a_kind_cannot_have_are_refused_by_the_first_bytes() {
    for (kind, good, bad) in [
        (0, &[1][..], &[2, 100, u32::MAX][..]),
        (1, &[1], &[2]),
        (2, &[1], &[2]),
        (3, &[1], &[2]),
        (4, &[5], &[1, 4, 6, u32::MAX]),
        (5, &[3], &[1, 2, 4, u32::MAX]),
        (6, &[13], &[1, 12, 14]),
        (7, &[9, 10, 16_393], &[1, 8, 16_394, u32::MAX]),
        (8, &[13], &[12, 14]),
        (14, &[1], &[2]),
        (15, &[1], &[2]),
        (16, &[13], &[12, 14]),
        (20, &[2, 65_537], &[1, 65_538, u32::MAX]),
        (99, &[1, 65_537], &[65_538, u32::MAX]),
    ] {
        let head = |length: u32| [&length.to_be_bytes()[..], &[kind]].concat();
        for length in good {
            assert!(decode(&head(*length)).is_ok(), "{kind} {length}");
        }
        for length in bad {
            let (id, length) = (kind, *length as usize);
            let refused = Err(WireFault::Length { id, length });
            assert_eq!(decode(&head(u32::try_from(length).unwrap())), refused);
        }
    }
}

#[test]
fn pieces_that_the_torrent_has_not_are_refused() {
    for bytes in [
        &b"\0\0\0\x05\x04\0\0\0\x0c"[..],
        b"\0\0\0\x0d\x06\0\0\0\x0c\0\0\0\0\0\0\x40\0",
        b"\0\0\0\x0a\x07\0\0\0\x0c\0\0\0\0b",
        b"\0\0\0\x0d\x10\0\0\0\x0c\0\0\0\0\0\0\x40\0",
    ] {
        let (piece, pieces) = (12, PIECES);
        assert_eq!(decode(bytes), Err(WireFault::Piece { piece, pieces }));
    }
}

#[test]
fn handshakes_are_written_and_read() {
    for (is_extended, is_fast, reserved) in [
        (false, false, [0, 0, 0, 0, 0, 0, 0, 0]),
        (true, false, [0, 0, 0, 0, 0, 0x10, 0, 0]),
        (false, true, [0, 0, 0, 0, 0, 0, 0, 0x04]),
        (true, true, [0, 0, 0, 0, 0, 0x10, 0, 0x04]),
    ] {
        let handshake = Handshake {
            infohash: InfoHash::from_bytes([1; 20]),
            peer_id: [2; 20],
            is_extended,
            is_fast,
        };
        let bytes = handshake.encode();
        let expected = [
            &b"\x13BitTorrent protocol"[..],
            &reserved,
            &[1; 20],
            &[2; 20],
        ];
        assert_eq!(bytes[..], expected.concat());
        assert_eq!(Handshake::decode(&bytes), Ok(Some(handshake)));
        assert_eq!(Handshake::decode(&bytes[..67]), Ok(None));
        let more = [&bytes[..], b"more"].concat();
        assert_eq!(Handshake::decode(&more), Ok(Some(handshake)));
    }
    // other reserved bits mean nothing here: the DHT (BEP 5), BitTorrent 2 (BEP 52)
    let mut bytes = Handshake {
        infohash: InfoHash::from_bytes([1; 20]),
        peer_id: [2; 20],
        is_extended: false,
        is_fast: false,
    }
    .encode();
    bytes[27] = 0x11;
    let read = Handshake::decode(&bytes).unwrap().unwrap();
    assert!(!read.is_fast && !read.is_extended);
    for bad in [&b"\x14"[..], b"\x13bit", b"GET / HTTP/1.1", &[0; 68]] {
        assert_eq!(Handshake::decode(bad), Err(WireFault::Handshake));
    }
    assert_eq!(Handshake::decode(b""), Ok(None));
}

#[test]
fn extensions_are_written_and_read() {
    let ours = Extensions {
        info_id: Some(1),
        info_bytes: Some(5),
        max_requests: Some(250),
        client: Some("a client".to_owned()),
    };
    let bytes = b"d1:md11:ut_metadatai1ee13:metadata_sizei5e4:reqqi250e1:v8:a cliente";
    assert_eq!(ours.encode(), bytes);
    assert_eq!(Extensions::decode(bytes), ours);
    assert_eq!(Extensions::default().encode(), b"d1:mdee");
    let long = format!("d1:v{}:{}e", 4000, "x".repeat(4000));
    let client = Extensions::decode(long.as_bytes()).client.unwrap();
    assert!(client.len() <= MAX_CLIENT_BYTES);
    // what can't be is left out
    for bad in [
        &b""[..],
        b"i5e",
        b"d1:mle13:metadata_sizei-1e4:reqqi4294967296e1:v1:\xffe",
        b"d1:md11:ut_metadatai0eee",
        b"d1:md11:ut_metadatai256eee",
        b"d1:md11:ut_metadata1:1eee",
        // keys out of order
        b"d4:reqqi5e1:mdee",
        &[b'l'; 1000],
    ] {
        assert_eq!(Extensions::decode(bad), Extensions::default());
    }
}

#[test]
fn messages_about_the_info_dictionary_are_written_and_read() {
    let part = InfoMessage::Part {
        index: 3,
        bytes: b"part",
    };
    let table: [(InfoMessage<'_>, &[u8]); 3] = [
        (InfoMessage::Request(0), b"d8:msg_typei0e5:piecei0ee"),
        (part, b"d8:msg_typei1e5:piecei3e10:total_sizei9eepart"),
        (InfoMessage::Reject(7), b"d8:msg_typei2e5:piecei7ee"),
    ];
    for (message, bytes) in table {
        assert_eq!(message.encode(9), bytes);
        assert_eq!(InfoMessage::decode(bytes), Some(message));
    }
    for bad in [
        &b""[..],
        b"part",
        b"d8:msg_typei0ee",
        b"d5:piecei0ee",
        b"d8:msg_typei3e5:piecei0ee",
        b"d8:msg_typei0e5:piecei-1ee",
        b"d8:msg_typei0e5:piecei4294967296ee",
    ] {
        assert_eq!(InfoMessage::decode(bad), None);
    }
}
