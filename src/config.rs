//! The configuration: every value has a default, then come the file, the environment and the flags.
//!
//! `docs/config.toml` shows all of it with the defaults. This module is the only one that reads
//! environment variables and the configuration file.

mod age;
mod layers;
mod mirror;
mod payments;
mod size;
mod text;
mod torrent;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use gateway::settings::Network;
use model::Ticket;
use serde::{Deserialize, Serialize};

pub use age::{AgeError, parse_age};
pub use layers::{ConfigError, Flags, UpFlags, data_folder};
pub use mirror::{Accept, Audit, MirrorRule, PinRequests, Traffic};
pub use payments::{Chain, Payments};
pub use size::{SizeError, parse_size};
pub use torrent::Torrent;

const KIB: u64 = 1 << 10;
const MIB: u64 = KIB << 10;
const GIB: u64 = MIB << 10;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Data folder. Not in the file: `--data`, `DATT_DATA`, or the platform's data folder.
    #[serde(skip)]
    pub data: PathBuf,
    /// Where entries are stored.
    pub store: Backend,
    /// Loopback only: nothing leaves the machine.
    pub offline: bool,
    /// Nodes to connect to at the start.
    #[serde(with = "text::list")]
    pub peers: Vec<Ticket>,
    /// What is logged, as `tracing` directives: `info`, `warn,datt=debug`, ...
    pub log: String,
    /// The web server.
    pub http: Http,
    /// What strangers may cause through the web server.
    pub public_gateway: PublicGateway,
    /// Room on disk.
    pub storage: Storage,
    /// What is fetched unasked.
    pub auto_fetch: AutoFetch,
    /// How much is kept of what others write.
    pub budgets: Budgets,
    /// Live topics.
    pub gossip: Gossip,
    /// Ways to other nodes.
    pub network: Reach,
    /// The embedded relay.
    pub relay: Relay,
    /// Thumbnails, durations and dimensions.
    pub media: Media,
    /// Reading from, and refusing to, the IPFS world.
    pub ipfs: Ipfs,
    /// Swarms.
    pub torrent: Torrent,
    /// Caps over everything sent and received.
    pub traffic: Traffic,
    /// What is mirrored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirror: Vec<MirrorRule>,
    /// Requests of others to pin something.
    pub pin_requests: PinRequests,
    /// Challenges to mirrors.
    pub audit: Audit,
    /// Paid votes.
    pub payments: Payments,
}

/// Backend of the entry store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// redb.
    #[default]
    Redb,
    /// sled 0.34.
    Sled,
}

impl Backend {
    /// The word in the file and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }
}

/// The web server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// URL under which the world reaches this node, without a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Further `host[:port]` names to answer to.
    pub hosts: Vec<String>,
    /// Proxies (`address` or `address/prefix`) whose `X-Forwarded-*` headers are believed.
    #[serde(with = "text::list")]
    pub trusted_proxies: Vec<Network>,
    /// Largest upload, bytes; the quota applies besides.
    #[serde(with = "size")]
    pub max_upload_bytes: u64,
    /// Certificate chain, PEM; with a key, the port speaks TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Not in the file: `--tls-self-signed` makes a certificate and keeps it in the data folder.
    #[serde(skip)]
    pub tls_self_signed: bool,
    /// Besides `localhost`, `host[:port]` names below which every IPFS root has an origin of its
    /// own: `{cid}.ipfs.{host}`.
    pub subdomain_hosts: Vec<String>,
}

/// What strangers may cause through the web server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublicGateway {
    /// Fetch from peers what isn't held.
    pub fetch: bool,
    /// Upload files.
    pub uploads: bool,
}

/// Room on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Hard limit for everything in the data folder, bytes.
    #[serde(with = "size")]
    pub max_bytes: u64,
}

/// What is fetched unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoFetch {
    /// Media above this are fetched only when someone asks or pins, bytes.
    #[serde(with = "size")]
    pub max_bytes: u64,
}

/// How much is kept of what others write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Entries and payloads of one author, bytes.
    #[serde(with = "size")]
    pub author_bytes: u64,
    /// Entries and payloads of one board, bytes.
    #[serde(with = "size")]
    pub board_bytes: u64,
    /// Entries that wait for something, over all authors, bytes.
    #[serde(with = "size")]
    pub pending_bytes: u64,
}

/// Live topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gossip {
    /// Threads with a live topic; the rest ride on their board's digests.
    pub max_topics: usize,
}

/// Ways to other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reach {
    /// UDP port for peers; 0 takes any free one.
    pub udp_port: u16,
    /// Find and be found on the local network.
    pub mdns: bool,
}

/// The embedded relay, on the web server's port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Run it.
    pub enabled: bool,
    /// What it asks of those who use it; none: a random one, kept in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Thumbnails, durations and dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// ffmpeg; none: looked up in `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ffmpeg: Option<PathBuf>,
    /// ffprobe; none: looked up in `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ffprobe: Option<PathBuf>,
    /// Longest run of one child process, seconds.
    pub timeout_s: u64,
    /// Child processes at once.
    pub children: usize,
    /// Longer side of a thumbnail, pixels.
    pub thumb_pixels: u32,
}

/// Reading from, and refusing to, the IPFS world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ipfs {
    /// Trustless gateways (`https://host[:port]`) that `datt get` may ask, in this order.
    pub gateways: Vec<String>,
    /// Denylists in the compact format, besides `denylists/*.deny` in the data folder.
    pub denylists: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            store: Backend::default(),
            offline: false,
            peers: Vec::new(),
            log: "info".to_owned(),
            http: Http::default(),
            public_gateway: PublicGateway::default(),
            storage: Storage::default(),
            auto_fetch: AutoFetch::default(),
            budgets: Budgets::default(),
            gossip: Gossip::default(),
            network: Reach::default(),
            relay: Relay::default(),
            media: Media::default(),
            ipfs: Ipfs::default(),
            torrent: Torrent::default(),
            traffic: Traffic::default(),
            mirror: Vec::new(),
            pin_requests: PinRequests::default(),
            audit: Audit::default(),
            payments: Payments::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8420).into(),
            public_url: None,
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            max_upload_bytes: 64 * GIB,
            tls_cert: None,
            tls_key: None,
            tls_self_signed: false,
            subdomain_hosts: Vec::new(),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            max_bytes: 50 * GIB,
        }
    }
}

impl Default for AutoFetch {
    fn default() -> Self {
        Self {
            max_bytes: 32 * MIB,
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            author_bytes: 256 * MIB,
            board_bytes: 4 * GIB,
            pending_bytes: 64 * MIB,
        }
    }
}

impl Default for Gossip {
    fn default() -> Self {
        Self { max_topics: 256 }
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            udp_port: 0,
            mdns: true,
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            enabled: true,
            token: None,
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            ffmpeg: None,
            ffprobe: None,
            timeout_s: 60,
            children: 2,
            thumb_pixels: 480,
        }
    }
}
