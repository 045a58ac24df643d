//! What this node has to do with swarms: which of its files are in which torrents, what posts claim,
//! and the session that seeds and downloads.
//!
//! A torrent of one blob is named `<blob CID>.<ending>` inside, so that everyone who shares the same
//! bytes is in the same swarm; the ending is told by the first bytes.

mod claimed;
mod claims;
pub mod governed;
mod names;
mod shelf;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway::node::NodeError;
use model::BlobId;
use tokio::sync::{Notify, watch};
use torrent::{
    HostPort, Info, InfoHash, Magnet, Metainfo,
    swarm::{Swarm, SwarmOptions},
};
use views::data::{Claim, Publicity, TorrentName};

use crate::{
    config::{self, Config},
    core::Core,
    data_folder::{DataFolder, FolderError},
    publicity::Publicities,
};

pub use claimed::claim_of;
pub use claims::{Claimed, Mention, Said};
pub use names::{info_of, info_of_album};
pub use shelf::{Origin, Shelf, Shelved};

/// Blobs that are to be looked at; what is more is found by the next look at everything.
const ASKED: usize = 1_000;

/// Everything about swarms.
#[derive(Debug)]
pub struct Torrents {
    /// None when swarms are switched off.
    options: Option<SwarmOptions>,
    /// Started when the first torrent is offered or downloaded: before, nothing is sent at all.
    session: watch::Sender<Option<Swarm>>,
    starting: tokio::sync::Mutex<()>,
    surveyed: watch::Sender<bool>,
    /// What may be seeded, and what was.
    pub shelf: Shelf,
    /// What this person said of blobs.
    pub publicity: Arc<Publicities>,
    claims: Mutex<claims::Claims>,
    names: names::Cache,
    asked: Mutex<Vec<BlobId>>,
    offered: Mutex<BTreeSet<InfoHash>>,
    pub(crate) look: Notify,
}

/// Why swarms can't be taken part in.
#[derive(Debug, thiserror::Error)]
pub enum TorrentsError {
    /// The lists in the data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The configuration.
    #[error("torrent.dht_nodes is wrong: {0}: write host and port, as in dht.example:6881")]
    Node(String),
}

impl Torrents {
    /// Opens the lists; the session is started when it is needed first.
    ///
    /// # Errors
    /// When the folder can't be read, or the configuration is wrong.
    pub fn open(config: &Config, folder: &DataFolder) -> Result<Self, TorrentsError> {
        Ok(Self {
            options: options(config, folder)?,
            session: watch::Sender::new(None),
            starting: tokio::sync::Mutex::new(()),
            surveyed: watch::Sender::new(false),
            shelf: Shelf::open(folder)?,
            publicity: Arc::new(Publicities::open(folder)?),
            claims: Mutex::default(),
            names: names::Cache::default(),
            asked: Mutex::default(),
            offered: Mutex::default(),
            look: Notify::new(),
        })
    }

    /// Whether this node takes part in swarms.
    pub fn is_enabled(&self) -> bool {
        self.options.is_some()
    }

    /// The session, once it was needed.
    pub fn swarm(&self) -> Option<Swarm> {
        self.session.borrow().clone()
    }

    /// The session, as soon as it is needed by somebody; never where swarms are switched off.
    pub async fn started(&self) -> Swarm {
        let mut session = self.session.subscribe();
        let started = session.wait_for(Option::is_some).await;
        match started.ok().and_then(|swarm| swarm.clone()) {
            Some(swarm) => swarm,
            None => std::future::pending().await,
        }
    }

    /// The session, which is started now if it wasn't.
    ///
    /// # Errors
    /// When swarms are switched off, or its port can't be had.
    pub async fn session(&self) -> Result<Swarm, NodeError> {
        let Some(options) = &self.options else {
            return Err(NodeError::Unavailable(
                "BitTorrent is switched off here: set torrent.enabled and start the node again"
                    .to_owned(),
            ));
        };
        let _starting = self.starting.lock().await;
        if let Some(swarm) = self.swarm() {
            return Ok(swarm);
        }
        let swarm = Swarm::start(options.clone())
            .await
            .map_err(|error| NodeError::local("take part in swarms", error))?;
        self.session.send_replace(Some(swarm.clone()));
        Ok(swarm)
    }

