//! Folders as albums: UnixFS directories, with the names that IPFS gives them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cid::Cid;
use serde_json::json;

use crate::car::{DAG_PB, RAW, bytes_of, ended, name, path_text, varint};
use crate::scene::{Scene, noise, text, verified};

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
    let pins = a.json(&["pins"])?;
    let dags: Vec<_> = pins
        .as_array()
        .into_iter()
        .flatten()
        .filter(|pin| pin["kind"] == "dag")
        .map(|pin| pin["id"].clone())
        .collect();
    ensure!(dags == [root.to_string()], "one album is one DAG: {pins}");
    let gone = a.run(&["unpin", &root.to_string()])?;
    ended(&gone, 0, &[])?;
    ensure!(
        !a.json(&["pins"])?.to_string().contains(&root.to_string()),
        "still kept"
    );
    let again = a.json(&["add", path_text(&album)?])?;
    ensure!(again[0]["ipfs"] == root.to_string(), "{again}");
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
fn an_album_stays_when_the_folder_around_it_comes_and_goes() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let (outer, inner) = (scene.path("photos"), scene.path("photos/2024"));
    fs::create_dir_all(&inner)?;
    fs::write(outer.join("cover"), noise(300, 3))?;
    fs::write(inner.join("one.jpg"), noise(1_000, 1))?;
    let add = |path: &Path| -> Result<String> {
        let added = a.json(&["add", path_text(path)?])?;
        text(&added[0], "ipfs")
    };
    let (year, photos) = (add(&inner)?, add(&outer)?);
    let pins = a.json(&["pins"])?.to_string();
    ensure!(
        pins.contains(&year) && pins.contains(&photos),
        "both are kept: {pins}"
    );
    ended(&a.run(&["unpin", &photos])?, 0, &[])?;
    let kept = bytes_of(&a, &format!("{year}/one.jpg"))?;
    ensure!(kept == noise(1_000, 1), "the album is as it was");
    verified(&a)
}

#[test]
fn a_folder_that_cannot_be_imported_leaves_no_nodes_behind() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let album = scene.path("album");
    fs::create_dir_all(album.join("first"))?;
    fs::write(album.join("first/small"), noise(700, 1))?;
    // Deeper than folders are read.
    fs::create_dir_all(album.join("then").join(vec!["x"; 70].join("/")))?;
    let said = a.run(&["add", path_text(&album)?])?;
    ended(&said, 2, &["deep"])?;
    let (first, _) = directory_dag(&[("small", file_dag(&noise(700, 1))?)])?;
    let left = a.client()?.get(&format!("/ipfs/{first}?format=raw"))?;
    ensure!(left.status == 404, "{}: {}", left.status, left.text());
    verified(&a)
}
