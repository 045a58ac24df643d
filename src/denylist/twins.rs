//! Which names are of the same bytes: a file's UnixFS roots and its blob. What denies one denies
//! all, also when the bytes are long gone. What denies a part of a file denies the file, and not the
//! other way round.

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;
use model::BlobId;
use serde::{Deserialize, Serialize};

use super::rule::BLAKE3;

/// Most pairs kept; the bytes behind more are found again by reading them.
const PAIRS: usize = 100_000;

/// A file under two names, or a file and a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Twin {
    /// Its UnixFS root, or the part, as text.
    pub(super) root: String,
    /// Its blob.
    pub(super) blob: BlobId,
    /// Only a block of the file: a leaf or node.
    #[serde(default)]
    pub(super) is_part: bool,
}

/// Both directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Twins {
    roots: BTreeMap<BlobId, BTreeSet<Cid>>,
    blobs: BTreeMap<Vec<u8>, BTreeSet<BlobId>>,
    parts: BTreeMap<BlobId, BTreeSet<Cid>>,
    pairs: usize,
}

/// The blob that a CID of any codec names, if its hash is BLAKE3.
pub(super) fn blob_of(cid: &Cid) -> Option<BlobId> {
    if cid.hash().code() != BLAKE3 {
        return None;
    }
    let digest = cid.hash().digest().try_into().ok()?;
    Some(BlobId::from_bytes(digest))
}

impl Twins {
    /// From what was saved; what is no CID there is left out.
    pub(super) fn of(saved: Vec<Twin>) -> Self {
        let mut twins = Self::default();
        for twin in saved {
            if let Ok(root) = Cid::try_from(twin.root.as_str()) {
                match twin.is_part {
                    true => twins.add_part(root, twin.blob),
                    false => twins.add(root, twin.blob),
                };
            }
        }
        twins
    }

    /// Notes a pair; false when it is known, or there is no room.
    pub(super) fn add(&mut self, root: Cid, blob: BlobId) -> bool {
        let is_new = self.pairs < PAIRS && self.roots.entry(blob).or_default().insert(root);
        if is_new {
            self.pairs += 1;
            let of_root = self.blobs.entry(root.hash().to_bytes()).or_default();
            of_root.insert(blob);
        }
        is_new
    }

    /// Notes a block of a file; false when it is known, or there is no room.
    pub(super) fn add_part(&mut self, part: Cid, blob: BlobId) -> bool {
        let is_new = self.pairs < PAIRS && self.parts.entry(blob).or_default().insert(part);
        self.pairs += usize::from(is_new);
        is_new
    }

    /// To be saved.
    pub(super) fn all(&self) -> Vec<Twin> {
        let pairs = |of: &BTreeMap<BlobId, BTreeSet<Cid>>, is_part| -> Vec<Twin> {
            let pairs = of.iter();
            let pairs = pairs.flat_map(|(blob, cids)| cids.iter().map(|cid| (*blob, *cid)));
            pairs
                .map(|(blob, cid)| Twin {
                    root: cid.to_string(),
                    blob,
                    is_part,
                })
                .collect()
        };
        let mut all = pairs(&self.roots, false);
        all.extend(pairs(&self.parts, true));
        all
    }

    /// Every blob that has a pair; some twice.
    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobId> + '_ {
        self.roots.keys().chain(self.parts.keys()).copied()
    }

    /// The parts noted of the blobs among these names.
    pub(super) fn parts<'a>(&'a self, names: &'a [Cid]) -> impl Iterator<Item = &'a Cid> + 'a {
        let blobs = names.iter().filter_map(blob_of);
        blobs.filter_map(|blob| self.parts.get(&blob)).flatten()
    }

    /// All names of the bytes that a CID names, itself first.
    pub(super) fn names(&self, cid: &Cid) -> Vec<Cid> {
        let mut names = vec![*cid];
        let by_root = self.blobs.get(&cid.hash().to_bytes());
        let blobs: BTreeSet<BlobId> = by_root
            .into_iter()
            .flatten()
            .copied()
            .chain(blob_of(cid))
            .collect();
        for blob in blobs {
            names.push(blob.to_cid());
            names.extend(self.roots.get(&blob).into_iter().flatten());
        }
        names
    }
}
