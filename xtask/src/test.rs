//! `cargo xtask test`: every test there is, with what they need.

use anyhow::Result;
use clap::Args;

use crate::packages::{CHROMEDRIVER, CHROMIUM, ESPEAK, FAKETIME, FFMPEG, IP, UNSHARE, require};
use crate::workspace::{Workspace, step};

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Leave out the tests with real processes and a real browser.
    #[arg(long)]
    quick: bool,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Installs what is needed and runs the tests.
///
/// # Errors
/// When something can't be installed, or a test fails. Nothing is skipped in silence.
pub fn run(workspace: &Workspace, args: &TestArgs) -> Result<()> {
    let mut cargo = workspace.cargo(["test", "--locked", "--no-fail-fast"]);
    if args.quick {
        cargo.args(["--workspace", "--lib", "--bins"]);
    } else {
        require(&[
            FFMPEG,
            ESPEAK,
            CHROMIUM,
            CHROMEDRIVER,
            FAKETIME,
            UNSHARE,
            IP,
        ])?;
        cargo.arg("--workspace");
    }
    // errors say what failed by themselves; where they were made is noise
    cargo.env("RUST_LIB_BACKTRACE", "0");
    if let Some(filter) = &args.filter {
        cargo.args(["--", filter]);
    }
    let title = if args.quick {
        "unit, property and simulation tests"
    } else {
        "unit, property, simulation, process and browser tests"
    };
    step(title, &mut cargo)?;
    if args.quick {
        println!("left out by --quick: process and browser tests");
    }
    Ok(())
}
