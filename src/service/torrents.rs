//! Swarms, as the gateway asks for them.

use std::sync::Arc;

use blocks::{ShareState, SourceKind};
use bytes::Bytes;
use gateway::{
    api::types::{Infohash, PublicityAnswer, TorrentProgress, TorrentRequest},
    node::{Items, NodeError, Reply, TorrentFile, Torrents, Viewer},
};
use model::BlobId;
use torrent::{FileRole, InfoHash};
use views::data::{self, Publicity};

use super::Service;
use crate::{
    core::Core,
    denylist::honour,
    flow,
    torrents::{self, Origin, Shelved},
};

/// Blobs named of one torrent in lists.
const BLOBS: usize = 100;

impl Torrents for Service {
    fn torrent(&self, viewer: Viewer, infohash: Infohash) -> Reply<'_, TorrentFile> {
        Box::pin(file(&self.core, viewer, InfoHash::from_bytes(infohash.0)))
    }

    fn torrent_file(&self, infohash: Infohash, path: Vec<String>) -> Reply<'_, BlobId> {
        let infohash = InfoHash::from_bytes(infohash.0);
        Box::pin(async move { web_seed(&self.core, infohash, &path).await })
    }

    fn torrents(&self) -> Reply<'_, Vec<data::Torrent>> {
        Box::pin(async { Ok(list(&self.core)) })
    }

    fn get_torrent(&self, request: TorrentRequest) -> Reply<'_, Items<TorrentProgress>> {
        let core = Arc::clone(&self.core);
        Box::pin(async move { flow::torrent::download(core, request) })
    }

    fn forget_torrent(&self, infohash: Infohash) -> Reply<'_, ()> {
        Box::pin(async move { forget(&self.core, InfoHash::from_bytes(infohash.0)).await })
    }

    fn publicity(&self, blob: BlobId) -> Reply<'_, PublicityAnswer> {
        Box::pin(async move { Ok(publicity(&self.core, blob)) })
    }

    fn set_publicity(&self, blob: BlobId, publicity: Publicity) -> Reply<'_, PublicityAnswer> {
        Box::pin(async move {
            flow::torrent::set_publicity(&self.core, vec![blob], publicity).await?;
            Ok(self::publicity(&self.core, blob))
        })
    }

    fn shares(&self, viewer: Viewer, blob: BlobId) -> Reply<'_, Vec<data::Share>> {
        Box::pin(async move { Ok(shares(&self.core, viewer, blob)) })
    }
}

/// Completes what pages show of a medium.
pub(super) async fn fill(core: &Arc<Core>, viewer: Viewer, blob: BlobId, media: &mut data::Media) {
    media.ipfs = match core.blobs.unixfs(blob).await {
        Ok(root) => root.map(|root| root.to_string()),
        Err(_) => None,
    };
    let claimed = media.torrent.as_ref().and_then(|torrent| {
        let infohash = torrent.infohash.parse::<InfoHash>().ok()?;
        Some(*infohash.as_bytes())
    });
    // An index that can't be read is told where it matters; a page shows what it can.
    media.torrent = torrents::of_medium(core, blob, claimed, &media.name)
        .await
        .unwrap_or_default();
    if viewer.is_owner() {
        media.publicity = core.torrents.publicity.of(&blob);
    }
    media.shares = shares(core, viewer, blob);
}

async fn file(
    core: &Arc<Core>,
    viewer: Viewer,
    infohash: InfoHash,
) -> Result<TorrentFile, NodeError> {
    let shelved = on_shelf(core, viewer, &infohash).await?;
    let shelf = Arc::clone(core);
    let info = tokio::task::spawn_blocking(move || shelf.torrents.shelf.info(&infohash)).await;
    let info = info
        .map_err(|panic| NodeError::local("read a torrent", panic))?
        .ok_or_else(|| unknown(&infohash))?;
    if let Some(swarm) = core.torrents.swarm()
        && let Err(error) = swarm.wake(infohash).await
    {
        tracing::debug!(%infohash, %error, "not taken into the session");
    }
    let is_public = shelved.origin != Origin::Foreign;
    Ok(TorrentFile {
        name: shelved.name,
        bytes: Bytes::from(torrents::metainfo(core, info, is_public).encode()),
    })
}

/// A torrent whose description may be given away.
async fn on_shelf(
    core: &Arc<Core>,
    viewer: Viewer,
    infohash: &InfoHash,
) -> Result<Shelved, NodeError> {
    let shelved = core.torrents.shelf.get(infohash);
    let shelved = shelved
        .filter(|shelved| viewer.is_owner() || (shelved.seed && shelved.origin != Origin::Foreign))
        .ok_or_else(|| unknown(infohash))?;
    for blob in &shelved.blobs {
        honour::admit_reader(core, Viewer::Stranger, *blob).await?;
    }
    Ok(shelved)
}

fn unknown(infohash: &InfoHash) -> NodeError {
    NodeError::NotFound(format!(
        "this node has no torrent {infohash} that it may give away"
    ))
}

