//! What the gateway asks of the node about swarms and sources.

use bytes::Bytes;
use model::BlobId;
use views::data;

use super::{Items, Reply, Viewer};
use crate::api::types::{Infohash, PublicityAnswer, TorrentProgress, TorrentRequest};

/// A `.torrent` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorrentFile {
    /// Name to save it under, without `.torrent`.
    pub name: String,
    /// Bencoded metainfo (BEP 3).
    pub bytes: Bytes,
}

/// The node's swarms.
pub trait Torrents: Send + Sync + 'static {
    /// `GET /torrent/{infohash}`. Strangers get it of what may travel into swarms only; whoever
    /// asks brings it into the session. What is denied is [`super::NodeError::Denied`].
    fn torrent(&self, viewer: Viewer, infohash: Infohash) -> Reply<'_, TorrentFile>;

    /// `/webseed/{infohash}/...`: the file at this path of a torrent that may travel into swarms
    /// and is held in full. The first segment is the torrent's name; a single file is at its name
    /// alone, and at no name at all (BEP 19).
    fn torrent_file(&self, infohash: Infohash, path: Vec<String>) -> Reply<'_, BlobId>;

    /// `GET /api/v1/torrents`.
    fn torrents(&self) -> Reply<'_, Vec<data::Torrent>>;

    /// `POST /api/v1/torrents`: downloads; the last item is `Done`. Dropping the stream stops.
    fn get_torrent(&self, request: TorrentRequest) -> Reply<'_, Items<TorrentProgress>>;

    /// `DELETE /api/v1/torrents/{infohash}`: no longer seeds an album or a torrent of others; the
    /// bytes stay. What follows from a file's publicity is [`super::NodeError::Conflict`].
    fn forget_torrent(&self, infohash: Infohash) -> Reply<'_, ()>;

    /// `GET /api/v1/blobs/{cid}/publicity`.
    fn publicity(&self, blob: BlobId) -> Reply<'_, PublicityAnswer>;

    /// `PUT /api/v1/blobs/{cid}/publicity`.
    fn set_publicity(&self, blob: BlobId, publicity: data::Publicity)
    -> Reply<'_, PublicityAnswer>;

    /// `GET /api/v1/blobs/{cid}/sources`: where bytes came from in the last minutes; empty where
    /// nothing came. Strangers are not told addresses.
    fn shares(&self, viewer: Viewer, blob: BlobId) -> Reply<'_, Vec<data::Share>>;
}
