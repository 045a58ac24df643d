//! What is denied is gone under every name, and stays away, whoever asks.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use blocks::dag::{Link, Node as PbNode};
use cid::Cid;
use cid::multibase::Base;
use sha2::{Digest, Sha256};

use crate::car::{Car, DAG_PB, RAW, ended, name, path_text, varint};
use crate::node::{Node, eventually};
use crate::scene::{ARRIVES, Scene, board, holds, join, noise, shows, text, thread_with, verified};

/// More than one leaf, so that the root is a node.
const LENGTH: usize = (1 << 20) + 3;

/// A file that a node has: blob, IPFS root, path.
struct Given {
    blob: String,
    ipfs: String,
    file: std::path::PathBuf,
}

fn give(scene: &Scene, node: &Node, file: &str) -> Result<Given> {
    let file = scene.file(file, LENGTH)?;
    let added = node.json(&["add", path_text(&file)?])?;
    Ok(Given {
        blob: text(&added[0], "blob")?,
        ipfs: text(&added[0], "ipfs")?,
        file,
    })
}

/// The status of a read, after making sure that a refusal has none of the bytes.
fn status(node: &Node, path: &str) -> Result<u16> {
    let answer = node.reader()?.get(path)?;
    ensure!(
        answer.status == 200 || answer.body.len() < 20_000,
        "{path}: {} with {} bytes",
        answer.status,
        answer.body.len()
    );
    Ok(answer.status)
}

/// Every way of asking for a file.
fn ways(given: &Given) -> Result<Vec<String>> {
    let root: Cid = given.ipfs.parse()?;
    let v0 = Base::Base58Btc.encode(root.hash().to_bytes());
    let base36 = root.to_string_of_base(Base::Base36Lower)?;
    Ok(vec![
        format!("/ipfs/{}", given.blob),
        format!("/ipfs/{}", given.ipfs),
        format!("/ipfs/{v0}"),
        format!("/ipfs/{base36}"),
        format!("/ipfs/{}?format=raw", given.ipfs),
        format!("/ipfs/{}?format=car", given.ipfs),
        format!("/ipfs/{}?format=car&dag-scope=block", v0),
        format!("/blob/{}/outboard", given.blob),
    ])
}

#[test]
fn a_denied_file_is_gone_under_every_name_until_it_is_allowed_again() -> Result<()> {
    let scene = Scene::new()?;
    let mut a = scene.node("a")?;
    for (name, by_blob) in [("first", false), ("second", true)] {
        let given = give(&scene, &a, name)?;
        for way in ways(&given)? {
            ensure!(status(&a, &way)? == 200, "{way}");
        }
        let cid = if by_blob { &given.blob } else { &given.ipfs };
        let said = a.run(&["deny", cid, "--reason", "by court: 100 %"])?;
        ended(&said, 0, &["refused"])?;
        for is_restarted in [false, true] {
            if is_restarted {
                a = a.kill()?.start()?;
            }
            for way in ways(&given)? {
                ensure!(status(&a, &way)? == 410, "{way}");
            }
            let answer = a.reader()?.get(&format!("/ipfs/{cid}"))?;
            ensure!(
                answer.text().contains("by court: 100 %"),
                "{}",
                answer.text()
            );
        }
        for cid in [&given.blob, &given.ipfs] {
            ended(&a.run(&["get", cid])?, 3, &["denylist"])?;
        }
        let again = a.run(&["add", path_text(&given.file)?])?;
        ensure!(again.code == 3, "it came back: {again:?}");
        ended(&a.run(&["deny"])?, 0, &[cid, "by court", "own.deny"])?;
        // Whichever name is allowed again.
        let other = if by_blob { &given.ipfs } else { &given.blob };
        ended(&a.run(&["deny", "--undo", other])?, 0, &["allowed"])?;
        a.json(&["add", path_text(&given.file)?])?;
        for way in ways(&given)? {
            ensure!(status(&a, &way)? == 200, "{way} afterwards");
        }
    }
    verified(&a)
}

/// A CAR of the file as other programs cut it: raw leaves of 256 KiB below one node.
fn cut_small(bytes: &[u8]) -> Result<(Cid, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut links = Vec::new();
    let mut data = [vec![0x08, 2, 0x18], varint(bytes.len())].concat();
    for leaf in bytes.chunks(256 << 10) {
        let cid = name(RAW, leaf)?;
        links.push(Link {
            cid,
            name: String::new(),
            size_bytes: leaf.len() as u64,
        });
        data.push(0x20);
        data.extend(varint(leaf.len()));
        blocks.push((cid, leaf.to_vec()));
    }
    let data = Some(data.into());
    let node = PbNode { links, data }.encode();
    let root = name(DAG_PB, &node)?;
    blocks.insert(0, (root, node.to_vec()));
    let header = blocks::dag::car_header(&[root]).to_vec();
    Ok((root, Car { header, blocks }.bytes()))
}

