//! The engine below: how it is started, and spoken to.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use librqbit::{
    AddTorrent, AddTorrentOptions, AddTorrentResponse, ConnectionOptions, DhtSessionConfig,
    ListenerMode, ListenerOptions, ManagedTorrent, PeerConnectionOptions, Session, SessionOptions,
    SessionPersistenceConfig, api::TorrentIdOrHash, dht::DhtPersistenceConfig, dht::Id20,
    limits::LimitsConfig, storage::StorageFactoryExt,
};
use tokio_util::sync::CancellationToken;

use super::{Limits, SwarmError, SwarmOptions, folder::Folder, storage::Lend};
use crate::{HostPort, InfoHash, Metainfo};

/// Reads and writes at once, each in a thread of its own while it lasts.
const WORKERS: usize = 64;
/// Torrents whose pieces are looked at at once.
pub(super) const CHECKS: usize = 4;
/// A free port that someone else takes meanwhile is looked for anew so many times.
const PORT_TRIES: usize = 8;
/// A peer that says nothing for this long is let go: keep-alives come every two minutes (BEP 3).
const SILENCE: Duration = Duration::from_secs(150);
/// The least cap that lets a block of a piece pass, bytes a second.
pub(super) const MIN_CAP: NonZeroU32 = NonZeroU32::new(16 << 10).expect("2^14 is not 0");

/// A session of the engine.
pub(super) struct Engine {
    session: Arc<Session>,
    peer_id: Id20,
    next_id: AtomicUsize,
}

/// A torrent in the session.
pub(super) type Handle = Arc<ManagedTorrent>;

/// How a torrent is taken into the session.
pub(super) struct Entrance {
    /// What it shares, with the trackers that it is announced to.
    pub(super) metainfo: Metainfo,
    /// Where its bytes lie.
    pub(super) content: Lend,
    /// Peers to begin with.
    pub(super) peers: Vec<SocketAddr>,
    /// Its own caps.
    pub(super) limits: Limits,
    /// The most connections.
    pub(super) max_peers: usize,
}

impl Engine {
    pub(super) async fn start(
        options: &SwarmOptions,
        folder: &Folder,
        cancel: CancellationToken,
    ) -> Result<Self, SwarmError> {
        let mode = match (options.tcp, options.utp) {
            (true, true) => ListenerMode::TcpAndUtp,
            (true, false) => ListenerMode::TcpOnly,
            (false, true) => ListenerMode::UtpOnly,
            (false, false) => return Err(SwarmError::NoTransport),
        };
        let is_local = options.listen.ip().is_loopback();
        let allowed = is_local.then(|| folder.write_local()).transpose();
        let allowed = allowed.map_err(|source| SwarmError::Folder {
            path: options.folder.clone(),
            source,
        })?;
        let peer_id = peer_id();
        let mut tries = 1..=PORT_TRIES;
        loop {
            let is_last = tries.next() == Some(PORT_TRIES) || options.listen.port() != 0;
            let listen = free_port(options.listen);
            let session_options = SessionOptions {
                allowlist_url: allowed.clone(),
                peer_id: Some(peer_id),
                ..session_options(options, folder, mode, listen, cancel.clone())
            };
            let started = Session::new_with_opts(folder.session(), session_options).await;
            match started {
                Ok(session) => {
                    return Ok(Self {
                        session,
                        peer_id,
                        next_id: AtomicUsize::new(0),
                    });
                }
                Err(source) if is_last => {
                    let source = source.into();
                    return Err(SwarmError::Start { listen, source });
                }
                Err(_) => {}
            }
        }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// What peers and trackers tell it by.
    pub(super) fn peer_id(&self) -> Id20 {
        self.peer_id
    }

    /// Where peers reach it.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.session.listen_addr()
    }

