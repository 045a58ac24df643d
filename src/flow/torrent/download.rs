//! A torrent of others: downloaded from its swarm into a folder, then imported, so that its files
//! have names by CID.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use blocks::Reservation;
use gateway::{
    api::types::{TorrentDone, TorrentDoneFile, TorrentProgress, TorrentRequest, TorrentSource},
    node::{Items, NodeError},
};
use model::BlobId;
use tokio::sync::mpsc;
use torrent::{
    FileRole, InfoHash, Magnet, Metainfo,
    swarm::{DownloadOptions, DownloadProgress, Downloaded, SwarmError, Wanted},
};
use views::data::Publicity;

use crate::{
    core::Core,
    flow::{album, import, seed},
    service::blobs::{driven, quota_error},
    torrents::{Origin, Shelved},
};

/// Progress messages that a slow reader may be behind.
const PROGRESS: usize = 16;
/// Peers taken from a request.
const PEERS: usize = 64;
/// Files named in the answer.
const NAMED: usize = 1_000;

type Told = mpsc::Sender<Result<TorrentProgress, NodeError>>;

/// Downloads what is asked for; progress first, the result last. Dropping the stream stops it; what
/// came stays, so that asking again goes on from there.
///
/// # Errors
/// When the request names no torrent, or swarms are switched off.
pub fn download(
    core: Arc<Core>,
    request: TorrentRequest,
) -> Result<Items<TorrentProgress>, NodeError> {
    if !core.torrents.is_enabled() {
        return Err(NodeError::Unavailable(
            "BitTorrent is switched off on this node (torrent.enabled)".to_owned(),
        ));
    }
    let wanted = wanted(&request.source)?;
    let peers = request.peers.iter().take(PEERS).map(|peer| {
        peer.parse().map_err(|_| {
            NodeError::Invalid(format!(
                "{peer:?} is no address of a peer: write it as 192.0.2.7:6881"
            ))
        })
    });
    let options = DownloadOptions {
        peers: peers.collect::<Result<_, _>>()?,
        use_its_trackers: core.config.torrent.foreign_trackers && !core.config.offline,
        ..DownloadOptions::default()
    };
    let (sender, receiver) = mpsc::channel(PROGRESS);
    let work = async move {
        let done = run(&core, wanted, options, request.publicity, &sender).await;
        // Whoever asked may have gone.
        let _ = sender.send(done.map(TorrentProgress::Done)).await;
    };
    Ok(driven(receiver, work))
}

fn wanted(source: &TorrentSource) -> Result<Wanted, NodeError> {
    match source {
        TorrentSource::Magnet(link) => link
            .parse::<Magnet>()
            .map(Wanted::Magnet)
            .map_err(|fault| NodeError::Invalid(fault.to_string())),
        TorrentSource::File(bytes) => Metainfo::decode(bytes)
            .map(|metainfo| Wanted::Metainfo(Box::new(metainfo)))
            .map_err(|fault| {
                NodeError::Invalid(format!("the .torrent file can't be used: {fault}"))
            }),
    }
}

async fn run(
    core: &Arc<Core>,
    wanted: Wanted,
    options: DownloadOptions,
    publicity: Option<Publicity>,
    told: &Told,
) -> Result<TorrentDone, NodeError> {
    let infohash = wanted.infohash();
    if let Some(shelved) = core.torrents.shelf.get(&infohash) {
        return already_here(core, infohash, &shelved).await;
    }
    let folder = incoming(core, &infohash);
    let session = core.torrents.session().await?;
    let download = session
        .download(wanted, &folder, options)
        .await
        .map_err(failed)?;
    let mut progress = download.progress();
    let finished = download.finished();
    tokio::pin!(finished);
    let mut room = None;
    let downloaded = loop {
        tokio::select! {
            done = &mut finished => break done.map_err(failed)?,
            changed = progress.changed() => {
                if changed.is_err() {
                    break finished.await.map_err(failed)?;
                }
                let now = *progress.borrow_and_update();
                reserve(core, &mut room, &now)?;
                let _ = told.try_send(Ok(of_download(&now)));
            }
        }
    };
    let received_bytes = progress.borrow().done_bytes;
    drop(progress);
    let done = take_in(core, downloaded, publicity, received_bytes, told).await?;
    drop(room);
    remove(&folder).await;
    Ok(done)
}

/// Where the bytes lie until they are imported.
fn incoming(core: &Core, infohash: &InfoHash) -> PathBuf {
    let folder = core.folder.path().join("torrents").join("incoming");
    folder.join(infohash.to_string())
}

/// Room for the download, as soon as its size is known.
fn reserve(
    core: &Core,
    room: &mut Option<Reservation>,
    now: &DownloadProgress,
) -> Result<(), NodeError> {
    if let (None, Some(total_bytes)) = (&room, now.total_bytes) {
        let lacking_bytes = total_bytes.saturating_sub(now.done_bytes);
        let reserved = core.blobs.quota().reserve(lacking_bytes);
        *room = Some(reserved.map_err(quota_error)?);
    }
    Ok(())
}

fn of_download(now: &DownloadProgress) -> TorrentProgress {
    TorrentProgress::Progress {
        stage: match now.total_bytes {
            None => "metadata".to_owned(),
            Some(_) => "download".to_owned(),
        },
        done_bytes: now.done_bytes,
        total_bytes: now.total_bytes.unwrap_or(0),
        peers: now.peers as u64,
        bytes_per_s: now.rate_bytes_per_s,
    }
}

