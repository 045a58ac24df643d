//! A CAR of a large file from the gateway, against the same from Kubo's.

use anyhow::Result;

use crate::download::rate;
use crate::files;
use crate::ipfs_reads::NO_KUBO;
use crate::row::Row;
use crate::stage::{Stage, add_as_ipfs};

/// Turns of each; the best counts.
const TURNS: usize = 3;
/// What must be reached of Kubo's rate.
const OF_KUBO: f64 = 3.0;

pub fn run(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    files::make(&file, stage.large_bytes())?;
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = stage.large_bytes() as f64 / f64::from(1 << 20);
    let node = stage.setup("ipfs-car").start()?;
    let cid = add_as_ipfs(&node, &file)?;
    let kubo = stage.kubo_with(&[(&file, &cid)])?;
    let path = format!("/ipfs/{cid}?format=car");
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    for _ in 0..TURNS {
        if let Some(kubo) = &kubo {
            theirs = theirs.max(rate(&kubo.gateway, &path, stage.large_bytes())?);
        }
        ours = ours.max(rate(&node.url, &path, stage.large_bytes())?);
    }
    let row = Row::new("ipfs-car", format!("CAR of {mib:.0} MiB, against Kubo"));
    if kubo.is_some() {
        row.ratio(ours, theirs, "MiB/s", OF_KUBO);
    } else {
        row.alone(ours, "MiB/s", NO_KUBO);
    }
    Ok(())
}
