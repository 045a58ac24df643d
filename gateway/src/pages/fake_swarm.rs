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
        ready(vec![data::Torrent {
            infohash: "ab".repeat(20),
            name: "<b>clip</b>.webm".to_owned(),
            magnet: format!("magnet:?xt=urn:btih:{}", "ab".repeat(20)),
            size_bytes: 1 << 30,
            blobs: Vec::new(),
            is_live: true,
            is_paused: false,
            peers: 2,
            sent_bytes: 0,
            received_bytes: 0,
            publicity: data::Publicity::Swarm,
            claim: data::Claim::Verified,
        }])
    }
    fn get_torrent(&self, _: TorrentRequest) -> Reply<'_, Items<TorrentProgress>> {
        absent()
    }
    fn forget_torrent(&self, infohash: Infohash) -> Reply<'_, ()> {
        self.write(format!("forget {infohash}"), ())
    }
    fn publicity(&self, _: BlobId) -> Reply<'_, PublicityAnswer> {
        absent()
    }
    fn set_publicity(
        &self,
        blob: BlobId,
        publicity: data::Publicity,
    ) -> Reply<'_, PublicityAnswer> {
        let answer = PublicityAnswer {
            publicity,
            chosen: Some(publicity),
            reason: String::new(),
        };
        self.write(format!("publicity {blob} {}", publicity.as_str()), answer)
    }
    fn shares(&self, viewer: Viewer, _: BlobId) -> Reply<'_, Vec<data::Share>> {
        let label = match viewer {
            Viewer::Owner => "192.0.2.7:6881<i>",
            Viewer::Stranger => "a peer",
        };
        ready(vec![data::Share {
            label: label.to_owned(),
            kind: data::ShareKind::Swarm,
            bytes: 7 << 20,
            bytes_per_s: 1 << 20,
            state: data::ShareState::Active,
            samples: vec![6 << 20, 1 << 20],
        }])
    }
}

impl Mirrors for FakeNode {
    fn mirror(&self) -> Reply<'_, data::MirrorStatus> {
        ready(data::MirrorStatus::default())
    }
    fn audit(&self, _: AuditRequest) -> Reply<'_, Vec<data::AuditRow>> {
        let row = data::AuditRow {
            asked: 30,
            answered: 29,
            ..data::AuditRow::default()
        };
        self.write("audit".to_owned(), vec![row.clone(), row])
    }
    fn audits(&self) -> Reply<'_, Vec<data::AuditRow>> {
        ready(Vec::new())
    }
    fn pins_asked(&self) -> Reply<'_, Vec<data::PinAsked>> {
        ready(Vec::new())
    }
    fn ask_mirror(&self, request: MirrorPin) -> Reply<'_, MirrorAnswer> {
        let what = format!(
            "ask {} {} {} {:?}",
            request.mirror,
            request.id,
            request.media.as_str(),
            request.max_bytes
        );
        self.write(what, answer(false, "no room\u{202E} left"))
    }
    fn release_mirror(&self, request: MirrorUnpin) -> Reply<'_, MirrorAnswer> {
        let what = format!("release {} {}", request.mirror, request.id);
        self.write(what, answer(true, ""))
    }
}

fn answer(accepted: bool, reason: &str) -> MirrorAnswer {
    MirrorAnswer {
        mirror: "a mirror".to_owned(),
        accepted,
        reason: reason.to_owned(),
        max_bytes: 0,
        left_bytes: 0,
        until_ms: None,
    }
}
