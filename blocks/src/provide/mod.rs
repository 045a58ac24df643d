//! Bytes to peers: who may have what, how much at once, and who got it.

mod request;
mod sent;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use iroh::{
    EndpointId,
    endpoint::Connection,
    protocol::{AcceptError, ProtocolHandler},
};
use iroh_blobs::{
    BlobsProtocol,
    provider::events::{
        AbortReason, ConnectMode, EventMask, EventSender, ObserveMode, ProviderMessage,
        RequestMode, ThrottleMode,
    },
};
use model::BlobId;
use tokio::{sync::broadcast, sync::mpsc, task::JoinSet};

use crate::{store::Blobs, throttle::Throttle};
use request::Served;
use sent::SentBook;

/// Events between the protocol and the service.
const EVENTS: usize = 256;
/// Deliveries that a slow listener may lag behind.
const DELIVERIES: usize = 256;

/// Decides who may have what.
pub trait Gate: Send + Sync + 'static {
    /// Whether this node serves a blob to a peer. Must not block. Denied blobs are never asked for.
    fn may_have(&self, blob: BlobId, peer: EndpointId) -> bool;
}

impl<F> Gate for F
where
    F: Fn(BlobId, EndpointId) -> bool + Send + Sync + 'static,
{
    fn may_have(&self, blob: BlobId, peer: EndpointId) -> bool {
        self(blob, peer)
    }
}

/// How much is served at once; who asks for more is told to come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderLimits {
    /// Connections.
    pub connections: usize,
    /// Requests in all.
    pub requests: usize,
    /// Requests of one peer.
    pub requests_per_peer: usize,
}

impl Default for ProviderLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            requests: 128,
            requests_per_peer: 32,
        }
    }
}

/// A peer got a blob in full from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The blob.
    pub blob: BlobId,
    /// Who.
    pub peer: EndpointId,
}

/// Serves blobs, to be mounted at [`crate::ALPN`]. Unlike the handler that it wraps, it does not
/// close the store when the router shuts down: that is [`Blobs::shutdown`]'s to do.
#[derive(Clone, Debug)]
pub struct ProviderProtocol(BlobsProtocol);

impl ProtocolHandler for ProviderProtocol {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        self.0.accept(connection).await
    }
}

/// What this node has sent; clones share it.
#[derive(Clone, Debug)]
pub struct Provider(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sent_bytes: AtomicU64,
    book: Mutex<Books>,
    deliveries: broadcast::Sender<Sent>,
}

#[derive(Debug, Default)]
struct Books {
    sent: SentBook,
    bytes_by_peer: BTreeMap<EndpointId, u64>,
}

/// Peers whose bytes are counted one by one; the rest is only in the sum.
const PEERS: usize = 16 * 1024;

impl Provider {
    /// The protocol handler to be mounted at [`crate::ALPN`], the service that must run beside it,
    /// and the handle to ask what was sent.
    pub fn new(
        blobs: &Blobs,
        gate: impl Gate,
        limits: ProviderLimits,
    ) -> (ProviderProtocol, ProviderService, Self) {
        Self::build(blobs, Arc::new(gate), limits, None)
    }

    /// The same, with bytes sent only as fast as `throttle` lets them.
    pub fn throttled(
        blobs: &Blobs,
        gate: impl Gate,
        limits: ProviderLimits,
        throttle: Arc<dyn Throttle>,
    ) -> (ProviderProtocol, ProviderService, Self) {
        Self::build(blobs, Arc::new(gate), limits, Some(throttle))
    }

    fn build(
        blobs: &Blobs,
        gate: Arc<dyn Gate>,
        limits: ProviderLimits,
        throttle: Option<Arc<dyn Throttle>>,
    ) -> (ProviderProtocol, ProviderService, Self) {
        let mask = EventMask {
            connected: ConnectMode::Intercept,
            get: RequestMode::InterceptLog,
            get_many: RequestMode::Disabled,
            push: RequestMode::Disabled,
            observe: ObserveMode::Intercept,
            throttle: match throttle {
                Some(_) => ThrottleMode::Intercept,
                None => ThrottleMode::None,
            },
        };
        let (events, messages) = EventSender::channel(EVENTS, mask);
        let protocol = ProviderProtocol(BlobsProtocol::new(blobs.store(), Some(events)));
        let provider = Self(Arc::new(Shared {
            sent_bytes: AtomicU64::new(0),
            book: Mutex::default(),
            deliveries: broadcast::Sender::new(DELIVERIES),
        }));
        let service = ProviderService {
            blobs: blobs.clone(),
            gate,
            limits,
            throttle,
            messages,
            provider: provider.clone(),
            connections: BTreeMap::new(),
            running: BTreeMap::new(),
        };
        (protocol, service, provider)
    }

    /// Payload bytes sent since the start.
    pub fn sent_bytes(&self) -> u64 {
        self.0.sent_bytes.load(Ordering::Relaxed)
    }

    /// Payload bytes sent to each peer since the start.
    pub fn sent_bytes_by_peer(&self) -> BTreeMap<EndpointId, u64> {
        self.books().bytes_by_peer.clone()
    }

    /// Peers that got the blob in full from this node since its start.
    pub fn sent_to(&self, blob: BlobId) -> Vec<EndpointId> {
        self.books().sent.got_all(blob)
    }

