//! What the driver, its tasks and the router's handler share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use iroh::{Endpoint, EndpointId, endpoint::Connection};
use model::EndpointKey;
use tokio::sync::mpsc;

use super::{ALPN, handle::Path};
use crate::{Replica, node::Input};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection without sessions is closed after this long.
const IDLE: Duration = Duration::from_secs(45);

/// Unix milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the driver is where the clock enters the exchange"
)]
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

pub(super) fn to_key(id: EndpointId) -> EndpointKey {
    EndpointKey::from_bytes(*id.as_bytes())
}

/// Entries moved with one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub received: u64,
    pub sent: u64,
}

#[derive(Debug)]
struct Pooled {
    connection: Connection,
    used: Instant,
    users: usize,
}

/// Shared by all tasks of the exchange.
pub(super) struct Shared {
    pub endpoint: Endpoint,
    pub replica: Arc<dyn Replica>,
    pub inputs: mpsc::Sender<Input>,
    bans: Mutex<BTreeMap<EndpointKey, u64>>,
    counts: Mutex<BTreeMap<EndpointKey, Counts>>,
    pool: Mutex<BTreeMap<EndpointKey, Pooled>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept here stays usable after a panic elsewhere: numbers and connections.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(endpoint: Endpoint, replica: Arc<dyn Replica>, inputs: mpsc::Sender<Input>) -> Self {
        Self {
            endpoint,
            replica,
            inputs,
            bans: Mutex::default(),
            counts: Mutex::default(),
            pool: Mutex::default(),
        }
    }

    pub fn ban(&self, peer: EndpointKey, until_ms: u64) {
        let mut bans = lock(&self.bans);
        bans.retain(|_, until_ms| *until_ms > now_ms());
        if bans.len() < crate::bounds::BANS {
            bans.insert(peer, until_ms);
        }
        drop(bans);
        if let Some(pooled) = lock(&self.pool).remove(&peer) {
            pooled.connection.close(super::BANNED.into(), b"banned");
        }
    }

    pub fn is_banned(&self, peer: EndpointKey) -> bool {
        lock(&self.bans)
            .get(&peer)
            .is_some_and(|until_ms| *until_ms > now_ms())
    }

    pub fn count(&self, peer: EndpointKey, received: u64, sent: u64) {
        let mut counts = lock(&self.counts);
        if counts.len() >= crate::bounds::PEERS && !counts.contains_key(&peer) {
            return;
        }
        let counts = counts.entry(peer).or_default();
        counts.received += received;
        counts.sent += sent;
    }

    pub fn counts(&self, peer: EndpointKey) -> Counts {
        lock(&self.counts).get(&peer).copied().unwrap_or_default()
    }

    /// A connection to a peer: the pooled one, or a new one.
    pub async fn connect(&self, peer: EndpointKey) -> Option<Connection> {
        if self.is_banned(peer) {
            return None;
        }
        if let Some(pooled) = lock(&self.pool).get_mut(&peer)
            && pooled.connection.close_reason().is_none()
        {
            pooled.users += 1;
            return Some(pooled.connection.clone());
        }
        let id = EndpointId::from_bytes(peer.as_bytes()).ok()?;
        let connect = self.endpoint.connect(id, ALPN);
        let connection = tokio::time::timeout(CONNECT, connect).await.ok()?.ok()?;
        let mut pool = lock(&self.pool);
        pool.insert(
            peer,
            Pooled {
                connection: connection.clone(),
                used: Instant::now(),
                users: 1,
            },
        );
        Some(connection)
    }

    /// A session on a pooled connection is over; after a failure the connection is not used again.
    pub fn release(&self, peer: EndpointKey, connection: &Connection, works: bool) {
        let mut pool = lock(&self.pool);
        if let Some(pooled) = pool.get_mut(&peer)
            && pooled.connection.stable_id() == connection.stable_id()
        {
            pooled.users = pooled.users.saturating_sub(1);
            pooled.used = Instant::now();
            if !works {
                pool.remove(&peer);
            }
        }
    }

    /// Closes connections that nobody used for a while.
    pub fn close_idle(&self) {
        lock(&self.pool).retain(|_, pooled| {
            let keep = pooled.connection.close_reason().is_none()
                && (pooled.users > 0 || pooled.used.elapsed() < IDLE);
            if !keep {
                pooled.connection.close(0_u32.into(), b"idle");
            }
            keep
        });
    }

    /// Drops every connection: the address changed.
    pub fn close_all(&self) {
        for (_, pooled) in std::mem::take(&mut *lock(&self.pool)) {
            pooled.connection.close(0_u32.into(), b"network change");
        }
    }

    /// The selected path to a peer, if it is connected for sync.
    pub fn path(&self, peer: EndpointKey) -> (Path, Option<Duration>) {
        let pool = lock(&self.pool);
        let Some(pooled) = pool.get(&peer) else {
            return (Path::Unknown, None);
        };
        let paths = pooled.connection.paths();
        let Some(path) = paths.iter().find(iroh::endpoint::Path::is_selected) else {
            return (Path::Unknown, None);
        };
        let shown = match path.remote_addr() {
            iroh::TransportAddr::Ip(address) => Path::Direct(*address),
            iroh::TransportAddr::Relay(url) => Path::Relay(url.to_string()),
            _ => Path::Unknown,
        };
        (shown, Some(path.rtt()))
    }
}
