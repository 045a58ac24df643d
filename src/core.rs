//! What the parts of the running node share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use blocks::{Blobs, Fetcher, Provider, dag::BlockError};
use bytes::Bytes;
use cid::Cid;
use database::{Database, DatabaseError};
use gateway::{api::types::BlobAdded, metrics::Metrics, node::NodeError};
use iroh::EndpointAddr;
use model::{BlobId, EndpointKey, EntryId, IdentityId, Item, SecretKey, SpaceId};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    config::Config,
    data_folder::DataFolder,
    denylist::Denylist,
    endpoint::Network,
    flow::name::Naming,
    follows::Follows,
    holdings::Holdings,
    mirror::{
        Mirror,
        audit::Audits,
        request::{Asked, PinRequests},
    },
    payments::Payments,
    pins::Pins,
    throttle::Throttle,
    torrents::Torrents,
    traffic::Traffic,
    wants::Wants,
};

/// Uploads whose name and measures are remembered until they are posted.
const UPLOADS: usize = 1_000;
/// Posts whose direct recipients are remembered.
const SENT_POSTS: usize = 10_000;
/// Providers named to the fetcher for one blob.
const PROVIDERS: usize = 16;

/// A row arrived that may name media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The entry.
    pub entry: EntryId,
    /// Its table.
    pub table: String,
    /// Who delivered it.
    pub peer: Option<EndpointKey>,
}

/// Shared by all parts; built once by `node.rs`.
pub struct Core {
    /// Configuration.
    pub config: Config,
    /// Data folder, locked.
    pub folder: DataFolder,
    /// Entries, rows and views.
    pub database: Arc<Database>,
    /// Media.
    pub blobs: Blobs,
    /// What is refused.
    pub denylist: Arc<Denylist>,
    /// Swarms.
    pub torrents: Torrents,
    /// Media from peers.
    pub fetcher: Fetcher,
    /// Who received which blob from here.
    pub provider: Provider,
    /// The endpoint.
    pub network: Network,
    /// The exchange of entries.
    pub gossip: gossip::net::Handle,
    /// What is followed.
    pub follows: Follows,
    /// What is promised.
    pub pins: Pins,
    /// What is mirrored.
    pub mirror: Mirror,
    /// How mirrors answered challenges.
    pub audits: Audits,
    /// What this node asked of mirrors.
    pub asked: Asked,
    /// What others were promised here.
    pub pin_requests: PinRequests,
    /// Something was promised, or asked of a mirror.
    pub pin_requests_changed: Notify,
    /// Paid votes.
    pub payments: Payments,
    /// URL of the web server.
    pub url: String,
    /// This node's identity.
    pub identity: IdentityId,
    /// Signs entries.
    pub device: SecretKey,
    /// Signs holding statements.
    pub endpoint_secret: SecretKey,
    /// Who holds what in full.
    pub holdings: Mutex<Holdings>,
    /// Media wanted.
    pub wants: Mutex<Wants>,
    /// Something was added to the wants, or became due.
    pub wants_changed: Notify,
    /// Blobs that are getting their IPFS names.
    pub naming: Naming,
    /// Rows that may name media, on their way to `flow::follow`.
    pub arrivals: mpsc::Sender<Arrival>,
    /// The other end, until it is taken.
    pub arrivals_receiver: Mutex<Option<mpsc::Receiver<Arrival>>>,
    /// Too much arrived at once: recent threads must be looked through.
    pub look_again: Notify,
    /// Sequence number of the newest event.
    pub events: watch::Sender<u64>,
    /// Bytes to and from peers.
    pub traffic: Traffic,
    /// The caps on them.
    pub throttle: Throttle,
    /// Numbers for operators.
    pub metrics: Metrics,
    /// When the node started.
    pub started_ms: u64,
    /// One local entry at a time: feeds are chains.
    pub signing: tokio::sync::Mutex<()>,
    /// Imported, not yet posted.
    pub uploads: Mutex<BTreeMap<BlobId, BlobAdded>>,
    /// To how many peers an entry went directly.
    pub sent_posts: Mutex<BTreeMap<EntryId, u32>>,
    /// Difference to a peer's clock, as last told.
    pub clock_skew_ms: Mutex<Option<i64>>,
    /// What a person should know, by subject.
    pub warnings: Mutex<BTreeMap<&'static str, String>>,
}

