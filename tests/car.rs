//! CARs of any kind, read and written by hand: what comes in, and what is refused.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use cid::Cid;
use cid::multihash::Multihash;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::node::{Node, Said};
use crate::scene::{Scene, fixtures, noise, text, verified};

/// Multicodec of dag-pb.
pub const DAG_PB: u64 = 0x70;
/// Multicodec of dag-cbor.
pub const DAG_CBOR: u64 = 0x71;
/// Multicodec of raw bytes.
pub const RAW: u64 = 0x55;
/// Multihash code of SHA-256.
pub const SHA2_256: u64 = 0x12;
/// Multihash code of BLAKE3.
pub const BLAKE3: u64 = 0x1e;

/// The CIDv1 of a block by SHA-256.
pub fn name(codec: u64, bytes: &[u8]) -> Result<Cid> {
    let hash = Multihash::wrap(SHA2_256, &Sha256::digest(bytes))?;
    Ok(Cid::new_v1(codec, hash))
}

/// Ended with this code, and said these words.
pub fn ended(said: &Said, code: i32, words: &[&str]) -> Result<()> {
    ensure!(said.code == code, "expected {code}: {said:?}");
    let text = format!("{}{}", said.stdout, said.stderr);
    for word in words {
        ensure!(text.contains(word), "no {word:?} in {text}");
    }
    Ok(())
}

/// A path as an argument.
pub fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("test paths are UTF-8")
}

/// A CAR taken apart by hand: its header with the length before it, and each block with its CID.
#[derive(Debug, Clone)]
pub struct Car {
    /// The header with the length before it.
    pub header: Vec<u8>,
    /// The blocks.
    pub blocks: Vec<(Cid, Vec<u8>)>,
}

/// LEB128 without sign.
pub fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or(0));
    bytes
}

fn read_varint(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(8) {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((number, &bytes[at + 1..]));
        }
    }
    bail!("no varint")
}

impl Car {
    /// Takes a file apart.
    pub fn read(path: &Path) -> Result<Self> {
        let all = fs::read(path)?;
        let (length, rest) = read_varint(&all)?;
        let header = all[..all.len() - rest.len() + length].to_vec();
        let mut rest = &rest[length..];
        let mut blocks = Vec::new();
        while !rest.is_empty() {
            let (length, after) = read_varint(rest)?;
            let mut section = &after[..length];
            let cid = Cid::read_bytes(&mut section)?;
            blocks.push((cid, section.to_vec()));
            rest = &after[length..];
        }
        Ok(Self { header, blocks })
    }

    /// A section.
    pub fn frame((cid, bytes): &(Cid, Vec<u8>)) -> Vec<u8> {
        let cid = cid.to_bytes();
        [varint(cid.len() + bytes.len()), cid, bytes.clone()].concat()
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        let sections = self.blocks.iter().flat_map(Self::frame);
        self.header.iter().copied().chain(sections).collect()
    }

    /// Where a block's section begins.
    pub fn offset(&self, index: usize) -> usize {
        let before = self.blocks[..index]
            .iter()
            .map(|block| Self::frame(block).len());
        self.header.len() + before.sum::<usize>()
    }

    /// Which block is the first with this in it.
    pub fn find(&self, words: &[u8]) -> Result<usize> {
        self.blocks
            .iter()
            .position(|(_, bytes)| bytes.windows(words.len()).any(|window| window == words))
            .context("no such block")
    }
}

/// All bytes of a blob, as a player would get them.
pub fn bytes_of(node: &Node, blob: &str) -> Result<Vec<u8>> {
    let answer = node.client()?.get(&format!("/ipfs/{blob}"))?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(answer.body)
}