/// The blob at a path of a torrent (BEP 19).
async fn web_seed(
    core: &Arc<Core>,
    infohash: InfoHash,
    path: &[String],
) -> Result<BlobId, NodeError> {
    let shelved = on_shelf(core, Viewer::Stranger, &infohash).await?;
    let shelf = Arc::clone(core);
    let info = tokio::task::spawn_blocking(move || shelf.torrents.shelf.info(&infohash)).await;
    let info = info
        .map_err(|panic| NodeError::local("read a torrent", panic))?
        .ok_or_else(|| unknown(&infohash))?;
    let nothing =
        || NodeError::NotFound(format!("there is no such file in the torrent {infohash}"));
    let single = || shelved.blobs.first().filter(|_| !info.is_album()).copied();
    let Some((top, below)) = path.split_first() else {
        return single().ok_or_else(nothing);
    };
    if top != info.name() {
        return Err(nothing());
    }
    if !info.is_album() {
        return single().filter(|_| below.is_empty()).ok_or_else(nothing);
    }
    let below = below.join("/");
    let files = info
        .files()
        .iter()
        .filter(|file| file.role() == FileRole::Content);
    let mut named = files.zip(&shelved.blobs);
    let found = named.find(|(file, _)| file.path() == below);
    found.map(|(_, blob)| *blob).ok_or_else(nothing)
}

/// Stops seeding an album or a torrent of others.
async fn forget(core: &Arc<Core>, infohash: InfoHash) -> Result<(), NodeError> {
    let shelved = core.torrents.shelf.get(&infohash);
    let shelved = shelved
        .ok_or_else(|| NodeError::NotFound(format!("this node has no torrent {infohash}")))?;
    if let (Origin::Blob, Some(blob)) = (shelved.origin, shelved.blobs.first()) {
        return Err(NodeError::Conflict(format!(
            "torrent {infohash} is there because its file may travel into swarms: \
             `datt publicity {blob} peers` ends that"
        )));
    }
    flow::seed::take_back(core, infohash).await
}

fn list(core: &Core) -> Vec<data::Torrent> {
    let states = core.torrents.swarm().map(|swarm| swarm.torrents());
    let states = states.unwrap_or_default();
    let is_paused = core.torrents.swarm().is_some_and(|swarm| swarm.is_paused());
    let all = core.torrents.shelf.all().into_iter();
    let all = all.map(|(infohash, shelved)| {
        let state = states.iter().find(|state| state.infohash == infohash);
        let named = torrents::named(core, infohash, &shelved.name, data::Claim::Verified);
        data::Torrent {
            infohash: named.infohash,
            magnet: named.magnet,
            size_bytes: shelved.size_bytes,
            blobs: shelved
                .blobs
                .iter()
                .take(BLOBS)
                .map(ToString::to_string)
                .collect(),
            is_live: state.is_some_and(|state| state.is_live),
            is_paused,
            peers: state.map_or(0, |state| state.peers as u64),
            sent_bytes: state.map_or(0, |state| state.sent_bytes),
            received_bytes: state.map_or(0, |state| state.received_bytes),
            publicity: Publicity::Swarm,
            claim: data::Claim::Verified,
            name: shelved.name,
        }
    });
    all.collect()
}

fn publicity(core: &Core, blob: BlobId) -> PublicityAnswer {
    let chosen = core.torrents.publicity.of(&blob);
    let is_offered = core
        .torrents
        .shelf
        .with(&blob)
        .iter()
        .any(|(_, shelved)| shelved.seed && shelved.origin != Origin::Foreign);
    let publicity = if is_offered {
        Publicity::Swarm
    } else {
        chosen.unwrap_or(core.config.torrent.publicity)
    };
    let reason = match (chosen, is_offered) {
        (Some(chosen), _) if chosen == publicity => "you said so",
        (Some(Publicity::Swarm), false) => {
            "you said that it may go into swarms; it isn't there yet: it is smaller than \
             torrent.min_bytes, not held in full, or being looked at"
        }
        (None, true) => {
            "an author consented on a public board, enough nodes hold it, or it is in an album"
        }
        _ => "the configuration says so (torrent.publicity)",
    };
    PublicityAnswer {
        publicity,
        chosen,
        reason: reason.to_owned(),
    }
}

fn shares(core: &Core, viewer: Viewer, blob: BlobId) -> Vec<data::Share> {
    let mut nth = [0_u32; 3];
    let shares = core.fetcher.shares(blob).into_iter();
    let shares = shares.map(|share| {
        let (kind, place) = match share.source.kind {
            SourceKind::Peer => (data::ShareKind::Peer, 0),
            SourceKind::Swarm => (data::ShareKind::Swarm, 1),
            SourceKind::Gateway => (data::ShareKind::Gateway, 2),
        };
        nth[place] += 1;
        let label = if viewer.is_owner() {
            share.source.name
        } else {
            // Addresses are nobody else's business.
            let what = ["node", "swarm peer", "gateway"][place];
            format!("{what} {}", nth[place])
        };
        data::Share {
            label,
            kind,
            bytes: share.bytes,
            bytes_per_s: share.bytes_per_s,
            state: state(share.state),
            samples: share.history,
        }
    });
    shares.collect()
}

fn state(state: ShareState) -> data::ShareState {
    match state {
        ShareState::Connecting => data::ShareState::Connecting,
        ShareState::Active => data::ShareState::Active,
        ShareState::Idle => data::ShareState::Idle,
        ShareState::Suspended => data::ShareState::Suspended,
        ShareState::Banned => data::ShareState::Banned,
        ShareState::Gone => data::ShareState::Gone,
    }
}
