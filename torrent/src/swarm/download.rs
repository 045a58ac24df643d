//! Torrents of others, downloaded into a folder.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tokio::sync::watch;

use super::SwarmError;
use crate::{Info, InfoHash, Magnet, Metainfo};

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
}

/// How to download.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// Peers to start with, beside those that a magnet link names (`x.pe`).
    pub peers: Vec<SocketAddr>,
    /// Announce to the trackers that the torrent names, beside [`super::SwarmOptions::trackers`].
    pub use_its_trackers: bool,
    /// Give up when nothing new came for this long.
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
    task: tokio::task::JoinHandle<Result<Downloaded, SwarmError>>,
}

/// A torrent that is complete.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// Its description.
    pub info: Info,
    /// Where its files are, one for each of [`Info::files`].
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

    /// Waits until all bytes are here and have been checked.
    ///
    /// # Errors
    /// When it can't be completed.
    pub async fn finished(mut self) -> Result<Downloaded, SwarmError> {
        let done = (&mut self.task).await;
        done.map_err(|_| SwarmError::Stopped)?
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}
