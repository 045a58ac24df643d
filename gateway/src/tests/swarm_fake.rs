//! Swarms and mirrors of the node made of plain maps.

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{Mutex, atomic::Ordering},
};

use bytes::Bytes;
use futures_lite::{StreamExt as _, stream};
use model::BlobId;
use views::data;

use super::fake::{Fake, absent};
use crate::{api::types::*, node::*};

/// Torrents, and what was asked about them.
#[derive(Default)]
pub struct Swarm {
    pub torrents: Mutex<BTreeMap<Infohash, Seeded>>,
    pub publicity: Mutex<BTreeMap<BlobId, data::Publicity>>,
    pub asked: Mutex<Vec<String>>,
}

/// A torrent: its file, and its files by path.
#[derive(Clone, Default)]
pub struct Seeded {
    pub name: String,
    pub metainfo: Bytes,
    pub files: BTreeMap<Vec<String>, BlobId>,
    pub denied: bool,
}

impl Fake {
    pub fn seed(&self, byte: u8, torrent: Seeded) -> Infohash {
        let infohash = Infohash([byte; 20]);
        let mut torrents = self.swarm.torrents.lock().unwrap();
        torrents.insert(infohash, torrent);
        infohash
    }

    fn seeded(&self, infohash: Infohash) -> Result<Seeded, NodeError> {
        let found = self.swarm.torrents.lock().unwrap().get(&infohash).cloned();
        let missing = || NodeError::NotFound(format!("the torrent {infohash} is not known here"));
        let found = found.ok_or_else(missing)?;
        if found.denied {
            return Err(NodeError::Denied {
                id: infohash.to_string(),
                reason: "a test".to_owned(),
            });
        }
        Ok(found)
    }

    pub fn note<T: Send + 'static>(&self, what: String, answer: T) -> Reply<'_, T> {
        self.swarm.asked.lock().unwrap().push(what);
        self.written(answer)
    }
}

impl Torrents for Fake {
    fn torrent(&self, viewer: Viewer, infohash: Infohash) -> Reply<'_, TorrentFile> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        let found = self.seeded(infohash);
        Box::pin(ready(found.map(|found| TorrentFile {
            name: found.name,
            bytes: found.metainfo,
        })))
    }
    fn torrent_file(&self, infohash: Infohash, path: Vec<String>) -> Reply<'_, BlobId> {
        let found = self.seeded(infohash).and_then(|found| {
            let blob = match path.is_empty() {
                true if found.files.len() == 1 => found.files.values().next(),
                _ => found.files.get(&path),
            };
            let missing = || NodeError::NotFound(format!("{infohash} has no file {path:?}"));
            blob.copied().ok_or_else(missing)
        });
        Box::pin(ready(found))
    }
    fn torrents(&self) -> Reply<'_, Vec<data::Torrent>> {
        Box::pin(ready(Ok(Vec::new())))
    }
    fn get_torrent(&self, request: TorrentRequest) -> Reply<'_, Items<TorrentProgress>> {
        let what = match request.source {
            TorrentSource::Magnet(link) => format!("magnet {link}"),
            TorrentSource::File(bytes) => format!("file of {}", bytes.len()),
        };
        let steps = [
            TorrentProgress::Progress {
                stage: "download".to_owned(),
                done_bytes: 1,
                total_bytes: 2,
                peers: 3,
                bytes_per_s: 4,
            },
            TorrentProgress::Done(TorrentDone {
                infohash: "an infohash".to_owned(),
                name: "a name".to_owned(),
                ipfs: "an IPFS CID".to_owned(),
                size_bytes: 2,
                received_bytes: 2,
                files: Vec::new(),
                file_count: 1,
                notes: Vec::new(),
            }),
        ];
        self.note(what, stream::iter(steps.map(Ok)).boxed())
    }
    fn forget_torrent(&self, infohash: Infohash) -> Reply<'_, ()> {
        let found = self.seeded(infohash);
        self.swarm.torrents.lock().unwrap().remove(&infohash);
        self.writes.fetch_add(1, Ordering::SeqCst);
        Box::pin(ready(found.map(|_| ())))
    }
    fn publicity(&self, blob: BlobId) -> Reply<'_, PublicityAnswer> {
        let chosen = self.swarm.publicity.lock().unwrap().get(&blob).copied();
        Box::pin(ready(Ok(PublicityAnswer {
            publicity: chosen.unwrap_or_default(),
            chosen,
            reason: "the fake says so".to_owned(),
        })))
    }
    fn set_publicity(
        &self,
        blob: BlobId,
        publicity: data::Publicity,
    ) -> Reply<'_, PublicityAnswer> {
        let mut chosen = self.swarm.publicity.lock().unwrap();
        chosen.insert(blob, publicity);
        drop(chosen);
        self.publicity(blob)
    }
    fn shares(&self, viewer: Viewer, _: BlobId) -> Reply<'_, Vec<data::Share>> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(ready(Ok(vec![data::Share {
            label: "a peer".to_owned(),
            kind: data::ShareKind::Swarm,
            bytes: 7,
            bytes_per_s: 3,
            state: data::ShareState::Active,
            samples: vec![4, 3],
        }])))
    }
}

impl Mirrors for Fake {
    fn mirror(&self) -> Reply<'_, data::MirrorStatus> {
        Box::pin(ready(Ok(data::MirrorStatus {
            rules: vec![data::MirrorRule {
                what: "popular".to_owned(),
                ..data::MirrorRule::default()
            }],
            ..data::MirrorStatus::default()
        })))
    }
    fn audit(&self, request: AuditRequest) -> Reply<'_, Vec<data::AuditRow>> {
        self.note(format!("audit {:?}", request.challenges), Vec::new())
    }
    fn audits(&self) -> Reply<'_, Vec<data::AuditRow>> {
        Box::pin(ready(Ok(vec![data::AuditRow::default()])))
    }
    fn pins_asked(&self) -> Reply<'_, Vec<data::PinAsked>> {
        absent()
    }
    fn ask_mirror(&self, request: MirrorPin) -> Reply<'_, MirrorAnswer> {
        let what = format!("ask {} for {}", request.mirror, request.id);
        let answer = MirrorAnswer {
            mirror: request.mirror,
            accepted: false,
            reason: "over the quota of one requester".to_owned(),
            max_bytes: 0,
            left_bytes: 5,
            until_ms: None,
        };
        self.note(what, answer)
    }
    fn release_mirror(&self, request: MirrorUnpin) -> Reply<'_, MirrorAnswer> {
        let what = format!("release {} at {}", request.id, request.mirror);
        let answer = MirrorAnswer {
            mirror: request.mirror,
            accepted: true,
            reason: String::new(),
            max_bytes: 0,
            left_bytes: 5,
            until_ms: None,
        };
        self.note(what, answer)
    }
}
