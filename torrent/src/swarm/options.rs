//! How to take part in swarms.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use crate::HostPort;

/// How to take part in swarms. Every switch that is off sends nothing at all.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each switch is one way to speak or be found"
)]
pub struct SwarmOptions {
    /// Where state is kept: which pieces are held, the routing table of the DHT.
    pub folder: PathBuf,
    /// Where peers reach this node, TCP and UDP. Port 0 takes any free one. An address of this
    /// machine only (loopback) also keeps the names of trackers, nodes and peers from being looked up.
    pub listen: SocketAddr,
    /// Speak TCP.
    pub tcp: bool,
    /// Speak uTP (BEP 29). When it is off, it is refused at the port, so that clients that prefer it
    /// needn't wait for an answer.
    pub utp: bool,
    /// Nodes where the DHT (BEP 5) begins; empty: the well-known ones; none: no DHT.
    pub dht: Option<Vec<HostPort>>,
    /// Find and be found on the local network (BEP 14).
    pub lsd: bool,
    /// Exchange addresses with peers (BEP 11). Private torrents never do (BEP 27). **Off has no effect
    /// on others**: librqbit 9.1 has no switch. It tells peers of a torrent whom it dialled for that
    /// torrent, and dials whom they name; nothing goes to anyone who isn't in that swarm already.
    pub pex: bool,
    /// Trackers that every torrent is announced to.
    pub trackers: Vec<String>,
    /// The most connections of one torrent.
    pub max_peers: usize,
    /// The most torrents in the session at once: each takes about 20 kB, and one descriptor.
    pub max_live: usize,
    /// Caps of all torrents together.
    pub limits: Limits,
    /// Caps of each torrent.
    pub torrent_limits: Limits,
}

/// Caps of traffic, payload only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Upload, bytes a second; none: no cap.
    pub upload_bytes_per_s: Option<NonZeroU32>,
    /// Download, bytes a second; none: no cap.
    pub download_bytes_per_s: Option<NonZeroU32>,
}
