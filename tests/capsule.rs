//! Threads, boards and folders that leave one node as a file and arrive at another that never met
//! it; and files that lie.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cid::Cid;
use cid::multihash::Multihash;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::node::{Node, Said, eventually};
use crate::scene::{
    ARRIVES, Scene, board, fixtures, join, noise, reply, shows, text, thread, thread_with, verified,
};

const DAG_PB: u64 = 0x70;
const DAG_CBOR: u64 = 0x71;
const RAW: u64 = 0x55;
const SHA2_256: u64 = 0x12;
const BLAKE3: u64 = 0x1e;

fn name(codec: u64, bytes: &[u8]) -> Result<Cid> {
    let hash = Multihash::wrap(SHA2_256, &Sha256::digest(bytes))?;
    Ok(Cid::new_v1(codec, hash))
}

/// Ended with this code, and said these words.
fn ended(said: &Said, code: i32, words: &[&str]) -> Result<()> {
    ensure!(said.code == code, "expected {code}: {said:?}");
    let text = format!("{}{}", said.stdout, said.stderr);
    for word in words {
        ensure!(text.contains(word), "no {word:?} in {text}");
    }
    Ok(())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("test paths are UTF-8")
}

/// A CAR taken apart by hand: its header with the length before it, and each block with its CID.
#[derive(Debug, Clone)]
struct Car {
    header: Vec<u8>,
    blocks: Vec<(Cid, Vec<u8>)>,
}