    /// Deliveries in full, as they happen. A listener that lags loses the oldest.
    pub fn deliveries(&self) -> broadcast::Receiver<Sent> {
        self.0.deliveries.subscribe()
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_bytes(&self, peer: EndpointId, bytes: u64) {
        self.0.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut books = self.books();
        let full = books.bytes_by_peer.len() >= PEERS;
        if let Some(of_peer) = books.bytes_by_peer.get_mut(&peer) {
            *of_peer = of_peer.saturating_add(bytes);
        } else if !full {
            books.bytes_by_peer.insert(peer, bytes);
        }
    }

    fn note_sent(&self, served: &Served, size_bytes: u64) {
        let is_all = self
            .books()
            .sent
            .note(served.blob, served.peer, &served.chunks, size_bytes);
        if is_all {
            let sent = Sent {
                blob: served.blob,
                peer: served.peer,
            };
            // No listener is fine.
            self.0.deliveries.send(sent).ok();
        }
    }
}

/// What decides about each request; peers get nothing while it isn't running.
pub struct ProviderService {
    blobs: Blobs,
    gate: Arc<dyn Gate>,
    limits: ProviderLimits,
    throttle: Option<Arc<dyn Throttle>>,
    messages: mpsc::Receiver<ProviderMessage>,
    provider: Provider,
    connections: BTreeMap<u64, EndpointId>,
    running: BTreeMap<EndpointId, usize>,
}

impl std::fmt::Debug for ProviderService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderService")
            .field("limits", &self.limits)
            .field("connections", &self.connections.len())
            .finish_non_exhaustive()
    }
}

impl ProviderService {
    /// Decides until the protocol handler is gone. To be spawned by whoever mounts the handler;
    /// dropping the future stops serving.
    pub async fn run(mut self) {
        let mut requests: JoinSet<EndpointId> = JoinSet::new();
        let mut waits: JoinSet<()> = JoinSet::new();
        loop {
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(ProviderMessage::Throttle(message)) => {
                        let turn = self.turn(message.inner.size);
                        waits.spawn(async move {
                            // Who no longer waits has ended the request.
                            message.tx.send(turn.await).await.ok();
                        });
                    }
                    Some(message) => self.decide(message, &mut requests).await,
                    None => break,
                },
                Some(_) = waits.join_next(), if !waits.is_empty() => {}
                Some(ended) = requests.join_next(), if !requests.is_empty() => {
                    // A request task has nothing that panics; its peer would stay counted.
                    if let Ok(peer) = ended {
                        self.ended(peer);
                    }
                }
            }
        }
        waits.shutdown().await;
        requests.shutdown().await;
    }

    /// Over when the next bytes of a request may go, after `bytes` were handed to the connection.
    fn turn(&self, bytes: u64) -> impl Future<Output = Result<(), AbortReason>> + 'static {
        let throttle = self.throttle.clone();
        async move {
            let Some(throttle) = throttle else {
                return Ok(());
            };
            if throttle.is_spent() {
                return Err(AbortReason::RateLimited);
            }
            throttle.send(bytes).await;
            Ok(())
        }
    }

    async fn decide(&mut self, message: ProviderMessage, requests: &mut JoinSet<EndpointId>) {
        match message {
            ProviderMessage::ClientConnected(message) => {
                let verdict = match message.inner.endpoint_id {
                    None => Err(AbortReason::Permission),
                    Some(_) if self.connections.len() >= self.limits.connections => {
                        Err(AbortReason::RateLimited)
                    }
                    Some(peer) => {
                        self.connections.insert(message.inner.connection_id, peer);
                        Ok(())
                    }
                };
                message.tx.send(verdict).await.ok();
            }
            ProviderMessage::ConnectionClosed(message) => {
                self.connections.remove(&message.inner.connection_id);
            }
            ProviderMessage::GetRequestReceived(message) => {
                let blob = crate::id(message.inner.request.hash);
                let verdict = self.admit(message.inner.connection_id, blob);
                let answer = verdict.as_ref().map(|_| ()).map_err(|reason| *reason);
                message.tx.send(answer).await.ok();
                if let Ok(peer) = verdict {
                    let chunks = message.inner.request.ranges[0].clone();
                    let served = Served { blob, peer, chunks };
                    *self.running.entry(peer).or_default() += 1;
                    let provider = self.provider.clone();
                    let mut updates = message.rx;
                    requests.spawn(async move {
                        let mut course = request::Course::default();
                        while let Ok(Some(update)) = updates.recv().await {
                            course.update(update, &served, &provider);
                        }
                        peer
                    });
                }
            }
            ProviderMessage::ObserveRequestReceived(message) => {
                let blob = crate::id(message.inner.request.hash);
                let verdict = self.admit(message.inner.connection_id, blob);
                message.tx.send(verdict.map(|_| ())).await.ok();
            }
            // Not asked for by the mask.
            _ => {}
        }
    }

    fn admit(&self, connection: u64, blob: BlobId) -> Result<EndpointId, AbortReason> {
        let peer = *self
            .connections
            .get(&connection)
            .ok_or(AbortReason::Permission)?;
        if self.blobs.is_denied(blob) || !self.gate.may_have(blob, peer) {
            return Err(AbortReason::Permission);
        }
        if !self.blobs.is_sound(blob) {
            // Whether it is right will be known later.
            return Err(AbortReason::RateLimited);
        }
        if self
            .throttle
            .as_ref()
            .is_some_and(|throttle| throttle.is_spent())
        {
            return Err(AbortReason::RateLimited);
        }
        let of_peer = self.running.get(&peer).copied().unwrap_or(0);
        let in_all: usize = self.running.values().sum();
        if of_peer >= self.limits.requests_per_peer || in_all >= self.limits.requests {
            return Err(AbortReason::RateLimited);
        }
        Ok(peer)
    }

    fn ended(&mut self, peer: EndpointId) {
        if let Some(running) = self.running.get_mut(&peer) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&peer);
            }
        }
    }
}
