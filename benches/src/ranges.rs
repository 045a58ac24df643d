//! Range reads by many connections, against nginx on the same file.

use std::fs;

use anyhow::Result;

use crate::files;
use crate::nginx::Nginx;
use crate::row::Row;
use crate::stage::{Stage, add};
use crate::wrk::{CONNECTIONS, load, ranges_script};

pub fn run(stage: &Stage) -> Result<()> {
    let folder = stage.path("www");
    fs::create_dir_all(&folder)?;
    let file = folder.join("large.bin");
    files::make(&file, stage.large_bytes())?;
    let script = stage.path("ranges.lua");
    fs::write(&script, ranges_script(stage.large_bytes()))?;

    let node = stage.setup("ranges").start()?;
    let blob = add(&node, &file)?;
    let nginx = Nginx::start(stage, &folder)?;
    let seconds = if stage.small { 3 } else { 15 };
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    // taking turns, so that neither has the quieter machine
    for _ in 0..2 {
        theirs = theirs.max(load(
            &format!("{}/large.bin", nginx.url),
            Some(&script),
            seconds,
        )?);
        ours = ours.max(load(
            &format!("{}/ipfs/{blob}", node.url),
            Some(&script),
            seconds,
        )?);
    }
    Row::new(
        "ranges",
        format!("range reads, {CONNECTIONS} connections, against nginx"),
    )
    .ratio(ours, theirs, "MiB/s", 0.5);
    Ok(())
}
