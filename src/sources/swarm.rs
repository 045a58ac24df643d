//! Peers of a blob's swarm.

use std::{
    collections::BTreeSet, net::SocketAddr, ops::Range, pin::pin, sync::Arc, time::Duration,
};

use blocks::{RawFault, RawSource, SourceKind, SourceLabel};
use bytes::Bytes;
use futures_lite::{StreamExt, stream};
use model::BlobId;
use n0_future::FuturesUnordered;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use torrent::{
    PIECE_BYTES,
    leech::{Have, LeechError, Leecher, Peer, Target},
};

use crate::{core::Core, torrents::Claimed};

/// Connections being made at once.
const AT_ONCE: usize = 8;
/// No address for this long: there is nobody else for now.
const QUIET: Duration = Duration::from_secs(15);
/// Peers tried for one blob.
const TRIED: usize = 256;

/// One peer of a swarm.
struct Source {
    peer: Peer,
    target: Target,
    has: watch::Receiver<Option<Vec<Range<u64>>>>,
    // Ends with the source.
    _following: JoinSet<()>,
}

/// Finds peers by what posts on public boards claim, connects to them, and hands them on.
pub(super) async fn find(
    core: &Core,
    leecher: &Leecher,
    blob: BlobId,
    size_bytes: Option<u64>,
    found: &mpsc::Sender<Arc<dyn RawSource>>,
) {
    let claims: Vec<Claimed> = core
        .torrents
        .said(&blob)
        .claims
        .into_iter()
        .filter(|claimed| !core.torrents.shelf.is_false(&blob, &claimed.infohash))
        .filter(|claimed| claimed.size_bytes > 0)
        .filter(|claimed| size_bytes.is_none_or(|proven| proven == claimed.size_bytes))
        .collect();
    if claims.is_empty() || !core.torrents.is_enabled() {
        return;
    }
    let swarm = match core.torrents.session().await {
        Ok(swarm) if !swarm.is_paused() => swarm,
        Ok(_) => return,
        Err(error) => {
            tracing::debug!(%error, "no swarm is a source");
            return;
        }
    };
    let mut swarms = FuturesUnordered::new();
    for Claimed {
        infohash,
        size_bytes,
    } in claims
    {
        let target = Target {
            infohash,
            piece_bytes: PIECE_BYTES.get(),
            length_bytes: size_bytes,
        };
        let swarm = &swarm;
        swarms.push(async move {
            let addresses = swarm.find_peers(infohash).await;
            connect(leecher, target, addresses, found).await;
        });
    }
    while swarms.next().await.is_some() {}
}

/// Connects to peers as they become known, until nobody takes sources any more.
async fn connect(
    leecher: &Leecher,
    target: Target,
    mut addresses: mpsc::Receiver<SocketAddr>,
    found: &mpsc::Sender<Arc<dyn RawSource>>,
) {
    let mut seen = BTreeSet::new();
    let mut connecting = FuturesUnordered::new();
    let mut is_over = false;
    while !(is_over && connecting.is_empty()) {
        let has_room = !is_over && connecting.len() < AT_ONCE;
        tokio::select! {
            () = found.closed() => return,
            address = timeout(QUIET, addresses.recv()), if has_room => match address.ok().flatten() {
                Some(address) if seen.len() < TRIED => {
                    if seen.insert(address) {
                        connecting.push(leecher.connect(address, target));
                    }
                }
                _ => is_over = true,
            },
            Some(connected) = connecting.next(), if !connecting.is_empty() => match connected {
                Ok(peer) => {
                    if found.send(source(peer, target)).await.is_err() {
                        return;
                    }
                }
                Err(error) => tracing::debug!(%error, "a swarm's peer is no source"),
            },
        }
    }
}

fn source(peer: Peer, target: Target) -> Arc<dyn RawSource> {
    let mut have = peer.has();
    let first = have.borrow_and_update().ranges(&target);
    let (sender, has) = watch::channel(first);
    // Ends with the connection, or when nobody looks any more.
    let follow = async move {
        let mut over = pin!(sender.closed());
        loop {
            tokio::select! {
                () = &mut over => return,
                changed = have.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now: Have = have.borrow_and_update().clone();
                    sender.send_replace(now.ranges(&target));
                }
            }
        }
    };
    let mut following = JoinSet::new();
    following.spawn(follow);
    Arc::new(Source {
        peer,
        target,
        has,
        _following: following,
    })
}

impl RawSource for Source {
    fn label(&self) -> SourceLabel {
        SourceLabel {
            kind: SourceKind::Swarm,
            name: self.peer.addr().to_string(),
        }
    }

    fn has(&self) -> watch::Receiver<Option<Vec<Range<u64>>>> {
        self.has.clone()
    }

    fn size_bytes(&self) -> Option<u64> {
        Some(self.target.length_bytes)
    }

    fn read(&self, range: Range<u64>) -> stream::Boxed<Result<Bytes, RawFault>> {
        let blocks = self.peer.read(range);
        blocks
            .map(|block| block.map(|(_, bytes)| bytes).map_err(fault))
            .boxed()
    }
}

fn fault(error: LeechError) -> RawFault {
    match error {
        LeechError::Lacks { .. } | LeechError::NotThisTorrent | LeechError::Range { .. } => {
            RawFault::NotHeld
        }
        LeechError::Choked { .. } => RawFault::Busy,
        LeechError::Unreachable { .. } => RawFault::Unreachable(Box::new(error)),
        LeechError::Lied(_) => RawFault::Lied("other bytes than were asked for"),
        LeechError::Garbage(_) => RawFault::Lied("what is not BitTorrent"),
        error => RawFault::Broke(Box::new(error)),
    }
}