fn varint(mut number: usize) -> Vec<u8> {
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
    fn read(path: &Path) -> Result<Self> {
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

    fn frame((cid, bytes): &(Cid, Vec<u8>)) -> Vec<u8> {
        let cid = cid.to_bytes();
        [varint(cid.len() + bytes.len()), cid, bytes.clone()].concat()
    }

    fn bytes(&self) -> Vec<u8> {
        let sections = self.blocks.iter().flat_map(Self::frame);
        self.header.iter().copied().chain(sections).collect()
    }

    /// Where a block's section begins.
    fn offset(&self, index: usize) -> usize {
        let before = self.blocks[..index]
            .iter()
            .map(|block| Self::frame(block).len());
        self.header.len() + before.sum::<usize>()
    }

    /// Which block is the first with this in it.
    fn find(&self, words: &[u8]) -> Result<usize> {
        self.blocks
            .iter()
            .position(|(_, bytes)| bytes.windows(words.len()).any(|window| window == words))
            .context("no such block")
    }
}

/// What a thread looks like, without what differs between nodes.
fn content(seen: &Value) -> Result<Vec<Value>> {
    let posts = seen["posts"].as_array().context("posts")?;
    Ok(posts
        .iter()
        .map(|post| {
            let media: Vec<_> = post["media"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|media| {
                    json!([
                        media["blob"],
                        media["name"],
                        media["type"],
                        media["thumb"],
                        media["size_bytes"]
                    ])
                })
                .collect();
            json!([
                post["id"],
                post["parent"],
                post["author"]["identity"],
                post["title"],
                post["body"],
                post["score"],
                post["time_ms"],
                post["verdict"],
                media
            ])
        })
        .collect())
}

/// All bytes of a blob, as a player would get them.
fn bytes_of(node: &Node, blob: &str) -> Result<Vec<u8>> {
    let answer = node.client()?.get(&format!("/ipfs/{blob}"))?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(answer.body)
}

/// A thread with a film and a picture, answers and votes of two people, written to a file.
struct Told {
    thread: String,
    blobs: Vec<String>,
    seen: Value,
    file: PathBuf,
}

fn told(scene: &Scene) -> Result<Told> {
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let media = fixtures()?;
    let board = board(&a)?;
    let files = [media.webm.as_path(), media.jpeg.as_path()];
    let (thread, blobs) = thread_with(&a, &board, "A film", &files)?;
    join(&b, &board.ticket)?;
    shows(&b, &thread, 1)?;
    let answer = reply(&b, &thread, "An answer from elsewhere.")?;
    shows(&a, &thread, 2)?;
    reply(&a, &answer, "And one to that.")?;
    for (node, post, dir) in [(&b, &thread, 1), (&a, &answer, 1), (&b, &answer, -1)] {
        let path = format!("/api/v1/votes/{post}");
        node.client()?
            .send_json("PUT", &path, &json!({"dir": dir}))?;
    }
    a.client()?
        .send_json("PUT", "/api/v1/profile", &json!({"name": "Ada"}))?;
    let path = format!("/api/v1/threads/{thread}");
    let seen = eventually("all votes at the node that exports", ARRIVES, || {
        let seen = a.client()?.get_json(&path)?;
        let scores = [&seen["posts"][0]["score"], &seen["posts"][1]["score"]];
        // The answer has one vote for it and one against, so that only the first post's tells.
        ensure!(scores == [1, 0], "{seen}");
        let state = a.client()?.get_json(&format!("/api/v1/entries/{answer}"))?;
        ensure!(state.is_object(), "{state}");
        Ok(Some(seen))
    })?;
    let file = scene.path("thread.car");
    let said = a.json(&["export", path_text(&file)?, &thread])?;
    ensure!(
        said["kind"] == "capsule"
            && said["files"].as_u64() >= Some(3)
            && said["lacking_files"] == 0,
        "{said}"
    );
    Ok(Told {
        thread,
        blobs,
        seen,
        file,
    })
}

#[test]
fn a_thread_travels_as_a_file() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let media = fixtures()?;
    // Nobody is there any more who could help: both other nodes are gone.
    let c = scene.node("c")?;
    let imported = c.json(&["import", path_text(&told.file)?])?;
    ensure!(
        imported[0]["threads"] == json!([told.thread]) && imported[0]["lacking_files"] == 0,
        "{imported}"
    );
    let seen = c
        .client()?
        .get_json(&format!("/api/v1/threads/{}", told.thread))?;
    ensure!(
        content(&seen)? == content(&told.seen)?,
        "another thread: {seen}\nand {}",
        told.seen
    );
    ensure!(seen["posts"][0]["author"]["name"] == "Ada", "{seen}");
    for (blob, file) in told.blobs.iter().zip([&media.webm, &media.jpeg]) {
        ensure!(
            bytes_of(&c, blob)? == fs::read(file)?,
            "other bytes of {blob}"
        );
    }
    let thumb = text(&seen["posts"][0]["media"][0], "thumb")?;
    ensure!(!bytes_of(&c, &thumb)?.is_empty(), "a thumbnail");
    verified(&c)?;

    let again = c.json(&["import", path_text(&told.file)?])?;
    ensure!(
        again[0]["entries"] == 0 && again[0]["known_entries"] == imported[0]["entries"],
        "{again}"
    );
    // What came by a file goes on by a file, the same but for the order of what has the same time.
    let onward = scene.path("onward.car");
    let said = c.json(&["export", path_text(&onward)?, &told.thread])?;
    ensure!(said["entries"] == imported[0]["entries"], "{said}");
    ensure!(
        Car::read(&onward)?.blocks.len() == Car::read(&told.file)?.blocks.len(),
        "something was lost"
    );
    let listed = c.json(&["space", "ls"])?;
    ensure!(
        listed[0]["title"] == "Films",
        "the board is followed: {listed}"
    );
    Ok(())
}

#[test]
fn a_capsule_can_be_read_by_hand() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let car = Car::read(&told.file)?;
    let mut entries = 0;
    let mut file: Option<blake3::Hasher> = None;
    let mut hashes = Vec::new();
    for (cid, bytes) in &car.blocks {
        match cid.hash().code() {
            SHA2_256 => ensure!(name(cid.codec(), bytes)? == *cid, "{cid} lies"),
            BLAKE3 => ensure!(
                blake3::hash(bytes).as_bytes()[..] == *cid.hash().digest(),
                "{cid} lies"
            ),
            other => bail!("{cid} has the hash {other}"),
        }
        if cid.codec() == DAG_CBOR && cid.hash().code() == SHA2_256 {
            hashes.extend(file.take().map(|hash| hash.finalize()));
            file = bytes
                .windows(11)
                .any(|window| window == b"datt/file/1")
                .then(blake3::Hasher::new);
        } else if cid.codec() == RAW {
            file.as_mut()
                .context("raw blocks belong to a file")?
                .update(bytes);
        }
        entries += usize::from(
            cid.codec() == DAG_CBOR && bytes.first() == Some(&0x82) && bytes.get(1) != Some(&0x50),
        );
    }
    for blob in &told.blobs {
        let blob: Cid = blob.parse()?;
        ensure!(
            hashes
                .iter()
                .any(|hash| hash.as_bytes()[..] == *blob.hash().digest()),
            "no {blob}"
        );
    }
    ensure!(entries > 8, "only {entries} entries");
    Ok(())
}