/// Writes a CAR, imports it into a node that is new, and says what became of it.
pub fn import_lie(scene: &Scene, name: &str, bytes: &[u8], words: &[&str]) -> Result<Node> {
    let file = scene.path(&format!("{name}.car"));
    fs::write(&file, bytes)?;
    let node = scene.node(name)?;
    let said = node.run(&["import", path_text(&file)?])?;
    ended(&said, 4, words).with_context(|| format!("the lie {name:?}"))?;
    let said = node.run(&["--json", "import", path_text(&file)?])?;
    ensure!(
        said.code == 4 && said.json()?["error"]["code"] == "not_verified",
        "{said:?}"
    );
    Ok(node)
}

#[test]
fn files_that_are_no_cars_are_refused() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let leaf = (name(RAW, b"leaf")?, b"leaf".to_vec());
    let root = serde_ipld_dagcbor::to_vec(&json!({"roots": [], "version": 1}))?;
    let header = [varint(root.len()), root].concat();
    let version = serde_ipld_dagcbor::to_vec(&json!({"roots": [], "version": 2}))?;
    let table: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("picture", fs::read(&fixtures()?.png)?),
        ("version", [varint(version.len()), version].concat()),
        ("giant-header", [&[0xff; 8][..], &[0x7f]].concat()),
        ("giant-varint", [&header[..], &[0xff; 9], &[0x7f]].concat()),
        ("long-varint", [&header[..], &[0xff; 20]].concat()),
        (
            "giant-section",
            [&header[..], &varint(1 << 30), &[1; 100]].concat(),
        ),
        ("no-cid", [&header[..], &varint(4), b"leaf"].concat()),
        ("cut", [&header[..], &Car::frame(&leaf)[..10]].concat()),
    ];
    for (name, bytes) in table {
        let file = scene.path(name);
        fs::write(&file, bytes)?;
        let said = a.run(&["import", path_text(&file)?])?;
        ended(&said, 4, &[name]).context(name)?;
    }
    ended(&a.run(&["import", "/no/such/file.car"])?, 3, &[])?;
    ended(&a.run(&["import", path_text(&scene.path(""))?])?, 2, &[])?;
    Ok(())
}

#[test]
fn a_car_that_lies_keeps_the_blocks_before_the_lie() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let bytes = noise(5 << 20, 7);
    let file = scene.path("film.bin");
    fs::write(&file, &bytes)?;
    let added = a.json(&["add", path_text(&file)?])?;
    let ipfs = text(&added[0], "ipfs")?;
    let car = scene.path("film.car");
    a.json(&["export", path_text(&car)?, &ipfs])?;
    // A blob over two mebibytes is exported by its other name.
    let by_blob = scene.path("by-blob.car");
    a.json(&["export", path_text(&by_blob)?, &text(&added[0], "blob")?])?;
    ensure!(fs::read(&car)? == fs::read(&by_blob)?, "one DAG, two names");

    let good = Car::read(&car)?;
    let mut lie = good.clone();
    lie.blocks[4].1[5] ^= 1;
    let (at, cid) = (
        format!("byte {}", good.offset(4)),
        good.blocks[4].0.to_string(),
    );
    let words = [&at, &cid, "not in `datt pins`"];
    let node = import_lie(&scene, "b", &lie.bytes(), &words)?;
    let pins = node.json(&["pins"])?;
    ensure!(pins == json!([]), "half a DAG is no promise: {pins}");
    for (at, (cid, bytes)) in good.blocks.iter().enumerate() {
        let answer = node.client()?.get(&format!("/ipfs/{cid}?format=raw"))?;
        ensure!(
            (answer.status == 200) == (at < 4),
            "block {at}: {}",
            answer.status
        );
        ensure!(
            at >= 4 || answer.body == *bytes,
            "other bytes of block {at}"
        );
    }
    let half = scene.path("half.car");
    let said = node.run(&["export", path_text(&half)?, &ipfs])?;
    ensure!(
        said.code != 0 && !half.exists(),
        "a DAG with holes: {said:?}"
    );
    let imported = node.json(&["import", path_text(&car)?])?;
    ensure!(imported[0]["missing_blocks"] == 0, "{imported}");
    ensure!(
        imported[0]["files"][0]["blob"] == added[0]["blob"],
        "{imported}"
    );
    ensure!(bytes_of(&node, &ipfs)? == bytes, "the whole file after all");
    verified(&node)
}

