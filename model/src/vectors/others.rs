//! Payloads, holding statements, tickets and derived values of the vectors.

use data_encoding::BASE32_NOPAD;
use serde_json::{Value, json};

use crate::{
    BlobId, EndpointKey, EntryId, Holding, Ipld, Item, Payload, RelayHint, SpaceId, Ticket, limits,
    root_key_from_seed, successor_commitment, topic_of_space, topic_of_thread,
};

use super::{
    craft::{TIME_MS, encode, payload, text},
    file, hex, holding_reason, ipld_json, key, list, payload_reason, ticket_reason, unhex,
};

fn int(value: i128) -> Ipld {
    Ipld::Integer(value)
}

/// Lists inside each other, so many levels of them.
fn nested(levels: usize) -> Ipld {
    (1..levels).fold(Ipld::List(Vec::new()), |inner, _| Ipld::List(vec![inner]))
}

pub(super) fn valid_payloads() -> Vec<Value> {
    let record = Ipld::Map([("b".to_owned(), int(1)), ("aa".to_owned(), int(2))].into());
    [
        ("empty row", payload(1, &[])),
        (
            "every kind of value",
            payload(
                2,
                &[
                    ("bool", Ipld::Bool(true)),
                    ("bytes", Ipld::Bytes(vec![0, 255])),
                    ("int", int(i128::from(i64::MIN))),
                    ("link", Ipld::Link(BlobId::of(b"blob").to_cid())),
                    ("list", Ipld::List(vec![int(-1), int(24), int(256)])),
                    ("record", record),
                    ("text", text("Ü🎬")),
                ],
            ),
        ),
        (
            "as deep as allowed",
            payload(3, &[("deep", nested(limits::PAYLOAD_NESTING))]),
        ),
    ]
    .into_iter()
    .map(|(name, payload)| {
        json!({
            "name": name,
            "bytes": hex(payload.bytes()),
            "id": payload.id().to_string(),
            "row": ipld_json(&Ipld::Map(payload.row().clone())),
        })
    })
    .collect()
}

fn salted(row: Ipld) -> Vec<u8> {
    encode(&Ipld::List(vec![Ipld::Bytes(vec![9; 16]), row]))
}

fn column(value: Ipld) -> Vec<u8> {
    salted(Ipld::Map([("a".to_owned(), value)].into()))
}

pub(super) fn invalid_payloads() -> Vec<Value> {
    let empty = salted(Ipld::Map([].into()));
    let with_salt = |bytes: usize| {
        encode(&Ipld::List(vec![
            Ipld::Bytes(vec![9; bytes]),
            Ipld::Map([].into()),
        ]))
    };
    let swapped = [&empty[..empty.len() - 1], b"\xa2\x61b\x01\x61a\x01"].concat();
    let twice = [&empty[..empty.len() - 1], b"\xa2\x61a\x01\x61a\x01"].concat();
    let padded = [&empty[..empty.len() - 1], b"\xa1\x61a\x18\x01"].concat();
    [
        ("no bytes at all", "cbor", Vec::new()),
        (
            "last byte missing",
            "cbor",
            empty[..empty.len() - 1].to_vec(),
        ),
        (
            "one byte after the end",
            "cbor",
            [&empty[..], &[0]].concat(),
        ),
        (
            "65537 bytes",
            "too_long",
            vec![0; limits::PAYLOAD_BYTES + 1],
        ),
        ("a row without salt", "shape", encode(&Ipld::Map([].into()))),
        ("salt of 15 bytes", "shape", with_salt(15)),
        ("salt of 17 bytes", "shape", with_salt(17)),
        (
            "a list instead of the row",
            "shape",
            salted(Ipld::List(Vec::new())),
        ),
        (
            "three items",
            "shape",
            encode(&Ipld::List(vec![
                Ipld::Bytes(vec![9; 16]),
                Ipld::Map([].into()),
                int(1),
            ])),
        ),
        ("columns not in order", "cbor", swapped),
        ("column twice", "cbor", twice),
        ("integer not minimal", "cbor", padded),
        ("null", "value", column(Ipld::Null)),
        ("float", "value", column(Ipld::Float(0.5))),
        ("integer of 2^63", "value", column(int(1 << 63))),
        ("integer below -2^63", "value", column(int(-(1 << 63) - 1))),
        (
            "one level too deep",
            "value",
            column(nested(limits::PAYLOAD_NESTING + 1)),
        ),
        (
            "null inside a record",
            "value",
            column(Ipld::Map([("a".to_owned(), Ipld::Null)].into())),
        ),
    ]
    .into_iter()
    .map(|(name, reason, bytes)| json!({ "name": name, "reason": reason, "bytes": hex(&bytes) }))
    .collect()
}

