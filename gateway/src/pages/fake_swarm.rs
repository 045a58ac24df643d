//! Swarms and mirrors of the node in the tests of the pages.
#![allow(clippy::unwrap_used)]

use model::BlobId;
use views::data;

use super::fake_node::{FakeNode, absent, ready};
use crate::{
    api::types::*,
    node::{Items, Mirrors, Reply, TorrentFile, Torrents, Viewer},
};

impl Torrents for FakeNode {
    fn torrent(&self, _: Viewer, _: Infohash) -> Reply<'_, TorrentFile> {
        absent()
    }
    fn torrent_file(&self, _: Infohash, _: Vec<String>) -> Reply<'_, BlobId> {
        absent()
    }
    fn torrents(&self) -> Reply<'_, Vec<data::Torrent>> {
        ready(Vec::new())
    }
    fn get_torrent(&self, _: TorrentRequest) -> Reply<'_, Items<TorrentProgress>> {
        absent()
    }
    fn publicity(&self, _: BlobId) -> Reply<'_, PublicityAnswer> {
        absent()
    }
    fn set_publicity(&self, _: BlobId, _: data::Publicity) -> Reply<'_, PublicityAnswer> {
        absent()
    }
    fn shares(&self, _: Viewer, _: BlobId) -> Reply<'_, Vec<data::Share>> {
        ready(Vec::new())
    }
}

impl Mirrors for FakeNode {
    fn mirror(&self) -> Reply<'_, data::MirrorStatus> {
        ready(data::MirrorStatus::default())
    }
    fn audit(&self, _: AuditRequest) -> Reply<'_, Vec<data::AuditRow>> {
        absent()
    }
    fn audits(&self) -> Reply<'_, Vec<data::AuditRow>> {
        ready(Vec::new())
    }
    fn pins_asked(&self) -> Reply<'_, Vec<data::PinAsked>> {
        ready(Vec::new())
    }
    fn ask_mirror(&self, _: MirrorPin) -> Reply<'_, MirrorAnswer> {
        absent()
    }
    fn release_mirror(&self, _: MirrorUnpin) -> Reply<'_, MirrorAnswer> {
        absent()
    }
}
