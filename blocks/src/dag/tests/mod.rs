//! Codecs and builders against what Kubo makes, and against everything that is wrong.

mod cars;
mod directories;
mod links;
mod names;
mod nodes;
mod parity;
mod properties;

use bytes::Bytes;
use cid::{Cid, multihash::Multihash};

use super::{codec, hash, name_of};

/// A CID by the number of its hash function, whatever its digest.
fn cid(codec: u64, code: u64, digest: &[u8]) -> Cid {
    Cid::new_v1(codec, Multihash::wrap(code, digest).unwrap())
}

fn identity(bytes: &[u8]) -> Cid {
    cid(codec::RAW, hash::IDENTITY, bytes)
}

fn raw(bytes: &'static [u8]) -> (Cid, Bytes) {
    (name_of(codec::RAW, bytes), Bytes::from_static(bytes))
}
