//! CIDs as Kubo gives them: `ipfs add --only-hash` of Kubo 0.38 with the settings of the profile
//! `unixfs-v1-2025`, and the test fixtures of IPIP-499.

use std::collections::BTreeMap;

use cid::Cid;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};

use crate::dag::{
    Entry, FileBuilder, LEAF_BYTES, Leaf, Node, Root, UnixFs, directory, name_of, parse_cid,
};

const GIB: u64 = 1 << 30;

/// The file of a length whose bytes are the number of their MiB, modulo 7, in leaves of a length.
fn striped(size_bytes: u64, leaf_bytes: u64) -> (Root, usize) {
    let mut leaves: BTreeMap<(u8, u64), Leaf> = BTreeMap::new();
    let mut nodes = 0;
    let mut file = FileBuilder::new();
    for at in (0..size_bytes.max(1)).step_by(usize::try_from(leaf_bytes).unwrap()) {
        let length = leaf_bytes.min(size_bytes - at);
        let fill = u8::try_from((at >> 20) % 7).unwrap();
        let leaf = leaves
            .entry((fill, length))
            .or_insert_with(|| Leaf::of(&vec![fill; usize::try_from(length).unwrap()]));
        file.leaf(leaf.cid, leaf.size_bytes, &mut |_, _| nodes += 1);
    }
    let root = file.finish(&mut |_, _| nodes += 1);
    (root, nodes)
}

#[test]
fn files_of_every_length_around_a_boundary_are_named_as_kubo_does() {
    for (size_bytes, nodes, name) in [
        (
            0,
            0,
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        ),
        (
            1,
            0,
            "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu",
        ),
        (
            262_143,
            0,
            "bafkreic6iqyxuiad5dem4bzgyy336yoi6tegdqa4e5vt24gq3btool5cra",
        ),
        (
            262_144,
            0,
            "bafkreiekhhjkxu4ztk3tyng3er3ijhg56mb44oe3gwbgquhzu4afrg2ksa",
        ),
        (
            262_145,
            0,
            "bafkreifspibstbhkrjv6y4amhvxwh6h47p4p7dxyp2lsrep63jhousvnbq",
        ),
        (
            1_048_575,
            0,
            "bafkreigkp3imjkhgps64iyoezmgsq3jpvo6z6dcbu72cwzs7olv2vcxmky",
        ),
        (
            1_048_576,
            0,
            "bafkreibq4fevl27rgurgnxbp7adh42aqiyd6ouflxhj3gzmcxcxzbh6lla",
        ),
        (
            1_048_577,
            1,
            "bafybeiaomlonartwxzal4y3jecn5axopw3ip6ie37q33qlyuccqpfok7p4",
        ),
        (
            GIB - 1_048_576,
            1,
            "bafybeihhwif6e72zemrlo3w5tyglk6djxsbprrhpbuy7vhqmk7khetb6wi",
        ),
        (
            GIB,
            1,
            "bafybeif5vnopmwtarsiaixscolyiddi7twqpcpiovq6jdszskv3lbns2mq",
        ),
        (
            GIB + 1,
            3,
            "bafybeiahxtzxc4fzg6l2oy5qrjzmjduofihfnyc5qkkotsh6kwh2jd7qn4",
        ),
    ] {
        let (root, made) = striped(size_bytes, LEAF_BYTES as u64);
        assert_eq!(root.cid.to_string(), name, "{size_bytes} bytes");
        assert_eq!((root.size_bytes, made), (size_bytes, nodes));
    }
}

/// The same with leaves of 64 bytes, so that a million of them fill two levels and need a third.
#[test]
fn a_third_level_is_begun_with_the_leaf_after_the_last_that_fits() {
    const FULL: u64 = 1024 * 1024 * 64;
    for (size_bytes, nodes, name) in [
        (
            FULL,
            1025,
            "bafybeieutm6qszflmotqvwkftl7wf6sv3zped3avo64voo55dwbeel5r74",
        ),
        (
            FULL + 1,
            1028,
            "bafybeick5zdxnpkijix4bejtget7zbohsmbg4pmsn2aiseo2kvljabmiyy",
        ),
    ] {
        let (root, made) = striped(size_bytes, 64);
        assert_eq!(root.cid.to_string(), name, "{size_bytes} bytes");
        assert_eq!(made, nodes);
    }
}

#[test]
fn a_file_without_leaves_is_the_one_with_an_empty_leaf() {
    let root = FileBuilder::new().finish(&mut |_, _| panic!("has no nodes"));
    assert_eq!(root, striped(0, LEAF_BYTES as u64).0);
}

#[test]
fn nodes_come_children_first_and_the_root_last() {
    let mut emitted: Vec<Cid> = Vec::new();
    let mut file = FileBuilder::new();
    let leaf = Leaf::of(b"leaf");
    for _ in 0..3000 {
        file.leaf(leaf.cid, leaf.size_bytes, &mut |cid, _| emitted.push(cid));
    }
    let root = file.finish(&mut |cid, bytes| {
        for link in Node::decode(&bytes).unwrap().links {
            assert!(link.cid == leaf.cid || emitted.contains(&link.cid));
        }
        emitted.push(cid);
    });
    assert_eq!(emitted.len(), 4);
    assert_eq!(emitted.last(), Some(&root.cid));
}

