//! Entries that each break one rule. The reason is written here by hand; the tests compare it
//! with what the decoder says.

mod bytes;
mod fields;
mod rules;
mod signatures;

use crate::{BlobId, EntryId, Ipld};

type Broken = (String, &'static str, Vec<u8>);

fn int(value: i128) -> Ipld {
    Ipld::Integer(value)
}

fn link(bytes: &[u8]) -> Ipld {
    Ipld::Link(EntryId::of(bytes).to_cid())
}

fn raw_link() -> Ipld {
    Ipld::Link(BlobId::of(b"raw").to_cid())
}

pub(super) fn broken() -> Vec<Broken> {
    let mut all = Vec::new();
    all.extend(bytes::structure());
    all.extend(bytes::encoding());
    all.extend(fields::missing());
    all.extend(fields::types());
    all.extend(fields::ranges());
    all.extend(fields::links());
    all.extend(rules::rules());
    all.extend(rules::genesis());
    all.extend(rules::extensions());
    all.extend(signatures::signatures());
    all
}

fn named(list: Vec<(&str, &'static str, Vec<u8>)>) -> Vec<Broken> {
    list.into_iter()
        .map(|(name, reason, bytes)| (name.to_owned(), reason, bytes))
        .collect()
}
