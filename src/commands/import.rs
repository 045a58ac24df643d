//! `datt import`: takes in capsules and other CARs of this machine.

use std::path::{Path, PathBuf};

use clap::Args;
use gateway::api::types::{CarImported, CarKind, CarProgress, PathRequest};
use views::amount::count;

use super::{
    add::absolute,
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    progress::Progress,
    words::{line, size},
};

const ROUTE: &str = "/api/v1/import/path";
/// Files that are listed one by one.
const LISTED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Capsules (`datt export`), or any CARv1
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) async fn run(client: &Client, args: &ImportArgs) -> Result<Outcome, CommandError> {
    let mut imported = Vec::new();
    for path in &args.files {
        imported.push(import(client, path).await?);
    }
    let texts: Vec<_> = args
        .files
        .iter()
        .zip(&imported)
        .map(|(path, told)| text(path, told))
        .collect();
    Ok(Outcome::new(texts.join("\n"), &imported))
}

/// The node reads the file itself: it is on the same machine.
async fn import(client: &Client, path: &Path) -> Result<CarImported, CommandError> {
    let (path, name) = absolute(path)?;
    let mut bar = Progress::of_bytes(name);
    let mut events = client
        .events::<CarProgress>(ROUTE, Some(&PathRequest { path }))
        .await?;
    while let Some(event) = events.next().await? {
        match event {
            CarProgress::Progress {
                done_bytes,
                total_bytes,
            } => bar.set(done_bytes, total_bytes),
            CarProgress::Done(told) => return Ok(*told),
        }
    }
    Err(events.cut_off())
}

fn text(path: &Path, told: &CarImported) -> String {
    let mut text = format!("{}: ", path.display());
    match told.kind {
        CarKind::Capsule => text.push_str(&format!(
            "{}, {} known, {}, verified",
            count(told.entries, "new entry", "new entries"),
            told.known_entries,
            count(told.whole_files, "file", "files"),
        )),
        CarKind::Car => text.push_str(&format!(
            "{}, verified",
            count(told.blocks, "block", "blocks")
        )),
    }
    for root in told.roots.iter().filter(|_| told.kind == CarKind::Car) {
        text.push_str(&format!("\n  root {root}"));
    }
    for space in &told.spaces {
        text.push_str(&format!("\n  space {space}"));
    }
    for thread in &told.threads {
        text.push_str(&format!("\n  thread {thread}"));
    }
    for file in told.files.iter().take(LISTED) {
        text.push_str(&format!(
            "\n  file {}  {}  {}",
            file.blob,
            file.ipfs,
            size(file.size_bytes)
        ));
    }
    let more = told.whole_files.saturating_sub(LISTED as u64);
    if more > 0 {
        text.push_str(&format!(
            "\n  and {}",
            count(more, "file more", "files more")
        ));
    }
    if told.missing_blocks > 0 {
        text.push_str(&format!(
            "\n  note: blocks that are neither in it nor held here: {}",
            told.missing_blocks
        ));
    }
    if told.lacking_files > 0 {
        text.push_str(&format!(
            "\n  note: media files that were not held where it was made: {}",
            told.lacking_files
        ));
    }
    for note in &told.notes {
        text.push_str(&format!("\n  note: {}", line(note)));
    }
    text
}