fn file(name: &str, bytes: &[u8]) -> Entry {
    let leaf = Leaf::of(bytes);
    Entry {
        name: name.to_owned(),
        cid: leaf.cid,
        dag_bytes: leaf.size_bytes,
    }
}

fn subdirectory(name: &str, entries: Vec<Entry>) -> Entry {
    let root = directory(entries, &mut |_, _| {}).unwrap();
    Entry {
        name: name.to_owned(),
        cid: root.cid,
        dag_bytes: root.dag_bytes,
    }
}

/// Builds it, and checks that what was emitted is a tree of nodes below the root.
fn built(entries: Vec<Entry>) -> (Root, bool) {
    let mut last = None;
    let mut sum_bytes = 0;
    let root = directory(entries, &mut |cid, bytes| {
        assert_eq!(cid, name_of(0x70, &bytes));
        sum_bytes += bytes.len() as u64;
        last = Some((cid, bytes));
    })
    .unwrap();
    let (cid, bytes) = last.unwrap();
    assert_eq!(cid, root.cid);
    assert!(root.dag_bytes >= sum_bytes);
    let meaning = UnixFs::of(&Node::decode(&bytes).unwrap()).unwrap();
    (root, matches!(meaning, UnixFs::Shard { .. }))
}

#[test]
fn directories_are_named_as_kubo_does() {
    let mebibyte = striped_entry("a", 1_048_577);
    let small = vec![
        file("hello.txt", b"hello\n"),
        file("\u{e9}.txt", b"e"),
        mebibyte,
        file("Z z", b"z"),
        file("B", b""),
    ];
    let below = subdirectory("b", vec![file("c.txt", b"deep")]);
    let nested = vec![
        subdirectory("empty", Vec::new()),
        file("z", b"last"),
        subdirectory("a", vec![below]),
    ];
    for (entries, dag_bytes, name) in [
        (
            Vec::new(),
            4,
            "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
        ),
        (
            small,
            1_048_935,
            "bafybeieqoktnopn3spx2d5hktrupoisu4ek6pzsowqxyfjwremv7g4dbfi",
        ),
        (
            nested,
            257,
            "bafybeiers3ssmj752m5fqmni2pjftgpkj6oo5sx4thz6ouxkzlzvp2arwm",
        ),
    ] {
        let (root, is_sharded) = built(entries);
        assert_eq!(root.cid.to_string(), name);
        assert_eq!((root.dag_bytes, is_sharded), (dag_bytes, false));
    }
}

fn striped_entry(name: &str, size_bytes: u64) -> Entry {
    let (root, _) = striped(size_bytes, LEAF_BYTES as u64);
    Entry {
        name: name.to_owned(),
        cid: root.cid,
        dag_bytes: root.dag_bytes,
    }
}

#[test]
fn large_directories_are_sharded_as_kubo_does() {
    let many = (0..5000).map(|number| {
        let name = format!("the entry with number {number:05}.txt");
        file(&name, number.to_string().as_bytes())
    });
    let (root, is_sharded) = built(many.collect());
    assert!(is_sharded);
    assert_eq!(root.dag_bytes, 439_230);
    assert_eq!(
        root.cid.to_string(),
        "bafybeib2djijz5gregjwsi3yjggh7k2pkwsheihuimjk4wwmtexcf3rhry"
    );

    let long = |count| {
        let name = "n".repeat(240);
        (0..count).map(move |number| file(&format!("{name}{number:03}"), b"x"))
    };
    for (count, is_sharded, name) in [
        (
            300,
            false,
            "bafybeihy7jloplzie6hny6jqonnzv56bvssu3pskvaf3fow25oiug47xu4",
        ),
        (
            1000,
            true,
            "bafybeidrjaoczagqf6toeytkdknjck6ct7fgjdfu2gcvrx7q4ny5ojfsna",
        ),
    ] {
        let (root, was_sharded) = built(long(count).collect());
        assert_eq!(root.cid.to_string(), name);
        assert_eq!(was_sharded, is_sharded);
    }
}

/// The two directories of IPIP-499: one of 262,144 bytes when it is encoded, one with a byte more.
#[test]
fn a_directory_is_sharded_above_256_kib_as_encoded_and_not_at_them() {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz01234567890-_";
    for (last_bytes, is_sharded, name) in [
        (
            21,
            false,
            "bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4",
        ),
        (
            22,
            true,
            "bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu",
        ),
    ] {
        let mut random = ChaCha20Rng::from_seed(Sha256::digest("hamt-unixfs-v1-2025").into());
        let mut letters = vec![0; 4765 * 11 + last_bytes];
        random.fill_bytes(&mut letters);
        for byte in &mut letters {
            *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
        }
        let letters = String::from_utf8(letters).unwrap();
        let (names, last) = letters.split_at(4765 * 11);
        let names = (0..4765).map(|number| &names[number * 11..][..11]);
        let entries = names.chain([last]).map(|name| file(name, b"x"));
        let (root, was_sharded) = built(entries.collect());
        assert_eq!(was_sharded, is_sharded);
        assert_eq!(Some(root.cid), parse_cid(name));
    }
}