/// Imports the files, each gone from the folder when it is in the store, and names them.
async fn take_in(
    core: &Arc<Core>,
    downloaded: Downloaded,
    publicity: Option<Publicity>,
    received_bytes: u64,
    told: &Told,
) -> Result<TorrentDone, NodeError> {
    let Downloaded { info, files } = downloaded;
    let (mut named, mut blobs) = (Vec::new(), Vec::new());
    let mut done_bytes = 0;
    for (file, path) in info.files().iter().zip(&files) {
        if file.role() != FileRole::Content {
            continue;
        }
        let _ = told.try_send(Ok(TorrentProgress::Progress {
            stage: "name".to_owned(),
            done_bytes,
            total_bytes: info.length_bytes(),
            peers: 0,
            bytes_per_s: 0,
        }));
        let added = import_file(core, path, file.path()).await?;
        done_bytes += file.length_bytes();
        blobs.push(added.blob);
        named.push(added);
    }
    // Torrents that have nothing to do with datt stay their owner's own.
    let reach = publicity.unwrap_or(Publicity::Gateway);
    super::set_publicity(core, blobs.clone(), reach).await?;
    let root = if info.is_album() {
        album::assemble(core, &named).await?.to_string()
    } else {
        named
            .first()
            .map_or_else(String::new, |file| file.unixfs.to_string())
    };
    let shelved = Shelved {
        name: info.name().to_owned(),
        size_bytes: info.length_bytes(),
        blobs,
        origin: Origin::Foreign,
        seed: true,
    };
    let done = TorrentDone {
        infohash: info.infohash().to_string(),
        name: info.name().to_owned(),
        ipfs: root,
        size_bytes: info.length_bytes(),
        received_bytes,
        file_count: named.len() as u64,
        files: named.iter().take(NAMED).map(told_file).collect(),
        notes: Vec::new(),
    };
    seed::shelve(core, info, shelved).await?;
    Ok(done)
}

fn told_file(file: &album::File) -> TorrentDoneFile {
    TorrentDoneFile {
        path: file.path.clone(),
        blob: file.blob.to_string(),
        ipfs: file.unixfs.to_string(),
        size_bytes: file.size_bytes,
    }
}

async fn import_file(core: &Arc<Core>, from: &Path, path: &str) -> Result<album::File, NodeError> {
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let (told, _) = mpsc::channel(1);
    let (imported, _) = import::path(core, from, name, &told).await?;
    if let Err(error) = tokio::fs::remove_file(from).await {
        tracing::debug!(path = %from.display(), %error, "left behind after an import");
    }
    Ok(album::File {
        path: path.to_owned(),
        blob: imported.blob,
        unixfs: imported.unixfs,
        size_bytes: imported.size_bytes,
    })
}

/// What was downloaded, or imported, before.
async fn already_here(
    core: &Arc<Core>,
    infohash: InfoHash,
    shelved: &Shelved,
) -> Result<TorrentDone, NodeError> {
    let info = core.torrents.shelf.info(&infohash).ok_or_else(|| {
        NodeError::local(
            "read a torrent",
            format!("the file of {infohash} is damaged"),
        )
    })?;
    let content = info
        .files()
        .iter()
        .filter(|file| file.role() == FileRole::Content);
    let mut files = Vec::new();
    for (file, blob) in content.zip(&shelved.blobs) {
        files.push(held_file(core, file.path(), *blob, file.length_bytes()).await?);
    }
    let ipfs = match files.as_slice() {
        [single] if !info.is_album() => single.unixfs.to_string(),
        files => album::assemble(core, files).await?.to_string(),
    };
    Ok(TorrentDone {
        infohash: infohash.to_string(),
        name: shelved.name.clone(),
        ipfs,
        size_bytes: info.length_bytes(),
        received_bytes: 0,
        file_count: files.len() as u64,
        files: files.iter().take(NAMED).map(told_file).collect(),
        notes: Vec::new(),
    })
}

async fn held_file(
    core: &Core,
    path: &str,
    blob: BlobId,
    size_bytes: u64,
) -> Result<album::File, NodeError> {
    let unixfs = core.blobs.name(blob).await;
    Ok(album::File {
        path: path.to_owned(),
        blob,
        unixfs: unixfs.map_err(crate::service::blobs::read_error)?,
        size_bytes,
    })
}

async fn remove(folder: &Path) {
    if let Err(error) = tokio::fs::remove_dir_all(folder).await {
        tracing::warn!(folder = %folder.display(), %error, "a download's folder was left behind");
    }
}

fn failed(error: SwarmError) -> NodeError {
    match error {
        SwarmError::Description { .. } => NodeError::NotVerified(reasons(&error)),
        SwarmError::NoWay { .. } => NodeError::NotFound(format!(
            "{error}: name a peer with --peer, or let the node look for them"
        )),
        SwarmError::Stalled { .. } => {
            NodeError::NotFound(format!("{error}; asked again, it goes on from there"))
        }
        SwarmError::Taken { .. } => NodeError::Conflict(error.to_string()),
        error => NodeError::local("download a torrent", error),
    }
}

/// An error with what caused it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
