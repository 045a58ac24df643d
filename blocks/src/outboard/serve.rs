//! Giving outboards to peers.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use iroh::{
    EndpointId,
    endpoint::{Connection, RecvStream, SendStream},
    protocol::{AcceptError, ProtocolHandler},
};
use iroh_blobs::protocol::{ERR_INTERNAL, ERR_LIMIT};
use model::BlobId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};

use super::{
    Status, outboard_bytes,
    tree::{PAIR_BYTES, Walk, groups_of},
};
use crate::{BlobSource, Blobs, GROUP_BYTES, Gate, ReadError, Throttle};

/// Read and sent at a time, bytes.
const STEP_BYTES: u64 = 64 * 1024;

/// How much is given at once; who asks for more is told to come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboardLimits {
    /// Connections.
    pub connections: usize,
    /// Requests in all.
    pub requests: usize,
    /// Requests of one peer.
    pub requests_per_peer: usize,
    /// A connection on which nothing is asked for this long is closed.
    pub idle: Duration,
    /// A peer that takes nothing for this long is given up.
    pub stall: Duration,
}

impl Default for OutboardLimits {
    fn default() -> Self {
        Self {
            connections: 128,
            requests: 32,
            requests_per_peer: 4,
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(15),
        }
    }
}

/// Gives outboards of blobs that are held in full, to be mounted at [`super::OUTBOARD_ALPN`].
#[derive(Clone)]
pub struct OutboardProtocol(Arc<Shared>);

struct Shared {
    blobs: Blobs,
    gate: Arc<dyn Gate>,
    limits: OutboardLimits,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    running: Mutex<BTreeMap<EndpointId, usize>>,
    throttle: Option<Arc<dyn Throttle>>,
}

impl std::fmt::Debug for OutboardProtocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboardProtocol")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl OutboardProtocol {
    /// Gives what `gate` lets a peer have.
    pub fn new(blobs: &Blobs, gate: impl Gate, limits: OutboardLimits) -> Self {
        Self::build(blobs, Arc::new(gate), limits, None)
    }

    /// The same, with bytes sent only as fast as `throttle` lets them.
    pub fn throttled(
        blobs: &Blobs,
        gate: impl Gate,
        limits: OutboardLimits,
        throttle: Arc<dyn Throttle>,
    ) -> Self {
        Self::build(blobs, Arc::new(gate), limits, Some(throttle))
    }

    fn build(
        blobs: &Blobs,
        gate: Arc<dyn Gate>,
        limits: OutboardLimits,
        throttle: Option<Arc<dyn Throttle>>,
    ) -> Self {
        Self(Arc::new(Shared {
            blobs: blobs.clone(),
            gate,
            limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            requests: Arc::new(Semaphore::new(limits.requests)),
            running: Mutex::default(),
            throttle,
        }))
    }
}

impl ProtocolHandler for OutboardProtocol {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let shared = &self.0;
        let Ok(_connection) = Arc::clone(&shared.connections).try_acquire_owned() else {
            connection.close(ERR_LIMIT, b"busy");
            return Ok(());
        };
        let mut requests = JoinSet::new();
        loop {
            let accepting = timeout(shared.limits.idle, connection.accept_bi());
            let stream = tokio::select! {
                stream = accepting => stream,
                Some(_) = requests.join_next() => continue,
            };
            let Ok(stream) = stream else {
                if requests.is_empty() {
                    break;
                }
                continue;
            };
            let Ok((send, recv)) = stream else { break };
            let (shared, peer) = (Arc::clone(shared), connection.remote_id());
            while requests.len() >= shared.limits.requests_per_peer.saturating_mul(2) {
                requests.join_next().await;
            }
            let turn = shared.turn(peer);
            requests.spawn(async move { shared.answer(peer, turn, send, recv).await });
        }
        requests.shutdown().await;
        Ok(())
    }
}

/// A request that runs, until this is dropped.
struct Turn {
    shared: Arc<Shared>,
    peer: EndpointId,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        if let Some(of_peer) = running.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                running.remove(&self.peer);
            }
        }
    }
}