#[test]
fn a_file_is_denied_by_each_of_its_roots() -> Result<()> {
    let scene = Scene::new()?;
    let mut a = scene.node("a")?;
    let given = give(&scene, &a, "film")?;
    let (root, car) = cut_small(&fs::read(&given.file)?)?;
    let path = scene.path("film.car");
    fs::write(&path, car)?;
    ended(&a.run(&["import", path_text(&path)?])?, 0, &[])?;
    let mut ways = ways(&given)?;
    ways.extend([format!("/ipfs/{root}"), format!("/ipfs/{root}?format=car")]);
    for way in &ways {
        ensure!(status(&a, way)? == 200, "{way}");
    }
    let list = scene.path("a").join("denylists/t.deny");
    fs::write(&list, format!("/ipfs/{root}\n"))?;
    eventually("the rule", ARRIVES, || {
        Ok((status(&a, &format!("/ipfs/{root}"))? == 410).then_some(()))
    })?;
    for is_restarted in [false, true] {
        if is_restarted {
            a = a.kill()?.start()?;
        }
        eventually("all its names", ARRIVES, || {
            for way in &ways {
                if status(&a, way)? != 410 {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })?;
    }
    let again = a.run(&["add", path_text(&given.file)?])?;
    ensure!(again.code == 3, "it came back: {again:?}");
    verified(&a)
}

#[test]
fn a_file_is_denied_by_each_of_its_leaves_and_its_neighbour_is_not() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let given = give(&scene, &a, "film")?;
    let bytes = fs::read(&given.file)?;
    let (first, last) = bytes.split_at(1 << 20);
    let other = scene.path("other");
    fs::write(&other, [first, b"another end"].concat())?;
    let neighbour = text(&a.json(&["add", path_text(&other)?])?[0], "ipfs")?;
    let leaf = name(RAW, last)?.to_string();
    ended(&a.run(&["deny", &leaf])?, 0, &["refused"])?;
    let mut ways = ways(&given)?;
    ways.push(format!("/ipfs/{leaf}"));
    for way in &ways {
        ensure!(status(&a, way)? == 410, "{way}");
    }
    ensure!(status(&a, &format!("/ipfs/{neighbour}"))? == 200);
    // Nor does it come back, known by its names or not.
    let mut shifted = noise(1 << 20, 77);
    shifted.extend(last);
    let new = scene.path("new");
    fs::write(&new, shifted)?;
    for file in [&given.file, &new] {
        let again = a.run(&["add", path_text(file)?])?;
        ensure!(again.code == 3, "it came back: {again:?}");
    }
    // A CAR can have it as one block, under the name of the blob.
    let b = scene.node("b")?;
    b.json(&["add", path_text(&given.file)?])?;
    let car = scene.path("blob.car");
    ended(
        &b.run(&["export", path_text(&car)?, &given.blob])?,
        0,
        &["1 block"],
    )?;
    let c = scene.node("c")?;
    ended(&c.run(&["deny", &leaf])?, 0, &["refused"])?;
    ended(&c.run(&["import", path_text(&car)?])?, 0, &["was not kept"])?;
    for way in &ways {
        ensure!(status(&c, way)? == 410, "{way} after the CAR");
    }
    ended(&a.run(&["deny", "--undo", &leaf])?, 0, &["allowed"])?;
    a.json(&["add", path_text(&given.file)?])?;
    for way in &ways {
        ensure!(status(&a, way)? == 200, "{way} afterwards");
    }
    verified(&a)
}

#[test]
fn lists_take_effect_and_are_taken_back_without_a_restart() -> Result<()> {
    let scene = Scene::new()?;
    let named = scene.path("named.deny");
    fs::write(&named, "")?;
    let setup = scene
        .setup("a")
        .env("DATT_IPFS_DENYLISTS", path_text(&named)?);
    let a = setup.start()?;
    let given = give(&scene, &a, "film")?;
    let root: Cid = given.ipfs.parse()?;
    let v0 = Base::Base58Btc.encode(root.hash().to_bytes());
    let double = name(0x55, v0.as_bytes())?;
    let modern = format!("//{}\n", Base::Base58Btc.encode(double.hash().to_bytes()));
    let hex: String = Sha256::digest(format!("{root}/"))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let in_folder = scene.path("a").join("denylists/list.deny");
    for (file, rule) in [
        (&named, format!("/ipfs/{v0}\n")),
        (&in_folder, modern),
        (&in_folder, format!("version: 1\n---\nnonsense\n//{hex}\n")),
    ] {
        for way in ways(&given)? {
            ensure!(status(&a, &way)? == 200, "{way} before {rule}");
        }
        fs::write(file, &rule)?;
        eventually("the rule", ARRIVES, || {
            for way in ways(&given)? {
                let status = status(&a, &way)?;
                if status != 410 {
                    bail!("{way}: {status} with {rule}");
                }
            }
            Ok(Some(()))
        })?;
        fs::write(file, "# nothing\n")?;
        eventually("the file again", ARRIVES, || {
            let added = a.run(&["add", path_text(&given.file)?])?;
            Ok((added.code == 0).then_some(()))
        })?;
    }
    fs::write(&in_folder, "nonsense\n")?;
    eventually("a warning", ARRIVES, || {
        let said = a.json(&["status"])?.to_string();
        Ok((said.contains("line 1") && said.contains("list.deny")).then_some(()))
    })?;
    verified(&a)
}

#[test]
fn a_denied_path_is_refused_and_its_neighbour_is_not() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let album = scene.path("album");
    fs::create_dir_all(album.join("bad"))?;
    fs::write(album.join("bad/film 1.bin"), noise(LENGTH, 1))?;
    fs::write(album.join("good.bin"), noise(LENGTH, 2))?;
    let added = a.json(&["add", path_text(&album)?])?;
    let root = text(&added[0], "ipfs")?;
    let path = |path: &str| status(&a, &format!("/ipfs/{root}/{path}"));
    ensure!(path("bad/film%201.bin")? == 200, "before");
    let list = scene.path("a").join("denylists/paths.deny");
    fs::write(&list, format!("/ipfs/{root}/bad/film%201*\n"))?;
    eventually("the rule", ARRIVES, || {
        Ok((path("bad/film%201.bin")? == 410).then_some(()))
    })?;
    ensure!(path("good.bin")? == 200, "the neighbour");
    ensure!(path("bad/")? == 200, "the folder");
    Ok(())
}

