use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use iroh::EndpointAddr;
use model::BlobId;
use n0_future::StreamExt;

use super::{
    network::{BadNode, Node, Trick},
    noise, open, read,
};
use crate::{
    BlobStatus, Blobs, FetchError, FetchOptions, Fetcher, Keep, ProviderLimits, QuotaError,
    unwatched,
};

const SIZE: usize = 5 << 20;

struct Pair {
    dir: tempfile::TempDir,
    giver: Node,
    taker: Node,
    bytes: Bytes,
    blob: BlobId,
}

impl Pair {
    async fn new(size: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let giver = Node::start(&dir.path().join("giver")).await;
        let taker = Node::start(&dir.path().join("taker")).await;
        let bytes = noise("fetched", size);
        let kept = Keep::pin("x");
        let blob = giver
            .blobs
            .import_bytes(bytes.clone(), &kept)
            .await
            .unwrap()
            .blob;
        Self {
            dir,
            giver,
            taker,
            bytes,
            blob,
        }
    }

    async fn stop(self) {
        self.giver.stop().await;
        self.taker.stop().await;
    }
}

fn options() -> FetchOptions {
    FetchOptions {
        stall: Duration::from_secs(2),
        keep: Keep::pin("wanted"),
        ..FetchOptions::default()
    }
}

