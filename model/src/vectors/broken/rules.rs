//! Headers whose fields do not go together.

use crate::{EntryId, GENESIS_TABLE, Ipld};

use super::{
    super::{
        craft::{bare, encode, fields, payload, reply, set, signed, text, with},
        key,
    },
    Broken, int, link, named,
};

pub(super) fn rules() -> Vec<Broken> {
    let without = |field: &'static str| {
        with(|map| {
            map.remove(field);
        })
    };
    let first = |keep_backlink: bool| {
        with(|map| {
            map.insert("s".to_owned(), int(0));
            if !keep_backlink {
                map.remove("p");
            }
        })
    };
    let parents =
        |list: &[EntryId]| Ipld::List(list.iter().map(|id| Ipld::Link(id.to_cid())).collect());
    let mut ids = reply().parents;
    ids.reverse();
    assert_eq!(super::super::refusal(&first(false)), "none");
    named(vec![
        ("backlink at sequence number 0", "backlink", first(true)),
        ("no backlink at sequence number 5", "backlink", without("p")),
        ("depth 0 with parents", "depth", set("d", int(0))),
        (
            "depth 3 without parents",
            "depth",
            set("c", Ipld::List(Vec::new())),
        ),
        (
            "parents in descending order",
            "parent_order",
            set("c", parents(&ids)),
        ),
        (
            "the same parent twice",
            "parent_order",
            set("c", parents(&[ids[0], ids[0]])),
        ),
        ("no identity outside a genesis", "identity", without("i")),
        (
            "expiry before the entry's own time",
            "expiry",
            set("e", int(1)),
        ),
    ])
}

pub(super) fn genesis() -> Vec<Broken> {
    let row = payload(3, &[]);
    let begin = fields(&bare(key("alice device").public(), GENESIS_TABLE, &row));
    let like = |changes: &[(&str, Ipld)]| {
        let mut map = begin.clone();
        for (field, value) in changes {
            map.insert((*field).to_owned(), value.clone());
        }
        signed(&encode(&Ipld::Map(map)), &key("alice device"))
    };
    named(vec![
        (
            "table $genesis inside a space",
            "genesis",
            set("n", text(GENESIS_TABLE)),
        ),
        (
            "no space and another table",
            "genesis",
            with(|map| {
                map.remove("o");
            }),
        ),
        (
            "genesis at sequence number 1",
            "genesis",
            like(&[("s", int(1)), ("p", link(b"backlink"))]),
        ),
        (
            "genesis with a root",
            "genesis",
            like(&[("r", link(b"root"))]),
        ),
        (
            "genesis with a parent",
            "genesis",
            like(&[("d", int(1)), ("c", Ipld::List(vec![link(b"parent")]))]),
        ),
        (
            "genesis with a grant",
            "genesis",
            like(&[("a", link(b"grant"))]),
        ),
    ])
}

pub(super) fn extensions() -> Vec<Broken> {
    let pair = |key: i128, value: Ipld| Ipld::List(vec![int(key), value]);
    let bytes = |count: usize| Ipld::Bytes(vec![0; count]);
    let list = |pairs: Vec<Ipld>| set("x", Ipld::List(pairs));
    named(vec![
        ("no extension in the list", "range:x", list(Vec::new())),
        (
            "extensions beyond 256 bytes",
            "range:x",
            list(vec![pair(128, bytes(246))]),
        ),
        (
            "extension with a key below zero",
            "range:x",
            list(vec![pair(-1, bytes(0))]),
        ),
        (
            "extension whose value is a text",
            "type:x",
            list(vec![pair(128, text("value"))]),
        ),
        (
            "extension that is no pair",
            "type:x",
            list(vec![Ipld::List(vec![int(128)])]),
        ),
        (
            "critical extension that is not known",
            "critical_extension",
            list(vec![pair(127, bytes(1))]),
        ),
        (
            "extensions in descending order",
            "extension_order",
            list(vec![pair(129, bytes(0)), pair(128, bytes(0))]),
        ),
        (
            "the same extension twice",
            "extension_order",
            list(vec![pair(128, bytes(0)), pair(128, bytes(1))]),
        ),
    ])
}
