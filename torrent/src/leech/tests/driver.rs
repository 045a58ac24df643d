//! Connections over loopback.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_lite::{StreamExt, future};
use tokio::time::{Instant, timeout};

use super::{
    KIB, MIB, content,
    peers::{Manners, Seed, Then},
    target,
};
use crate::{
    InfoHash,
    leech::{
        Blocks, BoxFuture, Have, LeechError, LeechOptions, Leecher, Lie, Peer, Throttle,
        wire::{Message, WireFault},
    },
};

/// Nothing here takes longer, however busy the machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// For peers that are to be given up.
fn impatient() -> LeechOptions {
    LeechOptions {
        stall_timeout: Duration::from_millis(400),
        choke_timeout: Duration::from_millis(600),
        ..LeechOptions::default()
    }
}

async fn seed(length_bytes: u64, manners: Manners) -> Seed {
    Seed::start(content(length_bytes), target(length_bytes), manners).await
}

async fn connect(seed: &Seed, options: LeechOptions) -> Result<Peer, LeechError> {
    let connecting = Leecher::new(options);
    let connecting = connecting.connect(seed.addr, seed.target);
    timeout(DEADLINE, connecting).await.unwrap()
}

/// All that a read gives, which has no gaps, and why it ended early.
async fn collect(mut blocks: Blocks, start: u64) -> (Vec<u8>, Option<LeechError>) {
    let mut bytes = Vec::new();
    while let Some(item) = timeout(DEADLINE, blocks.next()).await.unwrap() {
        match item {
            Ok((offset, part)) => {
                assert_eq!(offset, start + bytes.len() as u64);
                bytes.extend_from_slice(&part);
            }
            Err(error) => {
                assert!(blocks.next().await.is_none());
                return (bytes, Some(error));
            }
        }
    }
    (bytes, None)
}

async fn read(peer: &Peer, range: Range<u64>) -> Vec<u8> {
    let (bytes, error) = collect(peer.read(range.clone()), range.start).await;
    assert!(error.is_none(), "{error:?}");
    bytes
}

fn part(content: &[u8], range: Range<u64>) -> &[u8] {
    let end = usize::try_from(range.end).unwrap();
    &content[usize::try_from(range.start).unwrap()..end]
}

#[tokio::test]
async fn ranges_are_read_at_once_and_byte_by_byte_the_same() {
    let length = 5 * MIB + 77;
    let content = content(length);
    for manners in [
        Manners::default(),
        Manners {
            is_fast: true,
            ..Manners::default()
        },
        Manners {
            is_backward: true,
            delay: Duration::from_millis(5),
            ..Manners::default()
        },
    ] {
        let seed = seed(length, manners).await;
        let peer = connect(&seed, LeechOptions::default()).await.unwrap();
        assert_eq!(*peer.has().borrow(), Have::All);
        assert_eq!(peer.addr(), seed.addr);
        let ranges = [0..length, 5..6, MIB - 1..2 * MIB + 1, length - 1..length];
        let reads = ranges.map(|range| {
            let peer = peer.clone();
            tokio::spawn(async move { (range.clone(), read(&peer, range).await) })
        });
        for read in reads {
            let (range, bytes) = read.await.unwrap();
            assert!(bytes == part(&content, range.clone()), "{range:?}");
        }
        assert!(read(&peer, 9..9).await.is_empty());
    }
}

#[tokio::test]
async fn a_way_of_a_tenth_of_a_second_is_filled() {
    let length = 24 * MIB;
    let seed = seed(
        length,
        Manners {
            delay: Duration::from_millis(100),
            max_requests: Some(2000),
            ..Manners::default()
        },
    );
    let seed = seed.await;
    let peer = connect(&seed, LeechOptions::default()).await.unwrap();
    let start = Instant::now();
    assert!(read(&peer, 0..length).await == content(length));
    let took = start.elapsed();
    println!(
        "{} KiB/s over 100 ms",
        u128::from(length / KIB) * 1000 / took.as_millis()
    );
    // sixteen at a time would be 2.5 MiB/s
    let most = seed.most_waiting.load(Ordering::SeqCst);
    assert!(most > 200, "{most} at once");
}

#[tokio::test]
async fn a_slow_peer_is_no_stalled_one() {
    let seed = seed(
        256 * KIB,
        Manners {
            pace: Duration::from_millis(250),
            ..Manners::default()
        },
    );
    let seed = seed.await;
    // longer than for a block, shorter than for all
    let options = LeechOptions {
        stall_timeout: Duration::from_secs(3),
        ..LeechOptions::default()
    };
    let peer = connect(&seed, options).await.unwrap();
    assert!(read(&peer, 0..256 * KIB).await == content(256 * KIB));
}

