//! A name and path as the rules are asked for it: the multihash, and the hashes of its text forms.

use cid::{Cid, multibase::Base};
use sha2::{Digest, Sha256};

use super::rule::{BLAKE3, DIGEST_BYTES, SHA2_256};

/// Codecs under which the same bytes are asked for, besides the CID's own: raw, dag-pb, dag-cbor.
/// Old double hashes are of a whole CID, and must not be got around by writing another one.
const CODECS: [u64; 3] = [0x55, 0x70, 0x71];

/// What the rules are asked about.
#[derive(Debug)]
pub(super) struct Asked {
    multihash: Vec<u8>,
    path: String,
    hashes: Vec<(u64, [u8; DIGEST_BYTES])>,
}

impl Asked {
    /// About a CID and the path from it, with double hashes by these functions.
    pub(super) fn new(cid: &Cid, path: &[String], functions: &[u64]) -> Self {
        let multihash = cid.hash().to_bytes();
        let path = path.join("/");
        let path = path.trim_matches('/').to_owned();
        let mut hashes = Vec::new();
        if !functions.is_empty() {
            let mut text = Base::Base58Btc.encode(&multihash);
            if !path.is_empty() {
                text.push('/');
                text.push_str(&path);
            }
            for function in functions {
                hashes.extend(digest(*function, &text).map(|digest| (*function, digest)));
            }
        }
        if functions.contains(&SHA2_256) {
            for codec in CODECS.into_iter().chain([cid.codec()]) {
                let text = format!("{}/{path}", Cid::new_v1(codec, *cid.hash()));
                hashes.extend(digest(SHA2_256, &text).map(|digest| (SHA2_256, digest)));
            }
        }
        Self {
            multihash,
            path,
            hashes,
        }
    }

    /// The multihash as bytes.
    pub(super) fn multihash(&self) -> &[u8] {
        &self.multihash
    }

    /// The path, segments joined by slashes; empty for the CID itself.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Hash function and digest of every text form.
    pub(super) fn hashes(&self) -> &[(u64, [u8; DIGEST_BYTES])] {
        &self.hashes
    }
}

fn digest(function: u64, text: &str) -> Option<[u8; DIGEST_BYTES]> {
    match function {
        SHA2_256 => Some(Sha256::digest(text.as_bytes()).into()),
        BLAKE3 => Some(*blake3::hash(text.as_bytes()).as_bytes()),
        _ => None,
    }
}
