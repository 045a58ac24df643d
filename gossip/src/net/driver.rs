//! The actor that joins the cores to iroh.

use std::sync::Arc;

use iroh::Endpoint;
use iroh_gossip::net::Gossip;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Handle, SyncProtocol,
    handle::{self, Command, Stats},
};
use crate::Replica;

/// What can be chosen; the defaults are those of the protocol page.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of jitter: any number, another one for each node.
    pub seed: u64,
    /// Topics of threads to be in at once.
    pub live_topics: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            live_topics: crate::bounds::LIVE_TOPICS,
        }
    }
}

/// Runs the exchange; made by [`Driver::new`], run once.
pub struct Driver {
    endpoint: Endpoint,
    gossip: Gossip,
    replica: Arc<dyn Replica>,
    options: Options,
    commands: mpsc::Receiver<Command>,
}

impl Driver {
    /// The driver, the handle to it, and the handler of [`super::ALPN`] for the router.
    ///
    /// `gossip` must have been spawned with a message size of at least 4,096 bytes and be accepted
    /// under its own ALPN by the same router.
    pub fn new(
        endpoint: Endpoint,
        gossip: Gossip,
        replica: Arc<dyn Replica>,
        options: Options,
    ) -> (Self, Handle, SyncProtocol) {
        let (sender, commands) = mpsc::channel(handle::COMMANDS);
        let (events, _) = broadcast::channel(handle::EVENTS);
        let (_publish, stats) = watch::channel(Arc::new(Stats::default()));
        let handle = Handle {
            commands: sender,
            events,
            stats,
        };
        let driver = Self {
            endpoint,
            gossip,
            replica,
            options,
            commands,
        };
        (driver, handle, SyncProtocol {})
    }

    /// Runs until cancelled; all of its tasks have ended when it returns.
    pub async fn run(self, cancel: CancellationToken) {
        cancel.cancelled().await;
    }
}
