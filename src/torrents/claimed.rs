//! Whether an infohash that a post claims is that of its bytes.

use gateway::node::NodeError;
use model::BlobId;
use torrent::{Info, InfoHash, PieceHash};
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
    // What was seen of a swarm counts only as long as the bytes themselves can't be asked.
    let unheld = match core.torrents.shelf.is_false(&blob, &claimed) {
        true => Claim::False,
        false => Claim::Unchecked,
    };
    let Some(pieces) = core.blobs.pieces(blob).await.map_err(index_error)? else {
        return Ok(unheld);
    };
    let Ok(source) = core.blobs.source(blob).await else {
        return Ok(unheld);
    };
    let is_it = fits(blob, source.size_bytes(), &pieces, claimed);
    Ok(if is_it { Claim::Verified } else { Claim::False })
}

fn fits(blob: BlobId, size_bytes: u64, pieces: &[PieceHash], claimed: InfoHash) -> bool {
    media::ENDINGS.iter().any(|ending| {
        Info::of_file(&format!("{blob}.{ending}"), size_bytes, pieces)
            .is_ok_and(|info| info.infohash() == claimed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_fits_under_any_ending_in_use_and_no_other_size_or_hash() {
        let (blob, pieces) = (BlobId::of(b"b"), [[7; 20]]);
        for ending in media::ENDINGS {
            let info = Info::of_file(&format!("{blob}.{ending}"), 9, &pieces).unwrap();
            assert!(fits(blob, 9, &pieces, info.infohash()), "{ending}");
            assert!(!fits(blob, 8, &pieces, info.infohash()), "{ending}");
            assert!(!fits(blob, 9, &[[8; 20]], info.infohash()), "{ending}");
        }
    }
}