    /// Notes what a post says of a medium.
    pub fn note_claim(&self, mention: Mention) {
        if self.claims().note(mention) {
            self.ask(mention.blob);
        }
    }

    /// Notes that this node's person brought blobs here.
    pub fn note_own(&self, blobs: impl IntoIterator<Item = BlobId>) {
        let mut claims = self.claims();
        for blob in blobs {
            claims.note_own(blob);
        }
    }

    /// What posts say of a blob.
    pub fn said(&self, blob: &BlobId) -> Said {
        self.claims().of(blob)
    }

    /// All posts that were here at the start have been looked at.
    pub fn note_surveyed(&self) {
        self.surveyed.send_replace(true);
    }

    /// Waits until that is so: before, nobody knows which files are on unlisted boards.
    pub async fn surveyed(&self) {
        let mut surveyed = self.surveyed.subscribe();
        // The sender lives as long as this.
        let _ = surveyed.wait_for(|is_done| *is_done).await;
    }

    /// Something about a blob changed: it may be for swarms now, or no longer.
    pub fn ask(&self, blob: BlobId) {
        let mut asked = lock(&self.asked);
        if asked.len() < ASKED {
            asked.push(blob);
        }
        drop(asked);
        self.look.notify_one();
    }

    /// Blobs that were asked about since the last call.
    pub fn take_asked(&self) -> Vec<BlobId> {
        let mut asked = std::mem::take(&mut *lock(&self.asked));
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// Whether a torrent was offered to the session.
    pub fn is_offered(&self, infohash: &InfoHash) -> bool {
        lock(&self.offered).contains(infohash)
    }

    /// Notes that a torrent was offered to the session, or taken back.
    pub fn note_offered(&self, infohash: InfoHash, is_offered: bool) {
        let mut offered = lock(&self.offered);
        if is_offered {
            offered.insert(infohash);
        } else {
            offered.remove(&infohash);
        }
    }

    /// Torrents that were offered and the session doesn't know: what it said of them was missed.
    pub fn forget_missed(&self) {
        let Some(swarm) = self.swarm() else { return };
        let known: BTreeSet<InfoHash> = swarm.torrents().iter().map(|it| it.infohash).collect();
        lock(&self.offered).retain(|infohash| known.contains(infohash));
    }

    fn claims(&self) -> MutexGuard<'_, claims::Claims> {
        lock(&self.claims)
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single insertion, so a table is usable after a panic.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the configuration says of the session; none when it is switched off.
fn options(config: &Config, folder: &DataFolder) -> Result<Option<SwarmOptions>, TorrentsError> {
    let config::Torrent {
        enabled,
        port,
        tcp,
        utp,
        dht,
        lsd,
        pex,
        max_live,
        max_peers,
        ..
    } = config.torrent;
    if !enabled {
        return Ok(None);
    }
    let online = !config.offline;
    let address = if online {
        std::net::Ipv4Addr::UNSPECIFIED
    } else {
        std::net::Ipv4Addr::LOCALHOST
    };
    let limits = |upload, download| torrent::swarm::Limits {
        upload_bytes_per_s: bytes_per_s(upload),
        download_bytes_per_s: bytes_per_s(download),
    };
    let trackers = if online {
        config.torrent.trackers.clone()
    } else {
        Vec::new()
    };
    let of = &config.torrent;
    Ok(Some(SwarmOptions {
        folder: folder.path().join("torrents").join("session"),
        listen: (address, port).into(),
        tcp,
        utp,
        dht: (dht && online).then(|| dht_nodes(of)).transpose()?,
        lsd: lsd && online,
        pex: pex && online,
        trackers,
        max_peers,
        max_live,
        limits: limits(of.max_upload_bytes_per_s, of.max_download_bytes_per_s),
        torrent_limits: limits(
            of.torrent_upload_bytes_per_s,
            of.torrent_download_bytes_per_s,
        ),
    }))
}

/// A cap of the configuration, where 0 means none.
fn bytes_per_s(cap: u64) -> Option<std::num::NonZeroU32> {
    std::num::NonZeroU32::new(u32::try_from(cap).unwrap_or(u32::MAX))
}

fn dht_nodes(config: &config::Torrent) -> Result<Vec<HostPort>, TorrentsError> {
    let node = |text: &String| {
        let refuse = || TorrentsError::Node(text.clone());
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let port = port.parse().map_err(|_| refuse())?;
        HostPort::new(host, port).map_err(|_| refuse())
    };
    config.dht_nodes.iter().map(node).collect()
}

/// A torrent as this node hands it out: with its trackers, DHT nodes, and itself as a web seed.
pub fn metainfo(core: &Core, info: Info, is_public: bool) -> Metainfo {
    let infohash = info.infohash();
    let mut metainfo = Metainfo::new(info);
    let config = &core.config.torrent;
    metainfo.announce = config.trackers.first().cloned();
    metainfo.announce_list = config
        .trackers
        .iter()
        .map(|url| vec![url.clone()])
        .collect();
    metainfo.nodes = dht_nodes(config).unwrap_or_default();
    metainfo.created_by = Some(concat!("datt ", env!("CARGO_PKG_VERSION")).to_owned());
    if let Some(url) = core.config.http.public_url.as_deref().filter(|_| is_public) {
        let url = url.trim_end_matches('/');
        metainfo.url_list = vec![if metainfo.info.is_album() {
            format!("{url}/webseed/{infohash}/")
        } else {
            format!("{url}/webseed/{infohash}/{}", metainfo.info.name())
        }];
    }
    metainfo
}

/// How far a blob may travel: what its person said, else what the configuration says.
pub fn publicity_of(core: &Core, blob: &BlobId) -> Publicity {
    let said = core.torrents.publicity.of(blob);
    said.unwrap_or(core.config.torrent.publicity)
}

/// A blob's name in swarms, as people are shown it; none if it has none, or is not held.
///
/// # Errors
/// When the store can't be read.
pub async fn name_of(
    core: &Core,
    blob: BlobId,
    called: &str,
) -> Result<Option<TorrentName>, NodeError> {
    let infohash = match core.torrents.names.get(&blob) {
        Some(infohash) => infohash,
        None => match info_of(core, blob).await? {
            Some(info) => info.infohash(),
            None => return Ok(None),
        },
    };
    Ok(Some(named(core, infohash, called, Claim::Verified)))
}

/// A torrent as people are shown it.
pub fn named(core: &Core, infohash: InfoHash, called: &str, claim: Claim) -> TorrentName {
    let magnet = Magnet {
        name: Some(called.to_owned()).filter(|called| !called.is_empty()),
        trackers: core.config.torrent.trackers.clone(),
        ..Magnet::new(infohash)
    };
    TorrentName {
        infohash: infohash.to_string(),
        magnet: magnet.to_string(),
        claim,
        has_file: core.torrents.shelf.get(&infohash).is_some(),
    }
}

/// The name in swarms of a medium of a post: what its author claims, else what this node computed of
/// what may go there.
///
/// # Errors
/// When the store can't be read.
pub async fn of_medium(
    core: &Core,
    blob: BlobId,
    claimed: Option<[u8; 20]>,
    called: &str,
) -> Result<Option<TorrentName>, NodeError> {
    if let Some(claimed) = claimed.map(InfoHash::from_bytes) {
        let claim = claim_of(core, blob, claimed).await?;
        return Ok(Some(named(core, claimed, called, claim)));
    }
    let on_shelf = core.torrents.shelf.with(&blob);
    let own = on_shelf
        .into_iter()
        .find(|(_, shelved)| shelved.origin == Origin::Blob);
    Ok(own.map(|(infohash, _)| named(core, infohash, called, Claim::Verified)))
}
