//! `datt add`: imports files of this machine.

use std::path::{Path, PathBuf};

use clap::Args;
use gateway::api::types::{BlobAdded, ImportProgress, PathRequest};

use super::{
    client::Client, failure::CommandError, outcome::Outcome, progress::Progress, words::added,
};

const ROUTE: &str = "/api/v1/blobs/path";

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) async fn run(client: &Client, args: &AddArgs) -> Result<Outcome, CommandError> {
    let mut blobs = Vec::new();
    for path in &args.files {
        blobs.push(import(client, path).await?);
    }
    let lines: Vec<_> = blobs.iter().map(added).collect();
    Ok(Outcome::new(lines.join("\n"), &blobs))
}

/// The node reads the file itself: it is on the same machine.
pub(super) async fn import(client: &Client, path: &Path) -> Result<BlobAdded, CommandError> {
    let absolute = path
        .canonicalize()
        .map_err(CommandError::io("find", path))?;
    let text = absolute.to_str().ok_or_else(|| {
        CommandError::Usage(format!(
            "the path {} is not UTF-8; rename the file",
            absolute.display()
        ))
    })?;
    let request = PathRequest {
        path: text.to_owned(),
    };
    let name = absolute
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut bar = Progress::of_bytes(name.clone());
    let mut events = client
        .events::<ImportProgress>(ROUTE, Some(&request))
        .await?;
    while let Some(event) = events.next().await? {
        match event {
            ImportProgress::Progress {
                stage,
                done_bytes,
                total_bytes,
            } => {
                bar.name(format!("{name}: {stage}"));
                bar.set(done_bytes, total_bytes);
            }
            ImportProgress::Done(blob) => return Ok(blob),
        }
    }
    Err(events.cut_off())
}
