//! CARs from one program to the other.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::interop::corpus;
use crate::interop::stage::{Stage, add_as_ipfs, arg, same_bytes, same_tree, text};

/// Size of the file that travels: ten leaves, the last one short.
const FILE_BYTES: u64 = (9 << 20) + 12_345;

/// A file of ours, exported, imported and read by Kubo.
///
/// # Errors
/// When a step fails or the bytes differ.
pub fn file_there(stage: &Stage) -> Result<String> {
    let node = stage.setup("file-there").start()?;
    let repo = stage.repo("file-there-kubo")?;
    let (file, car, read) = (
        stage.path("there.bin"),
        stage.path("there.car"),
        stage.path("there.read"),
    );
    corpus::file(&file, FILE_BYTES, 1)?;
    let cid = add_as_ipfs(&node, &file)?;
    node.json(&["export", arg(&car)?, &cid])?;
    repo.run(&["dag", "import", arg(&car)?])?;
    repo.write(&["cat", &cid], &read)?;
    same_bytes(&file, &read)?;
    Ok(format!("{} bytes of CAR", fs::metadata(&car)?.len()))
}

/// A sharded directory of ours, exported, imported and read by Kubo.
///
/// # Errors
/// When a step fails or a file differs.
pub fn directory_there(stage: &Stage) -> Result<String> {
    let node = stage.setup("directory-there").start()?;
    let repo = stage.repo("directory-there-kubo")?;
    let (folder, car, read) = (
        stage.path("there"),
        stage.path("there-folder.car"),
        stage.path("there-read"),
    );
    corpus::wide_folder(&folder)?;
    corpus::nested_folder(&folder.join("nested"))?;
    let cid = add_as_ipfs(&node, &folder)?;
    node.json(&["export", arg(&car)?, &cid])?;
    repo.run(&["dag", "import", arg(&car)?])?;
    repo.run(&["get", "-o", arg(&read)?, &cid])?;
    same_tree(&folder, &read)?;
    Ok(format!("{} bytes of CAR", fs::metadata(&car)?.len()))
}

/// A thread with a file, exported and imported by Kubo, which then shows the first post's entry:
/// dag-cbor, named by BLAKE3.
///
/// # Errors
/// When a step fails, or Kubo shows something else.
pub fn thread_there(stage: &Stage) -> Result<String> {
    let node = stage.setup("thread-there").start()?;
    let repo = stage.repo("thread-there-kubo")?;
    let (file, car, read) = (
        stage.path("thread.bin"),
        stage.path("thread.car"),
        stage.path("thread.read"),
    );
    corpus::file(&file, FILE_BYTES, 2)?;
    let cid = add_as_ipfs(&node, &file)?;
    let board = node.json(&["space", "create", "--title", "Interop"])?;
    let space = text(&board, "space")?;
    let words = [
        "--title",
        "With a file",
        "--media",
        arg(&file)?,
        "See below.",
    ];
    let posted = node.json(&[&["post", "--space", &space][..], &words].concat())?;
    let thread = text(&posted, "id")?;
    node.json(&["export", arg(&car)?, &thread])?;
    repo.run(&["dag", "import", "--pin-roots=false", arg(&car)?])?;

    // an entry is its header and its signature
    let shown: Value = serde_json::from_str(&repo.run(&["dag", "get", &thread])?)?;
    ensure!(shown[0]["n"] == "post", "Kubo shows the entry as {shown}");
    let served = node.reader()?.get(&format!("/ipfs/{thread}?format=raw"))?;
    repo.write(&["block", "get", &thread], &read)?;
    ensure!(
        served.status == 200 && served.body == fs::read(&read)?,
        "/ipfs/{thread}?format=raw answers {} with another block",
        served.status
    );
    repo.write(&["cat", &cid], &read)?;
    same_bytes(&file, &read)?;
    Ok(format!("entry of {} bytes, file", served.body.len()))
}

/// A file of Kubo's, exported there, imported and read here.
///
/// # Errors
/// When a step fails or the bytes differ.
pub fn file_back(stage: &Stage) -> Result<String> {
    let node = stage.setup("file-back").start()?;
    let repo = stage.repo("file-back-kubo")?;
    let (file, car, read) = (
        stage.path("back.bin"),
        stage.path("back.car"),
        stage.path("back.read"),
    );
    corpus::file(&file, FILE_BYTES, 3)?;
    let mut lengths = Vec::new();
    // as Kubo names it when nobody tells it how (CIDv0, leaves of 256 KiB), and as datt does
    for old in [true, false] {
        let how: &[&str] = if old {
            &[
                "--cid-version=0",
                "--raw-leaves=false",
                "--chunker=size-262144",
            ]
        } else {
            &[]
        };
        let cid = repo.run(&[&["add", "--quieter"][..], how, &[arg(&file)?]].concat())?;
        repo.write(&["dag", "export", "--progress=false", &cid], &car)?;
        node.json(&["import", arg(&car)?])?;
        node.json(&["get", &cid, "-o", arg(&read)?])?;
        same_bytes(&file, &read)?;
        let served = node.reader()?.get(&format!("/ipfs/{cid}"))?;
        ensure!(
            served.status == 200 && served.body == fs::read(&file)?,
            "/ipfs/{cid} answers {} with other bytes",
            served.status
        );
        fs::remove_file(&read)?;
        lengths.push(fs::metadata(&car)?.len());
    }
    Ok(format!("CIDv0 and CIDv1, {lengths:?} bytes of CAR"))
}

/// A sharded directory of Kubo's, exported there, imported here, and read by its paths.
///
/// # Errors
/// When a step fails or a file differs.
pub fn directory_back(stage: &Stage) -> Result<String> {
    let node = stage.setup("directory-back").start()?;
    let repo = stage.repo("directory-back-kubo")?;
    let (folder, car) = (stage.path("back"), stage.path("back-folder.car"));
    corpus::wide_folder(&folder)?;
    corpus::nested_folder(&folder.join("nested"))?;
    let cid = repo.add(&folder)?;
    repo.write(&["dag", "export", "--progress=false", &cid], &car)?;
    node.json(&["import", arg(&car)?])?;
    let reader = node.reader()?;
    let numbers = (0..corpus::WIDE).step_by(50);
    let names = numbers.clone().map(corpus::wide_name);
    let deep = "nested/one/two/three/four/file.bin".to_owned();
    for name in names.chain([deep]) {
        let path = format!("/ipfs/{cid}/{}", name.replace(' ', "%20"));
        let served = reader.get(&path)?;
        ensure!(
            served.status == 200 && served.body == fs::read(folder.join(&name))?,
            "{path} answers {} with other bytes",
            served.status
        );
    }
    Ok(format!(
        "{} paths, {} bytes of CAR",
        numbers.count() + 1,
        fs::metadata(&car)?.len()
    ))
}
