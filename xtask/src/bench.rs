//! `cargo xtask bench`: what datt must reach, measured beside what it is compared with.
//!
//! The measurements themselves are subcommands of `datt-benches`; each prints rows as JSON
//! lines. Targets are ratios of one run on one machine, and are reported, never asserted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::interop::{Peer, kubo_binary};
use crate::packages::{NGINX, WRK, prefer};
use crate::up::build_release;
use crate::workspace::Workspace;

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Where the results go; `target/bench.json` when absent.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only measurements whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Smaller inputs: shows that everything runs, proves nothing.
    #[arg(long)]
    small: bool,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    /// Measurement it belongs to.
    name: String,
    /// What was measured.
    what: String,
    /// What it must reach, in words.
    target: String,
    /// What it reached, in words.
    value: String,
    /// Whether that is enough; none where there is no target.
    met: Option<bool>,
    /// Plain figures, for machines.
    #[serde(default)]
    figures: serde_json::Map<String, serde_json::Value>,
}

/// Measures and prints.
///
/// # Errors
/// When a measurement can't be carried out; missing a target is no error.
pub fn run(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
    prefer(
        &[NGINX, WRK],
        "without nginx and wrk, range reads can't be measured",
    );
    build_release(workspace, &["datt", "datt-benches"])?;
    let binary = workspace.release_binary("datt-benches");
    let list = std::process::Command::new(&binary).arg("list").output()?;
    let names = String::from_utf8(list.stdout).context("names of measurements")?;
    let wanted: Vec<&str> = names
        .lines()
        .filter(|name| {
            args.only
                .as_ref()
                .is_none_or(|only| name.contains(only.as_str()))
        })
        .collect();
    if wanted.is_empty() {
        bail!("no such measurement; there are:\n{names}");
    }
    let kubo = kubo(workspace, &wanted)?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for name in wanted {
        println!("── {name}");
        match measure(workspace, &binary, name, kubo.as_deref(), args.small) {
            Ok(measured) => {
                measured.iter().for_each(print_row);
                rows.extend(measured);
            }
            Err(error) => {
                println!("   {name} failed: {error:#}");
                failed.push(name);
            }
        }
    }
    print_table(&rows);
    let path = args
        .json
        .clone()
        .unwrap_or_else(|| workspace.target.join("bench.json"));
    fs::write(&path, serde_json::to_string_pretty(&rows)?)
        .with_context(|| format!("writing {}", path.display()))?;
    println!("written to {}", path.display());
    if !failed.is_empty() {
        bail!("could not be measured: {}", failed.join(", "));
    }
    Ok(())
}

/// Kubo, for measurements of what has an IPFS name; without it, their rows say so.
fn kubo(workspace: &Workspace, wanted: &[&str]) -> Result<Option<PathBuf>> {
    if !wanted.iter().any(|name| name.starts_with("ipfs-")) {
        return Ok(None);
    }
    match kubo_binary(workspace)? {
        Peer::Here(binary) => Ok(Some(binary)),
        Peer::Absent(reason) => {
            println!("note: nothing is compared with Kubo: {reason}");
            Ok(None)
        }
    }
}

fn measure(
    workspace: &Workspace,
    binary: &Path,
    name: &str,
    kubo: Option<&Path>,
    small: bool,
) -> Result<Vec<Row>> {
    let mut command = std::process::Command::new(binary);
    command
        .arg("run")
        .arg(name)
        .arg("--datt")
        .arg(workspace.release_binary("datt"))
        .arg("--scratch")
        .arg(workspace.target.join("bench"))
        .current_dir(&workspace.root)
        .stderr(Stdio::inherit());
    if let Some(kubo) = kubo {
        command.arg("--kubo").arg(kubo);
    }
    if small {
        command.arg("--small");
    }
    let output = command.output()?;
    if !output.status.success() {
        bail!("ended with {}", output.status);
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).with_context(|| format!("a row: {line}")))
        .collect()
}

fn print_row(row: &Row) {
    println!("   {}: {} (target {})", row.what, row.value, row.target);
}

fn print_table(rows: &[Row]) {
    let width = |text: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| text(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let what = width(|row| &row.what);
    let target = width(|row| &row.target);
    println!("\n{:what$}  {:target$}  measured", "what", "target");
    for row in rows {
        let mark = match row.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        println!(
            "{:what$}  {:target$}  {}  {mark}",
            row.what, row.target, row.value
        );
    }
}
