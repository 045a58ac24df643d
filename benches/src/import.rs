//! Importing a file, against copying it and hashing it.

use anyhow::Result;

use crate::files;
use crate::row::Row;
use crate::stage::{Stage, add, seconds};

/// Runs of each side; the best counts, since the first fills the page cache.
const RUNS: usize = 3;

pub fn run(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    let copy = stage.path("copy.bin");
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = stage.large_bytes() as f64 / f64::from(1 << 20);
    files::make(&file, stage.large_bytes())?;
    let (mut theirs, mut ours) = (0.0_f64, 0.0_f64);
    for run in 0..RUNS {
        let (_, took) = seconds(|| {
            files::copy(&file, &copy)?;
            files::hash(&copy)
        })?;
        theirs = theirs.max(mib / took);
        std::fs::remove_file(&copy)?;
        // a node of its own each time, for what is held already isn't imported again
        let node = stage.setup(&format!("import-{run}")).start()?;
        let (_, took) = seconds(|| add(&node, &file))?;
        ours = ours.max(mib / took);
        let (setup, ..) = node.stop()?;
        std::fs::remove_dir_all(setup.data())?;
    }
    Row::new(
        "import",
        format!("import {mib:.0} MiB, against copy and hash"),
    )
    .ratio(ours, theirs, "MiB/s", 0.7);
    Ok(())
}
