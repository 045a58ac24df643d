//! How much memory a large file takes above an idle node, under its IPFS name.

use std::fs;

use anyhow::{Result, ensure};

use crate::download::rate;
use crate::files;
use crate::memory::{above, peak_during};
use crate::row::Row;
use crate::stage::{Stage, add_as_ipfs, arg};
use crate::wrk::{CONNECTIONS, load, ranges_script};

/// Limit, MiB.
const LIMIT: f64 = 64.0;

pub fn run(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    files::make(&file, stage.large_bytes())?;
    let script = stage.path("ranges.lua");
    fs::write(&script, ranges_script(stage.large_bytes()))?;
    let seconds = if stage.small { 3 } else { 10 };

    let node = stage.setup("ipfs-memory").start()?;
    let idle = node.memory_kib("RssAnon")?;
    let (cid, peak) = peak_during(&node, || add_as_ipfs(&node, &file))?;
    row("importing", idle, peak);
    let url = format!("{}/ipfs/{cid}", node.url);
    let (_, peak) = peak_during(&node, || load(&url, None, seconds))?;
    row(
        &format!("whole file, {CONNECTIONS} connections"),
        idle,
        peak,
    );
    let (_, peak) = peak_during(&node, || load(&url, Some(&script), seconds))?;
    row(&format!("ranges, {CONNECTIONS} connections"), idle, peak);
    let path = format!("/ipfs/{cid}?format=car");
    let (_, peak) = peak_during(&node, || rate(&node.url, &path, stage.large_bytes()))?;
    row("CAR from the gateway", idle, peak);

    let car = stage.path("large.car");
    let (_, peak) = peak_during(&node, || node.json(&["export", arg(&car)?, &cid]))?;
    row("exporting a CAR", idle, peak);
    node.stop()?;
    let other = stage.setup("ipfs-memory-other").start()?;
    let idle = other.memory_kib("RssAnon")?;
    let (_, peak) = peak_during(&other, || other.json(&["import", arg(&car)?]))?;
    row("importing a CAR", idle, peak);
    let served = other.reader()?.get_range(&format!("/ipfs/{cid}"), 0, 0)?;
    ensure!(
        served.status == 206,
        "after the import, /ipfs/{cid} answers {}",
        served.status
    );
    Ok(())
}

fn row(what: &str, idle_kib: u64, peak_kib: u64) {
    Row::new(
        "ipfs-memory",
        format!("anonymous memory above idle, {what}"),
    )
    .below(above(idle_kib, peak_kib), LIMIT, "MiB");
}
