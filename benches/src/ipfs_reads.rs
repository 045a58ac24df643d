//! Reads of a file by its IPFS name, against nginx and Kubo's gateway on the same file.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::files;
use crate::nginx::Nginx;
use crate::row::Row;
use crate::stage::{Stage, add_as_ipfs};
use crate::wrk::{CONNECTIONS, load, ranges_script};

/// Turns of each server; the best counts.
const TURNS: usize = 2;
/// What must be reached of nginx' rate, and of Kubo's.
const OF_NGINX: f64 = 0.5;
const OF_KUBO: f64 = 3.0;
/// What the row says where there is no Kubo.
pub const NO_KUBO: &str = "Kubo can't be had here";

/// Size of a picture, bytes.
const PICTURE_BYTES: u64 = 1 << 20;

pub fn run(stage: &Stage) -> Result<()> {
    let folder = stage.path("www");
    fs::create_dir_all(&folder)?;
    let (large, picture) = (folder.join("large.bin"), folder.join("picture.bin"));
    files::make(&large, stage.large_bytes())?;
    files::make(&picture, PICTURE_BYTES)?;
    let script = stage.path("ranges.lua");
    fs::write(&script, ranges_script(stage.large_bytes()))?;

    let node = stage.setup("ipfs-reads").start()?;
    let (large_cid, picture_cid) = (add_as_ipfs(&node, &large)?, add_as_ipfs(&node, &picture)?);
    let nginx = Nginx::start(stage, &folder)?;
    let kubo = stage.kubo_with(&[(&large, &large_cid), (&picture, &picture_cid)])?;
    let seconds = if stage.small { 3 } else { 10 };
    for (what, name, cid, script) in [
        ("ranges of 1 MiB", "large.bin", &large_cid, Some(&*script)),
        ("a picture of 1 MiB", "picture.bin", &picture_cid, None),
        ("a film as a whole", "large.bin", &large_cid, None),
    ] {
        let ours = format!("{}/ipfs/{cid}", node.url);
        let theirs = format!("{}/{name}", nginx.url);
        let kubo = kubo
            .as_ref()
            .map(|kubo| format!("{}/ipfs/{cid}", kubo.gateway));
        let rates = rates(&ours, &theirs, kubo.as_deref(), script, seconds)?;
        let row = |rival: &str| {
            Row::new(
                "ipfs-reads",
                format!("/ipfs, {what}, {CONNECTIONS} connections, against {rival}"),
            )
        };
        row("nginx").ratio(rates.ours, rates.nginx, "MiB/s", OF_NGINX);
        match rates.kubo {
            Some(kubo) => row("Kubo").ratio(rates.ours, kubo, "MiB/s", OF_KUBO),
            None => row("Kubo").alone(rates.ours, "MiB/s", NO_KUBO),
        }
    }
    Ok(())
}

/// MiB a second.
struct Rates {
    ours: f64,
    nginx: f64,
    kubo: Option<f64>,
}

/// The best of each, taking turns, so that none has the quieter machine.
fn rates(
    ours: &str,
    nginx: &str,
    kubo: Option<&str>,
    script: Option<&Path>,
    seconds: u32,
) -> Result<Rates> {
    let mut best = Rates {
        ours: 0.0,
        nginx: 0.0,
        kubo: None,
    };
    for _ in 0..TURNS {
        best.nginx = best.nginx.max(load(nginx, script, seconds)?);
        best.ours = best.ours.max(load(ours, script, seconds)?);
        if let Some(url) = kubo {
            let rate = load(url, script, seconds)?;
            best.kubo = Some(best.kubo.map_or(rate, |known| known.max(rate)));
        }
    }
    Ok(best)
}