#[test]
fn several_dags_go_into_one_car_and_blocks_without_a_root_stay_too() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let (large, small) = (scene.file("large.bin", 3 << 20)?, scene.file("small", 900)?);
    let added = a.json(&["add", path_text(&large)?, path_text(&small)?])?;
    let (large_ipfs, small_blob) = (text(&added[0], "ipfs")?, text(&added[1], "blob")?);
    let car = scene.path("both.car");
    let said = a.json(&["export", path_text(&car)?, &large_ipfs, &small_blob])?;
    ensure!(
        said["roots"] == json!([large_ipfs, small_blob]) && said["blocks"] == 5,
        "{said}"
    );
    let b = scene.node("b")?;
    b.json(&["import", path_text(&car)?])?;
    ensure!(
        bytes_of(&b, &large_ipfs)? == fs::read(&large)?,
        "the large one"
    );
    ensure!(
        bytes_of(&b, &small_blob)? == fs::read(&small)?,
        "the small one"
    );

    let blocks: Vec<_> = [&b"one"[..], b"two"]
        .into_iter()
        .map(|bytes| Ok((name(RAW, bytes)?, bytes.to_vec())))
        .collect::<Result<_>>()?;
    let header = serde_ipld_dagcbor::to_vec(&json!({"roots": [], "version": 1}))?;
    let header = [varint(header.len()), header].concat();
    let rootless = scene.path("rootless.car");
    let loose = Car { header, blocks };
    fs::write(&rootless, loose.bytes())?;
    let imported = b.json(&["import", path_text(&rootless)?])?;
    ensure!(
        imported[0]["blocks"] == 2 && imported[0]["roots"] == json!([]),
        "{imported}"
    );
    for (cid, bytes) in &loose.blocks {
        ensure!(bytes_of(&b, &cid.to_string())? == *bytes, "{cid}");
    }
    verified(&b)
}

#[test]
fn a_root_that_is_no_name_of_a_block_does_not_keep_the_others_out() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let leaf = (name(RAW, b"leaf")?, b"leaf".to_vec());
    // A libp2p key, by its codec.
    let key = name(0x72, b"key")?;
    let roots = |all: &[Cid]| -> Result<Vec<u8>> {
        // {"roots": [all], "version": 1}
        let mut header = vec![0xa2, 0x65];
        header.extend(b"roots");
        header.push(0x80 | u8::try_from(all.len())?);
        for root in all {
            header.extend([0xd8, 0x2a, 0x58, 37, 0]);
            header.extend(root.to_bytes());
        }
        header.extend(b"\x67version\x01");
        Ok([varint(header.len()), header].concat())
    };
    for (file, all, dags) in [("both", vec![key, leaf.0], 1), ("key", vec![key], 0)] {
        let blocks = vec![leaf.clone()];
        let header = roots(&all)?;
        let path = scene.path(file);
        fs::write(&path, Car { header, blocks }.bytes())?;
        let imported = a.json(&["import", path_text(&path)?])?;
        let notes = imported[0]["notes"].to_string();
        ensure!(
            imported[0]["blocks"] == 1 && notes.contains(&key.to_string()),
            "{file}: {imported}"
        );
        let pins = a.json(&["pins"])?;
        ensure!(
            pins.as_array().map(Vec::len) == Some(dags),
            "{file}: {pins}"
        );
        ensure!(bytes_of(&a, &leaf.0.to_string())? == leaf.1, "{file}");
        a.run(&["unpin", &leaf.0.to_string()])?;
        let gone = a.client()?.get(&format!("/ipfs/{}", leaf.0))?;
        ensure!(gone.status == 404, "{file}: {}", gone.status);
    }
    verified(&a)
}
