//! Entries built by hand, so that they can be wrong in exactly one way.

use std::collections::BTreeMap;

use crate::{
    DeviceKey, EntryId, Header, IdentityId, Ipld, Payload, Row, SchemaId, SecretKey, SpaceId,
};

use super::key;

/// What `entry.md` says goes before the signed bytes.
pub(super) const DOMAIN: &[u8] = b"datt/entry/1";
pub(super) const TIME_MS: u64 = 1_790_000_000_000;

pub(super) fn row(columns: &[(&str, Ipld)]) -> Row {
    columns
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

pub(super) fn text(text: &str) -> Ipld {
    Ipld::String(text.to_owned())
}

pub(super) fn payload(salt: u8, columns: &[(&str, Ipld)]) -> Payload {
    Payload::new([salt; 16], row(columns)).unwrap()
}

pub(super) fn identity_schema() -> SchemaId {
    SchemaId::of(b"schema profile/1\n")
}

pub(super) fn forum_schema() -> SchemaId {
    SchemaId::of(b"schema forum/1\n")
}

/// A first entry by this device, without anything optional.
pub(super) fn bare(device: DeviceKey, table: &str, payload: &Payload) -> Header {
    Header {
        device,
        identity: None,
        seq: 0,
        backlink: None,
        time_ms: TIME_MS,
        depth: 0,
        root: None,
        parents: Vec::new(),
        grant: None,
        space: None,
        schema: identity_schema(),
        table: table.to_owned(),
        payload_size: payload.size(),
        payload: payload.id(),
        expires_ms: None,
        extensions: BTreeMap::new(),
    }
}

/// A reply in the middle of a feed, with every field but `e` and `x`; broken vectors start here.
pub(super) fn reply() -> Header {
    let body = payload(7, &[("body", text("hello")), ("nsfw", Ipld::Bool(false))]);
    let (mut first, mut second) = (EntryId::of(b"parent one"), EntryId::of(b"parent two"));
    if first > second {
        (first, second) = (second, first);
    }
    Header {
        identity: Some(IdentityId::from(EntryId::of(b"identity"))),
        seq: 5,
        backlink: Some(EntryId::of(b"backlink")),
        depth: 3,
        root: Some(EntryId::of(b"root")),
        parents: vec![first, second],
        grant: Some(EntryId::of(b"grant")),
        space: Some(SpaceId::from(EntryId::of(b"space"))),
        schema: forum_schema(),
        ..bare(key("alice device").public(), "post", &body)
    }
}

/// The fields of a header, to be changed.
pub(super) fn fields(header: &Header) -> BTreeMap<String, Ipld> {
    match header.to_ipld() {
        Ipld::Map(map) => map,
        _ => panic!("a header is a map"),
    }
}

pub(super) fn encode(value: &Ipld) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).unwrap()
}

/// Signs header bytes whatever they are.
pub(super) fn signed(header: &[u8], secret: &SecretKey) -> Vec<u8> {
    assembled(header, &secret.sign(DOMAIN, header))
}

pub(super) fn assembled(header: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82];
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(&[0x58, u8::try_from(signature.len()).unwrap()]);
    bytes.extend_from_slice(signature);
    bytes
}

/// The reply with its fields changed, encoded canonically and signed.
pub(super) fn with(change: impl FnOnce(&mut BTreeMap<String, Ipld>)) -> Vec<u8> {
    let mut map = fields(&reply());
    change(&mut map);
    signed(&encode(&Ipld::Map(map)), &key("alice device"))
}

/// The reply with one field set.
pub(super) fn set(field: &str, value: Ipld) -> Vec<u8> {
    with(|map| {
        map.insert(field.to_owned(), value);
    })
}

/// The reply with its encoded header changed, then signed.
pub(super) fn spliced(from: &[u8], to: &[u8]) -> Vec<u8> {
    let header = encode(&reply().to_ipld());
    let at = header
        .windows(from.len())
        .position(|window| window == from)
        .expect("the bytes to change are there");
    let changed = [&header[..at], to, &header[at + from.len()..]].concat();
    signed(&changed, &key("alice device"))
}