/// Writes a CAR, imports it into a node that is new, and says what became of it.
fn import_lie(scene: &Scene, name: &str, bytes: &[u8], words: &[&str]) -> Result<Node> {
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
fn a_capsule_that_lies_fails_there_and_what_was_right_stays() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let car = Car::read(&told.file)?;
    let thread = format!("/api/v1/threads/{}", told.thread);
    let same_thread = |node: &Node| -> Result<()> {
        let seen = node.client()?.get_json(&thread)?;
        ensure!(content(&seen)? == content(&told.seen)?, "{seen}");
        verified(node)
    };
    let leaves: Vec<usize> = (0..car.blocks.len())
        .filter(|at| car.blocks[*at].0.codec() == RAW)
        .collect();
    let last = *leaves.last().context("media")?;

    // A byte of the last file is another: the block at that place is named.
    let mut lie = car.clone();
    lie.blocks[last].1[0] ^= 1;
    let at = format!("byte {}", car.offset(last));
    let cid = car.blocks[last].0.to_string();
    let node = import_lie(&scene, "flipped", &lie.bytes(), &[&at, &cid])?;
    same_thread(&node)?;
    ensure!(
        bytes_of(&node, &told.blobs[0])? == fs::read(&fixtures()?.webm)?,
        "the first file"
    );

    // Cut in the middle of a file, and right before the end.
    let whole = car.bytes();
    let node = import_lie(
        &scene,
        "cut",
        &whole[..car.offset(last) + 100],
        &["ends inside"],
    )?;
    same_thread(&node)?;
    let end = car.offset(car.blocks.len() - 1);
    same_thread(&import_lie(
        &scene,
        "endless",
        &whole[..end],
        &["no last block"],
    )?)?;

    // A true block at the wrong place.
    let mut lie = car.clone();
    lie.blocks[last] = (
        name(RAW, b"true, and not asked for")?,
        b"true, and not asked for".to_vec(),
    );
    same_thread(&import_lie(&scene, "swapped", &lie.bytes(), &[&at, &cid])?)?;

    // A file whose mark claims another blob: its blocks are true, the claim isn't.
    let mut lie = car.clone();
    let mark = car.find(b"datt/file/1")?;
    let digest = told.blobs[0].parse::<Cid>()?.hash().digest().to_vec();
    let bytes = &mut lie.blocks[mark].1;
    let place = bytes
        .windows(32)
        .position(|window| window == digest)
        .context("the claim")?;
    bytes[place] ^= 1;
    lie.blocks[mark].0 = name(DAG_CBOR, &lie.blocks[mark].1)?;
    let words = ["that the capsule says", &told.blobs[0]];
    let node = import_lie(&scene, "claimed", &lie.bytes(), &words)?;
    // The file is the first: nothing of it stays, under neither name.
    same_thread(&node)?;
    ensure!(
        node.client()?
            .get(&format!("/api/v1/blobs/{}", told.blobs[0]))?
            .status
            == 404,
        "kept"
    );
    Ok(())
}

#[test]
fn an_entry_that_nobody_signed_is_refused() -> Result<()> {
    let scene = Scene::new()?;
    let told = told(&scene)?;
    let mut car = Car::read(&told.file)?;
    // The last entry of all: its signature is its last 64 bytes.
    let at = car
        .blocks
        .iter()
        .rposition(|(cid, bytes)| {
            cid.codec() == DAG_CBOR && bytes.first() == Some(&0x82) && bytes.get(1) != Some(&0x50)
        })
        .context("an entry")?;
    let bytes = &mut car.blocks[at].1;
    *bytes.last_mut().context("a signature")? ^= 1;
    let hash = Multihash::wrap(BLAKE3, blake3::hash(bytes).as_bytes())?;
    car.blocks[at].0 = Cid::new_v1(DAG_CBOR, hash);
    let words = [
        format!("byte {}", car.offset(at)),
        car.blocks[at].0.to_string(),
    ];
    let words = [words[0].as_str(), words[1].as_str(), "signature"];
    let node = import_lie(&scene, "forged", &car.bytes(), &words)?;
    let seen = node
        .client()?
        .get_json(&format!("/api/v1/threads/{}", told.thread))?;
    ensure!(seen["total"] == 3, "what was signed is here: {seen}");
    verified(&node)
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
        ended(&said, 4, &[name]).with_context(|| format!("{name}"))?;
    }
    ended(&a.run(&["import", "/no/such/file.car"])?, 3, &[])?;
    ended(&a.run(&["import", path_text(&scene.path(""))?])?, 2, &[])?;
    Ok(())
}