async fn stream(
    fetcher: &Fetcher,
    blob: BlobId,
    from: Vec<EndpointAddr>,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, FetchError> {
    let options = FetchOptions {
        range: Some(range),
        ..options()
    };
    let mut stream = fetcher.read(blob, from, options).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_blob_is_fetched_verified_and_kept() {
    for size in [0, 1, 20_000, SIZE] {
        let pair = Pair::new(size).await;
        let (taker, blob) = (&pair.taker, pair.blob);
        let progress = unwatched();
        let fetched = taker
            .fetcher
            .fetch(blob, [pair.giver.addr()], &options(), &progress)
            .await
            .unwrap();
        assert_eq!(fetched.size_bytes, size as u64);
        assert_eq!(fetched.fetched_bytes, size as u64);
        assert_eq!(read(&taker.blobs, blob).await, pair.bytes);
        taker.blobs.collect().await.unwrap();
        if size > 0 {
            assert_eq!(progress.borrow().done_bytes, size as u64);
            assert_eq!(
                taker.blobs.kept().await.unwrap()[&blob],
                [Keep::pin("wanted")]
            );
        }
        let again = taker
            .fetcher
            .fetch(blob, [], &options(), &progress)
            .await
            .unwrap();
        assert_eq!(again.fetched_bytes, 0);
        pair.stop().await;
    }
}

#[tokio::test]
async fn a_range_takes_its_groups_and_the_proof_of_size_only() {
    let pair = Pair::new(SIZE).await;
    let (blobs, blob) = (&pair.taker.blobs, pair.blob);
    let range = FetchOptions {
        range: Some(1_000_000..1_000_001),
        ..options()
    };
    let fetched = pair
        .taker
        .fetcher
        .fetch(blob, [pair.giver.addr()], &range, &unwatched())
        .await
        .unwrap();
    assert_eq!(fetched.fetched_bytes, 2 * 16 * 1024);
    let status = blobs.status(blob).await.unwrap();
    assert_eq!(
        status,
        BlobStatus::Partial {
            held_bytes: 2 * 16 * 1024,
            total_bytes: Some(SIZE as u64),
        }
    );
    let held = blobs.held_ranges(blob).await.unwrap();
    let (start, size) = (1_000_000 / 16_384 * 16_384, SIZE as u64);
    assert_eq!(held, [start..start + 16_384, size - 16_384..size]);
    let outside = FetchOptions {
        range: Some(0..u64::MAX),
        ..options()
    };
    let refused = pair
        .taker
        .fetcher
        .fetch(blob, [pair.giver.addr()], &outside, &unwatched())
        .await;
    assert!(matches!(refused, Err(FetchError::Range { .. })));
    pair.stop().await;
}

/// Gives a fetch up in the middle.
async fn interrupted(dir: PathBuf, giver: &BadNode, blob: BlobId) -> u64 {
    let blobs = open(&dir).await;
    let endpoint = super::network::endpoint().await;
    let fetcher = Fetcher::new(blobs.clone(), endpoint.clone());
    let progress = unwatched();
    let mut seen = progress.subscribe();
    let patient = FetchOptions {
        stall: Duration::from_secs(60),
        ..options()
    };
    tokio::select! {
        done = fetcher.fetch(blob, [giver.addr()], &patient, &progress) => panic!("{done:?}"),
        _ = seen.wait_for(|progress| progress.done_bytes > 2 << 20) => {}
    }
    endpoint.close().await;
    drop(fetcher);
    // Reopened at once below, as after a crash: nothing is kept by a tag that a person gave.
    blobs.store().wait_idle().await.unwrap();
    blobs.collect().await.unwrap();
    let status = blobs.status(blob).await.unwrap();
    let BlobStatus::Partial { held_bytes, .. } = status else {
        panic!("{status:?}");
    };
    blobs.shutdown().await.unwrap();
    held_bytes
}

#[tokio::test]
async fn an_interrupted_fetch_goes_on_at_the_verified_byte_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let giver = Node::start(&dir.path().join("giver")).await;
    let bytes = noise("resumed", SIZE);
    let kept = Keep::pin("x");
    let blob = giver
        .blobs
        .import_bytes(bytes.clone(), &kept)
        .await
        .unwrap()
        .blob;
    let hanging = BadNode::start(&giver.blobs, Trick::HangAfter(3 << 20)).await;
    let taker_dir = dir.path().join("taker");
    let held_bytes = interrupted(taker_dir.clone(), &hanging, blob).await;
    assert!((2 << 20..3 << 20).contains(&held_bytes), "{held_bytes}");
    let taker = Node::start(&taker_dir).await;
    let fetched = taker
        .fetcher
        .fetch(blob, [giver.addr()], &options(), &unwatched())
        .await
        .unwrap();
    assert_eq!(fetched.fetched_bytes, SIZE as u64 - held_bytes);
    assert_eq!(read(&taker.blobs, blob).await, bytes);
    hanging.stop().await;
    giver.stop().await;
    taker.stop().await;
}

#[tokio::test]
async fn liars_are_named_and_the_next_peer_delivers() {
    let pair = Pair::new(SIZE).await;
    let tricks = [
        Trick::Garbage,
        Trick::WrongSize,
        Trick::FlipAt(9),
        Trick::FlipAt(100_000),
    ];
    for (number, trick) in tricks.into_iter().enumerate() {
        let liar = BadNode::start(&pair.giver.blobs, trick).await;
        // One that knows of nobody else from before.
        let taker = Node::start(&pair.dir.path().join(number.to_string())).await;
        let (fetcher, blobs) = (&taker.fetcher, &taker.blobs);
        let alone = fetcher
            .fetch(pair.blob, [liar.addr()], &options(), &unwatched())
            .await;
        let Err(FetchError::NoPeer { faults, .. }) = alone else {
            panic!("{trick:?}: {alone:?}");
        };
        assert!(faults[0].fault.is_lie(), "{trick:?}: {faults:?}");
        assert_eq!(faults[0].peer, Some(liar.endpoint.id()));
        let both = [liar.addr(), pair.giver.addr()];
        let fetched = fetcher
            .fetch(pair.blob, both, &options(), &unwatched())
            .await
            .unwrap();
        assert!(fetched.faults.iter().all(|report| report.fault.is_lie()));
        assert_eq!(read(blobs, pair.blob).await, pair.bytes);
        taker.stop().await;
        liar.stop().await;
    }
    pair.stop().await;
}

#[tokio::test]
async fn slow_and_empty_peers_are_no_liars() {
    let pair = Pair::new(SIZE).await;
    let hanging = BadNode::start(&pair.giver.blobs, Trick::HangAfter(1 << 20)).await;
    let ending = BadNode::start(&pair.giver.blobs, Trick::EndAfter(2 << 20)).await;
    let empty = Node::start(&pair.dir.path().join("empty")).await;
    let gone = Node::start(&pair.dir.path().join("gone")).await;
    let gone_addr = gone.addr();
    gone.stop().await;
    let all = [
        empty.addr(),
        hanging.addr(),
        ending.addr(),
        pair.giver.addr(),
    ];
    let fetched = pair
        .taker
        .fetcher
        .fetch(pair.blob, all, &options(), &unwatched())
        .await
        .unwrap();
    assert_eq!(read(&pair.taker.blobs, pair.blob).await, pair.bytes);
    assert_eq!(fetched.fetched_bytes, SIZE as u64, "no byte came twice");
    let lies = fetched.faults.iter().filter(|report| report.fault.is_lie());
    assert_eq!(lies.count(), 0, "{:?}", fetched.faults);
    let missing = BlobId::of(b"nobody has this");
    let none = pair
        .taker
        .fetcher
        .fetch(missing, [empty.addr()], &options(), &unwatched())
        .await;
    let Err(error @ FetchError::NoPeer { .. }) = none else {
        panic!("{none:?}");
    };
    assert!(error.to_string().contains("does not have it"), "{error}");
    assert!(
        !pair
            .taker
            .blobs
            .kept()
            .await
            .unwrap()
            .contains_key(&missing)
    );
    drop(gone_addr);
    hanging.stop().await;
    ending.stop().await;
    empty.stop().await;
    pair.stop().await;
}

#[tokio::test]
async fn limits_hold_before_bytes_are_written() {
    let pair = Pair::new(SIZE).await;
    let small = FetchOptions {
        max_bytes: 1 << 20,
        ..options()
    };
    let refused = pair
        .taker
        .fetcher
        .fetch(pair.blob, [pair.giver.addr()], &small, &unwatched())
        .await;
    assert!(matches!(
        refused,
        Err(FetchError::TooLarge { wanted_bytes, .. }) if wanted_bytes == SIZE as u64
    ));
    let dir = pair.dir.path().join("tight");
    let tight = Node::with(&dir, 5 << 20, |_, _| true, ProviderLimits::default()).await;
    let refused = tight
        .fetcher
        .fetch(pair.blob, [pair.giver.addr()], &options(), &unwatched())
        .await;
    assert!(matches!(
        refused,
        Err(FetchError::Quota(QuotaError::Exceeded { .. }))
    ));
    for blobs in [&tight.blobs, &pair.taker.blobs] {
        assert_eq!(blobs.status(pair.blob).await.unwrap(), BlobStatus::Missing);
        assert_eq!(blobs.quota().usage().reserved_bytes, 0);
    }
    tight.stop().await;
    pair.stop().await;
}

#[tokio::test]
async fn who_asks_at_the_same_time_shares_one_fetch() {
    let pair = Pair::new(SIZE).await;
    let from = pair.giver.addr();
    let opts = options();
    let watches: [_; 3] = std::array::from_fn(|_| unwatched());
    let fetches = watches.iter().map(|watch| {
        pair.taker
            .fetcher
            .fetch(pair.blob, [from.clone()], &opts, watch)
    });
    let fetched: Vec<_> = n0_future::join_all(fetches).await;
    let came: u64 = fetched
        .iter()
        .map(|done| done.as_ref().unwrap().fetched_bytes)
        .sum();
    assert_eq!(came, SIZE as u64);
    pair.stop().await;
}

#[tokio::test]
async fn a_seek_reads_bytes_that_are_not_held_yet() {
    let pair = Pair::new(SIZE).await;
    let (fetcher, blob) = (&pair.taker.fetcher, pair.blob);
    let from = vec![pair.giver.addr()];
    let size = SIZE as u64;
    for range in [
        3_000_000..3_000_010,
        1_000_000..4_500_000,
        size - 5..size,
        0..size,
        7..7,
    ] {
        let got = stream(fetcher, blob, from.clone(), range.clone())
            .await
            .unwrap();
        let index = |at| usize::try_from(at).unwrap();
        let expected = &pair.bytes[index(range.start)..index(range.end)];
        assert!(got == expected, "{range:?}");
    }
    assert_eq!(
        pair.taker.blobs.status(blob).await.unwrap(),
        BlobStatus::Complete { size_bytes: size }
    );
    let offline = stream(fetcher, blob, vec![], 10..1_000_000).await.unwrap();
    assert!(offline == pair.bytes[10..1_000_000]);
    let kept = &pair.taker.blobs.kept().await.unwrap()[&blob];
    assert_eq!(kept, &[Keep::pin("wanted")]);
    pair.stop().await;
}

#[tokio::test]
async fn a_read_goes_on_with_the_next_peer_and_ends_with_an_error_when_none_is_left() {
    let pair = Pair::new(SIZE).await;
    let liar = BadNode::start(&pair.giver.blobs, Trick::FlipAt(1 << 20)).await;
    let both = vec![liar.addr(), pair.giver.addr()];
    let (fetcher, size) = (&pair.taker.fetcher, SIZE as u64);
    let got = stream(fetcher, pair.blob, both, 0..size).await.unwrap();
    assert!(got == pair.bytes);
    liar.stop().await;
    let liar = BadNode::start(&pair.giver.blobs, Trick::FlipAt(1 << 20)).await;
    let other = Node::start(&pair.dir.path().join("other")).await;
    let failed = stream(&other.fetcher, pair.blob, vec![liar.addr()], 0..size).await;
    assert!(matches!(failed, Err(FetchError::NoPeer { faults, .. }) if faults[0].fault.is_lie()));
    other.stop().await;
    liar.stop().await;
    pair.stop().await;
}

#[tokio::test]
async fn a_reader_that_leaves_or_pauses_holds_nothing_up() {
    let pair = Pair::new(12 << 20).await;
    let fetcher = &pair.taker.fetcher;
    let mut paused = Vec::new();
    // More than the lane has places.
    for _ in 0..20 {
        let mut stream = fetcher
            .read(pair.blob, [pair.giver.addr()], options())
            .await
            .unwrap();
        stream.next().await.unwrap().unwrap();
        paused.push(stream);
    }
    let range = 9_000_000..9_100_000;
    let got = stream(fetcher, pair.blob, vec![pair.giver.addr()], range)
        .await
        .unwrap();
    assert!(got == pair.bytes[9_000_000..9_100_000]);
    drop(paused);
    pair.stop().await;
}

#[allow(dead_code)]
fn handles_can_be_sent_between_tasks(blobs: Blobs, fetcher: Fetcher) {
    fn is_send<T: Send>(_: T) {}
    let blob = BlobId::of(b"x");
    let watch = unwatched();
    let options = FetchOptions::default();
    is_send(fetcher.fetch(blob, [], &options, &watch));
    is_send(fetcher.read(blob, [], FetchOptions::default()));
    is_send(blobs.collect());
    is_send(blobs.import_path(std::path::Path::new("x"), &Keep::Cache, &watch));
}