/// What comes of reading from a peer that answers ten times and then does this.
async fn after_ten(then: Then) -> LeechError {
    let manners = Manners {
        answers: Some((10, then)),
        // so that all is asked for before
        delay: Duration::from_millis(20),
        ..Manners::default()
    };
    let seed = seed(2 * MIB, manners).await;
    let options = match then {
        Then::Nothing => impatient(),
        _ => LeechOptions::default(),
    };
    let peer = connect(&seed, options).await.unwrap();
    let (bytes, error) = collect(peer.read(0..2 * MIB), 0).await;
    let error = error.unwrap();
    // what was sent before is given
    assert!(
        bytes == part(&content(2 * MIB), 0..160 * KIB),
        "{then:?}: {}",
        bytes.len()
    );
    let ended = timeout(DEADLINE, peer.ended()).await.unwrap();
    assert_eq!(ended.to_string(), error.to_string());
    assert!(!error.is_lasting());
    let (_, again) = collect(peer.read(0..5), 0).await;
    assert_eq!(again.unwrap().to_string(), error.to_string());
    assert_eq!(
        peer.info().await.unwrap_err().to_string(),
        error.to_string()
    );
    error
}

#[tokio::test]
async fn peers_that_fail_are_told_apart() {
    for (then, is_as_expected) in [
        (Then::Nothing, matches_stalled as fn(&LeechError) -> bool),
        (Then::Close, |error| {
            matches!(error, LeechError::Broke { .. })
        }),
        (Then::CloseInBlock, |error| {
            matches!(error, LeechError::Broke { .. })
        }),
        (Then::WrongLength, |error| {
            matches!(error, LeechError::Lied(Lie::Length { found: 16_383, .. }))
        }),
        (Then::WrongOffset, |error| {
            matches!(error, LeechError::Lied(Lie::Unasked { .. }))
        }),
        (Then::Garbage, |error| {
            matches!(error, LeechError::Garbage(WireFault::Length { .. }))
        }),
    ] {
        let error = after_ten(then).await;
        assert!(is_as_expected(&error), "{then:?}: {error:?}");
    }
}

fn matches_stalled(error: &LeechError) -> bool {
    matches!(error, LeechError::Stalled { .. })
}

