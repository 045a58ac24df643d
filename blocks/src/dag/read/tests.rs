#![allow(clippy::unwrap_used)]
use n0_future::StreamExt;

use super::{
    super::{
        BlockError, BlockFault, MAX_BLOCK_BYTES, MAX_DEPTH, UnixFsFault, codec,
        memory::{Memory, bytes_of},
    },
    *,
};

/// Three levels, with bytes in inner nodes: `0123456789abcdef`.
fn nested(memory: &mut Memory) -> Cid {
    let leaves: Vec<_> = ["23", "456", "9a", "f"]
        .iter()
        .map(|text| memory.raw(text.as_bytes()))
        .collect();
    let old_leaf = memory.file(b"e", &[]);
    let first = memory.file(b"1", &[(leaves[0], 2), (leaves[1], 3)]);
    let second = memory.file(b"78", &[(leaves[2], 2)]);
    let third = memory.file(b"bcd", &[(old_leaf, 1), (leaves[3], 1)]);
    memory.file(b"0", &[(first, 6), (second, 4), (third, 5)])
}

#[tokio::test]
async fn any_range_is_read_from_the_blocks_that_have_it() {
    let mut memory = Memory::default();
    let root = nested(&mut memory);
    let memory = Arc::new(memory);
    let whole = b"0123456789abcdef";
    for start in 0..18 {
        for end in 0..20 {
            let (bytes, error) = bytes_of(&memory, root, start as u64..end as u64).await;
            assert!(error.is_none());
            let (start, end) = (start.min(16), end.min(16));
            let wanted = if start < end { &whole[start..end] } else { b"" };
            assert_eq!(bytes, wanted, "{start}..{end}");
        }
    }
}

#[tokio::test]
async fn blocks_outside_of_the_range_may_be_missing() {
    let mut memory = Memory::default();
    let leaves = [memory.raw(b"ab"), memory.raw(b"cd"), memory.raw(b"ef")];
    let inner = memory.leaves(&leaves[..2], 2);
    let root = memory.file(b"", &[(inner, 4), (leaves[2], 2)]);
    memory.blocks.remove(&leaves[0]);
    let memory = Arc::new(memory);
    let (bytes, error) = bytes_of(&memory, root, 2..5).await;
    assert_eq!(bytes, b"cde");
    assert!(error.is_none());
    assert_eq!(memory.asked(), [root, inner, leaves[1], leaves[2]]);
    let (bytes, _) = bytes_of(&memory, root, 4..6).await;
    assert_eq!(bytes, b"ef");
    assert_eq!(
        memory.asked(),
        [root, leaves[2]],
        "nor is the node above read"
    );
    let (bytes, error) = bytes_of(&memory, root, 1..5).await;
    assert_eq!(bytes, b"");
    assert!(matches!(error, Some(WalkError::Block(BlockError::NotHeld(cid))) if cid == leaves[0]));
}

#[tokio::test]
async fn a_block_missing_in_the_middle_ends_the_stream_with_its_name() {
    let mut memory = Memory::default();
    let leaves = [memory.raw(b"ab"), memory.raw(b"cd"), memory.raw(b"ef")];
    let root = memory.leaves(&leaves, 2);
    let held = std::mem::take(&mut memory.blocks);
    let case = |change: &dyn Fn(&mut Memory)| {
        let mut memory = Memory::default();
        memory.blocks.clone_from(&held);
        change(&mut memory);
        Arc::new(memory)
    };
    let lacking = case(&|memory| drop(memory.blocks.remove(&leaves[1])));
    let (bytes, error) = bytes_of(&lacking, root, 0..6).await;
    assert_eq!(bytes, b"ab");
    assert!(matches!(error, Some(WalkError::Block(BlockError::NotHeld(cid))) if cid == leaves[1]));

    let denying = case(&|memory| _ = memory.denied.insert(leaves[1]));
    let (bytes, error) = bytes_of(&denying, root, 0..6).await;
    assert_eq!(bytes, b"ab");
    assert!(
        matches!(error, Some(WalkError::Block(BlockError::Denied { cid, .. })) if cid == leaves[1])
    );

    let lie = Bytes::from_static(b"xy");
    let lying = case(&|memory| drop(memory.blocks.insert(leaves[2], lie.clone())));
    let (bytes, error) = bytes_of(&lying, root, 0..6).await;
    assert_eq!(bytes, b"abcd");
    let fault = BlockFault::Mismatch { cid: leaves[2] };
    assert!(matches!(error, Some(WalkError::Block(BlockError::Fault(found))) if found == fault));
}

#[tokio::test]
async fn one_block_is_asked_for_ahead_and_no_more() {
    let mut memory = Memory::default();
    let leaves = [memory.raw(b"ab"), memory.raw(b"cd"), memory.raw(b"ef")];
    let root = memory.leaves(&leaves, 2);
    let memory = Arc::new(memory);
    let mut stream = std::pin::pin!(read(Arc::clone(&memory), root, 0..6));
    assert!(memory.asked().is_empty(), "nothing before the first poll");
    assert_eq!(stream.next().await.unwrap().unwrap(), "ab");
    assert_eq!(memory.asked(), [root, leaves[0], leaves[1]]);
    assert_eq!(stream.next().await.unwrap().unwrap(), "cd");
    assert_eq!(memory.asked(), [leaves[2]]);
}

