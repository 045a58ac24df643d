//! What posts say of their media: the infohash that an author claims, and the boards a blob is on.

use std::collections::{BTreeMap, BTreeSet};

use model::{BlobId, SpaceId};
use torrent::InfoHash;

/// Blobs of which claims are remembered.
const BLOBS: usize = 100_000;
/// Claims and boards remembered of one blob.
const OF_A_BLOB: usize = 16;

/// What posts say of one blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Infohashes that posts on public boards claim.
    pub infohashes: BTreeSet<InfoHash>,
    /// The size that posts claim, bytes.
    pub size_bytes: u64,
    /// Whether a public board has it.
    pub is_public: bool,
    /// Whether an unlisted board has it.
    pub is_unlisted: bool,
    spaces: BTreeSet<SpaceId>,
}

/// Of all blobs, as far as they were looked at since the start; pure.
#[derive(Debug, Default)]
pub struct Claims {
    by_blob: BTreeMap<BlobId, Said>,
}

impl Claims {
    /// Notes a medium of a post; true when that says something new.
    pub fn note(
        &mut self,
        blob: BlobId,
        size_bytes: u64,
        infohash: Option<InfoHash>,
        (space, is_unlisted): (SpaceId, bool),
    ) -> bool {
        if self.by_blob.len() >= BLOBS && !self.by_blob.contains_key(&blob) {
            return false;
        }
        let said = self.by_blob.entry(blob).or_default();
        let before = said.clone();
        said.size_bytes = said.size_bytes.max(size_bytes);
        if said.spaces.len() < OF_A_BLOB {
            said.spaces.insert(space);
        }
        if is_unlisted {
            // What is said there stays there.
            said.is_unlisted = true;
        } else {
            said.is_public = true;
            if let Some(infohash) = infohash
                && said.infohashes.len() < OF_A_BLOB
            {
                said.infohashes.insert(infohash);
            }
        }
        *said != before
    }

    /// What is said of a blob.
    pub fn of(&self, blob: &BlobId) -> Option<&Said> {
        self.by_blob.get(blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_unlisted_board_says_leads_into_no_swarm() {
        let (blob, infohash) = (BlobId::of(b"b"), InfoHash::of(b"i"));
        let (hidden, public) = (SpaceId::of(b"hidden"), SpaceId::of(b"public"));
        let mut claims = Claims::default();
        assert!(claims.note(blob, 9, Some(infohash), (hidden, true)));
        let said = claims.of(&blob).cloned().unwrap_or_default();
        assert!(said.infohashes.is_empty() && !said.is_public && said.is_unlisted);
        assert!(claims.note(blob, 9, Some(infohash), (public, false)));
        assert!(
            !claims.note(blob, 9, Some(infohash), (public, false)),
            "twice"
        );
        let said = claims.of(&blob).cloned().unwrap_or_default();
        assert_eq!(said.infohashes.len(), 1);
        assert!(said.is_public);
    }

    #[test]
    fn claims_are_bounded() {
        let mut claims = Claims::default();
        let blob = BlobId::of(b"b");
        for at in 0..100_u8 {
            claims.note(
                blob,
                1,
                Some(InfoHash::of(&[at])),
                (SpaceId::of(&[at]), false),
            );
        }
        assert_eq!(
            claims.of(&blob).map(|said| said.infohashes.len()),
            Some(OF_A_BLOB)
        );
    }
}