#[tokio::test]
async fn a_peer_that_claims_all_and_lets_nobody_ask_is_given_up() {
    let manners = Manners {
        is_choking: true,
        ..Manners::default()
    };
    let seed = seed(MIB, manners).await;
    let peer = connect(&seed, impatient()).await.unwrap();
    let (bytes, error) = collect(peer.read(0..MIB), 0).await;
    assert!(bytes.is_empty());
    assert!(
        matches!(error, Some(LeechError::Choked { .. })),
        "{error:?}"
    );
    assert!(seed.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn connections_that_come_to_nothing_say_why() {
    let silent = Manners {
        greets_not: true,
        ..Manners::default()
    };
    let silent = seed(MIB, silent).await;
    let error = connect(&silent, impatient()).await.unwrap_err();
    assert!(matches_stalled(&error), "{error:?}");

    let other = Manners {
        infohash: Some(InfoHash::of(b"another")),
        ..Manners::default()
    };
    let mut other = seed(MIB, other).await;
    let error = connect(&other, LeechOptions::default()).await.unwrap_err();
    assert!(matches!(error, LeechError::NotThisTorrent), "{error:?}");
    // the connection is closed
    let gone = other
        .heard
        .wait_for(|heard| heard.contains(&Message::KeepAlive));
    timeout(DEADLINE, gone).await.unwrap().unwrap();

    // nobody listens where someone did
    let mut left = seed(MIB, Manners::default()).await;
    let first = connect(&left, LeechOptions::default()).await.unwrap();
    first.close();
    let gone = left
        .heard
        .wait_for(|heard| heard.contains(&Message::KeepAlive));
    timeout(DEADLINE, gone).await.unwrap().unwrap();
    let error = connect(&left, LeechOptions::default()).await.unwrap_err();
    assert!(matches!(error, LeechError::Unreachable { .. }), "{error:?}");

    for (piece_bytes, length_bytes) in [(0, 5), (5, 0), (1, 1 << 50), (u32::MAX, 5)] {
        left.target.piece_bytes = piece_bytes;
        left.target.length_bytes = length_bytes;
        let error = connect(&left, LeechOptions::default()).await.unwrap_err();
        assert!(matches!(error, LeechError::Target { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn who_does_not_read_stops_requests_and_others_go_on() {
    let length = 32 * MIB;
    let seed = seed(length, Manners::default()).await;
    let peer = connect(&seed, LeechOptions::default()).await.unwrap();
    let idle = peer.read(0..16 * MIB);
    // much longer than the idle one could fill
    assert!(read(&peer, 16 * MIB..length).await == part(&content(length), 16 * MIB..length));
    let asked = seed.requests.lock().unwrap().clone();
    let first_half = asked.iter().filter(|block| block.piece < 16).count();
    assert!(first_half < 600, "{first_half} blocks were asked for");
    let (bytes, error) = collect(idle, 0).await;
    assert!(error.is_none());
    assert!(bytes == part(&content(length), 0..16 * MIB));
}

#[tokio::test]
async fn what_is_dropped_is_cancelled_and_the_last_handle_ends_the_connection() {
    let manners = Manners {
        answers: Some((1, Then::Nothing)),
        ..Manners::default()
    };
    let mut seed = seed(MIB, manners).await;
    let options = LeechOptions {
        stall_timeout: DEADLINE,
        ..LeechOptions::default()
    };
    let peer = connect(&seed, options).await.unwrap();
    let mut blocks = peer.read(0..64 * KIB);
    let (offset, bytes) = timeout(DEADLINE, blocks.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((offset, bytes.len()), (0, 16 << 10));
    drop(blocks);
    let cancels = |heard: &Vec<Message>| {
        let cancels = heard
            .iter()
            .filter(|message| matches!(message, Message::Cancel(_)));
        cancels.count() == 3
    };
    timeout(DEADLINE, seed.heard.wait_for(cancels))
        .await
        .unwrap()
        .unwrap();

    // a read keeps the connection
    let mut last = peer.read(0..64 * KIB);
    drop(peer);
    assert!(future::poll_once(last.next()).await.is_none());
    let is_over = seed.heard.borrow().contains(&Message::KeepAlive);
    assert!(!is_over);
    drop(last);
    let gone = seed
        .heard
        .wait_for(|heard| heard.contains(&Message::KeepAlive));
    timeout(DEADLINE, gone).await.unwrap().unwrap();
}

/// Lets so many bytes through.
struct Gate {
    left: AtomicU64,
    taken: AtomicU64,
}

impl Throttle for Gate {
    fn take(&self, bytes: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let take = |left: u64| left.checked_sub(bytes);
            let order = Ordering::SeqCst;
            if self.left.fetch_update(order, order, take).is_err() {
                std::future::pending().await
            }
            self.taken.fetch_add(bytes, order);
        })
    }
}

#[tokio::test]
async fn nothing_is_asked_for_that_the_throttle_does_not_allow() {
    let seed = seed(MIB, Manners::default()).await;
    let gate = Arc::new(Gate {
        left: AtomicU64::new(200 * KIB),
        taken: AtomicU64::new(0),
    });
    let options = LeechOptions {
        throttle: Some(gate.clone()),
        stall_timeout: Duration::from_secs(1),
        choke_timeout: Duration::from_secs(1),
        ..LeechOptions::default()
    };
    let peer = connect(&seed, options).await.unwrap();
    let mut blocks = peer.read(0..MIB);
    for _ in 0..12 {
        timeout(DEADLINE, blocks.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
    // the peer owes nothing, so it isn't given up
    let more = timeout(Duration::from_secs(2), blocks.next()).await;
    assert!(more.is_err(), "{more:?}");
    assert_eq!(gate.taken.load(Ordering::SeqCst), 192 * KIB);
    assert_eq!(seed.requests.lock().unwrap().len(), 12);
}

#[tokio::test]
async fn the_info_dictionary_is_given_when_its_hash_fits() {
    for length in [1, 16 * KIB, 200 * KIB + 3] {
        let info = content(length);
        let manners = Manners {
            info: Some(info.clone()),
            ..Manners::default()
        };
        let mut target = target(MIB);
        target.infohash = InfoHash::of(&info);
        let seed = Seed::start(content(MIB), target, manners.clone()).await;
        let peer = connect(&seed, LeechOptions::default()).await.unwrap();
        let both = future::zip(peer.info(), peer.info());
        let (first, second) = timeout(DEADLINE, both).await.unwrap();
        assert!(first.unwrap() == info && second.unwrap() == info);
        assert!(timeout(DEADLINE, peer.info()).await.unwrap().unwrap() == info);

        target.infohash = InfoHash::of(b"another");
        let seed = Seed::start(content(MIB), target, manners).await;
        let peer = connect(&seed, LeechOptions::default()).await.unwrap();
        let error = timeout(DEADLINE, peer.info()).await.unwrap().unwrap_err();
        assert!(
            matches!(error, LeechError::Lied(Lie::InfoHash)),
            "{error:?}"
        );
    }
    let seed = seed(MIB, Manners::default()).await;
    let peer = connect(&seed, LeechOptions::default()).await.unwrap();
    let error = timeout(DEADLINE, peer.info()).await.unwrap().unwrap_err();
    assert!(matches!(error, LeechError::NoInfo), "{error:?}");
    // and the connection goes on
    assert_eq!(read(&peer, 0..5).await.len(), 5);
}
