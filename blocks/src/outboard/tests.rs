#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, num::NonZeroU64, sync::Mutex, time::Duration};

use bao_tree::io::outboard::PreOrderMemOutboard;
use iroh::{
    EndpointId,
    endpoint::Connection,
    protocol::{AcceptError, ProtocolHandler, Router},
};

use super::*;
use crate::{
    BlobStatus, Blobs, Keep, PeerFault, hash,
    tests::{network::endpoint, noise, open, read},
};

const SIZES: [u64; 11] = [
    0,
    1,
    16 * 1024,
    16 * 1024 + 1,
    32 * 1024,
    48 * 1024 + 1,
    80 * 1024,
    1 << 20,
    (1 << 20) + 1,
    (4 << 20) + 5,
    9 << 20,
];
const STALL: Duration = Duration::from_secs(20);

fn blob_of(size_bytes: u64) -> (BlobId, Bytes, Bytes) {
    let bytes = noise("outboard", usize::try_from(size_bytes).unwrap());
    let group = BlockSize::from_chunk_log(GROUP_LOG);
    let pairs = PreOrderMemOutboard::create(&bytes, group).data;
    (BlobId::of(&bytes), bytes, pairs.into())
}

fn tail_of(outboard: &Outboard, bytes: &Bytes) -> Bytes {
    bytes.slice(usize::try_from(outboard.tail_offset()).unwrap()..)
}

#[test]
fn true_outboards_verify_and_every_changed_pair_is_found() {
    for size_bytes in SIZES {
        let (blob, bytes, pairs) = blob_of(size_bytes);
        assert_eq!(outboard_bytes(size_bytes), pairs.len() as u64);
        let outboard = Outboard::verified_from(blob, size_bytes, pairs.clone()).unwrap();
        assert!(!outboard.is_size_proven());
        let proven = outboard.clone().prove_size(tail_of(&outboard, &bytes));
        assert!(proven.unwrap().is_size_proven(), "{size_bytes}");
        for number in (0..pairs.len() / PAIR_BYTES).step_by(37) {
            let mut changed = pairs.to_vec();
            changed[number * PAIR_BYTES + 40] ^= 1;
            let refused = Outboard::verified_from(blob, size_bytes, changed.into());
            let pair = number as u64;
            assert!(
                matches!(&refused, Err(OutboardFault::Pair { pair: found }) if *found >= pair),
                "{size_bytes} {number} {refused:?}"
            );
        }
        let longer = [&pairs[..], &[0; PAIR_BYTES]].concat();
        let refused = Outboard::verified_from(blob, size_bytes, longer.into());
        assert!(matches!(refused, Err(OutboardFault::Length { .. })));
    }
}

#[test]
fn a_claimed_size_is_not_believed_before_the_last_group() {
    let (blob, bytes, pairs) = blob_of(20_000);
    // As many groups, another end.
    let outboard = Outboard::verified_from(blob, 20_001, pairs.clone()).unwrap();
    let longer = [&tail_of(&outboard, &bytes)[..], &[0]].concat();
    assert!(outboard.prove_size(longer.into()).is_err());
    let shorter = Outboard::verified_from(blob, 19_999, pairs).unwrap();
    let tail = bytes.slice(16 * 1024..19_999);
    assert!(shorter.prove_size(tail).is_err());
    // More groups: half a group shown as a whole one joins to the same root.
    let (blob, bytes, pairs) = blob_of(32 * 1024);
    let half = |at: usize| subtree(at as u64, &bytes[at..at + 8 * 1024], false);
    let lie = [&pairs[..], &half(0), &half(8 * 1024)].concat();
    let lying = Outboard::verified_from(blob, 48 * 1024, lie.into()).unwrap();
    let tail = bytes.slice(16 * 1024..);
    assert!(matches!(
        lying.prove_size(tail),
        Err(OutboardFault::Data { .. })
    ));
    // Nothing is proven by nothing.
    let lying = Outboard::verified_from(blob, 0, Bytes::new()).unwrap();
    assert!(lying.prove_size(Bytes::new()).is_err());
}

