//! Swarms over loopback.

mod caps;
mod downloads;
mod fakes;
mod many;
mod seeds;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::{Info, InfoHash, Metainfo, PieceHasher};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A session in a folder of its own.
struct Node {
    swarm: Swarm,
    place: TempDir,
}

/// Closed: only who is named is spoken to.
fn closed(folder: &Path) -> SwarmOptions {
    SwarmOptions {
        folder: folder.join("state"),
        listen: ([127, 0, 0, 1], 0).into(),
        tcp: true,
        utp: false,
        dht: None,
        lsd: false,
        pex: false,
        trackers: Vec::new(),
        max_peers: 16,
        max_live: 100,
        limits: Limits::default(),
        torrent_limits: Limits::default(),
    }
}

async fn node() -> Node {
    node_with(|_| {}).await
}

async fn node_with(change: impl FnOnce(&mut SwarmOptions)) -> Node {
    let place = tempfile::tempdir().unwrap();
    let swarm = start(place.path(), change).await;
    Node { swarm, place }
}

async fn start(place: &Path, change: impl FnOnce(&mut SwarmOptions)) -> Swarm {
    let mut options = closed(place);
    change(&mut options);
    Swarm::start(options).await.unwrap()
}

impl Node {
    fn addr(&self) -> SocketAddr {
        self.swarm.addr().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Writes a file and offers it.
    fn seed(&self, name: &str, bytes: &[u8]) -> Metainfo {
        let (metainfo, seed) = file(self.place.path(), name, bytes);
        self.swarm.offer(seed);
        metainfo
    }

    async fn is_live(&self, infohash: InfoHash) {
        until("it is in the session", || {
            let torrents = self.swarm.torrents();
            torrents.iter().any(|t| t.infohash == infohash && t.is_live)
        })
        .await;
    }

    async fn get(&self, what: Wanted, from: &[SocketAddr]) -> Result<Downloaded, SwarmError> {
        let options = DownloadOptions {
            peers: from.to_vec(),
            stall_timeout: LIMIT,
            ..DownloadOptions::default()
        };
        let download = self
            .swarm
            .download(what, &self.path("into"), options)
            .await?;
        timeout(LIMIT, download.finished()).await.unwrap()
    }
}

fn file(place: &Path, name: &str, bytes: &[u8]) -> (Metainfo, Seed) {
    let path = place.join(format!("{name}.blob"));
    fs::write(&path, bytes).unwrap();
    let info = Info::of_file(name, bytes.len() as u64, &pieces([bytes])).unwrap();
    let seed = Seed {
        metainfo: Metainfo::new(info),
        files: vec![path],
        rarity: 0,
    };
    (seed.metainfo.clone(), seed)
}

fn pieces<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Vec<crate::PieceHash> {
    let mut hasher = PieceHasher::new();
    files.into_iter().for_each(|bytes| hasher.push(bytes));
    hasher.finish()
}

/// Bytes that repeat nowhere.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = (0..length.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let mut bytes: Vec<u8> = words.collect();
    bytes.truncate(length);
    bytes
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
