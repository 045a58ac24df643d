//! A torrent of others: downloaded from its swarm into a folder, then imported, so that its files
//! have names by CID.

mod incoming;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use gateway::{
    api::types::{TorrentDone, TorrentDoneFile, TorrentProgress, TorrentRequest, TorrentSource},
    node::{Items, NodeError},
};
use model::BlobId;
use tokio::sync::mpsc;
use torrent::{
    FileRole, Info, InfoHash, Magnet, Metainfo,
    swarm::{DownloadOptions, DownloadProgress, Downloaded, Swarm, SwarmError, Wanted},
};
use views::data::Publicity;

use crate::{
    causes::with_causes,
    core::Core,
    flow::{album, fetch, import, seed},
    service::blobs::driven,
    torrents::{Origin, Shelved},
};
use incoming::Room;

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
        if let Some(info) = whole(core, &infohash, &shelved).await {
            return already_here(core, &info, &shelved, publicity).await;
        }
        seed::take_back(core, infohash).await?;
    }
    let session = core.torrents.session().await?;
    let folder = incoming::folder(core, &session, &infohash).await?;
    let job = Job {
        core,
        session: &session,
        wanted,
        options,
        folder: &folder,
        told,
    };
    let (downloaded, received_bytes) = match job.load().await {
        // Not all that an earlier try brought is there: it begins anew.
        Err(Broken::Swarm(SwarmError::Exists { path, .. })) if path.starts_with(&folder) => {
            incoming::remove(&folder).await;
            job.load().await?
        }
        done => done?,
    };
    let done = take_in(core, downloaded, publicity, received_bytes, told).await?;
    incoming::remove(&folder).await;
    Ok(done)
}

/// A download from its swarm into its folder.
struct Job<'a> {
    core: &'a Arc<Core>,
    session: &'a Swarm,
    wanted: Wanted,
    options: DownloadOptions,
    folder: &'a Path,
    told: &'a Told,
}

/// Why nothing came.
enum Broken {
    Swarm(SwarmError),
    Node(NodeError),
}

impl From<SwarmError> for Broken {
    fn from(error: SwarmError) -> Self {
        Self::Swarm(error)
    }
}

impl From<Broken> for NodeError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Swarm(error) => failed(error),
            Broken::Node(error) => error,
        }
    }
}

impl Job<'_> {
    /// Its files, and the bytes that are there.
    async fn load(&self) -> Result<(Downloaded, u64), Broken> {
        let (wanted, options) = (self.wanted.clone(), self.options.clone());
        let download = self.session.download(wanted, self.folder, options).await?;
        let mut progress = download.progress();
        let finished = download.finished();
        tokio::pin!(finished);
        let mut room = Room::new(self.folder);
        let downloaded = loop {
            tokio::select! {
                done = &mut finished => break done?,
                changed = progress.changed() => {
                    if changed.is_err() {
                        break finished.await?;
                    }
                    let now = *progress.borrow_and_update();
                    room.follow(self.core, &now).await.map_err(Broken::Node)?;
                    let _ = self.told.try_send(Ok(of_download(&now)));
                }
            }
        };
        room.filled(self.core).await;
        let received_bytes = progress.borrow().done_bytes;
        Ok((downloaded, received_bytes))
    }
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

/// Imports the files, and names them. They stay where they are, for another try, until all is done.
async fn take_in(
    core: &Arc<Core>,
    downloaded: Downloaded,
    publicity: Option<Publicity>,
    received_bytes: u64,
    told: &Told,
) -> Result<TorrentDone, NodeError> {
    let Downloaded { info, files } = downloaded;
    if publicity.is_none() {
        withhold(core, &info, &files).await?;
    }
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
    if let Some(publicity) = publicity {
        super::set_publicity(core, blobs.clone(), publicity).await?;
    }
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

/// Torrents that have nothing to do with datt stay their owner's own: before anybody could ask for
/// their files. What was here before, or was spoken of, travels as far as it did.
async fn withhold(core: &Arc<Core>, info: &Info, files: &[PathBuf]) -> Result<(), NodeError> {
    let mut foreign = Vec::new();
    for (file, path) in info.files().iter().zip(files) {
        if file.role() != FileRole::Content {
            continue;
        }
        let path = path.clone();
        let blob = match tokio::task::spawn_blocking(move || blob_of(&path)).await {
            Ok(Ok(blob)) => blob,
            Ok(Err(error)) => return Err(NodeError::local("read a downloaded file", error)),
            Err(panic) => return Err(NodeError::local("read a downloaded file", panic)),
        };
        if core.torrents.publicity.of(&blob).is_none() && !fetch::is_held(core, blob).await {
            foreign.push(blob);
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    super::set_publicity(core, foreign, Publicity::Gateway).await
}

fn blob_of(path: &Path) -> io::Result<BlobId> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(BlobId::from_bytes(*hasher.finalize().as_bytes()))
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
    Ok(album::File {
        path: path.to_owned(),
        blob: imported.blob,
        unixfs: imported.unixfs,
        size_bytes: imported.size_bytes,
    })
}

/// The description of a torrent on the shelf, if all of its files are held.
async fn whole(core: &Arc<Core>, infohash: &InfoHash, shelved: &Shelved) -> Option<Info> {
    for blob in &shelved.blobs {
        if !fetch::is_held(core, *blob).await {
            return None;
        }
    }
    let (node, infohash) = (Arc::clone(core), *infohash);
    let read = tokio::task::spawn_blocking(move || node.torrents.shelf.info(&infohash));
    read.await.ok().flatten()
}

/// What was downloaded, or imported, before.
async fn already_here(
    core: &Arc<Core>,
    info: &Info,
    shelved: &Shelved,
    publicity: Option<Publicity>,
) -> Result<TorrentDone, NodeError> {
    if let Some(publicity) = publicity {
        super::set_publicity(core, shelved.blobs.clone(), publicity).await?;
    }
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
        infohash: info.infohash().to_string(),
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

fn failed(error: SwarmError) -> NodeError {
    match error {
        SwarmError::Description { .. } => NodeError::NotVerified(with_causes(&error)),
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