fn statement(items: Vec<Item>) -> Holding {
    Holding::sign(&key("bob device"), items, TIME_MS, TIME_MS + 60_000).unwrap()
}

pub(super) fn valid_holdings() -> Vec<Value> {
    let (blob, post) = (
        Item::Blob(BlobId::of(b"a film")),
        Item::Post(EntryId::of(b"a post")),
    );
    [
        ("a blob and a post", statement(vec![blob, post])),
        (
            "as many items as allowed",
            statement(vec![blob; limits::HOLDING_ITEMS]),
        ),
    ]
    .into_iter()
    .map(|(name, holding)| {
        let items: Vec<_> = holding.items().iter().map(item_json).collect();
        json!({
            "name": name,
            "bytes": hex(holding.bytes()),
            "endpoint": holding.endpoint().to_string(),
            "time_ms": holding.time_ms(),
            "until_ms": holding.until_ms(),
            "items": items,
        })
    })
    .collect()
}

fn item_json(item: &Item) -> Value {
    match item {
        Item::Blob(id) => json!({ "blob": id.to_string() }),
        Item::Post(id) => json!({ "post": id.to_string() }),
    }
}

/// Signs statement bytes whatever they are.
fn stated(endpoint: [u8; 32], version: u8, life_ms: u64, items: &[Item]) -> Vec<u8> {
    let claim = (
        version,
        endpoint,
        TIME_MS,
        TIME_MS.wrapping_add(life_ms),
        items,
    );
    let mut bytes = postcard::to_stdvec(&claim).unwrap();
    let signature = key("bob device").sign(b"datt/holding/1", &bytes);
    bytes.extend_from_slice(&signature);
    bytes
}

pub(super) fn invalid_holdings() -> Vec<Value> {
    let items = [Item::Blob(BlobId::of(b"a film"))];
    let bob = *key("bob device").public().as_bytes();
    let good = stated(bob, 1, 60_000, &items);
    assert_eq!(Holding::decode(&good).unwrap().items(), items);
    let mut changed = good.clone();
    changed[40] ^= 1;
    [
        ("no bytes at all", "malformed", Vec::new()),
        (
            "last byte missing",
            "malformed",
            good[..good.len() - 1].to_vec(),
        ),
        ("version 2", "malformed", stated(bob, 2, 60_000, &items)),
        ("names nothing", "items", stated(bob, 1, 60_000, &[])),
        (
            "names 33 items",
            "items",
            stated(bob, 1, 60_000, &[items[0]; 33]),
        ),
        (
            "lives over two hours",
            "life",
            stated(bob, 1, limits::HOLDING_LIFE_MS + 1, &items),
        ),
        (
            "ends before it begins",
            "life",
            stated(bob, 1, u64::MAX, &items),
        ),
        ("an item changed after signing", "signature", changed),
        (
            "signed by another key",
            "signature",
            stated(*key("alice device").public().as_bytes(), 1, 60_000, &items),
        ),
    ]
    .into_iter()
    .map(|(name, reason, bytes)| json!({ "name": name, "reason": reason, "bytes": hex(&bytes) }))
    .collect()
}

fn ticket(relays: usize) -> Ticket {
    let relay = RelayHint {
        url: "https://relay.example".to_owned(),
        token: Some("token".to_owned()),
    };
    Ticket {
        endpoint: EndpointKey::from_bytes(*key("bob device").public().as_bytes()),
        addresses: vec![
            "192.0.2.1:4000".parse().unwrap(),
            "[2001:db8::1]:4001".parse().unwrap(),
        ],
        relays: vec![relay; relays],
        space: Some(SpaceId::of(b"a space")),
        root: Some(EntryId::of(b"a thread")),
    }
}

pub(super) fn valid_tickets() -> Vec<Value> {
    let bare = Ticket {
        addresses: Vec::new(),
        space: None,
        root: None,
        ..ticket(0)
    };
    [
        ("a thread behind a relay", ticket(1)),
        ("an endpoint and no more", bare),
    ]
    .into_iter()
    .map(|(name, ticket)| {
        json!({
            "name": name,
            "text": ticket.to_string(),
            "fields": serde_json::to_value(&ticket).unwrap(),
        })
    })
    .collect()
}

