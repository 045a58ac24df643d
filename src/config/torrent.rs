//! Swarms.

use serde::{Deserialize, Serialize};
use views::data::Publicity;

use super::{MIB, size};

/// BitTorrent. Offline, it listens on loopback and looks for nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each switch is one line of the configuration file"
)]
pub struct Torrent {
    /// Seed and download at all.
    pub enabled: bool,
    /// TCP and UDP port for peers; 0 takes any free one.
    pub port: u16,
    /// Speak TCP.
    pub tcp: bool,
    /// Speak uTP (BEP 29). Off, since clients that prefer it are served faster over TCP.
    pub utp: bool,
    /// Media from this size on get an infohash, bytes.
    #[serde(with = "size")]
    pub min_bytes: u64,
    /// Find and be found in the mainline DHT (BEP 5).
    pub dht: bool,
    /// Nodes (`host:port`) where the DHT begins; none: the well-known ones. Written into `.torrent`
    /// files too.
    pub dht_nodes: Vec<String>,
    /// Find and be found on the local network (BEP 14).
    pub lsd: bool,
    /// Exchange addresses with peers (BEP 11). Off, it is so for private torrents only: the engine can't
    /// leave it.
    pub pex: bool,
    /// Trackers to announce to; also written into `.torrent` files and magnet links.
    pub trackers: Vec<String>,
    /// Announce to the trackers that torrents of others name.
    pub foreign_trackers: bool,
    /// How public what this person uploads is, unless told otherwise.
    pub publicity: Publicity,
    /// Media go into swarms without consent once this many peers hold them; 0: never.
    pub swarm_after_holders: u32,
    /// Torrents in the session at once; the others come in when they are asked for.
    pub max_live: usize,
    /// Connections of one torrent.
    pub max_peers: usize,
    /// Upload of all torrents, bytes a second; 0: only the caps of `traffic` hold.
    #[serde(with = "size")]
    pub max_upload_bytes_per_s: u64,
    /// Download of all torrents, bytes a second; 0: only the caps of `traffic` hold.
    #[serde(with = "size")]
    pub max_download_bytes_per_s: u64,
    /// Upload of each torrent, bytes a second; 0: no cap of its own.
    #[serde(with = "size")]
    pub torrent_upload_bytes_per_s: u64,
    /// Download of each torrent, bytes a second; 0: no cap of its own.
    #[serde(with = "size")]
    pub torrent_download_bytes_per_s: u64,
    /// When swarms are used, local time, as in `22:00-06:00`; none: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_hours: Option<String>,
}

impl Default for Torrent {
    fn default() -> Self {
        Self {
            enabled: true,
            port: 0,
            tcp: true,
            utp: false,
            min_bytes: 16 * MIB,
            dht: true,
            dht_nodes: Vec::new(),
            lsd: true,
            pex: true,
            trackers: Vec::new(),
            foreign_trackers: true,
            publicity: Publicity::default(),
            swarm_after_holders: 0,
            max_live: 200,
            max_peers: 64,
            max_upload_bytes_per_s: 0,
            max_download_bytes_per_s: 0,
            torrent_upload_bytes_per_s: 0,
            torrent_download_bytes_per_s: 0,
            active_hours: None,
        }
    }
}
