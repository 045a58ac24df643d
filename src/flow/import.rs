//! publish → import: what a file is, and its thumbnail.

use std::sync::Arc;

use blocks::Keep;
use gateway::{api::types::BlobAdded, node::NodeError};
use model::BlobId;

use crate::{core::Core, media, service::blobs::ADDED};

/// Longest file name kept, characters.
const NAME_CHARS: usize = 100;

/// Looks into an imported blob, and stores its thumbnail beside it.
///
/// # Errors
/// When the store fails; a file that nothing can be said of is no error.
pub async fn inspect(
    core: &Arc<Core>,
    blob: BlobId,
    size_bytes: u64,
    name: String,
) -> Result<BlobAdded, NodeError> {
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
    let added = BlobAdded {
        blob: blob.to_string(),
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
        notes,
    };
    core.remember_upload(blob, added.clone());
    Ok(added)
}
