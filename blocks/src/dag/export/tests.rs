#![allow(clippy::unwrap_used)]
use cid::multihash::Multihash;
use ipld_core::ipld::Ipld;
use n0_future::StreamExt;

use super::{
    super::{
        BlockError, MAX_DEPTH, ResolveError,
        memory::{Memory, car_of},
        name_of,
    },
    *,
};

fn wanted(root: Cid, path: &str, scope: Scope) -> ExportRequest {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    ExportRequest {
        root,
        path: segments.map(str::to_owned).collect(),
        scope,
        bytes: None,
        duplicates: false,
    }
}

/// A directory with a file of three leaves, one of a single, one more directory, and a link.
struct Tree {
    memory: Arc<Memory>,
    root: Cid,
    sub: Cid,
    file: Cid,
    leaves: [Cid; 3],
    small: Cid,
    data: Cid,
}

fn tree() -> Tree {
    let mut memory = Memory::default();
    let leaves = [memory.raw(b"ab"), memory.raw(b"cd"), memory.raw(b"ef")];
    let file = memory.leaves(&leaves, 2);
    let small = memory.raw(b"small");
    let data = format!(r#"{{"a":[{{"/":"{small}"}}]}}"#);
    let data = memory.put(codec::DAG_JSON, data);
    let sub = memory.directory(&[("data", data), ("file", file), ("small", small)]);
    let root = memory.directory(&[("copy", file), ("sub", sub)]);
    Tree {
        memory: Arc::new(memory),
        root,
        sub,
        file,
        leaves,
        small,
        data,
    }
}

#[tokio::test]
async fn blocks_of_the_path_come_first_then_those_of_the_scope() {
    let Tree {
        memory,
        root,
        sub,
        file,
        leaves: [a, b, c],
        small,
        data,
    } = tree();
    for (path, scope, blocks) in [
        ("", Scope::Block, vec![root]),
        ("sub", Scope::Block, vec![root, sub]),
        ("sub/file", Scope::Block, vec![root, sub, file]),
        ("sub", Scope::Entity, vec![root, sub]),
        ("sub/file", Scope::Entity, vec![root, sub, file, a, b, c]),
        ("sub/small", Scope::Entity, vec![root, sub, small]),
        ("sub/data", Scope::Entity, vec![root, sub, data]),
        ("sub/data/a", Scope::Entity, vec![root, sub, data]),
        ("sub/data/a/0", Scope::Entity, vec![root, sub, data, small]),
        ("sub/file", Scope::All, vec![root, sub, file, a, b, c]),
        (
            "sub",
            Scope::All,
            vec![root, sub, data, small, file, a, b, c],
        ),
        ("", Scope::All, vec![root, file, a, b, c, sub, data, small]),
    ] {
        let (roots, found, error) = car_of(&memory, wanted(root, path, scope)).await;
        assert!(error.is_none(), "{path}: {error:?}");
        assert_eq!(found, blocks, "{path} {scope:?}");
        let end = match path {
            "sub/data/a" => data,
            "" => root,
            "sub" => sub,
            _ => roots[0],
        };
        assert_eq!(roots, [end], "{path}");
    }
}

#[tokio::test]
async fn repeated_blocks_come_once_unless_they_are_wanted() {
    let tree = tree();
    let Tree {
        root, sub, file, ..
    } = tree;
    let [a, b, c] = tree.leaves;
    let mut request = wanted(root, "", Scope::All);
    request.duplicates = true;
    let (_, found, _) = car_of(&tree.memory, request).await;
    let (data, small) = (tree.data, tree.small);
    assert_eq!(
        found,
        [root, file, a, b, c, sub, data, small, file, a, b, c, small]
    );
}

#[tokio::test]
async fn a_range_of_a_file_has_only_the_blocks_that_it_needs() {
    let Tree {
        memory,
        file,
        leaves: [a, b, c],
        sub,
        ..
    } = tree();
    for (bytes, blocks) in [
        ((0, None), vec![file, a, b, c]),
        ((0, Some(0)), vec![file, a]),
        ((1, Some(2)), vec![file, a, b]),
        ((2, Some(-3)), vec![file, b]),
        ((-1, None), vec![file, c]),
        ((-9999, None), vec![file, a, b, c]),
        ((-9999, Some(-3)), vec![file, a, b]),
        ((-9999, Some(-9999)), vec![file]),
        ((6, None), vec![file]),
        ((4, Some(3)), vec![file]),
        ((i64::MIN, Some(i64::MAX)), vec![file, a, b, c]),
        ((i64::MAX, Some(i64::MIN)), vec![file]),
    ] {
        let mut request = wanted(file, "", Scope::Entity);
        request.bytes = Some(bytes);
        let (_, found, error) = car_of(&memory, request.clone()).await;
        assert!(error.is_none());
        assert_eq!(found, blocks, "{bytes:?}");
        request.root = sub;
        let (_, found, _) = car_of(&memory, request).await;
        assert_eq!(found, [sub], "ranges are of files only");
    }
}

#[tokio::test]
async fn blocks_outside_of_the_range_may_be_missing() {
    let Tree {
        memory,
        file,
        leaves: [a, b, c],
        ..
    } = tree();
    let mut memory = Arc::into_inner(memory).unwrap();
    memory.blocks.remove(&b);
    let memory = Arc::new(memory);
    for (bytes, blocks) in [((0, Some(1)), [file, a]), ((4, None), [file, c])] {
        let mut request = wanted(file, "", Scope::Entity);
        request.bytes = Some(bytes);
        let (_, found, error) = car_of(&memory, request).await;
        assert_eq!(found, blocks);
        assert!(error.is_none());
    }
    for scope in [Scope::Entity, Scope::All] {
        let (_, found, error) = car_of(&memory, wanted(file, "", scope)).await;
        assert_eq!(found, [file, a]);
        assert!(matches!(error, Some(WalkError::Block(BlockError::NotHeld(cid))) if cid == b));
    }
}

#[tokio::test]
async fn a_path_to_nothing_is_an_error_before_anything_else() {
    let Tree {
        memory, root, sub, ..
    } = tree();
    let (roots, blocks, error) = car_of(&memory, wanted(root, "sub/none", Scope::All)).await;
    assert!(roots.is_empty() && blocks.is_empty());
    assert!(
        matches!(error, Some(WalkError::Resolve(ResolveError::NoLink { cid, name })) if cid == sub && name == "none")
    );
}

#[tokio::test]
async fn all_shards_of_a_directory_are_in_its_entity_and_nothing_below() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let deep = memory.shard(&[("07y", leaf)]);
    let first = memory.shard(&[("05", deep), ("06x", leaf)]);
    let second = memory.shard(&[("01z", leaf)]);
    let root = memory.shard(&[("00", first), ("10w", leaf), ("20", second)]);
    let memory = Arc::new(memory);
    let (_, found, error) = car_of(&memory, wanted(root, "", Scope::Entity)).await;
    assert!(error.is_none());
    assert_eq!(found, [root, first, deep, second]);
    let (_, found, _) = car_of(&memory, wanted(root, "", Scope::Block)).await;
    assert_eq!(found, [root]);
    let (_, found, _) = car_of(&memory, wanted(root, "", Scope::All)).await;
    assert_eq!(found, [root, first, deep, leaf, second]);
}

