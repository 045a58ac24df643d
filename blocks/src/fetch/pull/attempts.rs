//! Which sources of raw bytes are collected from together when nothing verifies groups.
//!
//! Peers of a torrent that say its piece hashes are a company of their own: who sends a wrong piece
//! is found out at once, and a whole that fits all pieces and isn't the blob proves that the torrent
//! is that of something else. One liar among the others spoils what all of them send.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sha1::{Digest, Sha1};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    PIECE_BYTES,
    fetch::{plan::SourceId, source::RawSource},
};

/// Torrents that are tried of one blob.
const TORRENTS: usize = 4;

pub(super) type Raws = Vec<(SourceId, Arc<dyn RawSource>)>;

/// Sources that are collected from together.
pub(super) struct Attempt {
    pub(super) size_bytes: u64,
    pub(super) torrent: Option<Arc<Torrent>>,
    pub(super) raws: Raws,
}

/// A torrent with its pieces.
pub(super) struct Torrent {
    pub(super) infohash: [u8; 20],
    pieces: Vec<[u8; 20]>,
}

impl Torrent {
    /// Whether whole pieces from an offset on are the torrent's.
    pub(super) fn has(&self, offset: u64, bytes: &[u8]) -> bool {
        let Ok(first) = usize::try_from(offset / PIECE_BYTES) else {
            return false;
        };
        let Ok(length) = usize::try_from(PIECE_BYTES) else {
            return false;
        };
        let pieces = self.pieces.get(first..).unwrap_or_default();
        let came = bytes.chunks(length);
        came.len() <= pieces.len()
            && came
                .zip(pieces)
                .all(|(piece, hash)| Sha1::digest(piece)[..] == hash[..])
    }
}

/// Torrents whose pieces are known, the smallest first, which is the cheapest to find out about; then
/// all others together.
pub(super) async fn attempts(raws: Raws, stall: Duration) -> Vec<Attempt> {
    let pieces = ask(&raws, stall).await;
    let any_size = claimed(&raws);
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut others = Raws::new();
    let mut raws = raws;
    for ((size_bytes, infohash), pieces) in pieces.into_iter().take(TORRENTS) {
        let key = Some((size_bytes, infohash));
        let (own, rest) = raws.into_iter().partition(|(_, raw)| key_of(raw) == key);
        raws = rest;
        attempts.push(Attempt {
            size_bytes,
            torrent: Some(Arc::new(Torrent { infohash, pieces })),
            raws: own,
        });
    }
    others.append(&mut raws);
    if let Some(size_bytes) = claimed(&others).or(any_size).filter(|_| !others.is_empty()) {
        attempts.push(Attempt {
            size_bytes,
            torrent: None,
            raws: others,
        });
    }
    attempts
}

type Key = (u64, [u8; 20]);

fn key_of(raw: &Arc<dyn RawSource>) -> Option<Key> {
    Some((raw.size_bytes()?, raw.torrent()?))
}

/// Piece hashes of all torrents, by the first peer of each that says them.
async fn ask(raws: &Raws, stall: Duration) -> BTreeMap<Key, Vec<[u8; 20]>> {
    let mut asked = JoinSet::new();
    let mut keys = BTreeSet::new();
    for (key, raw) in raws.iter().filter_map(|(_, raw)| Some((key_of(raw)?, raw))) {
        keys.insert(key);
        let pieces = raw.pieces();
        asked.spawn(async move { (key, timeout(stall, pieces).await.ok().flatten()) });
    }
    let mut known = BTreeMap::new();
    while known.len() < keys.len()
        && let Some(answer) = asked.join_next().await
    {
        if let Ok((key, Some(pieces))) = answer
            && pieces.len() as u64 == key.0.div_ceil(PIECE_BYTES)
        {
            known.entry(key).or_insert(pieces);
        }
    }
    known
}

/// The size that most sources claim.
fn claimed(raws: &Raws) -> Option<u64> {
    let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
    for size_bytes in raws.iter().filter_map(|(_, raw)| raw.size_bytes()) {
        *votes.entry(size_bytes).or_default() += 1;
    }
    let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
    most.map(|(size_bytes, _)| size_bytes)
}
