//! `cargo xtask up`: from a fresh clone to a running node.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::demo;
use crate::packages::{ESPEAK, FFMPEG, prefer, require};
use crate::workspace::{Workspace, step};

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Three nodes on this machine with a board, a thread and media; one of them is killed.
    #[arg(long)]
    demo: bool,
    /// With --demo: stop when everything was shown, instead of running until Ctrl-C.
    #[arg(long, requires = "demo")]
    exit: bool,
    /// Passed on to `datt up`.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Builds and runs.
///
/// # Errors
/// When the build fails or the node can't start.
pub fn run(workspace: &Workspace, args: &UpArgs) -> Result<()> {
    if args.demo {
        require(&[FFMPEG, ESPEAK])?;
    } else {
        prefer(
            &[FFMPEG],
            "without ffmpeg, videos are posted without thumbnail, duration and dimensions",
        );
    }
    build_release(workspace, &["datt"])?;
    let binary = workspace.release_binary("datt");
    if args.demo {
        return demo::run(workspace, &binary, args.exit);
    }
    // the node takes this program's place, so that Ctrl-C reaches it alone
    let error = Command::new(&binary).arg("up").args(&args.rest).exec();
    Err(error).with_context(|| format!("starting {}", binary.display()))
}

/// Builds packages in the release profile.
///
/// # Errors
/// When the build fails.
pub fn build_release(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let mut cargo = workspace.cargo(["build", "--release", "--locked"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    step("build (release)", &mut cargo)
}
