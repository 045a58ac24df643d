//! Info dictionaries of what is held, made from the piece hashes that the blob store keeps.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use blocks::{ReadError, StoreError};
use gateway::node::NodeError;
use model::BlobId;
use torrent::{Info, InfoHash};

use crate::{core::Core, media, service::blobs::read_error};

/// Infohashes remembered.
const CACHED: usize = 10_000;

/// Infohashes of blobs, by the convention; computed once.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<BlobId, InfoHash>>);

impl Cache {
    pub(super) fn get(&self, blob: &BlobId) -> Option<InfoHash> {
        self.lock().get(blob).copied()
    }

    fn put(&self, blob: BlobId, infohash: InfoHash) {
        let mut cached = self.lock();
        if cached.len() >= CACHED {
            cached.pop_first();
        }
        cached.insert(blob, infohash);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<BlobId, InfoHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The torrent of one blob, by the convention; none while its pieces aren't known: it is too small,
/// or not held in full.
///
/// # Errors
/// When the store can't be read.
pub async fn info_of(core: &Core, blob: BlobId) -> Result<Option<Info>, NodeError> {
    let pieces = core.blobs.pieces(blob).await.map_err(index_error)?;
    let Some(pieces) = pieces else {
        return Ok(None);
    };
    let source = match core.blobs.source(blob).await {
        Ok(source) => source,
        Err(ReadError::NotHeld(_)) => return Ok(None),
        Err(error) => return Err(read_error(error)),
    };
    let size_bytes = source.size_bytes();
    let ending = media::ending(source)
        .await
        .map_err(|error| NodeError::local("read the first bytes of a file", error))?;
    let info = Info::of_file(&format!("{blob}.{ending}"), size_bytes, &pieces)
        .map_err(|fault| NodeError::local("describe a file as a torrent", fault))?;
    core.torrents.names.put(blob, info.infohash());
    Ok(Some(info))
}

/// The torrent of an album: its files in the order of their paths, each with its blob and size.
///
/// # Errors
/// When a path can't be in a torrent, or a blob can't be read.
pub async fn info_of_album(
    core: &Core,
    name: &str,
    files: &[(String, BlobId, u64)],
) -> Result<Info, NodeError> {
    let blobs: Vec<BlobId> = files.iter().map(|(_, blob, _)| *blob).collect();
    let pieces = core.blobs.hash_pieces(&blobs).await.map_err(read_error)?;
    let paths = files.iter().map(|(path, _, size)| (path.as_str(), *size));
    Info::of_files(name, paths, &pieces)
        .map_err(|fault| NodeError::Invalid(format!("the folder can't be a torrent: {fault}")))
}

pub(super) fn index_error(error: StoreError) -> NodeError {
    NodeError::local("look up the piece hashes of a file", error)
}
