//! Endpoints, honest and otherwise.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr,
    endpoint::{Connection, presets},
    protocol::{AcceptError, ProtocolHandler, Router},
};
use iroh_blobs::{
    protocol::Request,
    provider::{
        StreamPair,
        events::{EventSender, RequestTracker},
    },
};
use n0_future::StreamExt;

use super::open_with;
use crate::{
    ALPN, Blobs, Fetcher, Gate, OUTBOARD_ALPN, OutboardLimits, OutboardProtocol, Provider,
    ProviderLimits,
};

/// An endpoint that reaches loopback only.
pub(crate) async fn endpoint() -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// A node as far as blobs go.
pub(crate) struct Node {
    pub(crate) blobs: Blobs,
    pub(crate) fetcher: Fetcher,
    pub(crate) provider: Provider,
    pub(crate) endpoint: Endpoint,
    router: Router,
    service: tokio::task::JoinHandle<()>,
}

impl Node {
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::with(dir, u64::MAX, |_, _| true, ProviderLimits::default()).await
    }

    pub(crate) async fn with(
        dir: &Path,
        max_bytes: u64,
        gate: impl Gate,
        limits: ProviderLimits,
    ) -> Self {
        let blobs = open_with(dir, max_bytes).await;
        let endpoint = endpoint().await;
        let (protocol, service, provider) = Provider::new(&blobs, gate, limits);
        let router = Router::builder(endpoint.clone())
            .accept(ALPN, protocol)
            .spawn();
        Self {
            fetcher: Fetcher::new(blobs.clone(), endpoint.clone()),
            blobs,
            provider,
            endpoint,
            router,
            service: tokio::spawn(service.run()),
        }
    }

    pub(crate) fn addr(&self) -> EndpointAddr {
        self.endpoint.addr()
    }

    pub(crate) async fn stop(self) {
        self.router.shutdown().await.unwrap();
        self.service.await.unwrap();
        self.blobs.shutdown().await.unwrap();
    }
}

/// What a bad provider does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trick {
    /// Answers with nonsense.
    Garbage,
    /// Proves the size, then flips a bit of this byte of all that it answers.
    FlipAt(usize),
    /// Claims another size.
    WrongSize,
    /// Sends this much of its answers, then nothing.
    HangAfter(usize),
    /// Sends this much of its answers, then ends each.
    EndAfter(usize),
}

#[derive(Clone, Debug)]
struct BadProtocol {
    store: Arc<Blobs>,
    trick: Trick,
    /// Bytes of all answers before.
    answered: Arc<AtomicUsize>,
}

/// A provider with the true bytes and bad manners.
pub(crate) struct BadNode {
    pub(crate) endpoint: Endpoint,
    router: Router,
}

impl BadNode {
    pub(crate) async fn start(blobs: &Blobs, trick: Trick) -> Self {
        let endpoint = endpoint().await;
        let protocol = BadProtocol {
            store: Arc::new(blobs.clone()),
            trick,
            answered: Arc::default(),
        };
        let router = Router::builder(endpoint.clone())
            .accept(ALPN, protocol)
            .spawn();
        Self { endpoint, router }
    }

    /// One that serves true outboards all the same.
    pub(crate) async fn with_outboards(blobs: &Blobs, trick: Trick) -> Self {
        let endpoint = endpoint().await;
        let protocol = BadProtocol {
            store: Arc::new(blobs.clone()),
            trick,
            answered: Arc::default(),
        };
        let outboards = OutboardProtocol::new(blobs, |_, _| true, OutboardLimits::default());
        let router = Router::builder(endpoint.clone())
            .accept(ALPN, protocol)
            .accept(OUTBOARD_ALPN, outboards)
            .spawn();
        Self { endpoint, router }
    }

    pub(crate) fn addr(&self) -> EndpointAddr {
        self.endpoint.addr()
    }

    pub(crate) async fn stop(self) {
        self.router.shutdown().await.unwrap();
    }
}

impl ProtocolHandler for BadProtocol {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        while let Ok(pair) = StreamPair::accept(&connection, EventSender::DEFAULT).await {
            let this = self.clone();
            tokio::spawn(async move { this.answer(pair).await.ok() });
        }
        Ok(())
    }
}

impl BadProtocol {
    async fn answer(&self, mut pair: StreamPair) -> n0_future::io::Result<()> {
        let Ok(Request::Get(request)) = pair.read_request().await else {
            return Ok(());
        };
        let is_size_proof = request.ranges[0] == crate::range::last_chunk();
        let bao = self
            .store
            .store()
            .export_bao(request.hash, request.ranges[0].clone());
        let mut answer: Vec<u8> = Vec::new();
        let mut parts = std::pin::pin!(bao.into_byte_stream());
        while let Some(Ok(part)) = parts.next().await {
            answer.extend_from_slice(&part);
        }
        let mut stream = pair.into_writer(RequestTracker::NONE).await?.inner;
        let mut is_cut = false;
        let before = match is_size_proof {
            true => 0,
            false => self.answered.fetch_add(answer.len(), Ordering::Relaxed),
        };
        match self.trick {
            Trick::Garbage => answer = vec![7; 100_000],
            Trick::WrongSize => answer[0] ^= 1,
            Trick::FlipAt(at)
                if !is_size_proof && (before..before + answer.len()).contains(&at) =>
            {
                answer[at - before] ^= 1;
            }
            Trick::HangAfter(bytes) | Trick::EndAfter(bytes) if !is_size_proof => {
                is_cut = before + answer.len() > bytes;
                answer.truncate(bytes.saturating_sub(before));
            }
            Trick::FlipAt(_) | Trick::HangAfter(_) | Trick::EndAfter(_) => {}
        }
        stream.write_chunk(Bytes::from(answer)).await?;
        if matches!(self.trick, Trick::HangAfter(_)) && is_cut {
            std::future::pending::<()>().await;
        }
        stream.finish().ok();
        stream.stopped().await.ok();
        Ok(())
    }
}
