//! `docs/protocol/entry-vectors.json`: made here, and every one of them checked.
//!
//! `DATT_BLESS=1 cargo test -p datt-model` writes the file anew.
#![allow(clippy::unwrap_used)]

mod broken;
mod craft;
mod entries;
mod others;
mod smoke;

use std::{env, fs, path::PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use crate::{
    Entry, EntryError, Header, HeaderError, HoldingError, IdError, Ipld, KeyError, PayloadError,
    SecretKey, TicketError, Unverified,
};

/// Seeds of the keys that sign in the vectors.
const SEEDS: [(&str, [u8; 32]); 3] = [
    ("alice root", [1; 32]),
    ("alice device", [2; 32]),
    ("bob device", [3; 32]),
];

fn key(name: &str) -> SecretKey {
    let (_, seed) = SEEDS.iter().find(|(known, _)| *known == name).unwrap();
    SecretKey::from_bytes(seed)
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn unhex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol/entry-vectors.json")
}

fn made() -> Value {
    json!({
        "about": "Test vectors of docs/protocol/entry.md. Every invalid one breaks a single rule.",
        "version": 1,
        "keys": SEEDS.iter().map(|(name, seed)| json!({
            "name": name, "seed": hex(seed), "public": key(name).public().to_string(),
        })).collect::<Vec<_>>(),
        "entries": { "valid": entries::valid(), "invalid": entries::invalid() },
        "payloads": { "valid": others::valid_payloads(), "invalid": others::invalid_payloads() },
        "holdings": { "valid": others::valid_holdings(), "invalid": others::invalid_holdings() },
        "tickets": { "valid": others::valid_tickets(), "invalid": others::invalid_tickets() },
        "derivations": others::derivations(),
    })
}

fn blessing() -> bool {
    env::var_os("DATT_BLESS").is_some()
}

/// The kept vectors, or the new ones while those are being written.
fn file() -> Value {
    if blessing() {
        return made();
    }
    serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap()
}

fn list<'a>(file: &'a Value, section: &str, kind: &str) -> &'a Vec<Value> {
    file[section][kind].as_array().unwrap()
}

/// The stable name of a refusal; `entry.md` lists them.
fn entry_reason(error: &EntryError) -> String {
    match error {
        EntryError::TooLong { .. } => "too_long".to_owned(),
        EntryError::Cbor(_) => "cbor".to_owned(),
        EntryError::Shape => "shape".to_owned(),
        EntryError::NotCanonical => "not_canonical".to_owned(),
        EntryError::Header(error) => header_reason(error),
        EntryError::Signature(error) => key_reason(*error).to_owned(),
    }
}

fn header_reason(error: &HeaderError) -> String {
    let name = match error {
        HeaderError::Missing(field) => return format!("missing:{field}"),
        HeaderError::Type(field) => return format!("type:{field}"),
        HeaderError::Range(field) => return format!("range:{field}"),
        HeaderError::Unknown(field) => return format!("unknown:{field}"),
        HeaderError::Link { field, source } => {
            return format!("link:{field}:{}", id_reason(source));
        }
        HeaderError::Version(_) => "version",
        HeaderError::PayloadCodec(_) => "payload_codec",
        HeaderError::Backlink => "backlink",
        HeaderError::Depth => "depth",
        HeaderError::ParentOrder => "parent_order",
        HeaderError::Genesis => "genesis",
        HeaderError::Identity => "identity",
        HeaderError::Expiry => "expiry",
        HeaderError::CriticalExtension(_) => "critical_extension",
        HeaderError::ExtensionOrder => "extension_order",
    };
    name.to_owned()
}

fn id_reason(error: &IdError) -> &'static str {
    match error {
        IdError::NotACid(_) => "not_a_cid",
        IdError::Version { .. } => "version",
        IdError::Codec { .. } => "codec",
        IdError::Hash { .. } => "hash",
        IdError::Hex { .. } => "hex",
    }
}

fn key_reason(error: KeyError) -> &'static str {
    match error {
        KeyError::PublicKey => "public_key",
        KeyError::Signature => "signature",
    }
}

fn payload_reason(error: &PayloadError) -> &'static str {
    match error {
        PayloadError::TooLong { .. } => "too_long",
        PayloadError::Cbor(_) => "cbor",
        PayloadError::Shape => "shape",
        PayloadError::NotCanonical => "not_canonical",
        PayloadError::Value { .. } => "value",
    }
}

fn holding_reason(error: &HoldingError) -> &'static str {
    match error {
        HoldingError::Malformed => "malformed",
        HoldingError::Items => "items",
        HoldingError::Life => "life",
        HoldingError::Signature(error) => key_reason(*error),
    }
}

