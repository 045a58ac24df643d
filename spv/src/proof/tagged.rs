//! Tagged hashes, as BIP 340 defines them: SHA256(SHA256(tag) ‖ SHA256(tag) ‖ message).

use std::sync::LazyLock;

use bitcoin::hashes::{Hash, HashEngine, sha256};

/// A tag's engine after its first block.
pub(super) struct Tag(LazyLock<sha256::HashEngine>);

macro_rules! tag {
    ($(#[$doc:meta])* $name:ident, $text:literal) => {
        $(#[$doc])*
        pub(super) static $name: Tag = Tag(LazyLock::new(|| engine($text)));
    };
}

tag!(
    /// Tweak of a vote's own key.
    ADDRESS,
    "datt/pay/address/1"
);
tag!(
    /// A vote and its sats: leaf of a sum tree.
    LEAF,
    "datt/pay/leaf/1"
);
tag!(
    /// Two nodes of a sum tree and their sats.
    SUM,
    "datt/pay/sum/1"
);
tag!(
    /// An output and the sum tree that it pays: leaf of the tree over outputs.
    OUTPUT,
    "datt/pay/output/1"
);
tag!(
    /// Two nodes of the tree over outputs.
    OUTPUTS,
    "datt/pay/outputs/1"
);
tag!(
    /// What a transaction carries.
    BATCH,
    "datt/pay/batch/1"
);

fn engine(tag: &str) -> sha256::HashEngine {
    let hashed = sha256::Hash::hash(tag.as_bytes());
    let mut engine = sha256::Hash::engine();
    engine.input(hashed.as_byte_array());
    engine.input(hashed.as_byte_array());
    engine
}

impl Tag {
    /// Hash of the parts, one after the other.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut engine = self.0.clone();
        for part in parts {
            engine.input(part);
        }
        sha256::Hash::from_engine(engine).to_byte_array()
    }
}
