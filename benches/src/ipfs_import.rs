//! Importing a file under all its names, against reading it and computing the same hashes.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context, Result, ensure};
use blocks::dag::{FileBuilder, LEAF_BYTES, Leaf};

use crate::files;
use crate::row::Row;
use crate::stage::{Stage, arg, seconds, text};

/// Runs of each side; the best counts, since the first fills the page cache.
const RUNS: usize = 3;
/// Leaves on their way to each thread.
const QUEUE: usize = 8;

pub fn run(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = stage.large_bytes() as f64 / f64::from(1 << 20);
    files::make(&file, stage.large_bytes())?;
    let (mut theirs, mut ours) = (0.0_f64, 0.0_f64);
    for run in 0..RUNS {
        let (names, took) = seconds(|| names(&file))?;
        theirs = theirs.max(mib / took);
        // a node of its own each time, for what is held already isn't imported again
        let node = stage.setup(&format!("ipfs-import-{run}")).start()?;
        let (added, took) = seconds(|| node.json(&["add", arg(&file)?]))?;
        ours = ours.max(mib / took);
        let added = (text(&added[0], "blob")?, text(&added[0], "ipfs")?);
        ensure!(added == names, "{added:?} from the node, {names:?} by hand");
        let (setup, ..) = node.stop()?;
        std::fs::remove_dir_all(setup.data())?;
    }
    Row::new(
        "ipfs-import",
        format!("import {mib:.0} MiB under all names, against read and hash"),
    )
    .ratio(ours, theirs, "MiB/s", 0.6);
    Ok(())
}

/// Blob and IPFS CID: one thread reads, one computes BLAKE3, one SHA-256 of the leaves with the
/// few nodes above them.
fn names(file: &Path) -> Result<(String, String)> {
    thread::scope(|scope| {
        let (to_blake3, leaves) = sync_channel(QUEUE);
        let blob = scope.spawn(move || blob(leaves));
        let (to_sha256, leaves) = sync_channel(QUEUE);
        let root = scope.spawn(move || root(leaves));
        let mut file = File::open(file)?;
        loop {
            let mut leaf = Vec::with_capacity(LEAF_BYTES);
            let read = Read::by_ref(&mut file)
                .take(LEAF_BYTES as u64)
                .read_to_end(&mut leaf)?;
            if read == 0 {
                break;
            }
            let leaf: Arc<[u8]> = leaf.into();
            to_blake3.send(Arc::clone(&leaf)).context("BLAKE3 ended")?;
            to_sha256.send(leaf).context("SHA-256 ended")?;
        }
        drop((to_blake3, to_sha256));
        let blob = blob.join().ok().context("BLAKE3 panicked")?;
        let root = root.join().ok().context("SHA-256 panicked")?;
        Ok((blob, root))
    })
}

fn blob(leaves: Receiver<Arc<[u8]>>) -> String {
    let mut hasher = blake3::Hasher::new();
    for leaf in leaves {
        hasher.update(&leaf);
    }
    model::BlobId::from_bytes(*hasher.finalize().as_bytes()).to_string()
}

fn root(leaves: Receiver<Arc<[u8]>>) -> String {
    let mut builder = FileBuilder::new();
    for bytes in leaves {
        let leaf = Leaf::of(&bytes);
        builder.leaf(leaf.cid, leaf.size_bytes, &mut |_, _| ());
    }
    builder.finish(&mut |_, _| ()).cid.to_string()
}
