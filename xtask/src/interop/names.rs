//! The same files get the same names from both programs.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::interop::corpus;
use crate::interop::kubo::Repo;
use crate::interop::stage::{Stage, add_as_ipfs};
use crate::node::Node;

/// Files of every size that matters.
///
/// # Errors
/// When a name differs.
pub fn files(stage: &Stage) -> Result<String> {
    let node = stage.setup("names-of-files").start()?;
    let repo = stage.repo("names-of-files-kubo")?;
    let start = Instant::now();
    let mut sizes = corpus::SMALL.to_vec();
    if !stage.short {
        sizes.extend(corpus::LARGE);
    }
    for size_bytes in &sizes {
        let file = stage.path(&format!("{size_bytes}.bin"));
        corpus::file(&file, *size_bytes, *size_bytes)?;
        agree(&node, &repo, &file)?;
        fs::remove_file(&file)?;
    }
    let largest = sizes.iter().max().copied().unwrap_or(0) >> 20;
    Ok(format!(
        "{} sizes up to {largest} MiB in {:.1} s",
        sizes.len(),
        start.elapsed().as_secs_f32()
    ))
}

/// A small folder, folders in folders, and one that must be sharded.
///
/// # Errors
/// When a name differs.
pub fn directories(stage: &Stage) -> Result<String> {
    let node = stage.setup("names-of-directories").start()?;
    let repo = stage.repo("names-of-directories-kubo")?;
    let start = Instant::now();
    for (name, make) in [
        ("small", corpus::small_folder as fn(&Path) -> Result<()>),
        ("nested", corpus::nested_folder),
        ("wide", corpus::wide_folder),
    ] {
        let folder = stage.path(name);
        make(&folder)?;
        agree(&node, &repo, &folder)?;
        fs::remove_dir_all(&folder)?;
    }
    Ok(format!(
        "small, nested, {} entries in {:.1} s",
        corpus::WIDE,
        start.elapsed().as_secs_f32()
    ))
}

fn agree(node: &Node, repo: &Repo, path: &Path) -> Result<()> {
    let theirs = repo.name(path)?;
    let ours = add_as_ipfs(node, path)?;
    ensure!(
        ours == theirs,
        "{}: {ours} here, {theirs} there",
        path.display()
    );
    Ok(())
}