#[tokio::test]
async fn leaves_are_handed_out_without_a_copy() {
    let mut memory = Memory::default();
    let leaf = memory.raw(&[7; 100_000]);
    let root = memory.leaves(&[leaf], 100_000);
    let held = memory.blocks[&leaf].as_ptr();
    let mut stream = std::pin::pin!(read(Arc::new(memory), root, 0..100_000));
    assert_eq!(stream.next().await.unwrap().unwrap().as_ptr(), held);
}

#[tokio::test]
async fn whatever_has_bytes_is_read_by_itself() {
    let mut memory = Memory::default();
    let raw = memory.raw(b"hello");
    let old = memory.file(b"hello", &[]);
    let link = memory.symlink("hello");
    let json = memory.put(codec::DAG_JSON, "hello");
    let inline = Cid::new_v1(codec::RAW, multihash::Multihash::wrap(0, b"hello").unwrap());
    let memory = Arc::new(memory);
    for cid in [raw, old, link, json, inline] {
        let (bytes, error) = bytes_of(&memory, cid, 1..4).await;
        assert_eq!(bytes, b"ell");
        assert!(error.is_none());
    }
}

#[tokio::test]
async fn parts_that_contradict_each_other_are_faults() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let inner = memory.file(b"", &[(leaf, 4)]);
    let json = memory.put(codec::DAG_JSON, "7");
    let link = memory.symlink("leaf");
    let folder = memory.directory(&[]);
    let no_links = super::super::UnixFs::File {
        data: Bytes::new(),
        block_sizes: vec![1, 2],
        size_bytes: 3,
    };
    let size = |said_bytes, found_bytes| NodeFault::Size {
        said_bytes,
        found_bytes,
    };
    let cases = [
        (memory.file(b"", &[(leaf, 3)]), size(3, 4)),
        (memory.file(b"", &[(leaf, u64::MAX)]), size(u64::MAX, 4)),
        (memory.file(b"", &[(inner, 5)]), size(5, 4)),
        (memory.file(b"", &[(json, 1)]), NodeFault::NotAFile),
        (memory.file(b"", &[(link, 4)]), NodeFault::NotAFile),
        (memory.file(b"", &[(folder, 4)]), NodeFault::NotAFile),
        (folder, NodeFault::NotAFile),
        (
            memory.node(Some(&no_links), &[]),
            UnixFsFault::Sizes { links: 0, sizes: 2 }.into(),
        ),
        (memory.node(None, &[]), UnixFsFault::NoData.into()),
    ];
    let memory = Arc::new(memory);
    for (root, wanted) in cases {
        let (bytes, error) = bytes_of(&memory, root, 0..u64::MAX).await;
        assert!(bytes.is_empty());
        let Some(WalkError::Node { why, .. }) = error else {
            panic!("{wanted:?}: {error:?}");
        };
        assert_eq!(why, wanted);
    }
}

#[tokio::test]
async fn files_of_more_than_the_levels_allowed_are_refused() {
    let mut memory = Memory::default();
    let mut levels = vec![memory.raw(b"leaf")];
    for _ in 0..10_000 {
        let below = levels[levels.len() - 1];
        levels.push(memory.file(b"", &[(below, 4)]));
    }
    let memory = Arc::new(memory);
    let (bytes, error) = bytes_of(&memory, levels[MAX_DEPTH], 0..4).await;
    assert_eq!(bytes, b"leaf");
    assert!(error.is_none());
    for (depth, first_too_deep) in [(MAX_DEPTH + 1, 0), (10_000, 10_000 - MAX_DEPTH - 1)] {
        let (_, error) = bytes_of(&memory, levels[depth], 0..4).await;
        assert!(matches!(error, Some(WalkError::TooDeep { cid }) if cid == levels[first_too_deep]));
    }
}

#[tokio::test]
async fn empty_parts_are_not_visited_however_many_there_are() {
    let mut memory = Memory::default();
    let mut root = memory.raw(b"");
    for _ in 0..60 {
        root = memory.leaves(&[root, root], 0);
    }
    let leaf = memory.raw(b"leaf");
    let root = memory.file(b"", &[(root, 0), (leaf, 4), (root, 0)]);
    let memory = Arc::new(memory);
    let (bytes, error) = bytes_of(&memory, root, 0..4).await;
    assert_eq!(bytes, b"leaf");
    assert!(error.is_none());
    assert_eq!(memory.asked(), [root, leaf]);
}

#[tokio::test]
async fn walks_remember_a_bounded_number_of_blocks() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"x");
    let (mut root, mut size_bytes) = (leaf, 1);
    for _ in 0..7 {
        let mut children = vec![(leaf, 1); 40_000];
        children[0] = (root, size_bytes);
        root = memory.file(b"", &children);
        size_bytes += 39_999;
    }
    let (_, error) = bytes_of(&Arc::new(memory), root, 0..u64::MAX).await;
    assert!(
        matches!(error, Some(WalkError::TooWide { .. })),
        "{error:?}"
    );
}

/// A source that breaks its promise.
struct Unchecked;

impl BlockSource for Unchecked {
    async fn block(&self, _: &Cid) -> Result<Bytes, BlockError> {
        Ok(vec![0; MAX_BLOCK_BYTES + 1].into())
    }
}

#[tokio::test]
async fn blocks_over_the_limit_are_refused_whoever_gives_them() {
    let cid = Memory::default().raw(b"leaf");
    let mut stream = std::pin::pin!(read(Arc::new(Unchecked), cid, 0..4));
    let found = stream.next().await.unwrap();
    assert!(matches!(
        found,
        Err(WalkError::Block(BlockError::Fault(
            BlockFault::TooLarge { .. }
        )))
    ));
}
