//! `datt add`: imports files and folders of this machine.

use std::path::{Path, PathBuf};

use clap::Args;
use gateway::api::types::{AddRequest, AlbumAdded, BlobAdded, ImportProgress};
use serde_json::{Value, json};
use views::data::Publicity;

use super::{
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    progress::Progress,
    torrents::parse_publicity,
    words::{added, album},
};

const ROUTE: &str = "/api/v1/blobs/path";

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Files, and folders: these become albums (UnixFS directories)
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How far they may travel: gateway (this node's web server only), peers (other nodes too) or
    /// swarm (BitTorrent too); without it, as the configuration says
    #[arg(long, value_name = "PUBLICITY", value_parser = parse_publicity)]
    publicity: Option<Publicity>,
}

/// What became of a path.
enum Done {
    File(BlobAdded),
    Folder(Vec<BlobAdded>, AlbumAdded),
}

pub(super) async fn run(client: &Client, args: &AddArgs) -> Result<Outcome, CommandError> {
    let (mut lines, mut values) = (Vec::new(), Vec::new());
    for path in &args.files {
        match add(client, path, args.publicity).await? {
            Done::File(blob) => {
                lines.push(added(&blob));
                values.push(json!(blob));
            }
            Done::Folder(files, folder) => {
                lines.extend(files.iter().map(added));
                lines.push(album(&folder));
                values.push(folder_json(&files, &folder));
            }
        }
    }
    Ok(Outcome::new(lines.join("\n"), &values))
}

/// An album with its files in it, where a file alone has its fields.
fn folder_json(files: &[BlobAdded], folder: &AlbumAdded) -> Value {
    json!({
        "ipfs": folder.ipfs, "name": folder.name, "size_bytes": folder.size_bytes,
        "torrent": folder.torrent, "notes": folder.notes, "files": files,
    })
}

/// Imports a file to be posted.
pub(super) async fn import(client: &Client, path: &Path) -> Result<BlobAdded, CommandError> {
    let is_folder = || {
        CommandError::Usage(format!(
            "{} is a folder; name the files in it",
            path.display()
        ))
    };
    if path.is_dir() {
        return Err(is_folder());
    }
    match add(client, path, None).await? {
        Done::File(blob) => Ok(blob),
        Done::Folder(..) => Err(is_folder()),
    }
}

/// The node reads the file itself: it is on the same machine.
async fn add(
    client: &Client,
    path: &Path,
    publicity: Option<Publicity>,
) -> Result<Done, CommandError> {
    let (path, name) = absolute(path)?;
    let mut bar = Progress::of_bytes(name.clone());
    let mut events = client
        .events::<ImportProgress>(ROUTE, Some(&AddRequest { path, publicity }))
        .await?;
    let mut files = Vec::new();
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
            ImportProgress::Added(blob) => files.push(blob),
            ImportProgress::Done(blob) => return Ok(Done::File(blob)),
            ImportProgress::Album(folder) => return Ok(Done::Folder(files, folder)),
        }
    }
    Err(events.cut_off())
}

/// The path as the node needs it, and the name of what it leads to.
pub(super) fn absolute(path: &Path) -> Result<(String, String), CommandError> {
    let absolute = path
        .canonicalize()
        .map_err(CommandError::io("find", path))?;
    let text = absolute.to_str().ok_or_else(|| {
        CommandError::Usage(format!(
            "the path {} is not UTF-8; rename the file",
            absolute.display()
        ))
    })?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    Ok((text.to_owned(), name.into_owned()))
}
