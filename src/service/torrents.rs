//! Swarms, as the gateway asks for them.

use std::future::ready;

use gateway::{
    api::types::{Infohash, PublicityAnswer, TorrentProgress, TorrentRequest},
    node::{Items, NodeError, Reply, TorrentFile, Torrents, Viewer},
};
use model::BlobId;
use views::data;

use super::Service;

fn off<'a, T: Send + 'a>() -> Reply<'a, T> {
    let why = "BitTorrent is switched off on this node (`torrent.enabled`)".to_owned();
    Box::pin(ready(Err(NodeError::Unavailable(why))))
}

impl Torrents for Service {
    fn torrent(&self, _viewer: Viewer, _infohash: Infohash) -> Reply<'_, TorrentFile> {
        off()
    }

    fn torrent_file(&self, _infohash: Infohash, _path: Vec<String>) -> Reply<'_, BlobId> {
        off()
    }

    fn torrents(&self) -> Reply<'_, Vec<data::Torrent>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn get_torrent(&self, _request: TorrentRequest) -> Reply<'_, Items<TorrentProgress>> {
        off()
    }

    fn publicity(&self, _blob: BlobId) -> Reply<'_, PublicityAnswer> {
        off()
    }

    fn set_publicity(
        &self,
        _blob: BlobId,
        _publicity: data::Publicity,
    ) -> Reply<'_, PublicityAnswer> {
        off()
    }

    fn shares(&self, _viewer: Viewer, _blob: BlobId) -> Reply<'_, Vec<data::Share>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}
