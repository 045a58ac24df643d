//! Peers of a torrent that isn't in the session.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use futures_lite::{Stream, StreamExt};
use librqbit::dht::Id20;
use librqbit_lsd::{LocalServiceDiscovery, LocalServiceDiscoveryOptions};
use librqbit_tracker_comms::{TrackerComms, UdpTrackerClient};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{engine::to_id, shared::Shared, where_to::Reach};
use crate::InfoHash;

/// Peers that whoever asked may be behind.
const QUEUE: usize = 64;
/// The most peers that one search gives.
const MAX_FOUND: usize = 2_000;

type Found = std::pin::Pin<Box<dyn Stream<Item = SocketAddr> + Send>>;

impl Shared {
    /// Looks in the DHT, asks the trackers, listens on the local network, as far as they are on.
    pub(super) fn find(self: &Arc<Self>, infohash: InfoHash) -> mpsc::Receiver<SocketAddr> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        if *self.is_paused.borrow() {
            return receiver;
        }
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            // what was started to look ends with the search
            let ends = shared.cancel.child_token();
            let _guard = ends.clone().drop_guard();
            tokio::select! {
                () = shared.cancel.cancelled() => {}
                () = sender.closed() => {}
                () = shared.look_for(to_id(infohash), &ends, &sender) => {}
            }
        });
        receiver
    }

    async fn look_for(
        &self,
        id: Id20,
        ends: &CancellationToken,
        sender: &mpsc::Sender<SocketAddr>,
    ) {
        let dht = self.engine.session().get_dht();
        let dht = dht.map(|dht| -> Found { Box::pin(dht.get_peers(id, None)) });
        let trackers = self.ask_trackers(id, ends).await;
        let around = self.listen_around(id, ends).await;
        let mut sources = JoinSet::new();
        let (found, mut all) = mpsc::channel(QUEUE);
        for mut source in [dht, trackers, around].into_iter().flatten() {
            let found = found.clone();
            sources.spawn(async move {
                while let Some(peer) = source.next().await {
                    if found.send(peer).await.is_err() {
                        return;
                    }
                }
            });
        }
        drop(found);
        let reach = Reach::of(self.options.listen);
        let mut seen = BTreeSet::new();
        while let Some(peer) = all.recv().await {
            let is_new = peer.port() != 0 && reach.has(peer.ip()) && seen.insert(peer);
            if is_new && sender.send(peer).await.is_err() || seen.len() >= MAX_FOUND {
                return;
            }
        }
    }

    /// Trackers tell peers only to those who join them.
    async fn ask_trackers(&self, id: Id20, ends: &CancellationToken) -> Option<Found> {
        let trackers = Reach::of(self.options.listen).trackers(self.options.trackers.clone());
        let trackers = trackers.iter().filter_map(|url| Url::parse(url).ok());
        let trackers: std::collections::HashSet<Url> = trackers.collect();
        if trackers.is_empty() {
            return None;
        }
        let udp = UdpTrackerClient::new(ends.clone(), None).await;
        let asked = TrackerComms::start(
            id,
            self.engine.peer_id(),
            trackers,
            Box::new(()),
            None,
            self.engine.addr().map_or(0, |addr| addr.port()),
            self.http.clone(),
            udp.ok()?,
        )?;
        Some(Box::pin(asked))
    }

    /// Hears who announces itself; says nothing.
    async fn listen_around(&self, id: Id20, ends: &CancellationToken) -> Option<Found> {
        if !self.options.lsd {
            return None;
        }
        let options = LocalServiceDiscoveryOptions {
            cancel_token: ends.clone(),
            ..LocalServiceDiscoveryOptions::default()
        };
        let around = LocalServiceDiscovery::new(options).await.ok()?;
        Some(Box::pin(around.announce(id, None)))
    }
}
