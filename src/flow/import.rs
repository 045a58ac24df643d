//! publish → import: a file of this machine into the store, what it is, and its thumbnail.

use std::{path::Path, sync::Arc};

use blocks::{Imported, Keep, Stage};
use gateway::{
    api::types::{BlobAdded, ImportProgress},
    node::NodeError,
};
use tokio::sync::mpsc;

use crate::{
    core::Core,
    denylist::honour,
    media,
    service::blobs::{ADDED, import_error},
    torrents,
};

/// Longest file name kept, characters.
const NAME_CHARS: usize = 100;

/// Where the progress of an import is told.
pub type Told = mpsc::Sender<Result<ImportProgress, NodeError>>;

/// Imports a file, and says how far that is.
///
/// # Errors
/// When the file can't be read, there is no room, or the store fails.
pub async fn path(
    core: &Arc<Core>,
    path: &Path,
    name: String,
    told: &Told,
) -> Result<(Imported, BlobAdded), NodeError> {
    let progress = blocks::unwatched();
    let mut watch = progress.subscribe();
    let importing = async move {
        let imported = core
            .blobs
            .import_path(path, &Keep::pin(ADDED), &progress)
            .await
            .map_err(|error| import_error(&path.display().to_string(), error))?;
        drop(progress);
        let added = inspect(core, imported, name).await?;
        Ok((imported, added))
    };
    tokio::pin!(importing);
    loop {
        tokio::select! {
            done = &mut importing => return done,
            changed = watch.changed() => {
                if changed.is_err() {
                    return importing.await;
                }
                let now = *watch.borrow_and_update();
                let _ = told.try_send(Ok(ImportProgress::Progress {
                    stage: stage_word(now.stage).to_owned(),
                    done_bytes: now.done_bytes,
                    total_bytes: now.total_bytes.unwrap_or(0),
                }));
            }
        }
    }
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Waiting => "wait",
        Stage::Copy => "copy",
        Stage::Hash => "hash",
        Stage::Fetch => "fetch",
    }
}

/// Looks into an imported blob, and stores its thumbnail beside it.
///
/// # Errors
/// When the store fails; a file that nothing can be said of is no error.
pub async fn inspect(
    core: &Arc<Core>,
    imported: Imported,
    name: String,
) -> Result<BlobAdded, NodeError> {
    let Imported {
        blob,
        size_bytes,
        unixfs,
    } = imported;
    honour::admit_blob(core, blob).await?;
    let source = core
        .blobs
        .source(blob)
        .await
        .map_err(|error| NodeError::local("read the imported file", error))?;
    let info = media::inspect(&source, &core.config.media).await;
    let mut notes = info.notes;
    let thumb = match info.thumb {
        None => None,
        Some(bytes) => match core.blobs.import_bytes(bytes, &Keep::pin(ADDED)).await {
            Ok(thumb) => Some(thumb.blob.to_string()),
            Err(error) => {
                notes.push(format!("no thumbnail: {error}"));
                None
            }
        },
    };
    let torrent = torrents::name_of(core, blob, &name).await?;
    let added = BlobAdded {
        blob: blob.to_string(),
        ipfs: unixfs.to_string(),
        name: name
            .chars()
            .filter(|c| !c.is_control())
            .take(NAME_CHARS)
            .collect(),
        media_type: info.media_type,
        size_bytes,
        width: info.width,
        height: info.height,
        duration_ms: info.duration_ms,
        thumb,
        torrent,
        notes,
    };
    core.torrents.note_own([blob]);
    core.remember_upload(blob, added.clone());
    Ok(added)
}
