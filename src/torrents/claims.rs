//! What posts say of their media: the infohash that an author claims, and the boards a blob is on.

use std::collections::{BTreeMap, BTreeSet};

use model::BlobId;
use torrent::InfoHash;

/// Blobs on public boards of which claims are remembered.
const BLOBS: usize = 100_000;
/// Blobs on unlisted boards that are remembered. What is more than that ends all consent: rather
/// nothing goes into swarms than one of these.
const UNLISTED: usize = 1_000_000;
/// Claims remembered of one blob, the newest.
const OF_A_BLOB: usize = 16;

/// A post's claim that a torrent is that of its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The torrent.
    pub infohash: InfoHash,
    /// The blob's size as the same post has it, bytes.
    pub size_bytes: u64,
}

/// What a post says of a medium.
#[derive(Clone, Copy, Debug)]
pub struct Mention {
    /// The medium.
    pub blob: BlobId,
    /// Its size, bytes.
    pub size_bytes: u64,
    /// Its torrent, if its author put it into swarms.
    pub infohash: Option<InfoHash>,
    /// Whether the board is unlisted.
    pub is_unlisted: bool,
    /// Whether this node's person wrote the post.
    pub is_own: bool,
}

/// What posts say of one blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Claims of posts on public boards, the newest last.
    pub claims: Vec<Claimed>,
    /// Whether a public board has it.
    pub is_public: bool,
    /// Whether an unlisted board has it.
    pub is_unlisted: bool,
    /// Whether this node's person brought it here: then only his own word counts.
    pub is_own: bool,
}

/// Of all blobs that posts here name; pure.
#[derive(Debug, Default)]
pub struct Claims {
    public: BTreeMap<BlobId, Said>,
    unlisted: BTreeSet<BlobId>,
    own: BTreeSet<BlobId>,
    is_overfull: bool,
}

impl Claims {
    /// Notes that this node's person brought a blob here.
    pub fn note_own(&mut self, blob: BlobId) {
        self.own.insert(blob);
    }

    /// Notes a medium of a post; true when that says something new.
    pub fn note(&mut self, mention: Mention) -> bool {
        let blob = mention.blob;
        if mention.is_own {
            self.note_own(blob);
        }
        if mention.is_unlisted {
            // What is said there stays there.
            self.is_overfull |= self.unlisted.len() >= UNLISTED;
            return !self.is_overfull && self.unlisted.insert(blob);
        }
        if self.public.len() >= BLOBS && !self.public.contains_key(&blob) {
            return false;
        }
        let said = self.public.entry(blob).or_default();
        let before = said.clone();
        said.is_public = true;
        let claimed = mention.infohash.map(|infohash| Claimed {
            infohash,
            size_bytes: mention.size_bytes,
        });
        if let Some(claimed) = claimed
            && !said.claims.contains(&claimed)
        {
            if said.claims.len() == OF_A_BLOB {
                said.claims.remove(0);
            }
            said.claims.push(claimed);
        }
        *said != before
    }

    /// What is said of a blob.
    pub fn of(&self, blob: &BlobId) -> Said {
        let said = self.public.get(blob).cloned().unwrap_or_default();
        Said {
            is_unlisted: self.is_overfull || self.unlisted.contains(blob),
            is_own: self.own.contains(blob),
            ..said
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention(infohash: &[u8], is_unlisted: bool) -> Mention {
        Mention {
            blob: BlobId::of(b"b"),
            size_bytes: 9,
            infohash: Some(InfoHash::of(infohash)),
            is_unlisted,
            is_own: false,
        }
    }

    #[test]
    fn what_an_unlisted_board_says_leads_into_no_swarm() {
        let blob = BlobId::of(b"b");
        let mut claims = Claims::default();
        assert!(claims.note(mention(b"i", true)));
        let said = claims.of(&blob);
        assert!(said.claims.is_empty() && !said.is_public && said.is_unlisted);
        assert!(claims.note(mention(b"i", false)));
        assert!(!claims.note(mention(b"i", false)), "twice");
        let said = claims.of(&blob);
        assert_eq!(said.claims.len(), 1);
        assert!(said.is_public && said.is_unlisted);
    }

    #[test]
    fn claims_are_bounded_and_the_newest_stay() {
        let mut claims = Claims::default();
        for at in 0..100_u8 {
            claims.note(mention(&[at], false));
        }
        let said = claims.of(&BlobId::of(b"b"));
        assert_eq!(said.claims.len(), OF_A_BLOB);
        let last = said.claims.last().map(|claimed| claimed.infohash);
        assert_eq!(last, Some(InfoHash::of(&[99])));
    }
}