#[test]
fn a_whole_board_travels_and_an_unlisted_one_only_by_its_name() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let listed = board(&a)?;
    let first = thread(&a, &listed, "First")?;
    let second = thread(&a, &listed, "Second")?;
    reply(&a, &second, "An answer.")?;
    let made = a.client()?.send_json(
        "POST",
        "/api/v1/spaces",
        &json!({"title": "Hidden", "unlisted": true}),
    )?;
    let hidden = text(&made, "space")?;
    let secret = crate::scene::post(
        &a,
        &json!({"space": hidden, "title": "Secret", "body": "Psst."}),
    )?;

    let node_file = scene.path("node.car");
    let said = a.json(&["export", path_text(&node_file)?])?;
    ensure!(
        said["spaces"].as_array().is_some_and(
            |spaces| spaces.contains(&json!(listed.space)) && !spaces.contains(&json!(hidden))
        ),
        "{said}"
    );
    let b = scene.node("b")?;
    let imported = b.json(&["import", path_text(&node_file)?])?;
    ensure!(imported[0]["spaces"] == json!([listed.space]), "{imported}");
    for (thread, posts) in [(&first, 1), (&second, 2)] {
        let seen = b.client()?.get_json(&format!("/api/v1/threads/{thread}"))?;
        ensure!(seen["total"] == posts, "{seen}");
    }
    ensure!(
        b.run(&["thread", &secret])?.code == 3,
        "the unlisted board stayed at home"
    );
    let boards = b.json(&["space", "ls"])?;
    ensure!(boards[0]["title"] == "Films", "{boards}");

    let space_file = scene.path("hidden.car");
    let said = a.json(&["export", path_text(&space_file)?, &hidden])?;
    ensure!(said["spaces"] == json!([hidden]), "{said}");
    b.json(&["import", path_text(&space_file)?])?;
    let seen = b.client()?.get_json(&format!("/api/v1/threads/{secret}"))?;
    ensure!(seen["total"] == 1, "{seen}");
    ensure!(
        b.reader()?
            .get(&format!("/api/v1/threads/{secret}"))?
            .status
            == 404,
        "it is unlisted there too"
    );
    verified(&b)
}

#[test]
fn an_export_is_whole_or_not_there() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let file = scene.path("nothing.car");
    let nobody = crate::cli::NOBODY;
    ended(
        &a.run(&["export", path_text(&file)?, nobody])?,
        3,
        &[nobody],
    )?;
    ended(&a.run(&["export", path_text(&file)?, "not-a-cid"])?, 2, &[])?;
    ended(&a.run(&["--json", "export", "-"])?, 2, &["stdout"])?;
    let stranger = a.reader()?.get("/api/v1/export")?;
    ensure!(stranger.status == 401, "{}", stranger.text());
    ended(
        &a.run(&["export", path_text(&scene.path(""))?])?,
        2,
        &["folder"],
    )?;
    let left: Vec<_> = fs::read_dir(scene.path(""))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(!left.iter().any(|name| name.contains(".car")), "{left:?}");
    Ok(())
}

/// A file's root and the size of its DAG, by the profile: raw leaves of a mebibyte and one node.
fn file_dag(bytes: &[u8]) -> Result<(Cid, usize)> {
    let leaves: Vec<&[u8]> = bytes.chunks(1 << 20).collect();
    if leaves.len() < 2 {
        return Ok((name(RAW, bytes)?, bytes.len()));
    }
    let mut node = Vec::new();
    let mut unixfs = [vec![0x08, 2, 0x18], varint(bytes.len())].concat();
    for leaf in &leaves {
        node.extend(link("", name(RAW, leaf)?, leaf.len()));
        unixfs.extend([vec![0x20], varint(leaf.len())].concat());
    }
    node.extend([vec![0x0a], varint(unixfs.len()), unixfs].concat());
    let size = bytes.len() + node.len();
    Ok((name(DAG_PB, &node)?, size))
}

