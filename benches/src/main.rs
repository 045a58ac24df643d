//! Measurements against the rivals beside us.
//!
//! `datt-benches list` names them; `datt-benches run NAME` prints rows as JSON lines. Every
//! target is a ratio to something measured in the same run on the same machine, or a limit.
//! `cargo xtask bench` builds what is needed, runs all of them and prints the table.

mod download;
mod files;
mod first_frame;
mod headers;
mod import;
mod ingest;
mod ipfs_car;
mod ipfs_import;
mod ipfs_memory;
mod ipfs_reads;
mod lan;
mod latency;
mod memory;
mod nginx;
mod pages;
mod proofs;
mod ranges;
mod row;
mod seed;
mod sources;
mod stage;
mod torrents;
mod transfer;
mod wrk;

// the nodes under measurement are started and spoken to as in the tests
#[expect(dead_code, reason = "the tests use all of it, measurements a part")]
#[path = "../../tests/http.rs"]
mod http;
#[expect(dead_code, reason = "interop uses all of it, measurements a part")]
#[path = "../../xtask/src/interop/kubo.rs"]
mod kubo;
#[expect(dead_code, reason = "the tests use all of it, measurements a part")]
#[path = "../../tests/node.rs"]
mod node;

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::stage::Stage;

/// A measurement: its name, and what carries it out.
type Measurement = (&'static str, fn(&Stage) -> Result<()>);

const MEASUREMENTS: [Measurement; 19] = [
    ("transfer", transfer::run),
    ("import", import::run),
    ("memory", memory::run),
    ("ingest", ingest::run),
    ("latency", latency::run),
    ("late-joiner", pages::late_joiner),
    ("ranges", ranges::run),
    ("pages", pages::run),
    ("ipfs-import", ipfs_import::run),
    ("ipfs-reads", ipfs_reads::run),
    ("ipfs-car", ipfs_car::run),
    ("ipfs-memory", ipfs_memory::run),
    ("seed", seed::run),
    ("sources", sources::several),
    ("kill", sources::kill),
    ("first-frame", first_frame::run),
    ("torrents-1000", torrents::run),
    ("headers", headers::run),
    ("proofs", proofs::run),
];

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("list") => {
            for (name, _) in MEASUREMENTS {
                println!("{name}");
            }
            Ok(())
        }
        Some("run") => {
            let name = args.get(1).context("run which measurement?")?;
            let Some((_, measure)) = MEASUREMENTS.iter().find(|(known, _)| known == name) else {
                bail!("no measurement {name}; `datt-benches list` names them");
            };
            measure(&stage(&args[2..])?)
        }
        _ => bail!(
            "usage: datt-benches list | run NAME --datt FILE --scratch FOLDER [--kubo FILE] [--small]"
        ),
    }
}

fn stage(args: &[String]) -> Result<Stage> {
    let value = |flag: &str| -> Result<PathBuf> {
        let at = args.iter().position(|arg| arg == flag);
        at.and_then(|at| args.get(at + 1))
            .map(PathBuf::from)
            .with_context(|| format!("{flag} is missing"))
    };
    let small = args.iter().any(|arg| arg == "--small");
    let kubo = value("--kubo").ok();
    Stage::new(value("--datt")?, kubo, value("--scratch")?, small)
}
