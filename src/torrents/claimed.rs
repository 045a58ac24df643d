//! Whether an infohash that a post claims is that of its bytes.

use gateway::node::NodeError;
use model::BlobId;
use torrent::{Info, InfoHash};
use views::data::Claim;

use super::names::index_error;
use crate::{core::Core, media};

/// Compares a claim with the bytes that are held. The convention names a torrent by the blob and an
/// ending; all endings in use are tried, since what a file is taken for may change.
///
/// # Errors
/// When the index can't be read.
pub async fn claim_of(core: &Core, blob: BlobId, claimed: InfoHash) -> Result<Claim, NodeError> {
    if core.torrents.names.get(&blob) == Some(claimed) {
        return Ok(Claim::Verified);
    }
    if let Some(shelved) = core.torrents.shelf.get(&claimed)
        && shelved.blobs == [blob]
    {
        return Ok(Claim::Verified);
    }
    if core.torrents.shelf.is_false(&blob, &claimed) {
        return Ok(Claim::False);
    }
    let Some(pieces) = core.blobs.pieces(blob).await.map_err(index_error)? else {
        return Ok(Claim::Unchecked);
    };
    let Ok(source) = core.blobs.source(blob).await else {
        return Ok(Claim::Unchecked);
    };
    let size_bytes = source.size_bytes();
    let is_it = media::ENDINGS.iter().any(|ending| {
        Info::of_file(&format!("{blob}.{ending}"), size_bytes, &pieces)
            .is_ok_and(|info| info.infohash() == claimed)
    });
    Ok(if is_it { Claim::Verified } else { Claim::False })
}
