//! Tests with a real store and real endpoints on loopback.
#![allow(clippy::unwrap_used)]

mod belonging;
mod capped;
mod doubting;
mod fetching;
mod full_disk;
mod giving_up;
mod intake;
mod keeping;
mod lies;
mod naming;
pub(crate) mod network;
mod pieces;
mod providing;
mod quota;
mod sources;
mod storing;

use std::{collections::BTreeSet, path::Path};

use bytes::Bytes;
use model::BlobId;

use crate::{BlobSource, Blobs, BlobsOptions, Quota};

/// Bytes that don't compress and are the same in each run.
pub(crate) fn noise(seed: &str, size_bytes: usize) -> Bytes {
    let mut bytes = vec![0; size_bytes];
    blake3::Hasher::new_derive_key(seed)
        .finalize_xof()
        .fill(&mut bytes);
    bytes.into()
}

pub(crate) async fn open_with(dir: &Path, max_bytes: u64) -> Blobs {
    let options = BlobsOptions {
        quota: Quota::new(dir, max_bytes, 0),
        denied: BTreeSet::new(),
        cache_max_bytes: u64::MAX,
        pieces_min_bytes: crate::DEFAULT_PIECES_MIN_BYTES,
    };
    Blobs::open(&dir.join("blobs"), options).await.unwrap()
}

pub(crate) async fn open(dir: &Path) -> Blobs {
    open_with(dir, u64::MAX).await
}

pub(crate) async fn read(blobs: &Blobs, blob: BlobId) -> Bytes {
    match blobs.source(blob).await.unwrap() {
        BlobSource::Bytes(bytes) => bytes,
        BlobSource::File { path, size_bytes } => {
            let bytes = std::fs::read(path).unwrap();
            assert_eq!(bytes.len() as u64, size_bytes);
            bytes.into()
        }
    }
}

/// What a process that is killed now would leave in its folder, in a folder of its own.
pub(crate) fn crashed(dir: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let to = left.path().join(folder.strip_prefix(dir).unwrap());
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    left
}
