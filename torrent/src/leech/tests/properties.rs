//! Whatever a peer says, in whatever parts and at whatever times.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};

use super::{MIB, talk::Talk};
use crate::leech::wire::{Block, Extensions, Handshake, InfoMessage, MAX_EXTENDED_BYTES, Message};

/// Bytes of the torrent in these tests, and its pieces.
const LENGTH_BYTES: u64 = 9 * MIB + 1;
const PIECES: u32 = 10;

fn any_bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn any_block() -> impl Strategy<Value = Block> {
    (
        0..PIECES,
        0..70_u32,
        prop_oneof![Just(16_384), any::<u32>()],
    )
        .prop_map(|(piece, number, length)| Block {
            piece,
            begin: number * 16_384,
            length,
        })
}

/// What a peer may say at any time.
fn any_talk() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        (0..PIECES).prop_map(Message::Have),
        Just(Message::HaveAll),
        any_block().prop_map(Message::Request),
        any_block().prop_map(Message::Cancel),
        (0..4_u8, any_payload()).prop_map(|(id, payload)| Message::Extended {
            id,
            payload: payload.into(),
        }),
        (21..=255_u8).prop_map(Message::Other),
    ]
}

/// What a peer may say with an extension.
fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_bytes(100).prop_map(|bytes| [&bytes[..], b"x"].concat()),
        any_extensions().prop_map(|extensions| extensions.encode()),
        (0..3_u32, 0..20_000_usize).prop_map(|(index, length)| {
            let bytes = &vec![0; length][..];
            InfoMessage::Part { index, bytes }.encode(length as u64)
        }),
        (0..3_u32).prop_map(|index| InfoMessage::Reject(index).encode(0)),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let piece = (any_block(), prop_oneof![Just(16_384), 0..=16_384_usize]);
    let piece = piece.prop_map(|(block, length)| Message::Piece {
        piece: block.piece,
        begin: block.begin,
        bytes: Bytes::from(vec![0; length]),
    });
    prop_oneof![
        any_talk(),
        vec(any::<u8>(), 2).prop_map(|bits| Message::Bitfield(bits.into())),
        Just(Message::HaveNone),
        any_block().prop_map(Message::Reject),
        piece,
    ]
}

fn any_extensions() -> impl Strategy<Value = Extensions> {
    let size = prop_oneof![0..40_000_u64, any::<u64>()];
    let (id, size) = (proptest::option::of(1..5_u8), proptest::option::of(size));
    let requests = proptest::option::of(any::<u32>());
    (id, size, requests).prop_map(|(info_id, info_bytes, max_requests)| Extensions {
        info_id,
        info_bytes: info_bytes.filter(|bytes| *bytes < 1 << 62),
        max_requests,
        client: None,
    })
}

/// What happens to a connection.
#[derive(Clone, Debug)]
enum Step {
    Says(Message),
    SaysBytes(Bytes),
    /// Answers one of what it was asked for.
    Gives(usize),
    Refuses(usize),
    Waits(u64),
    Reads(u64, u64),
    EndsRead(usize),
    Takes(usize),
    WantsInfo,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any_message().prop_map(Step::Says),
        1 => any_bytes(40).prop_map(Step::SaysBytes),
        40 => any_talk().prop_map(Step::Says),
        80 => any::<usize>().prop_map(Step::Gives),
        20 => any::<usize>().prop_map(Step::Refuses),
        20 => (0..5000_u64).prop_map(Step::Waits),
        20 => (0..=LENGTH_BYTES, 0..=LENGTH_BYTES).prop_map(|(a, b)| Step::Reads(a, b)),
        10 => any::<usize>().prop_map(Step::EndsRead),
        30 => any::<usize>().prop_map(Step::Takes),
        10 => Just(Step::WantsInfo),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_messages_or_none(bytes in vec(any::<u8>(), 0..300), pieces in 0..100_u32) {
        let mut inbox = BytesMut::from(&bytes[..]);
        let mut read = 0;
        while let Ok(Some((_, length))) = Message::decode(&mut inbox, pieces) {
            read += length;
            prop_assert_eq!(&inbox[..], &bytes[read..]);
        }
    }

    #[test]
    fn messages_come_in_any_parts(messages in vec(any_message(), 0..20), part in 1..500_usize) {
        let mut bytes = BytesMut::new();
        for message in &messages {
            message.encode(&mut bytes);
        }
        let (mut inbox, mut read) = (BytesMut::new(), Vec::new());
        for part in bytes.chunks(part) {
            inbox.extend_from_slice(part);
            while let Some((message, _)) = Message::decode(&mut inbox, PIECES).unwrap() {
                read.push(message);
            }
            prop_assert!(inbox.len() <= MAX_EXTENDED_BYTES + 5);
        }
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn handshakes_and_extensions_are_any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Handshake::decode(&bytes);
        let _ = Handshake::decode(&[&b"\x13BitTorrent protocol"[..], &bytes].concat());
        let _ = InfoMessage::decode(&bytes);
        let extensions = Extensions::decode(&bytes);
        prop_assert_eq!(Extensions::decode(&extensions.encode()), extensions);
    }

    #[test]
    fn no_peer_brings_a_connection_into_disorder(
        is_fast in any::<bool>(),
        steps in vec(any_step(), 0..200),
    ) {
        let mut talk = Talk::open(LENGTH_BYTES, is_fast);
        let (mut reads, mut asked) = (Vec::new(), Vec::new());
        for step in steps {
            let done = match step {
                Step::Says(message) => talk.says(&message),
                Step::SaysBytes(bytes) => talk.says_bytes(&bytes),
                Step::Gives(at) if !asked.is_empty() => {
                    talk.gives(asked.swap_remove(at % asked.len()))
                }
                Step::Refuses(at) if !asked.is_empty() => {
                    let block = asked.swap_remove(at % asked.len());
                    talk.says(&Message::Reject(block))
                }
                Step::Waits(time_ms) => talk.waits(Duration::from_millis(time_ms)),
                Step::Reads(a, b) => {
                    reads.extend(talk.core.read(a.min(b)..a.max(b)));
                    Ok(())
                }
                Step::EndsRead(at) if !reads.is_empty() => {
                    let id = reads.swap_remove(at % reads.len());
                    talk.core.end_read(id);
                    Ok(())
                }
                Step::Takes(at) if !reads.is_empty() => {
                    talk.takes(reads[at % reads.len()]);
                    Ok(())
                }
                Step::WantsInfo => {
                    talk.core.want_info(talk.now);
                    Ok(())
                }
                Step::Gives(_) | Step::Refuses(_) | Step::EndsRead(_) | Step::Takes(_) => Ok(()),
            };
            if done.is_err() {
                break;
            }
            for message in talk.hears() {
                match message {
                    Message::Request(block) => asked.push(block),
                    Message::Cancel(block) => asked.retain(|other| *other != block),
                    _ => {}
                }
            }
        }
    }
}
