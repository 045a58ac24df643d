//! `cargo xtask interop`: datt beside the programs that others use, on this machine.
//!
//! IPFS peers and btcd are built from the Go module proxy into `target/interop/bin`, BitTorrent
//! clients are Debian's packages. A peer that can't be had here (no Go, a module that the proxy
//! refuses) makes its lines say so, and fails nothing.

mod cars;
mod chain;
mod conformance;
mod corpus;
mod go;
mod kubo;
mod names;
mod report;
mod retrieval;
mod stage;
mod swarms;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

pub use crate::interop::go::Peer;
use crate::interop::report::{Line, Outcome};
use crate::interop::stage::Stage;
use crate::workspace::{Workspace, step};

/// Arguments of `interop`.
#[derive(Debug, Args)]
pub struct InteropArgs {
    /// Only checks whose peer or name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Leave out what moves gigabytes.
    #[arg(long)]
    short: bool,
    /// The program to check; built in debug when absent.
    #[arg(long)]
    datt: Option<PathBuf>,
}

/// A check against Kubo: its name and what carries it out, with figures for the table.
type Check = (&'static str, fn(&Stage) -> Result<String>);

const KUBO: &str = "Kubo";
const KUBO_CHECKS: [Check; 9] = [
    ("names of files", names::files),
    ("names of directories", names::directories),
    ("CAR of a file, there", cars::file_there),
    ("CAR of a directory, there", cars::directory_there),
    ("CAR of a thread, there", cars::thread_there),
    ("CAR of a file, back", cars::file_back),
    ("CAR of a directory, back", cars::directory_back),
    ("Kubo reads from datt", retrieval::kubo_reads),
    ("datt reads from Kubo", retrieval::datt_reads),
];

/// Builds the peers and runs the checks.
///
/// # Errors
/// When datt or a peer can't be built, or a check fails.
pub fn run(workspace: &Workspace, args: &InteropArgs) -> Result<()> {
    let wanted = |peer: &str, name: &str| {
        let only = args.only.as_deref().unwrap_or_default().to_lowercase();
        format!("{peer} {name}").to_lowercase().contains(&only)
    };
    let checks: Vec<Check> = KUBO_CHECKS
        .into_iter()
        .filter(|(name, _)| wanted(KUBO, name))
        .collect();
    let with_suite = wanted(conformance::PEER, conformance::CHECK);
    let in_swarms: Vec<_> = swarms::CHECKS
        .into_iter()
        .filter(|(peer, name, _)| wanted(peer, name))
        .collect();
    let on_chain: Vec<_> = chain::CHECKS
        .into_iter()
        .filter(|(name, _)| wanted(chain::PEER, name))
        .collect();
    if checks.is_empty() && in_swarms.is_empty() && on_chain.is_empty() && !with_suite {
        let of_kubo = KUBO_CHECKS.iter().map(|(name, _)| *name);
        let of_swarms = swarms::CHECKS.iter().map(|(_, name, _)| *name);
        let of_chain = chain::CHECKS.iter().map(|(name, _)| *name);
        let names: Vec<&str> = of_kubo.chain(of_swarms).chain(of_chain).collect();
        bail!(
            "no such check; there are: {}, {}",
            names.join(", "),
            conformance::CHECK
        );
    }
    let stage = Stage::new(workspace, datt(workspace, args)?, args.short)?;
    let mut lines = Vec::new();
    if !checks.is_empty() {
        lines.extend(against_kubo(workspace, &stage, &checks)?);
    }
    if with_suite {
        println!("── {}", conformance::PEER);
        lines.push(conformance::run(workspace, &stage)?);
    }
    lines.extend(swarms::run(&stage, &in_swarms));
    lines.extend(chain::run(workspace, &stage, &on_chain)?);
    report::print(&lines);
    let failed = lines.iter().filter(|line| line.has_failed()).count();
    ensure!(
        failed == 0,
        "{failed} of {} checks failed; what was made for them is in {}",
        lines.len(),
        stage.folder().display()
    );
    stage.clear()
}

fn against_kubo(workspace: &Workspace, stage: &Stage, checks: &[Check]) -> Result<Vec<Line>> {
    let stage = match kubo_binary(workspace)? {
        Peer::Here(binary) => stage.with_kubo(binary),
        Peer::Absent(reason) => {
            let skipped =
                |(name, _): &Check| Line::new(KUBO, name, Outcome::Skipped(reason.clone()));
            return Ok(checks.iter().map(skipped).collect());
        }
    };
    let peer = format!("{KUBO} {}", go::KUBO.version.trim_start_matches('v'));
    let run = |(name, check): &Check| {
        println!("── {peer}: {name}");
        let outcome = Outcome::of(check(&stage));
        println!("   {outcome}");
        Line::new(&peer, name, outcome)
    };
    Ok(checks.iter().map(run).collect())
}

/// Kubo, built if it can be.
///
/// # Errors
/// When its source is there and doesn't compile.
pub fn kubo_binary(workspace: &Workspace) -> Result<Peer> {
    go::program(&workspace.target.join("interop"), &go::KUBO)
}

fn datt(workspace: &Workspace, args: &InteropArgs) -> Result<PathBuf> {
    if let Some(given) = &args.datt {
        return given
            .canonicalize()
            .with_context(|| format!("{} is not there", given.display()));
    }
    // as part of the tests, which CI has just run: built alone, half of it would compile again
    step(
        "build (debug)",
        &mut workspace.cargo([
            "test",
            "--locked",
            "--workspace",
            "--test",
            "processes",
            "--no-run",
        ]),
    )?;
    Ok(workspace.target.join("debug").join("datt"))
}
