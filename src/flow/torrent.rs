//! Torrents by a person's doing: how far files may travel, albums, and downloads of torrents that
//! may have nothing to do with datt.

mod download;

use std::sync::Arc;

use gateway::node::NodeError;
use model::BlobId;
use views::data::{Publicity, TorrentName};

use super::{announce, seed};
use crate::{
    core::Core,
    torrents::{self, Origin, Shelved},
};

pub use download::download;

/// Notes how far blobs may travel; where that is no longer into swarms, they are out of them when
/// this returns.
///
/// # Errors
/// When they are only on unlisted boards, or the list can't be written.
pub async fn set_publicity(
    core: &Arc<Core>,
    blobs: Vec<BlobId>,
    publicity: Publicity,
) -> Result<(), NodeError> {
    let is_hidden = |blob: &BlobId| {
        let said = core.torrents.said(blob);
        said.is_unlisted && !said.is_public
    };
    if publicity == Publicity::Swarm && core.torrents.is_enabled() {
        core.torrents.surveyed().await;
    }
    if publicity == Publicity::Swarm
        && let Some(blob) = blobs.iter().find(|blob| is_hidden(blob))
    {
        return Err(NodeError::Invalid(format!(
            "{blob} is on an unlisted board, whose files don't go into swarms: anybody there could \
             find them"
        )));
    }
    let (node, noted) = (Arc::clone(core), blobs.clone());
    let work = move || node.torrents.publicity.set(&node.folder, &noted, publicity);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(NodeError::local("note how far a file may travel", error)),
        Err(panic) => return Err(NodeError::local("note how far a file may travel", panic)),
    }
    for blob in blobs {
        if core.torrents.is_enabled() {
            seed::consider(core, blob).await?;
        }
    }
    announce::renew(core).await;
    Ok(())
}

/// A folder of files as a torrent of its own, if it is large enough; offered to swarms if its
/// person wants that.
///
/// # Errors
/// When a file can't be read, or the lists can't be written.
pub async fn album(
    core: &Arc<Core>,
    name: &str,
    root: &cid::Cid,
    files: &[(String, BlobId, u64)],
    publicity: Publicity,
) -> Result<Option<TorrentName>, NodeError> {
    let size_bytes: u64 = files.iter().map(|(_, _, size_bytes)| size_bytes).sum();
    if files.is_empty() || size_bytes < core.config.torrent.min_bytes.max(1) {
        return Ok(None);
    }
    let info = torrents::info_of_album(core, &root.to_string(), files).await?;
    let infohash = info.infohash();
    if publicity == Publicity::Swarm && core.torrents.is_enabled() {
        let shelved = Shelved {
            name: name.to_owned(),
            size_bytes,
            blobs: files.iter().map(|(_, blob, _)| *blob).collect(),
            origin: Origin::Album,
            seed: true,
        };
        seed::shelve(core, info, shelved).await?;
    }
    Ok(Some(torrents::named(
        core,
        infohash,
        name,
        views::data::Claim::Verified,
    )))
}
