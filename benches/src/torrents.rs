//! What a thousand seeded torrents cost: memory above idle, and open files.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::memory::above;
use crate::node::{Node, eventually};
use crate::row::Row;
use crate::stage::Stage;

/// Torrents in the session at once, by default; the others come in when somebody asks for them.
const LIVE: usize = 200;
/// Size of the smallest file; each is a byte longer than the one before.
const FILE_BYTES: u64 = 32 << 10;
/// Files added by one command.
const AT_ONCE: usize = 100;
/// How long it may take until all of them are.
const OFFERED: Duration = Duration::from_secs(120);
/// How long the node is left alone before a look.
const SETTLE: Duration = Duration::from_secs(10);

pub fn run(stage: &Stage) -> Result<()> {
    let count: usize = if stage.small { 100 } else { 1_000 };
    let node = stage
        .setup("torrents")
        .env("DATT_TORRENT_MIN_BYTES", "16384")
        .start()?;
    std::thread::sleep(SETTLE);
    let (idle_kib, idle_open) = (node.memory_kib("RssAnon")?, open_files(&node)?);
    let folder = stage.path("files");
    fs::create_dir_all(&folder)?;
    let paths = (0..count)
        .map(|number| {
            let path = folder.join(format!("{number}.bin"));
            files::make(&path, FILE_BYTES + number as u64)?;
            Ok(path)
        })
        .collect::<Result<Vec<PathBuf>>>()?;
    for part in paths.chunks(AT_ONCE) {
        let mut args = vec!["add", "--publicity", "swarm"];
        args.extend(part.iter().filter_map(|path| path.to_str()));
        node.json(&args)?;
    }
    let looked = |node: &Node, when: &str| -> Result<()> {
        all_offered(node, count)?;
        std::thread::sleep(SETTLE);
        let (kib, open) = (node.memory_kib("RssAnon")?, open_files(node)?);
        eprintln!("{when}: {kib} KiB against {idle_kib} idle; {open} open against {idle_open}");
        let what = format!("anonymous memory above idle, {count} torrents, {when}");
        Row::new("torrents-1000", what).below(above(idle_kib, kib), 100.0, "MiB");
        let what = format!("open files, {count} torrents, {when}");
        Row::new("torrents-1000", what).below(open, 300.0, "descriptors");
        Ok(())
    };
    looked(&node, "added just now")?;
    let (setup, ..) = node.stop()?;
    looked(&setup.start()?, "after a restart")
}

fn all_offered(node: &Node, count: usize) -> Result<()> {
    eventually("all torrents on offer", OFFERED, || {
        let torrents = node.json(&["torrents"])?;
        let all = torrents.as_array().context("a list")?;
        let live = all.iter().filter(|torrent| torrent["is_live"] == true);
        match live.count() {
            live if live >= count.min(LIVE) && all.len() == count => Ok(Some(())),
            live => bail!("{live} of {} live", all.len()),
        }
    })
}

fn open_files(node: &Node) -> Result<f64> {
    let open = fs::read_dir(format!("/proc/{}/fd", node.pid))?.count();
    Ok(f64::from(u32::try_from(open)?))
}