#[test]
fn only_right_bytes_in_whole_groups_verify() {
    let (blob, bytes, pairs) = blob_of((1 << 20) + 1);
    let outboard = Outboard::verified_from(blob, (1 << 20) + 1, pairs).unwrap();
    for (start, end) in [(0, 16_384), (16_384, 65_536), (1 << 20, (1 << 20) + 1)] {
        let range = bytes.slice(start..end);
        let items = outboard.verify_range(start as u64, &range).unwrap();
        let leaves = items.iter().filter_map(|item| match item {
            BaoContentItem::Leaf(leaf) => Some(leaf.data.clone()),
            BaoContentItem::Parent(_) => None,
        });
        assert_eq!(leaves.collect::<Vec<_>>().concat(), range);
    }
    let mut wrong = bytes.slice(16_384..65_536).to_vec();
    wrong[20_000] ^= 1;
    let refused = outboard.verify_range(16_384, &wrong.into());
    let at = OutboardFault::Data {
        offset_bytes: 32_768,
    };
    assert_eq!(refused.unwrap_err(), at);
    for (start, end) in [(1, 16_384), (0, 16_383)] {
        let refused = outboard.verify_range(start as u64, &bytes.slice(start..end));
        assert!(matches!(refused, Err(OutboardFault::Range { .. })));
    }
    let beyond = outboard.verify_range(1 << 20, &bytes.slice(..16_384));
    assert!(matches!(beyond, Err(OutboardFault::Range { .. })));
}

#[tokio::test]
async fn verified_ranges_in_any_order_make_a_whole_blob_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    for size_bytes in SIZES {
        let Some(size) = NonZeroU64::new(size_bytes) else {
            continue;
        };
        let (blob, bytes, pairs) = blob_of(size_bytes);
        let outboard = Outboard::verified_from(blob, size_bytes, pairs).unwrap();
        let mut starts: Vec<_> = (0..bytes.len()).step_by(5 * 16_384).collect();
        starts.reverse();
        for start in starts {
            let range = bytes.slice(start..bytes.len().min(start + 5 * 16_384));
            let items = outboard.verify_range(start as u64, &range).unwrap();
            let importing = blobs.store().import_bao(hash(blob), size, 64).await;
            let handle = importing.unwrap();
            let (tx, rx) = (handle.tx, handle.rx);
            let sending = async move {
                for item in items {
                    tx.send(item).await.unwrap();
                }
            };
            let ((), stored) = tokio::join!(sending, rx);
            stored.unwrap().unwrap();
        }
        let status = blobs.status(blob).await.unwrap();
        assert_eq!(status, BlobStatus::Complete { size_bytes });
        assert_eq!(read(&blobs, blob).await, bytes);
    }
}

/// A server, and a connection to it.
struct Served {
    _router: Router,
    connection: Connection,
    _client: iroh::Endpoint,
}

impl Served {
    async fn by(protocol: impl ProtocolHandler) -> Self {
        let (server, client) = (endpoint().await, endpoint().await);
        let router = Router::builder(server.clone())
            .accept(OUTBOARD_ALPN, protocol)
            .spawn();
        let connecting = client.connect(server.addr(), OUTBOARD_ALPN).await;
        Self {
            _router: router,
            connection: connecting.unwrap(),
            _client: client,
        }
    }

    async fn fetch(&self, blob: BlobId, max_bytes: u64) -> Result<Outboard, PeerFault> {
        fetch_outboard(&self.connection, blob, max_bytes, STALL).await
    }
}

async fn filled(dir: &std::path::Path) -> (Blobs, Vec<(BlobId, u64, Bytes)>) {
    let blobs = open(dir).await;
    let mut held = Vec::new();
    for size_bytes in SIZES {
        let (blob, bytes, pairs) = blob_of(size_bytes);
        blobs.import_bytes(bytes, &Keep::Cache).await.unwrap();
        held.push((blob, size_bytes, pairs));
    }
    (blobs, held)
}