fn link(label: &str, cid: Cid, size: usize) -> Vec<u8> {
    let cid = cid.to_bytes();
    let fields = [
        vec![0x0a],
        varint(cid.len()),
        cid,
        vec![0x12],
        varint(label.len()),
        label.as_bytes().to_vec(),
        vec![0x18],
        varint(size),
    ]
    .concat();
    [vec![0x12], varint(fields.len()), fields].concat()
}

/// A directory's root and the size of its DAG; the entries are sorted.
fn directory_dag(entries: &[(&str, (Cid, usize))]) -> Result<(Cid, usize)> {
    let mut node = Vec::new();
    for (label, (cid, size)) in entries {
        node.extend(link(label, *cid, *size));
    }
    node.extend([0x0a, 2, 0x08, 1]);
    let below: usize = entries.iter().map(|(_, (_, size))| size).sum();
    let size = below + node.len();
    Ok((name(DAG_PB, &node)?, size))
}

#[test]
fn a_folder_becomes_an_album_with_the_names_that_ipfs_gives_it() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let album = scene.path("album");
    let below = album.join("below");
    fs::create_dir_all(&below)?;
    let (small, large) = (noise(1_000, 1), noise((2 << 20) + 700_000, 2));
    for (path, bytes) in [
        (album.join("small.bin"), &small),
        (album.join("LARGE.bin"), &large),
        (below.join("again.bin"), &small),
        (below.join("empty"), &Vec::new()),
        (album.join(".hidden"), &small),
    ] {
        fs::write(path, bytes)?;
    }
    std::os::unix::fs::symlink("small.bin", album.join("link"))?;

    let inner = directory_dag(&[("again.bin", file_dag(&small)?), ("empty", file_dag(&[])?)])?;
    let (root, _) = directory_dag(&[
        ("LARGE.bin", file_dag(&large)?),
        ("below", inner),
        ("small.bin", file_dag(&small)?),
    ])?;
    let added = a.json(&["add", path_text(&album)?])?;
    ensure!(
        added[0]["ipfs"] == root.to_string(),
        "{added} instead of {root}"
    );
    let files = added[0]["files"].as_array().context("files")?;
    let names: Vec<_> = files.iter().map(|file| file["name"].clone()).collect();
    ensure!(
        names == ["LARGE.bin", "below/again.bin", "below/empty", "small.bin"],
        "{added}"
    );
    ensure!(
        files[0]["ipfs"] == file_dag(&large)?.0.to_string(),
        "{added}"
    );
    let notes = added[0]["notes"].to_string();
    ensure!(
        notes.contains(".hidden") && notes.contains("link was left out"),
        "{notes}"
    );
    let plain = a.run(&["add", path_text(&album.join("small.bin"))?])?;
    ended(&plain, 0, &[&file_dag(&small)?.0.to_string()])?;

    // It travels as a plain CAR, and every file of it is there under its path.
    let file = scene.path("album.car");
    let said = a.json(&["export", path_text(&file)?, &root.to_string()])?;
    ensure!(
        said["kind"] == "car" && said["roots"] == json!([root.to_string()]),
        "{said}"
    );
    let b = scene.node("b")?;
    let imported = b.json(&["import", path_text(&file)?])?;
    ensure!(
        imported[0]["missing_blocks"] == 0 && imported[0]["kind"] == "car",
        "{imported}"
    );
    for (path, bytes) in [
        ("LARGE.bin", &large),
        ("below/again.bin", &small),
        ("below/empty", &Vec::new()),
    ] {
        ensure!(
            bytes_of(&b, &format!("{root}/{path}"))? == *bytes,
            "other bytes of {path}"
        );
    }
    verified(&b)
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
    let words = [
        format!("byte {}", good.offset(4)),
        good.blocks[4].0.to_string(),
    ];
    let node = import_lie(&scene, "b", &lie.bytes(), &[&words[0], &words[1]])?;
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
    let imported = node.json(&["import", path_text(&car)?])?;
    ensure!(imported[0]["missing_blocks"] == 0, "{imported}");
    ensure!(
        imported[0]["files"][0]["blob"] == added[0]["blob"],
        "{imported}"
    );
    ensure!(bytes_of(&node, &ipfs)? == bytes, "the whole file after all");
    verified(&node)
}
