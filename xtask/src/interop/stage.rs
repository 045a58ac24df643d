//! Where the checks take place: a folder, the programs, nodes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::interop::kubo::Repo;
use crate::node::{Node, Setup};
use crate::workspace::Workspace;

/// The programs and room to work in.
#[derive(Debug, Clone)]
pub struct Stage {
    datt: PathBuf,
    kubo: Option<PathBuf>,
    folder: PathBuf,
    /// Leave out what moves gigabytes.
    pub short: bool,
}

impl Stage {
    /// A clean folder in `target/interop`.
    pub fn new(workspace: &Workspace, datt: PathBuf, short: bool) -> Result<Self> {
        ensure!(datt.is_file(), "{} is not there", datt.display());
        let folder = workspace
            .target
            .join("interop")
            .join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self {
            datt,
            kubo: None,
            folder,
            short,
        })
    }

    /// The same with Kubo at hand.
    #[must_use]
    pub fn with_kubo(&self, kubo: PathBuf) -> Self {
        Self {
            kubo: Some(kubo),
            ..self.clone()
        }
    }

    /// Where everything lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How a node of that name would be started.
    pub fn setup(&self, name: &str) -> Setup {
        Setup::new(&self.datt, self.path(name)).env("DATT_LOG", "warn")
    }

    /// A new repository for Kubo.
    pub fn repo(&self, name: &str) -> Result<Repo> {
        let binary = self.kubo.as_ref().context("Kubo is not at hand")?;
        Repo::new(binary, &self.path(name))
    }

    /// Removes the folder.
    pub fn clear(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("removing {}", self.folder.display()))
    }
}

/// A path as an argument.
pub fn arg(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Imports a file or folder by its path; what the node says of it.
pub fn add(node: &Node, path: &Path) -> Result<Value> {
    Ok(node.json(&["add", arg(path)?])?[0].take())
}

/// Imports a file or folder by its path; its name in IPFS.
pub fn add_as_ipfs(node: &Node, path: &Path) -> Result<String> {
    text(&add(node, path)?, "ipfs")
}

/// A field that must be text.
pub fn text(value: &Value, name: &str) -> Result<String> {
    value[name]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {name} in {value}"))
}

/// Fails unless both files hold the same bytes.
pub fn same_bytes(one: &Path, other: &Path) -> Result<()> {
    same(one, other, "cmp", &[])
}

/// Fails unless both folders hold the same files.
pub fn same_tree(one: &Path, other: &Path) -> Result<()> {
    same(one, other, "diff", &["-r", "-q"])
}

fn same(one: &Path, other: &Path, program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .args([one, other])
        .output()
        .with_context(|| format!("running {program}"))?;
    ensure!(
        output.status.success(),
        "{} and {} differ: {}{}",
        one.display(),
        other.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
