//! A node that reads is written as it was, and what it means is read as it is written.
#![no_main]

use blocks::dag::{Link, Node, UnixFs, shard_link};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(node) = Node::decode(&bytes) else {
        return;
    };
    let written = node.encode();
    assert_eq!(written.len(), node.encoded_bytes());
    // Links may lack their name and size, nothing else.
    let is_bare = |link: &Link| link.size_bytes == 0 || link.name.is_empty();
    assert!(written == bytes || node.links.iter().any(is_bare));
    assert_eq!(Node::decode(&written).as_ref(), Ok(&node));

    let Ok(meaning) = UnixFs::of(&node) else {
        return;
    };
    if let UnixFs::Shard { fanout, .. } = meaning {
        for link in &node.links {
            if let Ok((place, _)) = shard_link(link, fanout) {
                assert!(place < fanout);
            }
        }
    }
    let data = Some(meaning.encode());
    let again = UnixFs::of(&Node { data, ..node });
    assert_eq!(again, Ok(meaning));
});