/// Version byte and fields, with the check bytes that belong to them.
fn ticket_text(bytes: &[u8]) -> String {
    let check = *blake3::hash(bytes).as_bytes();
    let all = [bytes, &check[..4]].concat();
    format!("datt{}", BASE32_NOPAD.encode(&all).to_ascii_lowercase())
}

pub(super) fn invalid_tickets() -> Vec<Value> {
    let text = ticket(1).to_string();
    let fields = postcard::to_stdvec(&ticket(0)).unwrap();
    let versioned = |version: u8, fields: &[u8]| ticket_text(&[&[version], fields].concat());
    assert_eq!(versioned(1, &fields), ticket(0).to_string());
    [
        ("no prefix", "prefix", text[4..].to_owned()),
        (
            "last character missing",
            "damaged",
            text[..text.len() - 1].to_owned(),
        ),
        (
            "two characters exchanged",
            "damaged",
            format!(
                "{}{}{}{}",
                &text[..30],
                &text[31..32],
                &text[30..31],
                &text[32..]
            ),
        ),
        ("a character beyond base32", "damaged", format!("{text}1")),
        ("version 2", "version", versioned(2, &fields)),
        (
            "bytes after the fields",
            "damaged",
            versioned(1, &[&fields[..], &[0]].concat()),
        ),
        ("five relays", "too_many", ticket(5).to_string()),
        (
            "over 2048 characters",
            "too_long",
            format!("datt{}", "a".repeat(2048)),
        ),
    ]
    .into_iter()
    .map(|(name, reason, text)| json!({ "name": name, "reason": reason, "text": text }))
    .collect()
}

pub(super) fn derivations() -> Value {
    let (thread, space) = (EntryId::of(b"a thread"), SpaceId::of(b"a space"));
    let next_root = key("bob device").public();
    let seed = [5; 64];
    json!({
        "topic_of_thread": { "root": thread.to_string(), "topic": hex(&topic_of_thread(&thread)) },
        "topic_of_space": { "space": space.to_string(), "topic": hex(&topic_of_space(&space)) },
        "successor_commitment": {
            "next_root": next_root.to_string(), "commitment": hex(&successor_commitment(&next_root)),
        },
        "root_key": {
            "path": "m/44'/1684108404'",
            "seed": hex(&seed),
            "secret": hex(&root_key_from_seed(&seed).to_bytes()[..]),
            "public": root_key_from_seed(&seed).public().to_string(),
        },
    })
}

#[test]
fn payloads_are_judged_as_the_file_says() {
    let file = file();
    for vector in list(&file, "payloads", "valid") {
        let payload = Payload::decode(&unhex(&vector["bytes"])).unwrap();
        assert_eq!(payload.id().to_string(), vector["id"]);
        assert_eq!(ipld_json(&Ipld::Map(payload.row().clone())), vector["row"]);
    }
    for vector in list(&file, "payloads", "invalid") {
        let error = Payload::decode(&unhex(&vector["bytes"])).unwrap_err();
        assert_eq!(
            payload_reason(&error),
            vector["reason"],
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn holdings_are_judged_as_the_file_says() {
    let file = file();
    for vector in list(&file, "holdings", "valid") {
        let holding = Holding::decode(&unhex(&vector["bytes"])).unwrap();
        assert_eq!(holding.endpoint().to_string(), vector["endpoint"]);
        assert_eq!(holding.until_ms(), vector["until_ms"].as_u64().unwrap());
        let items: Vec<_> = holding.items().iter().map(item_json).collect();
        assert_eq!(json!(items), vector["items"]);
    }
    for vector in list(&file, "holdings", "invalid") {
        let error = Holding::decode(&unhex(&vector["bytes"])).unwrap_err();
        assert_eq!(
            holding_reason(&error),
            vector["reason"],
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn tickets_are_judged_as_the_file_says() {
    let file = file();
    for vector in list(&file, "tickets", "valid") {
        let ticket: Ticket = vector["text"].as_str().unwrap().parse().unwrap();
        assert_eq!(serde_json::to_value(&ticket).unwrap(), vector["fields"]);
    }
    for vector in list(&file, "tickets", "invalid") {
        let error = vector["text"]
            .as_str()
            .unwrap()
            .parse::<Ticket>()
            .unwrap_err();
        assert_eq!(
            ticket_reason(&error),
            vector["reason"],
            "{}",
            vector["name"]
        );
    }
}