#[tokio::test]
async fn a_peer_gives_outboards_of_what_it_holds_and_the_gate_opens() {
    let dir = tempfile::tempdir().unwrap();
    let (blobs, held) = filled(dir.path()).await;
    let closed = held[2].0;
    let gate = move |blob: BlobId, _: EndpointId| blob != closed;
    blobs.replace_denied(BTreeSet::from([held[3].0]));
    let protocol = OutboardProtocol::new(&blobs, gate, OutboardLimits::default());
    let served = Served::by(protocol).await;
    for (number, (blob, size_bytes, pairs)) in held.iter().enumerate() {
        let fetched = served.fetch(*blob, 1 << 20).await;
        if [2, 3].contains(&number) {
            assert!(matches!(fetched, Err(PeerFault::Refused)), "{fetched:?}");
            continue;
        }
        let outboard = fetched.unwrap();
        assert!(outboard.is_size_proven());
        assert_eq!(
            (outboard.size_bytes(), outboard.bytes()),
            (*size_bytes, pairs)
        );
    }
    let unknown = served.fetch(BlobId::of(b"unknown"), 1 << 20).await;
    assert!(matches!(unknown, Err(PeerFault::NotHeld)), "{unknown:?}");
    let long = served.fetch(held[10].0, 1000).await;
    assert!(matches!(long, Err(PeerFault::Broke(_))), "{long:?}");
    // All the same, the next answer is right.
    served.fetch(held[10].0, 1 << 20).await.unwrap();
}

#[tokio::test]
async fn who_asks_for_too_much_at_once_is_told_to_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let (blobs, held) = filled(dir.path()).await;
    let limits = OutboardLimits {
        requests: 0,
        ..OutboardLimits::default()
    };
    let served = Served::by(OutboardProtocol::new(&blobs, |_, _| true, limits)).await;
    let refused = served.fetch(held[5].0, 1 << 20).await;
    assert!(matches!(refused, Err(PeerFault::Busy)), "{refused:?}");
    let limits = OutboardLimits {
        connections: 0,
        ..OutboardLimits::default()
    };
    let served = Served::by(OutboardProtocol::new(&blobs, |_, _| true, limits)).await;
    assert!(served.fetch(held[5].0, 1 << 20).await.is_err());
}

/// Answers each request with the same bytes, and ends or not.
#[derive(Debug)]
struct Canned {
    answer: Mutex<Vec<u8>>,
    ends: bool,
}

impl ProtocolHandler for Canned {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let mut open = Vec::new();
        while let Ok((mut send, recv)) = connection.accept_bi().await {
            let answer = self.answer.lock().unwrap().clone();
            send.write_all(&answer).await.unwrap();
            if self.ends {
                send.finish().unwrap();
            }
            open.push((send, recv));
        }
        Ok(())
    }
}

#[tokio::test]
async fn lies_and_silence_of_a_peer_are_told_apart() {
    let (blob, bytes, pairs) = blob_of((1 << 20) + 1);
    let size = ((1u64 << 20) + 1).to_le_bytes();
    let good = [&[0][..], &size, &pairs, &bytes[1 << 20..]].concat();
    let fetch = async |answer: Vec<u8>, ends: bool, stall: Duration| {
        let answer = Mutex::new(answer);
        let served = Served::by(Canned { answer, ends }).await;
        fetch_outboard(&served.connection, blob, 1 << 20, stall).await
    };
    fetch(good.clone(), true, STALL).await.unwrap();
    let flipped = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    for (at, what) in [
        (0, "the status"),
        (1, "the size"),
        (9, "a pair"),
        (200, "a pair"),
    ] {
        // Status 1 is an honest word.
        let fault = fetch(flipped(at), true, STALL).await.unwrap_err();
        let is_expected = if at == 0 {
            matches!(fault, PeerFault::NotHeld)
        } else {
            fault.is_lie() || matches!(fault, PeerFault::Broke(_))
        };
        assert!(is_expected, "{what}: {fault:?}");
    }
    let last = fetch(flipped(good.len() - 1), true, STALL).await;
    assert!(matches!(last, Err(PeerFault::Lied("the size"))), "{last:?}");
    let huge = [&[0][..], &u64::MAX.to_le_bytes()].concat();
    let refused = fetch(huge, true, STALL).await;
    assert!(matches!(refused, Err(PeerFault::Broke(_))), "{refused:?}");
    let cut = fetch(good[..100].to_vec(), true, STALL).await;
    assert!(matches!(cut, Err(PeerFault::Broke(_))), "{cut:?}");
    let hung = fetch(good[..100].to_vec(), false, Duration::from_millis(200)).await;
    assert!(matches!(hung, Err(PeerFault::Stalled(_))), "{hung:?}");
}