#[test]
fn peers_and_gateways_neither_give_nor_get_what_is_denied() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let files = [scene.file("first", LENGTH)?, scene.file("second", LENGTH)?];
    let (root, blobs) = thread_with(&a, &board, "Films", &[&files[0], &files[1]])?;
    let blob = |at: usize| blobs.get(at).context("a blob");
    // b refuses one before it can come, a the other before b can have it.
    ended(&b.run(&["deny", blob(0)?, "--reason", "not here"])?, 0, &[])?;
    ended(&a.run(&["deny", blob(1)?])?, 0, &[])?;
    join(&b, &board.ticket)?;
    let thread = shows(&b, &root, 1)?;
    ensure!(thread.to_string().contains("\"denied\":true"), "{thread}");
    ended(&b.run(&["get", blob(0)?])?, 3, &["not here"])?;
    for way in [
        format!("/ipfs/{}", blob(0)?),
        format!("/blob/{}/outboard", blob(0)?),
    ] {
        ensure!(status(&b, &way)? == 410, "{way}");
    }
    // What isn't denied goes its way.
    let given = give(&scene, &a, "not denied")?;
    let to = scene.path("got");
    let got = [
        "get",
        &given.ipfs,
        "--gateway",
        &a.url,
        "-o",
        path_text(&to)?,
    ];
    ended(&b.run(&got)?, 0, &[])?;
    holds(&b, &given.blob)?;
    // A gateway isn't even asked for what is denied.
    let given = give(&scene, &a, "denied by root")?;
    ended(&b.run(&["deny", &given.ipfs])?, 0, &[])?;
    let said = b.run(&["get", &given.ipfs, "--gateway", "http://127.0.0.1:1"])?;
    ended(&said, 3, &["denylist"])?;
    // Under its other name it comes, is recognised, and goes.
    let c = scene.setup("c").args(["--peer", &a.ticket]).start()?;
    ended(&c.run(&["deny", &given.ipfs])?, 0, &[])?;
    let to = scene.path("other got");
    eventually("it to be recognised", ARRIVES, || {
        let said = c.run(&["get", &given.blob, "-o", path_text(&to)?])?;
        ensure!(
            said.code == 3 && !to.exists(),
            "it was written down: {said:?}"
        );
        Ok(said.stderr.contains("denylist").then_some(()))
    })?;
    ensure!(
        status(&c, &format!("/ipfs/{}", given.blob))? == 410,
        "it stayed"
    );
    // A peer doesn't say why it gives nothing.
    let to = scene.path("second got");
    ended(
        &b.run(&["get", blob(1)?, "-o", path_text(&to)?])?,
        3,
        &["nobody delivered it"],
    )?;
    Ok(())
}
