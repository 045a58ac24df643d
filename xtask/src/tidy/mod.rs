//! `cargo xtask tidy`: the house rules that the compiler doesn't know, each with a test that
//! shows it fail.

mod code;
mod crates;
mod licences;
mod links;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::workspace::Workspace;

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, relative to the root.
    pub file: PathBuf,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Problem {
    fn new(file: impl AsRef<Path>, line: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.as_ref().to_path_buf(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Applies all rules to the repository.
///
/// # Errors
/// When one is broken, after printing every place.
pub fn run(workspace: &Workspace) -> Result<()> {
    println!("── house rules");
    let metadata = metadata(workspace)?;
    let files = workspace.files()?;
    let mut problems = Vec::new();
    problems.extend(crates::check(&crates::from_metadata(&metadata)));
    let policy =
        std::fs::read_to_string(workspace.root.join("deny.toml")).context("reading deny.toml")?;
    problems.extend(licences::check(
        &licences::Policy::parse(&policy)?,
        &licences::from_metadata(&metadata),
    ));
    let mut documents = Vec::new();
    let mut sources = Vec::new();
    for file in &files {
        let extension = file.extension().and_then(|e| e.to_str());
        if !matches!(extension, Some("rs" | "md")) {
            continue;
        }
        let text = std::fs::read_to_string(workspace.root.join(file))
            .with_context(|| format!("reading {}", file.display()))?;
        if extension == Some("rs") {
            sources.push((file.clone(), text));
        } else {
            documents.push((file.clone(), text));
        }
    }
    problems.extend(source::check_all(&sources));
    problems.extend(links::check(&documents, &|path| {
        workspace.root.join(path).exists()
    }));
    problems.extend(links::required(&files));
    problems.sort();
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("{} house rules are broken", problems.len());
    }
    println!("   house rules: {} files, nothing to say", files.len());
    Ok(())
}

fn metadata(workspace: &Workspace) -> Result<Metadata> {
    MetadataCommand::new()
        .current_dir(&workspace.root)
        .manifest_path(workspace.root.join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .context("cargo metadata")
}