#[tokio::test]
async fn blocks_that_are_in_their_name_are_left_out() {
    let mut memory = Memory::default();
    let inline = |codec, bytes: &[u8]| Cid::new_v1(codec, Multihash::wrap(0, bytes).unwrap());
    let (first, second) = (
        inline(codec::RAW, &[7; 64]),
        inline(codec::RAW, &[[7; 63].as_slice(), &[8]].concat()),
    );
    let leaf = memory.raw(b"leaf");
    let root = memory.directory(&[("a", first), ("b", second), ("c", leaf)]);
    let memory = Arc::new(memory);
    for duplicates in [false, true] {
        for (root, blocks) in [(root, vec![root, leaf]), (first, vec![])] {
            let mut request = wanted(root, "", Scope::All);
            request.duplicates = duplicates;
            let (roots, found, error) = car_of(&memory, request).await;
            assert!(error.is_none());
            assert_eq!((roots, found), (vec![root], blocks));
        }
    }
}

#[tokio::test]
async fn blocks_that_are_in_their_name_are_told_apart_by_all_of_it() {
    let mut memory = Memory::default();
    let leaves = [memory.raw(b"a"), memory.raw(b"b")];
    let above = leaves.map(|leaf| {
        let padding = Ipld::Bytes(vec![0; 21]);
        let list = Ipld::List(vec![padding, Ipld::Link(leaf)]);
        let bytes = serde_ipld_dagcbor::to_vec(&list).unwrap();
        Cid::new_v1(codec::DAG_CBOR, Multihash::wrap(0, &bytes).unwrap())
    });
    assert_eq!(key(&above[0]), key(&above[1]));
    let root = memory.directory(&[("a", above[0]), ("b", above[1])]);
    let (_, found, error) = car_of(&Arc::new(memory), wanted(root, "", Scope::All)).await;
    assert!(error.is_none());
    assert_eq!(found, [root, leaves[0], leaves[1]]);
}

#[tokio::test]
async fn a_dag_that_repeats_itself_ends() {
    let mut memory = Memory::default();
    let mut root = memory.raw(b"x");
    let mut size_bytes = 1;
    for _ in 0..60 {
        root = memory.leaves(&[root, root], size_bytes);
        size_bytes *= 2;
    }
    let memory = Arc::new(memory);
    for (scope, bytes) in [
        (Scope::All, None),
        (Scope::Entity, None),
        (Scope::Entity, Some((1, Some(-2)))),
    ] {
        let mut request = wanted(root, "", scope);
        request.bytes = bytes;
        let (_, found, error) = car_of(&memory, request).await;
        assert!(error.is_none());
        assert_eq!(found.len(), 61, "{scope:?} {bytes:?}");
    }
}

