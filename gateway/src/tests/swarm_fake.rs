//! Swarms and mirrors of the node made of plain maps.

use model::BlobId;
use views::data;

use super::fake::{Fake, absent};
use crate::{api::types::*, node::*};

impl Torrents for Fake {
    fn torrent(&self, _: Viewer, _: Infohash) -> Reply<'_, TorrentFile> {
        absent()
    }
    fn torrent_file(&self, _: Infohash, _: Vec<String>) -> Reply<'_, BlobId> {
        absent()
    }
    fn torrents(&self) -> Reply<'_, Vec<data::Torrent>> {
        absent()
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
        absent()
    }
}

impl Mirrors for Fake {
    fn mirror(&self) -> Reply<'_, data::MirrorStatus> {
        absent()
    }
    fn audit(&self, _: AuditRequest) -> Reply<'_, Vec<data::AuditRow>> {
        absent()
    }
    fn audits(&self) -> Reply<'_, Vec<data::AuditRow>> {
        absent()
    }
    fn pins_asked(&self) -> Reply<'_, Vec<data::PinAsked>> {
        absent()
    }
    fn ask_mirror(&self, _: MirrorPin) -> Reply<'_, MirrorAnswer> {
        absent()
    }
    fn release_mirror(&self, _: MirrorUnpin) -> Reply<'_, MirrorAnswer> {
        absent()
    }
}
