//! The decoders of schemas, frames and gossip messages against inputs that are almost right: none
//! may panic, and what is let through reads the same when written again. The same in every run.
#![allow(clippy::unwrap_used)]

use data_encoding::HEXLOWER;
use database::schema::{self, Schema};
use gossip::{
    Content, Digest, Fingerprint, MemoryReplica, Packet, Scope,
    live::Message,
    sync::{Answer, Frame, Hello, Session, VERSION},
};
use model::{EndpointKey, EntryId, SpaceId};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const INPUTS: usize = 100_000;
/// Schemas are long and their parser is slow without optimisation.
const SCHEMAS: usize = 20_000;

/// One of the corpus, changed in one to four places.
fn mutated(dice: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[dice.random_range(0..corpus.len())].clone();
    for _ in 0..dice.random_range(1..=4) {
        let at = dice.random_range(0..=bytes.len());
        match dice.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = dice.random(),
            2 => bytes.insert(at, dice.random()),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            _ => {
                let other = &corpus[dice.random_range(0..corpus.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[dice.random_range(0..=other.len())..]);
            }
        }
    }
    bytes
}

fn entry(byte: u8) -> EntryId {
    EntryId::from_bytes([byte; 32])
}

fn space() -> SpaceId {
    SpaceId::from_bytes([9; 32])
}

fn digest() -> Digest {
    Digest {
        root: entry(1),
        last_ms: 1_790_000_000_000,
        entries: 3,
        fingerprint: Fingerprint::of(&[entry(1)]),
    }
}

fn packets() -> Vec<Packet> {
    let vectors = include_str!("../docs/protocol/entry-vectors.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let bytes =
        |value: &serde_json::Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
    let all = vectors["entries"]["valid"].as_array().unwrap();
    let packets = all.iter().map(|vector| Packet {
        entry: bytes(&vector["bytes"]),
        content: Content::Held(bytes(&vector["payload"]["bytes"])),
    });
    packets.take(3).collect()
}

fn frames() -> Vec<Vec<u8>> {
    let set = Fingerprint::of(&[entry(1), entry(2)]);
    let open = |scope| Frame::Open {
        scope,
        set,
        authority: Some(set),
    };
    [
        Frame::Hello(Hello {
            version: VERSION,
            capabilities: 0,
            clock_ms: 1,
        }),
        open(Scope::thread(space(), entry(1))),
        open(Scope::space(space())),
        open(Scope::authority(space())),
        open(Scope::Entries),
        Frame::Opened(Answer::Differs),
        Frame::Authorities {
            list: vec![(space(), set)],
            more: false,
        },
        Frame::Reconcile {
            message: vec![0x61, 0, 0, 2, 1],
        },
        Frame::Want {
            ids: vec![entry(1), entry(2)],
        },
        Frame::Offer {
            ids: vec![entry(3)],
        },
        Frame::Packets { packets: packets() },
        Frame::Missing {
            ids: vec![entry(4)],
        },
        Frame::WantDigests {
            hashes: vec![[7; 32]],
        },
        Frame::Digests {
            digests: vec![digest()],
        },
        Frame::Holdings {
            statements: vec![vec![1; 140]],
        },
        Frame::Close,
        Frame::Closed,
    ]
    .iter()
    .map(Frame::encode)
    .collect()
}

#[test]
fn frames_survive_mutation() {
    let (mut dice, corpus) = (StdRng::seed_from_u64(1), frames());
    for _ in 0..INPUTS {
        if let Ok(frame) = Frame::decode(&mutated(&mut dice, &corpus)) {
            assert_eq!(Frame::decode(&frame.encode()).unwrap(), frame);
        }
    }
}

#[test]
fn messages_survive_mutation() {
    let mut corpus: Vec<_> = packets()
        .into_iter()
        .flat_map(|packet| Message::of_entries(space(), None, vec![packet]))
        .chain(Message::of_digests(space(), &[digest()]))
        .chain(Message::of_holdings(vec![vec![1; 140]]))
        .map(|message| message.encode())
        .collect();
    let ids = vec![entry(1), entry(2)];
    corpus.push(
        Message::Announce {
            space: space(),
            root: Some(entry(1)),
            ids,
        }
        .encode(),
    );
    let mut dice = StdRng::seed_from_u64(2);
    for _ in 0..INPUTS {
        if let Ok(message) = Message::decode(&mutated(&mut dice, &corpus)) {
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        }
    }
}

/// A peer that knows the frames, and sends them in any order and a little wrong.
#[test]
fn sessions_survive_any_order_of_frames() {
    let (mut dice, corpus) = (StdRng::seed_from_u64(3), frames());
    let peer = EndpointKey::from_bytes([5; 32]);
    let (mut over, mut heard) = (0, 0);
    for _ in 0..INPUTS / 20 {
        let replica = MemoryReplica::new();
        let mut session = match dice.random_range(0..3) {
            0 => Session::respond(peer, 0),
            1 => Session::fetch(peer, vec![entry(1)], 0),
            _ => Session::initiate(
                peer,
                vec![Scope::thread(space(), entry(1)), Scope::space(space())],
                0,
            ),
        };
        session.receive(&corpus[0], 0, &replica).unwrap();
        for _ in 0..20 {
            while let Ok(Some(_)) = session.transmit(&replica) {}
            let frame = if dice.random_bool(0.7) {
                corpus[dice.random_range(1..corpus.len())].clone()
            } else {
                mutated(&mut dice, &corpus)
            };
            if session.receive(&frame, 1, &replica).is_err() {
                over += 1;
                break;
            }
            heard += 1;
            session.take_news();
        }
    }
    assert!(
        over > 0 && heard > 0,
        "{over} sessions over, {heard} frames taken"
    );
}

#[test]
fn schemas_survive_mutation() {
    let built_in = [schema::forum(), schema::profile()];
    let corpus: Vec<_> = built_in
        .map(|schema| schema.text().as_bytes().to_vec())
        .into();
    let mut dice = StdRng::seed_from_u64(4);
    for _ in 0..SCHEMAS {
        let text = mutated(&mut dice, &corpus);
        if let Ok(schema) = Schema::parse(&String::from_utf8_lossy(&text)) {
            assert_eq!(Schema::parse(schema.text()).unwrap().text(), schema.text());
        }
    }
}