fn ticket_reason(error: &TicketError) -> &'static str {
    match error {
        TicketError::Prefix => "prefix",
        TicketError::TooLong => "too_long",
        TicketError::Damaged => "damaged",
        TicketError::Version(_) => "version",
        TicketError::TooMany => "too_many",
    }
}

/// A header with its keys on the wire: links and keys as text, extensions as `[key, hex]`.
fn header_json(header: &Header) -> Value {
    let Ipld::Map(fields) = header.to_ipld() else {
        panic!("a header is a map");
    };
    let map: Map<_, _> = fields
        .into_iter()
        .map(|(name, value)| (name, ipld_json(&value)))
        .collect();
    Value::Object(map)
}

fn ipld_json(value: &Ipld) -> Value {
    match value {
        Ipld::Bool(value) => json!(value),
        // Beyond 2^53 many readers of JSON round: those are given as text.
        Ipld::Integer(value) => match i64::try_from(*value) {
            Ok(small) if small.unsigned_abs() <= 1 << 53 => json!(small),
            _ => json!(value.to_string()),
        },
        Ipld::String(text) => json!(text),
        Ipld::Bytes(bytes) => json!(hex(bytes)),
        Ipld::Link(cid) => json!(cid.to_string()),
        Ipld::List(list) => list.iter().map(ipld_json).collect(),
        Ipld::Map(map) => Value::Object(
            map.iter()
                .map(|(name, value)| (name.clone(), ipld_json(value)))
                .collect(),
        ),
        Ipld::Null | Ipld::Float(_) => panic!("rows and headers have neither null nor floats"),
    }
}

fn refusal(bytes: &[u8]) -> String {
    match Entry::<Unverified>::decode(bytes).and_then(Entry::verify) {
        Ok(_) => "none".to_owned(),
        Err(error) => entry_reason(&error),
    }
}

#[test]
fn the_file_is_what_this_code_makes() {
    let made = format!("{}\n", serde_json::to_string_pretty(&made()).unwrap());
    if blessing() {
        fs::write(path(), &made).unwrap();
    }
    let kept = fs::read_to_string(path()).unwrap_or_default();
    assert!(
        made == kept,
        "the vectors changed: if the protocol was meant to change, DATT_BLESS=1 writes them anew"
    );
}

#[test]
fn every_valid_entry_is_read_and_made_again() {
    let file = file();
    let entries = list(&file, "entries", "valid");
    assert!(entries.len() >= 8);
    for vector in entries {
        let name = &vector["name"];
        let entry = Entry::<Unverified>::decode(&unhex(&vector["bytes"]))
            .and_then(Entry::verify)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(entry.id().to_string(), vector["id"], "{name}");
        assert_eq!(header_json(entry.header()), vector["header"], "{name}");
        assert_eq!(hex(entry.signature()), vector["signature"], "{name}");
        let secret = key(vector["key"].as_str().unwrap());
        let again = Entry::sign(entry.header().clone(), &secret).unwrap();
        assert_eq!(again.bytes(), entry.bytes(), "{name}");
    }
}

#[test]
fn every_invalid_entry_is_refused_for_its_reason() {
    let file = file();
    let entries = list(&file, "entries", "invalid");
    assert!(entries.len() >= 40, "{} vectors", entries.len());
    for vector in entries {
        let name = &vector["name"];
        assert_eq!(
            refusal(&unhex(&vector["bytes"])),
            vector["reason"],
            "{name}"
        );
    }
}

#[test]
fn every_rule_has_a_vector() {
    let file = file();
    let reasons: Vec<_> = list(&file, "entries", "invalid")
        .iter()
        .map(|vector| vector["reason"].as_str().unwrap().to_owned())
        .collect();
    for rule in [
        "too_long",
        "cbor",
        "shape",
        "version",
        "payload_codec",
        "backlink",
        "depth",
        "parent_order",
        "genesis",
        "identity",
        "expiry",
        "critical_extension",
        "extension_order",
        "public_key",
        "signature",
    ] {
        assert!(reasons.iter().any(|reason| reason == rule), "{rule}");
    }
    for field in ["v", "k", "s", "t", "d", "c", "y", "n", "g", "z", "h"] {
        assert!(reasons.contains(&format!("missing:{field}")), "{field}");
    }
    for field in ["i", "p", "r", "a", "o", "y", "h", "c"] {
        let link = format!("link:{field}:");
        assert!(
            reasons.iter().any(|reason| reason.starts_with(&link)),
            "{field}"
        );
    }
}