#[tokio::test]
async fn a_part_that_was_given_partly_is_given_whole_later() {
    let mut memory = Memory::default();
    let leaves = [memory.raw(b"a"), memory.raw(b"b"), memory.raw(b"c")];
    let inner = memory.leaves(&leaves, 1);
    let root = memory.leaves(&[inner, inner, inner], 3);
    let memory = Arc::new(memory);
    let [a, b, c] = leaves;
    for (bytes, blocks) in [
        ((2, Some(3)), vec![root, inner, c, a]),
        ((2, Some(5)), vec![root, inner, c, a, b]),
        ((2, Some(2)), vec![root, inner, c]),
        ((0, Some(3)), vec![root, inner, a, b, c]),
    ] {
        let mut request = wanted(root, "", Scope::Entity);
        request.bytes = Some(bytes);
        let (_, found, error) = car_of(&memory, request).await;
        assert!(error.is_none());
        assert_eq!(found, blocks, "{bytes:?}");
    }
}

#[tokio::test]
async fn dags_too_deep_or_with_wrong_sizes_end_with_a_fault() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let mut deep = leaf;
    for _ in 0..10_000 {
        deep = memory.file(b"", &[(deep, 4)]);
    }
    let wrong = memory.file(b"", &[(leaf, 5)]);
    let memory = Arc::new(memory);
    for scope in [Scope::Entity, Scope::All] {
        let (_, found, error) = car_of(&memory, wanted(deep, "", scope)).await;
        assert_eq!(found.len(), MAX_DEPTH);
        assert!(
            matches!(error, Some(WalkError::TooDeep { .. })),
            "{error:?}"
        );
    }
    let (_, found, error) = car_of(&memory, wanted(wrong, "", Scope::Entity)).await;
    assert_eq!(found, [wrong]);
    assert!(matches!(error, Some(WalkError::Node { cid, .. }) if cid == leaf));
}

#[tokio::test]
async fn nodes_that_are_no_file_system_are_exported_as_blocks() {
    let mut memory = Memory::default();
    let leaf = memory.raw(b"leaf");
    let root = memory.node(
        Some(&super::super::UnixFs::Symlink { target: "x".into() }),
        &[("a", leaf)],
    );
    let memory = Arc::new(memory);
    let (_, found, error) = car_of(&memory, wanted(root, "", Scope::All)).await;
    assert_eq!(found, [root, leaf]);
    assert!(error.is_none());
    let (_, found, error) = car_of(&memory, wanted(root, "", Scope::Block)).await;
    assert_eq!(found, [root]);
    assert!(error.is_none());
    let (_, _, error) = car_of(&memory, wanted(root, "", Scope::Entity)).await;
    assert!(matches!(error, Some(WalkError::Node { .. })));
}

#[tokio::test]
async fn an_end_that_cannot_be_walked_is_an_error_before_anything_else() {
    let mut memory = Memory::default();
    let open = memory.put(codec::DAG_JSON, "[".repeat(1000));
    let cut = memory.put(codec::DAG_CBOR, vec![0x81]);
    let node = memory.put(codec::DAG_PB, "\n\x02\x08\x01\x12\0");
    let root = memory.directory(&[("open", open), ("cut", cut), ("node", node)]);
    let memory = Arc::new(memory);
    for (path, end) in [("open", open), ("cut", cut), ("node", node)] {
        for wanted in [wanted(end, "", Scope::All), wanted(root, path, Scope::All)] {
            let (roots, found, error) = car_of(&memory, wanted).await;
            assert!(roots.is_empty() && found.is_empty(), "{path}: {found:?}");
            assert!(matches!(error, Some(WalkError::Node { cid, .. }) if cid == end));
        }
        let (roots, found, error) = car_of(&memory, wanted(root, path, Scope::Block)).await;
        assert_eq!((roots, found), (vec![end], vec![root, end]));
        assert!(error.is_none(), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn large_blocks_are_not_copied() {
    let mut memory = Memory::default();
    let large = memory.raw(&[7; JOINED_BYTES + 1]);
    let held = memory.blocks[&large].as_ptr();
    let mut stream = std::pin::pin!(export(Arc::new(memory), wanted(large, "", Scope::Block)));
    let mut pieces = Vec::new();
    while let Some(piece) = stream.next().await {
        pieces.push(piece.unwrap());
    }
    assert_eq!(pieces.len(), 3, "header, head, block");
    assert_eq!(pieces[2].as_ptr(), held);
}

#[test]
fn seen_blocks_are_bounded() {
    let mut seen = Seen::default();
    let cid = |n: usize| name_of(codec::RAW, &n.to_le_bytes());
    for n in 0..MAX_SEEN {
        assert_eq!(seen.meet(&cid(n), true), Todo::GIVE);
    }
    let late = cid(MAX_SEEN);
    assert_eq!(seen.meet(&late, true), Todo::GIVE);
    assert_eq!(seen.meet(&late, true), Todo::GIVE, "it may come again");
    assert!(!seen.meet(&cid(0), true).is_given);
    assert_eq!(seen.0.len(), MAX_SEEN);
}