/// Why an answer ended early.
enum Broken {
    /// The peer has gone, or takes nothing.
    Peer,
    /// Told apart for the log.
    Local(io::Error),
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<EndpointId, usize>> {
        // Every change is whole by itself.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one more request run; none when there are too many.
    fn turn(self: &Arc<Self>, peer: EndpointId) -> Option<Turn> {
        let permit = Arc::clone(&self.requests).try_acquire_owned().ok()?;
        let mut running = self.running();
        let of_peer = running.entry(peer).or_default();
        if *of_peer >= self.limits.requests_per_peer {
            return None;
        }
        *of_peer += 1;
        drop(running);
        Some(Turn {
            shared: Arc::clone(self),
            peer,
            _permit: permit,
        })
    }

    async fn answer(
        &self,
        peer: EndpointId,
        turn: Option<Turn>,
        mut send: SendStream,
        mut recv: RecvStream,
    ) {
        let mut asked = [0; 32];
        let reading = timeout(self.limits.stall, recv.read_exact(&mut asked)).await;
        if !matches!(reading, Ok(Ok(()))) {
            return;
        }
        let blob = BlobId::from_bytes(asked);
        let answered = match self.find(blob, peer, turn.is_some()).await {
            Ok(Ok((source, outboard))) => self.give(&mut send, blob, source, outboard).await,
            Ok(Err(status)) => self.send(&mut send, &[status.byte()]).await,
            Err(error) => Err(Broken::Local(error)),
        };
        match answered {
            Ok(()) => {
                send.finish().ok();
            }
            Err(Broken::Peer) => {}
            Err(Broken::Local(error)) => {
                tracing::warn!(target: "blocks::outboard", blob = %blob.short(), %error);
                send.reset(ERR_INTERNAL).ok();
            }
        }
    }

    /// Where the blob and its outboard lie, or why this peer doesn't get them.
    async fn find(
        &self,
        blob: BlobId,
        peer: EndpointId,
        has_turn: bool,
    ) -> io::Result<Result<(BlobSource, BlobSource), Status>> {
        let is_spent = self.throttle.as_ref().is_some_and(|cap| cap.is_spent());
        if !has_turn || is_spent {
            return Ok(Err(Status::Busy));
        }
        if self.blobs.is_denied(blob) || !self.gate.may_have(blob, peer) {
            return Ok(Err(Status::Refused));
        }
        let found = async {
            let source = self.blobs.source(blob).await?;
            Ok((source, self.blobs.outboard(blob).await?))
        };
        match found.await {
            Ok(found) => Ok(Ok(found)),
            Err(ReadError::Denied(_)) => Ok(Err(Status::Refused)),
            Err(ReadError::Store(error)) => Err(io::Error::other(error)),
            Err(_) => Ok(Err(Status::NotHeld)),
        }
    }

    async fn give(
        &self,
        send: &mut SendStream,
        blob: BlobId,
        source: BlobSource,
        outboard: BlobSource,
    ) -> Result<(), Broken> {
        let size_bytes = source.size_bytes();
        let mut head = vec![Status::Here.byte()];
        head.extend(size_bytes.to_le_bytes());
        self.send(send, &head).await?;
        let mut walk = Walk::new(blob, size_bytes);
        let (mut at, end) = (0, outboard_bytes(size_bytes));
        while at < end {
            let len = (end - at).min(STEP_BYTES);
            let step = read(&outboard, at, len).await.map_err(Broken::Local)?;
            // A damaged file must not make a liar of this node.
            for pair in step.as_chunks::<PAIR_BYTES>().0 {
                walk.pair(pair)
                    .map_err(|fault| Broken::Local(io::Error::other(fault)))?;
            }
            self.send(send, &step).await?;
            at += len;
        }
        let tail = (groups_of(size_bytes) - 1) * GROUP_BYTES;
        let last = read(&source, tail, size_bytes - tail).await;
        self.send(send, &last.map_err(Broken::Local)?).await
    }

    async fn send(&self, send: &mut SendStream, bytes: &[u8]) -> Result<(), Broken> {
        if let Some(throttle) = &self.throttle {
            throttle.send(bytes.len() as u64).await;
        }
        match timeout(self.limits.stall, send.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Broken::Peer),
        }
    }
}

/// Some bytes of a source. Waits for the disk elsewhere.
async fn read(source: &BlobSource, offset: u64, len: u64) -> io::Result<Bytes> {
    let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let len = usize::try_from(len).map_err(too_large)?;
    match source {
        BlobSource::Bytes(bytes) => {
            let start = usize::try_from(offset).map_err(too_large)?;
            let end = start.saturating_add(len);
            if end > bytes.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(bytes.slice(start..end))
        }
        BlobSource::File { path, .. } => {
            let path = path.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let mut bytes = BytesMut::zeroed(len);
                File::open(path)?.read_exact_at(&mut bytes, offset)?;
                Ok(bytes.freeze())
            });
            reading.await.map_err(io::Error::other)?
        }
    }
}
