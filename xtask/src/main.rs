//! One door to everything that is done with this repository: run, test, check, measure.
//!
//! Each command sets up what it needs. On Debian, missing packages are installed when run
//! as root; else the exact line to run is printed.

mod bench;
mod check;
mod demo;
mod interop;
mod packages;
mod soak;
mod test;
mod tidy;
mod up;
mod workspace;

// the demo tells its story with the same tools as the tests
#[expect(dead_code, reason = "the tests use all of it, the demo a part")]
#[path = "../../tests/http.rs"]
mod http;
#[path = "../../tests/media.rs"]
mod media;
#[expect(dead_code, reason = "the tests use all of it, the demo a part")]
#[path = "../../tests/node.rs"]
mod node;
#[expect(dead_code, reason = "the tests use all of it, interop a part")]
#[path = "../../tests/purse.rs"]
mod purse;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Run, test, check and measure datt.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build datt in release and run a node; prints its URL and a sign-in link.
    Up(up::UpArgs),
    /// Run every test: unit, property, simulation, process, browser.
    Test(test::TestArgs),
    /// Formatting, lints, documentation, house rules, licences.
    Check(check::CheckArgs),
    /// The house rules alone.
    Tidy,
    /// Measure against the rivals beside us; prints a table and writes JSON.
    Bench(bench::BenchArgs),
    /// Run other IPFS programs and BitTorrent clients against datt; prints a table.
    Interop(interop::InteropArgs),
    /// Kill a node under load, again and again, and look for anything lost.
    Soak(soak::SoakArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Up(args) => up::run(&workspace, &args),
        Command::Test(args) => test::run(&workspace, &args),
        Command::Check(args) => check::run(&workspace, &args),
        Command::Tidy => tidy::run(&workspace),
        Command::Bench(args) => bench::run(&workspace, &args),
        Command::Interop(args) => interop::run(&workspace, &args),
        Command::Soak(args) => soak::run(&workspace, &args),
    }
}