impl Core {
    /// Runs a read or write of the store on a blocking thread.
    ///
    /// # Errors
    /// What the store said, as a local fault.
    pub async fn store<T, E>(
        self: &Arc<Self>,
        act: &'static str,
        work: impl FnOnce(&Database) -> Result<T, E> + Send + 'static,
    ) -> Result<T, NodeError>
    where
        T: Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let database = Arc::clone(&self.database);
        match tokio::task::spawn_blocking(move || work(&database)).await {
            Ok(result) => result.map_err(|error| store_error(act, error.into())),
            Err(panic) => Err(NodeError::local(act, panic)),
        }
    }

    /// A block that the blob store has, unless it is denied.
    ///
    /// # Errors
    /// See [`BlockError`].
    pub async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        if let Some(denial) = self.denylist.check(cid, &[]) {
            return Err(BlockError::Denied {
                cid: *cid,
                reason: denial.reason,
            });
        }
        self.blobs.block(cid).await
    }

    /// Locks one of the small tables; a panic while it was held left it usable.
    pub fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The arrivals, for the one who works them off.
    pub fn take_arrivals(&self) -> Option<mpsc::Receiver<Arrival>> {
        Self::lock(&self.arrivals_receiver).take()
    }

    /// Remembers what an import found out, until the blob is posted.
    pub fn remember_upload(&self, blob: BlobId, added: BlobAdded) {
        let mut uploads = Self::lock(&self.uploads);
        if uploads.len() >= UPLOADS {
            uploads.pop_first();
        }
        uploads.insert(blob, added);
    }

    /// Notes to how many peers an entry went directly.
    pub fn note_sent(&self, entry: EntryId, peers: u32) {
        let mut sent = Self::lock(&self.sent_posts);
        if sent.len() >= SENT_POSTS && !sent.contains_key(&entry) {
            sent.pop_first();
        }
        let count = sent.entry(entry).or_default();
        *count = (*count).max(peers);
    }

    /// Whether a blob is refused here.
    pub fn is_denied(&self, blob: BlobId) -> bool {
        self.blobs.is_denied(blob) || self.denylist.check_blob(blob).is_some()
    }

    /// A space whose id is all that protects it.
    pub fn is_unlisted(&self, space: &SpaceId) -> bool {
        self.follows.is_unlisted(space)
    }

    /// Says, or takes back, what a person should know.
    pub fn warn(&self, subject: &'static str, text: Option<String>) {
        let mut warnings = Self::lock(&self.warnings);
        match text {
            Some(text) => warnings.insert(subject, text),
            None => warnings.remove(subject),
        };
    }

    /// Whether something else than nodes of datt may have a blob: gateways, or a swarm.
    pub fn has_other_sources(&self, blob: &BlobId) -> bool {
        !self.config.ipfs.gateways.is_empty()
            || (self.torrents.is_enabled() && !self.torrents.said(blob).claims.is_empty())
    }

    /// Where a blob may be had: those who say that they hold it or the post it belongs to, then
    /// `hints`, then whoever is connected.
    pub fn providers(
        &self,
        blob: &BlobId,
        post: Option<EntryId>,
        hints: &[EndpointKey],
        now_ms: u64,
    ) -> Vec<EndpointAddr> {
        let mut order: Vec<EndpointKey> = Vec::new();
        {
            let book = Self::lock(&self.holdings);
            order.extend(book.held_by(Item::Blob(*blob), now_ms));
            if let Some(post) = post {
                order.extend(book.held_by(Item::Post(post), now_ms));
            }
        }
        order.extend(hints);
        let stats = self.gossip.stats();
        order.extend(
            stats
                .peers
                .iter()
                .filter(|(_, peer)| peer.up)
                .map(|(key, _)| *key),
        );
        let mut providers = Vec::new();
        let own = self.network.id();
        let mut seen = std::collections::BTreeSet::from([own]);
        for key in order {
            if providers.len() < PROVIDERS
                && seen.insert(key)
                && let Ok(id) = iroh::EndpointId::from_bytes(key.as_bytes())
            {
                providers.push(EndpointAddr::new(id));
            }
        }
        providers
    }
}

/// The store's failures are local faults, but for what the person asked wrongly.
fn store_error(act: &'static str, error: Box<dyn std::error::Error + Send + Sync>) -> NodeError {
    match error.downcast_ref::<DatabaseError>() {
        Some(DatabaseError::Cursor) => NodeError::Invalid(format!(
            "cannot {act}: {error}; leave `after` out to begin at the start"
        )),
        _ => NodeError::local(act, error),
    }
}
