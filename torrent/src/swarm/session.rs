//! The session.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tokio::sync::{broadcast, mpsc};

use super::{
    Download, DownloadOptions, Limits, Seed, SwarmError, SwarmEvent, SwarmOptions, Wanted,
};
use crate::InfoHash;

/// A session in swarms. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Swarm {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: SwarmOptions,
    events: broadcast::Sender<SwarmEvent>,
}

/// What all torrents did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Payload sent.
    pub sent_bytes: u64,
    /// Payload received, what was thrown away included.
    pub received_bytes: u64,
    /// Torrents in the session.
    pub live_torrents: usize,
    /// Seeds on offer, in the session or not.
    pub offered_torrents: usize,
    /// Peers connected.
    pub peers: usize,
}

/// What one torrent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TorrentState {
    /// The torrent.
    pub infohash: InfoHash,
    /// Whether it is in the session.
    pub is_live: bool,
    /// Peers connected.
    pub peers: usize,
    /// Payload sent since the start.
    pub sent_bytes: u64,
    /// Payload received since the start.
    pub received_bytes: u64,
}

impl Swarm {
    /// Starts listening, and what is switched on.
    ///
    /// # Errors
    /// When the folder, the address or a tracker's URL can't be used.
    #[expect(clippy::unused_async, reason = "starting waits for sockets")]
    pub async fn start(options: SwarmOptions) -> Result<Self, SwarmError> {
        let (events, _) = broadcast::channel(64);
        Ok(Self {
            shared: Arc::new(Shared { options, events }),
        })
    }

    /// Where peers reach this node; none if neither TCP nor uTP is on.
    pub fn addr(&self) -> Option<SocketAddr> {
        Some(self.shared.options.listen)
    }

    /// What happens by itself, from now on.
    pub fn events(&self) -> broadcast::Receiver<SwarmEvent> {
        self.shared.events.subscribe()
    }

    /// Adds or replaces what may be seeded; not in the session until its turn comes or
    /// [`Self::wake`] takes it in.
    pub fn offer(&self, seed: Seed) {
        drop(seed);
    }

    /// Takes a seed back, or ends a download: it is out of the session when this returns.
    pub async fn withdraw(&self, infohash: InfoHash) {
        let _ = infohash;
    }

    /// Takes an offered torrent into the session now, because someone asked for its `.torrent` or
    /// magnet link. Says whether it wasn't in.
    ///
    /// # Errors
    /// When it isn't offered, or its files are not what they were.
    pub async fn wake(&self, infohash: InfoHash) -> Result<bool, SwarmError> {
        Err(SwarmError::NotOffered { infohash })
    }

    /// Downloads a torrent of others into a folder, and picks up what is there of it.
    ///
    /// # Errors
    /// When it is here already, its description or the folder can't be used.
    pub async fn download(
        &self,
        what: Wanted,
        into: &Path,
        options: DownloadOptions,
    ) -> Result<Download, SwarmError> {
        let _ = (into, options);
        Err(SwarmError::NoWay {
            infohash: what.infohash(),
        })
    }

    /// Looks for peers of a torrent without announcing anything, over what is switched on. Ends when
    /// the receiver is dropped.
    pub async fn find_peers(&self, infohash: InfoHash) -> mpsc::Receiver<SocketAddr> {
        let _ = infohash;
        mpsc::channel(1).1
    }

    /// Changes the caps of all torrents together.
    pub fn set_limits(&self, limits: Limits) {
        let _ = limits;
    }

    /// Changes the caps of each torrent, of those in the session too.
    pub fn set_torrent_limits(&self, limits: Limits) {
        let _ = limits;
    }

    /// Leaves all swarms until [`Self::resume`].
    pub fn pause(&self) {}

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {}

    /// Whether swarms are left for now.
    pub fn is_paused(&self) -> bool {
        false
    }

    /// What all torrents did since the start.
    pub fn totals(&self) -> Totals {
        Totals::default()
    }

    /// What each torrent does: seeds on offer and downloads, by infohash.
    pub fn torrents(&self) -> Vec<TorrentState> {
        Vec::new()
    }

    /// Leaves all swarms and closes the port.
    pub async fn stop(&self) {}
}
