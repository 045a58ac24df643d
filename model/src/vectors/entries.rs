//! The entries of the vectors: a small history, and everything that can be wrong with one.

use serde_json::{Value, json};

use crate::{
    BlobId, DEVICE_TABLE, Entry, EntryId, GENESIS_TABLE, Header, IdentityId, Ipld, Payload,
    SpaceId, Verified, successor_commitment,
};

use super::{
    broken::broken,
    craft::{TIME_MS, bare, forum_schema, payload, text},
    header_json, hex, ipld_json, key,
};

fn vector(name: &str, signer: &str, header: Header, payload: &Payload) -> (Value, Entry<Verified>) {
    let entry = Entry::sign(header, &key(signer)).unwrap();
    let value = json!({
        "name": name,
        "key": signer,
        "bytes": hex(entry.bytes()),
        "id": entry.id().to_string(),
        "header": header_json(entry.header()),
        "signature": hex(entry.signature()),
        "payload": {
            "bytes": hex(payload.bytes()),
            "id": payload.id().to_string(),
            "row": ipld_json(&Ipld::Map(payload.row().clone())),
        },
    });
    (value, entry)
}

pub(super) fn valid() -> Vec<Value> {
    let mut all = Vec::new();
    let mut push = |name, signer, header, payload: &Payload| {
        let (value, entry) = vector(name, signer, header, payload);
        all.push(value);
        entry.id()
    };
    let (root, device) = (key("alice root").public(), key("alice device").public());

    let row = payload(
        1,
        &[
            ("root", Ipld::Bytes(root.as_bytes().to_vec())),
            (
                "successor",
                Ipld::Bytes(successor_commitment(&key("bob device").public()).to_vec()),
            ),
        ],
    );
    let genesis = bare(root, GENESIS_TABLE, &row);
    let identity = push("genesis of an identity", "alice root", genesis, &row);

    let row = payload(
        2,
        &[
            ("key", Ipld::Bytes(device.as_bytes().to_vec())),
            ("name", text("laptop")),
        ],
    );
    let header = Header {
        identity: Some(IdentityId::from(identity)),
        seq: 1,
        backlink: Some(identity),
        depth: 1,
        parents: vec![identity],
        space: Some(SpaceId::from(identity)),
        ..bare(root, DEVICE_TABLE, &row)
    };
    let named = push("device named by the root key", "alice root", header, &row);

    let row = payload(3, &[("schema", Ipld::Link(forum_schema().to_cid()))]);
    let header = Header {
        identity: Some(IdentityId::from(identity)),
        schema: forum_schema(),
        ..bare(device, GENESIS_TABLE, &row)
    };
    let space = push("genesis of a space", "alice device", header, &row);
    let in_space = |table, payload: &Payload| Header {
        identity: Some(IdentityId::from(identity)),
        space: Some(SpaceId::from(space)),
        schema: forum_schema(),
        ..bare(device, table, payload)
    };

    let row = payload(4, &[("title", text("Films")), ("about", text(""))]);
    let header = Header {
        seq: 1,
        backlink: Some(space),
        depth: 1,
        parents: vec![space],
        ..in_space("board", &row)
    };
    let board = push(
        "board row in the authority log",
        "alice device",
        header,
        &row,
    );

    let media = Ipld::Map(
        [
            (
                "blob".to_owned(),
                Ipld::Link(BlobId::of(b"a film").to_cid()),
            ),
            ("size".to_owned(), Ipld::Integer(6)),
        ]
        .into(),
    );
    let row = payload(
        5,
        &[
            ("title", text("A film")),
            ("body", text("Übermut 🎬")),
            ("media", Ipld::List(vec![media])),
            ("nsfw", Ipld::Bool(false)),
        ],
    );
    let header = Header {
        seq: 2,
        backlink: Some(board),
        time_ms: TIME_MS + 1,
        depth: 2,
        parents: vec![board],
        ..in_space("post", &row)
    };
    let post = push("first post of a thread", "alice device", header, &row);

    replies(&mut push, &in_space, board, post);
    let row = payload(9, &[("largest", Ipld::Integer(i128::from(i64::MAX)))]);
    let header = Header {
        seq: (1 << 53) - 1,
        backlink: Some(post),
        time_ms: (1 << 48) - 1,
        depth: (1 << 53) - 1,
        parents: eight(),
        table: format!("${}", "z".repeat(31)),
        ..in_space("post", &row)
    };
    push(
        "every number and name at its limit",
        "alice device",
        header,
        &row,
    );
    let row = payload(10, &[]);
    let header = Header {
        identity: Some(IdentityId::from(named)),
        space: Some(SpaceId::from(space)),
        schema: forum_schema(),
        expires_ms: Some(TIME_MS),
        ..bare(key("bob device").public(), "note", &row)
    };
    push(
        "first entry of another device, without parents",
        "bob device",
        header,
        &row,
    );
    all
}

fn replies(
    push: &mut impl FnMut(&'static str, &'static str, Header, &Payload) -> EntryId,
    in_space: &impl Fn(&'static str, &Payload) -> Header,
    board: EntryId,
    post: EntryId,
) {
    let row = payload(
        6,
        &[
            ("parent", Ipld::Link(post.to_cid())),
            ("body", text("Look!")),
            ("nsfw", Ipld::Bool(false)),
        ],
    );
    let mut parents = vec![board, post];
    parents.sort_unstable();
    let header = Header {
        seq: 3,
        backlink: Some(post),
        time_ms: TIME_MS + 60_000,
        depth: 3,
        root: Some(post),
        parents,
        grant: Some(board),
        ..in_space("post", &row)
    };
    let reply = push("reply that cites a grant", "alice device", header, &row);
    let row = payload(
        8,
        &[
            ("on", Ipld::Link(reply.to_cid())),
            ("dir", Ipld::Integer(-1)),
        ],
    );
    let header = Header {
        seq: 4,
        backlink: Some(reply),
        time_ms: TIME_MS + 60_000,
        depth: 4,
        root: Some(post),
        parents: vec![reply],
        expires_ms: Some(TIME_MS + 120_000),
        extensions: [(128, Vec::new()), (u64::MAX, vec![0xab; 200])].into(),
        ..in_space("vote", &row)
    };
    push(
        "vote with expiry and ignorable extensions",
        "alice device",
        header,
        &row,
    );
}

/// Eight ids in order.
pub(super) fn eight() -> Vec<EntryId> {
    let mut ids: Vec<_> = (0..8_u8).map(|n| EntryId::of(&[n])).collect();
    ids.sort_unstable();
    ids
}

pub(super) fn invalid() -> Vec<Value> {
    broken()
        .into_iter()
        .map(
            |(name, reason, bytes)| json!({ "name": name, "reason": reason, "bytes": hex(&bytes) }),
        )
        .collect()
}
