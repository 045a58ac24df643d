//! Torrents of others, downloaded into a folder.

mod part;
mod run;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Seed, SwarmError,
    engine::{Handle, Traffic, traffic},
    entry::lock,
    shared::Shared,
};
use crate::{HostPort, Info, InfoHash, Magnet, Metainfo};

/// What to download.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// By its link: the description comes from peers first.
    Magnet(Magnet),
    /// By its description.
    Metainfo(Box<Metainfo>),
}

impl Wanted {
    /// The torrent.
    pub fn infohash(&self) -> InfoHash {
        match self {
            Self::Magnet(magnet) => magnet.infohash,
            Self::Metainfo(metainfo) => metainfo.info.infohash(),
        }
    }

    fn trackers(&self) -> Vec<String> {
        match self {
            Self::Magnet(magnet) => magnet.trackers.clone(),
            Self::Metainfo(metainfo) => metainfo.tiers().concat(),
        }
    }

    fn peers(&self) -> &[HostPort] {
        match self {
            Self::Magnet(magnet) => &magnet.peers,
            Self::Metainfo(_) => &[],
        }
    }
}

/// How to download.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// Peers to start with, beside those that a magnet link names (`x.pe`).
    pub peers: Vec<SocketAddr>,
    /// Announce to the trackers that the torrent names, beside [`super::SwarmOptions::trackers`].
    /// A private torrent (BEP 27) is announced to its own only, and to the first of them.
    pub use_its_trackers: bool,
    /// Give up when nothing new came for this long, while swarms are not paused.
    pub stall_timeout: Duration,
    /// Stay in the swarm when complete, until [`super::Swarm::withdraw`].
    pub keep_seeding: bool,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            use_its_trackers: true,
            stall_timeout: Duration::from_secs(600),
            keep_seeding: false,
        }
    }
}

/// How far a download is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DownloadProgress {
    /// Bytes of all files; none until the description is known.
    pub total_bytes: Option<u64>,
    /// Bytes that are here and have been checked.
    pub done_bytes: u64,
    /// Peers connected now.
    pub peers: usize,
    /// Bytes a second, lately.
    pub rate_bytes_per_s: u64,
}

/// A download that runs. Dropping it cancels; what came stays, and is not loaded again.
#[derive(Debug)]
pub struct Download {
    infohash: InfoHash,
    progress: watch::Receiver<DownloadProgress>,
    task: JoinHandle<Result<Downloaded, SwarmError>>,
    cancel: DropGuard,
}

/// A torrent that is complete.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// Its description.
    pub info: Info,
    /// Where its files are, one for each of [`Info::files`]. Padding and links are not made.
    pub files: Vec<PathBuf>,
}

impl Download {
    /// The torrent.
    pub fn infohash(&self) -> InfoHash {
        self.infohash
    }

    /// How far it is, as it goes.
    pub fn progress(&self) -> watch::Receiver<DownloadProgress> {
        self.progress.clone()
    }

    /// Waits until all bytes are here and have been checked. Dropping this cancels, too.
    ///
    /// # Errors
    /// When it can't be completed.
    pub async fn finished(self) -> Result<Downloaded, SwarmError> {
        let Self { task, cancel, .. } = self;
        let done = task.await;
        drop(cancel);
        done.map_err(|_| SwarmError::Stopped)?
    }
}

/// A download, as the session sees it.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) infohash: InfoHash,
    /// It shall end.
    pub(super) cancel: CancellationToken,
    /// It has ended.
    pub(super) ended: CancellationToken,
    live: Mutex<Option<Connected>>,
}

struct Connected(Handle);

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connected")
    }
}

impl Running {
    /// What it does; none until its description is known.
    pub(super) fn traffic(&self) -> Option<Traffic> {
        let live = lock(&self.live);
        live.as_ref().map(|connected| traffic(&connected.0))
    }
}

impl Shared {
    /// Starts a download.
    pub(super) async fn start_download(
        self: &Arc<Self>,
        what: Wanted,
        into: &Path,
        options: DownloadOptions,
    ) -> Result<Download, SwarmError> {
        let infohash = what.infohash();
        let running = self.reserve(infohash)?;
        let made = tokio::fs::create_dir_all(into).await;
        if let Err(source) = made {
            self.release(&running);
            let path = into.to_owned();
            return Err(SwarmError::Folder { path, source });
        }
        let (sender, progress) = watch::channel(DownloadProgress::default());
        let cancel = running.cancel.clone().drop_guard();
        let (shared, into) = (Arc::clone(self), into.to_owned());
        let task = self.tasks.spawn(async move {
            let job = run::Job {
                shared: &shared,
                running: &running,
                options: &options,
                into: &into,
                progress: &sender,
            };
            let done = job.run(what).await;
            shared.release(&running);
            let (downloaded, trackers) = done?;
            if options.keep_seeding {
                let seed = Seed {
                    metainfo: Metainfo::new(downloaded.info.clone()),
                    files: downloaded.files.clone(),
                    rarity: 0,
                };
                shared.offer(seed, trackers);
            }
            Ok(downloaded)
        });
        Ok(Download {
            infohash,
            progress,
            task,
            cancel,
        })
    }

    fn reserve(&self, infohash: InfoHash) -> Result<Arc<Running>, SwarmError> {
        let mut state = self.lock();
        if self.cancel.is_cancelled() {
            return Err(SwarmError::Stopped);
        }
        if state.seeds.contains_key(&infohash) || state.downloads.contains_key(&infohash) {
            return Err(SwarmError::Taken { infohash });
        }
        let running = Arc::new(Running {
            infohash,
            cancel: self.cancel.child_token(),
            ended: CancellationToken::new(),
            live: Mutex::default(),
        });
        state.downloads.insert(infohash, Arc::clone(&running));
        Ok(running)
    }

    fn release(&self, running: &Running) {
        self.lock().downloads.remove(&running.infohash);
        running.ended.cancel();
    }
}
