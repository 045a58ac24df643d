//! Fields that are missing, of another type, beyond their range or links to another kind.

use cid::Cid;
use multihash::Multihash;

use crate::{EntryId, Ipld, PayloadId, SchemaId};

use super::{
    super::{
        craft::{set, text, with},
        entries::eight,
    },
    Broken, int, link, named, raw_link,
};

pub(super) fn missing() -> Vec<Broken> {
    [
        ("v", "missing:v"),
        ("k", "missing:k"),
        ("s", "missing:s"),
        ("t", "missing:t"),
        ("d", "missing:d"),
        ("c", "missing:c"),
        ("y", "missing:y"),
        ("n", "missing:n"),
        ("g", "missing:g"),
        ("z", "missing:z"),
        ("h", "missing:h"),
    ]
    .map(|(field, reason)| {
        let bytes = with(|map| {
            map.remove(field);
        });
        (format!("field {field} missing"), reason, bytes)
    })
    .into()
}

pub(super) fn types() -> Vec<Broken> {
    let wrong = |field: &str, reason, value| {
        (
            format!("field {field} of the wrong type"),
            reason,
            set(field, value),
        )
    };
    vec![
        wrong("v", "type:v", text("1")),
        wrong("k", "type:k", text("key")),
        wrong("s", "type:s", Ipld::Bool(true)),
        wrong("t", "type:t", Ipld::Float(1.5)),
        wrong("d", "type:d", text("3")),
        wrong("c", "type:c", link(b"parent")),
        wrong("y", "type:y", Ipld::Bytes(vec![0; 32])),
        wrong("n", "type:n", Ipld::Bytes(b"post".to_vec())),
        wrong("g", "type:g", Ipld::Bool(false)),
        wrong("z", "type:z", text("9")),
        wrong("h", "type:h", text("payload")),
        wrong("i", "type:i", Ipld::Null),
        wrong("p", "type:p", Ipld::Bytes(vec![0; 32])),
        wrong("r", "type:r", int(1)),
        wrong("a", "type:a", Ipld::List(vec![link(b"grant")])),
        wrong("o", "type:o", text("space")),
        wrong("e", "type:e", Ipld::Null),
        wrong("x", "type:x", Ipld::Map([].into())),
        (
            "a parent that is no link".to_owned(),
            "type:c",
            set("c", Ipld::List(vec![int(1)])),
        ),
        (
            "a field that nobody knows".to_owned(),
            "unknown:q",
            set("q", int(1)),
        ),
        (
            "a field name of two letters".to_owned(),
            "unknown:vv",
            set("vv", int(1)),
        ),
    ]
}

pub(super) fn ranges() -> Vec<Broken> {
    let table = |name: &str| set("n", text(name));
    let mut nine = eight();
    nine.push(EntryId::of(&[8]));
    nine.sort_unstable();
    let nine = Ipld::List(nine.iter().map(|id| Ipld::Link(id.to_cid())).collect());
    named(vec![
        ("version 2", "version", set("v", int(2))),
        ("version 0", "version", set("v", int(0))),
        ("version below zero", "range:v", set("v", int(-1))),
        (
            "payload codec reserved for encryption",
            "payload_codec",
            set("g", int(1)),
        ),
        (
            "device key of 31 bytes",
            "range:k",
            set("k", Ipld::Bytes(vec![1; 31])),
        ),
        (
            "device key of 33 bytes",
            "range:k",
            set("k", Ipld::Bytes(vec![1; 33])),
        ),
        ("sequence number below zero", "range:s", set("s", int(-1))),
        ("sequence number of 2^53", "range:s", set("s", int(1 << 53))),
        ("depth of 2^53", "range:d", set("d", int(1 << 53))),
        ("time of 2^48", "range:t", set("t", int(1 << 48))),
        ("time below zero", "range:t", set("t", int(-1))),
        ("nine parents", "range:c", set("c", nine)),
        ("table without a name", "range:n", table("")),
        ("table of 33 bytes", "range:n", table(&"a".repeat(33))),
        ("table with a capital", "range:n", table("Post")),
        ("table that begins with a digit", "range:n", table("1post")),
        ("table that is only a dollar sign", "range:n", table("$")),
        ("table with a dollar sign inside", "range:n", table("po$t")),
        ("table with a letter beyond ASCII", "range:n", table("pöst")),
        ("payload size of 65537", "range:z", set("z", int(65_537))),
        ("payload size of 2^32", "range:z", set("z", int(1 << 32))),
        ("expiry of 2^48", "range:e", set("e", int(1 << 48))),
        ("expiry below zero", "range:e", set("e", int(-1))),
    ])
}

pub(super) fn links() -> Vec<Broken> {
    let sha256 = Cid::new_v1(0x71, Multihash::<64>::wrap(0x12, &[7; 32]).unwrap());
    let short = Cid::new_v1(0x71, Multihash::<64>::wrap(0x1e, &[7; 20]).unwrap());
    let first = Cid::new_v0(Multihash::<64>::wrap(0x12, &[7; 32]).unwrap()).unwrap();
    named(vec![
        (
            "schema link with codec dag-cbor",
            "link:y:codec",
            set("y", Ipld::Link(PayloadId::of(b"schema").to_cid())),
        ),
        (
            "payload link with codec raw",
            "link:h:codec",
            set("h", Ipld::Link(SchemaId::of(b"payload").to_cid())),
        ),
        (
            "backlink with codec raw",
            "link:p:codec",
            set("p", raw_link()),
        ),
        ("root with codec raw", "link:r:codec", set("r", raw_link())),
        ("space with codec raw", "link:o:codec", set("o", raw_link())),
        (
            "parent with codec raw",
            "link:c:codec",
            set("c", Ipld::List(vec![raw_link()])),
        ),
        (
            "grant named by SHA-256",
            "link:a:hash",
            set("a", Ipld::Link(sha256)),
        ),
        (
            "grant named by 20 bytes of BLAKE3",
            "link:a:hash",
            set("a", Ipld::Link(short)),
        ),
        (
            "identity link that is a CIDv0",
            "link:i:version",
            set("i", Ipld::Link(first)),
        ),
    ])
}