    /// Takes a torrent in. It isn't ready when this returns.
    pub(super) async fn add(&self, entrance: Entrance) -> anyhow::Result<Handle> {
        let Entrance {
            metainfo,
            content,
            peers,
            limits,
            max_peers,
        } = entrance;
        let infohash = metainfo.info.infohash();
        let options = AddTorrentOptions {
            overwrite: true,
            // the engine would take care of no paths: the content knows its own
            output_folder: Some(".".to_owned()),
            peer_opts: Some(PeerConnectionOptions {
                read_write_timeout: Some(SILENCE),
                ..PeerConnectionOptions::default()
            }),
            ratelimits: to_config(limits),
            initial_peers: Some(peers),
            peer_limit: Some(max_peers),
            // left to the engine, two that come at once may get the same
            preferred_id: Some(self.next_id.fetch_add(1, Ordering::Relaxed)),
            storage_factory: Some(content.boxed()),
            ..AddTorrentOptions::default()
        };
        let bytes = AddTorrent::from_bytes(metainfo.encode());
        match self.session.add_torrent(bytes, Some(options)).await? {
            AddTorrentResponse::Added(_, handle) => Ok(handle),
            _ => anyhow::bail!("torrent {infohash} is in the session already"),
        }
    }

    /// Puts a torrent out, with all its connections. Its bytes stay.
    pub(super) async fn remove(&self, infohash: InfoHash) {
        let id = TorrentIdOrHash::Hash(to_id(infohash));
        // it fails when it isn't in
        let _ = self.session.delete(id, false).await;
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// What a torrent in the session did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) peers: usize,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
}

pub(super) fn traffic(handle: &Handle) -> Traffic {
    let Some(live) = handle.live() else {
        return Traffic::default();
    };
    let stats = live.stats_snapshot();
    Traffic {
        peers: usize::try_from(stats.peer_stats.live).unwrap_or(usize::MAX),
        sent_bytes: stats.uploaded_bytes,
        received_bytes: stats.fetched_bytes,
    }
}

pub(super) fn to_id(infohash: InfoHash) -> Id20 {
    Id20::new(*infohash.as_bytes())
}

pub(super) fn to_config(limits: Limits) -> LimitsConfig {
    let cap = |cap: Option<NonZeroU32>| cap.map(|cap| cap.max(MIN_CAP));
    LimitsConfig {
        upload_bps: cap(limits.upload_bytes_per_s),
        download_bps: cap(limits.download_bytes_per_s),
    }
}

fn session_options(
    options: &SwarmOptions,
    folder: &Folder,
    mode: ListenerMode,
    listen: SocketAddr,
    cancel: CancellationToken,
) -> SessionOptions {
    let dht = options.dht.as_ref().map(|nodes| DhtSessionConfig {
        bootstrap_addrs: bootstrap(nodes),
        port: None,
        persistence: Some(DhtPersistenceConfig {
            dump_interval: None,
            config_filename: Some(folder.dht()),
        }),
    });
    SessionOptions {
        dht,
        fastresume: true,
        persistence: Some(SessionPersistenceConfig::Json {
            folder: Some(folder.session()),
        }),
        listen: Some(ListenerOptions {
            mode,
            listen_addr: listen,
            // on loopback, the engine would name a port that nobody listens at
            announce_port: Some(listen.port()),
            ipv4_only: listen.is_ipv4(),
            ..ListenerOptions::default()
        }),
        connect: Some(ConnectionOptions {
            proxy_url: None,
            enable_tcp: options.tcp,
            peer_opts: None,
        }),
        cancellation_token: Some(cancel),
        concurrent_init_limit: Some(CHECKS),
        runtime_worker_threads: Some(WORKERS),
        ratelimits: to_config(options.limits),
        peer_limit: Some(options.max_peers),
        disable_local_service_discovery: !options.lsd,
        ipv4_only: listen.is_ipv4(),
        client_name_and_version: Some(concat!("datt ", env!("CARGO_PKG_VERSION")).to_owned()),
        ..SessionOptions::default()
    }
}

/// A program's mark, its version, and what is drawn (BEP 20).
fn peer_id() -> Id20 {
    let mut id = *b"-DT0100-............";
    // without randomness, the dots have to do
    let _ = getrandom::fill(&mut id[8..]);
    Id20::new(id)
}

fn bootstrap(nodes: &[HostPort]) -> Option<Vec<String>> {
    (!nodes.is_empty()).then(|| nodes.iter().map(ToString::to_string).collect())
}

/// The address with a port that is free for TCP and UDP, if it has none.
fn free_port(listen: SocketAddr) -> SocketAddr {
    if listen.port() != 0 {
        return listen;
    }
    let free = (0..PORT_TRIES).find_map(|_| {
        let addr = TcpListener::bind(listen).ok()?.local_addr().ok()?;
        UdpSocket::bind(addr).ok()?;
        Some(addr)
    });
    free.unwrap_or(listen)
}
