//! `cargo xtask check`: everything that is judged without running the program.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::tidy;
use crate::workspace::{Workspace, step, which};

/// Target that the pure crates and features must compile for.
const WASM: &str = "wasm32-unknown-unknown";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Install cargo-deny into `target/tools` when it is absent (takes minutes).
    #[arg(long)]
    with_deny: bool,
}

/// Runs all checks.
///
/// # Errors
/// At the first that fails.
pub fn run(workspace: &Workspace, args: &CheckArgs) -> Result<()> {
    step(
        "formatting",
        &mut workspace.cargo(["fmt", "--all", "--check"]),
    )?;
    tidy::run(workspace)?;
    step(
        "lints",
        &mut workspace.cargo([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    step(
        "documentation",
        workspace
            .cargo(["doc", "--locked", "--no-deps", "--workspace"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    wasm(workspace)?;
    deny(workspace, args.with_deny)
}

/// Compiles the pure crates for the browser, where this toolchain can.
fn wasm(workspace: &Workspace) -> Result<()> {
    let libdir = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let installed = libdir.is_some_and(|dir| std::path::Path::new(dir.trim()).is_dir());
    if !installed {
        println!(
            "── model and spv for {WASM}: not compiled, this toolchain has no such target (rustup target add {WASM})"
        );
        return Ok(());
    }
    step("model for wasm32", &mut pure(workspace, "datt-model"))?;
    // libsecp256k1 is C: only clang compiles it for that target
    if which("clang").is_none() {
        println!("── spv for {WASM}: not compiled, there is no clang");
        return Ok(());
    }
    let mut spv = pure(workspace, "datt-spv");
    step("spv for wasm32", spv.arg("--no-default-features"))
}

/// Checks a package for the browser.
fn pure(workspace: &Workspace, package: &str) -> Command {
    workspace.cargo(["check", "--locked", "--target", WASM, "--package", package])
}

/// cargo-deny itself, where it is. `tidy` has applied the licence and source rules already.
fn deny(workspace: &Workspace, install: bool) -> Result<()> {
    let tools = workspace.target.join("tools");
    let own = tools.join("bin").join("cargo-deny");
    if install && which("cargo-deny").is_none() && !own.is_file() {
        let mut cargo = workspace.cargo(["install", "cargo-deny", "--locked", "--root"]);
        step("install cargo-deny", cargo.arg(&tools))?;
    }
    let Some(binary) = which("cargo-deny").or_else(|| own.is_file().then_some(own)) else {
        println!(
            "── cargo-deny: not installed; its licence and source rules (deny.toml) were applied by tidy"
        );
        return Ok(());
    };
    let mut command = Command::new(binary);
    command
        .args(["--offline", "check", "licenses", "bans", "sources"])
        .current_dir(&workspace.root);
    step("cargo-deny", &mut command)
}
