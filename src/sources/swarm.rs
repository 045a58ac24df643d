//! Peers of a blob's swarm.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::Range,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
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
    Info, PIECE_BYTES,
    leech::{Have, LeechError, Leecher, Peer, Target},
};

use crate::{core::Core, torrents::Claimed};

/// Connections being made at once.
const AT_ONCE: usize = 8;
/// No address for this long: there is nobody else for now.
const QUIET: Duration = Duration::from_secs(15);
/// Peers tried for one blob.
const TRIED: usize = 256;
/// Peers tried of one host, which may have as many ports as it likes.
const TRIED_OF_A_HOST: usize = 4;
/// Longest wait for an info dictionary that tells whether the size is as claimed.
const INFO: Duration = Duration::from_secs(5);

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
    proven_bytes: Option<u64>,
    found: &mpsc::Sender<Arc<dyn RawSource>>,
) {
    let claims: Vec<Claimed> = core
        .torrents
        .said(&blob)
        .claims
        .into_iter()
        .filter(|claimed| !core.torrents.shelf.is_false(&blob, &claimed.infohash))
        .filter(|claimed| claimed.size_bytes > 0)
        .filter(|claimed| proven_bytes.is_none_or(|proven| proven == claimed.size_bytes))
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
            let is_proven = proven_bytes.is_some();
            connect(leecher, (target, is_proven), addresses, found).await;
        });
    }
    while swarms.next().await.is_some() {}
}

/// Connects to peers as they become known, until nobody takes sources any more.
async fn connect(
    leecher: &Leecher,
    (target, is_proven): (Target, bool),
    mut addresses: mpsc::Receiver<SocketAddr>,
    found: &mpsc::Sender<Arc<dyn RawSource>>,
) {
    let mut seen: BTreeSet<SocketAddr> = BTreeSet::new();
    let mut connecting = FuturesUnordered::new();
    let mut is_over = false;
    while !(is_over && connecting.is_empty()) {
        let has_room = !is_over && connecting.len() < AT_ONCE;
        tokio::select! {
            () = found.closed() => return,
            address = timeout(QUIET, addresses.recv()), if has_room => match address.ok().flatten() {
                Some(address) if seen.len() < TRIED => {
                    let same_host = seen.iter().filter(|known| known.ip() == address.ip());
                    let is_new = address.ip().is_loopback()
                        || same_host.count() < TRIED_OF_A_HOST;
                    if is_new && seen.insert(address) {
                        connecting.push(meet(leecher, address, target, is_proven));
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

/// Connects to a peer. A size that nobody proved is held against the torrent's own: a peer that shares
/// the torrent in another size is an honest one, only the claim is wrong.
async fn meet(
    leecher: &Leecher,
    address: SocketAddr,
    target: Target,
    is_proven: bool,
) -> Result<Peer, LeechError> {
    let peer = leecher.connect(address, target).await?;
    if !is_proven
        && let Ok(Ok(info)) = timeout(INFO, peer.info()).await
        && !Info::decode(&info).is_ok_and(|info| is_of(&info, &target))
    {
        return Err(LeechError::NotThisTorrent);
    }
    Ok(peer)
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

    fn torrent(&self) -> Option<[u8; 20]> {
        Some(*self.target.infohash.as_bytes())
    }

    fn pieces(&self) -> Pin<Box<dyn Future<Output = Option<Vec<[u8; 20]>>> + Send>> {
        let (peer, target) = (self.peer.clone(), self.target);
        Box::pin(async move {
            let info = Info::decode(&peer.info().await.ok()?).ok()?;
            is_of(&info, &target).then(|| info.pieces().to_vec())
        })
    }

    fn read(&self, range: Range<u64>) -> stream::Boxed<Result<Bytes, RawFault>> {
        let blocks = self.peer.read(range);
        blocks
            .map(|block| block.map(|(_, bytes)| bytes).map_err(fault))
            .boxed()
    }
}

/// Whether a torrent is the one that was expected.
fn is_of(info: &Info, target: &Target) -> bool {
    info.infohash() == target.infohash
        && !info.is_album()
        && info.piece_bytes() == target.piece_bytes
        && info.length_bytes() == target.length_bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_of_another_size_or_piece_length_is_not_the_one_that_was_claimed() {
        let info = Info::of_file("a", 9, &[[7; 20]]).unwrap();
        let target = Target {
            infohash: info.infohash(),
            piece_bytes: PIECE_BYTES.get(),
            length_bytes: 9,
        };
        assert!(is_of(&info, &target));
        let longer = Target {
            length_bytes: 10,
            ..target
        };
        assert!(!is_of(&info, &longer));
        let coarser = Target {
            piece_bytes: 1 << 21,
            ..target
        };
        assert!(!is_of(&info, &coarser));
        let album = Info::of_files("a", [("b", 9)], &[[7; 20]]).unwrap();
        let of_album = Target {
            infohash: album.infohash(),
            ..target
        };
        assert!(!is_of(&album, &of_album));
    }
}
