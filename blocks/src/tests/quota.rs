//! The quota as `du` sees it, at every moment, while imports and fetches go on together.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use model::BlobId;
use n0_future::stream;

use super::{network::Node, noise};
use crate::{Blobs, FetchOptions, ImportError, Keep, ProviderLimits, unwatched};

const QUOTA_BYTES: u64 = 64 << 20;
/// How far above it is too far.
const TOLERANCE: u64 = QUOTA_BYTES / 100;
/// Rounds of writes; all of them together are several times the quota.
const ROUNDS: usize = 24;

/// Bytes on disk of a folder with everything in it, as `du` counts them.
fn on_disk(path: &Path) -> u64 {
    let own = std::fs::symlink_metadata(path).map_or(0, |meta| meta.blocks() * 512);
    let below = std::fs::read_dir(path).into_iter().flatten().flatten();
    own + below.map(|entry| on_disk(&entry.path())).sum::<u64>()
}

/// Looks at the folder all the time.
struct Watch {
    most_bytes: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Watch {
    fn begin(dir: PathBuf) -> Self {
        let (most_bytes, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (most, over) = (most_bytes.clone(), is_over.clone());
        let thread = std::thread::spawn(move || {
            let mut looks = 0;
            while !over.load(Ordering::SeqCst) {
                most.fetch_max(on_disk(&dir), Ordering::SeqCst);
                looks += 1;
            }
            looks
        });
        Self {
            most_bytes,
            is_over,
            thread: Some(thread),
        }
    }

    fn end(mut self) -> u64 {
        self.is_over.store(true, Ordering::SeqCst);
        let looks = self.thread.take().unwrap().join().unwrap();
        assert!(looks > 10, "it was hardly looked at: {looks} times");
        self.most_bytes.load(Ordering::SeqCst)
    }
}

/// Of every kind: kept in the database, small files, large ones.
fn sizes(round: usize) -> [usize; 6] {
    [
        3_000,
        17_000 + round * 300,
        40_000,
        120_001,
        900_000 + round * 10_001,
        (2 << 20) + round * 70_001,
    ]
}

async fn imports(blobs: Blobs, dir: PathBuf) {
    for round in 0..ROUNDS {
        for (n, size) in sizes(round).into_iter().enumerate() {
            let keep = match n % 3 {
                0 => Keep::Mirror,
                _ => Keep::Cache,
            };
            let bytes = noise(&format!("import {round} {n}"), size);
            // What doesn't fit is refused; that is no failure here.
            let _ = match n % 3 {
                0 => blobs.import_bytes(bytes, &keep).await,
                1 => {
                    let pieces = bytes.chunks(50_000).map(Bytes::copy_from_slice);
                    let pieces: Vec<_> = pieces.map(Ok::<_, std::io::Error>).collect();
                    let pieces = stream::iter(pieces);
                    let progress = unwatched();
                    blobs
                        .import_stream(pieces, None, u64::MAX, &keep, &progress)
                        .await
                }
                _ => {
                    let path = dir.join(format!("file {round} {n}"));
                    std::fs::write(&path, &bytes).unwrap();
                    blobs.import_path(&path, &keep, &unwatched()).await
                }
            };
        }
    }
}

async fn fetches(taker: Arc<Node>, giver: iroh::EndpointAddr, wanted: Vec<BlobId>, keep: Keep) {
    for blob in wanted {
        let options = FetchOptions {
            keep: keep.clone(),
            ..FetchOptions::default()
        };
        let fetched = taker
            .fetcher
            .fetch(blob, [giver.clone()], &options, &unwatched())
            .await;
        if fetched.is_ok() {
            let _ = taker.blobs.name(blob).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_on_the_disk_never_exceeds_the_quota() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("taker");
    std::fs::create_dir_all(&folder).unwrap();
    let giver = Node::start(&dir.path().join("giver")).await;
    let taker = Node::with(&folder, QUOTA_BYTES, |_, _| true, ProviderLimits::default()).await;
    let taker = Arc::new(taker);
    let mut offered = Vec::new();
    for round in 0..ROUNDS {
        for (n, size) in sizes(round).into_iter().enumerate() {
            let bytes = noise(&format!("offered {round} {n}"), size);
            let imported = giver.blobs.import_bytes(bytes, &Keep::pin("x")).await;
            offered.push(imported.unwrap().blob);
        }
    }
    let watch = Watch::begin(folder.clone());
    let (first, second) = offered.split_at(offered.len() / 2);
    let tasks = [
        tokio::spawn(imports(taker.blobs.clone(), dir.path().to_owned())),
        tokio::spawn(fetches(
            taker.clone(),
            giver.addr(),
            first.to_vec(),
            Keep::Cache,
        )),
        tokio::spawn(fetches(
            taker.clone(),
            giver.addr(),
            second.to_vec(),
            Keep::Mirror,
        )),
        tokio::spawn(fetches(
            taker.clone(),
            giver.addr(),
            offered.clone(),
            Keep::pin("p"),
        )),
    ];
    for task in tasks {
        task.await.unwrap();
    }
    taker.blobs.maintain().await.unwrap();
    let (usage, now_bytes) = (taker.blobs.quota().usage(), on_disk(&folder));
    let most_bytes = watch.end();
    eprintln!("at most {most_bytes}, now {now_bytes}, counted {usage:?}");
    assert!(
        most_bytes <= QUOTA_BYTES + TOLERANCE,
        "{most_bytes} bytes lay on the disk"
    );
    assert!(
        most_bytes > QUOTA_BYTES / 10 * 8,
        "the quota was hardly used: {most_bytes}"
    );
    assert!(
        now_bytes <= usage.total_bytes() + TOLERANCE / 4,
        "{now_bytes} bytes are counted as {}",
        usage.total_bytes()
    );
    Arc::try_unwrap(taker).ok().unwrap().stop().await;
    giver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_files_that_nothing_makes_room_for_stay_within_the_quota() {
    const SMALL_QUOTA: u64 = 8 << 20;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("taker");
    std::fs::create_dir_all(&folder).unwrap();
    let giver = Node::start(&dir.path().join("giver")).await;
    let taker = Node::with(&folder, SMALL_QUOTA, |_, _| true, ProviderLimits::default()).await;
    let taker = Arc::new(taker);
    let watch = Watch::begin(folder.clone());
    let mut held = 0;
    for n in 0..1_500 {
        let bytes = noise(&format!("small {n}"), 1_000 + n * 1_237 % 50_000);
        let keep = Keep::pin("p");
        if n % 2 == 0 {
            if let Err(error) = taker.blobs.import_bytes(bytes, &keep).await {
                assert!(matches!(error, ImportError::Quota(_)), "{error}");
                break;
            }
        } else {
            let offered = giver.blobs.import_bytes(bytes, &keep).await.unwrap().blob;
            let giver = giver.addr();
            fetches(taker.clone(), giver, vec![offered], keep).await;
        }
        held += 1;
    }
    let (usage, now_bytes) = (taker.blobs.quota().usage(), on_disk(&folder));
    let most_bytes = watch.end();
    eprintln!("{held} held, at most {most_bytes}, now {now_bytes}, counted {usage:?}");
    assert!(
        most_bytes <= SMALL_QUOTA + SMALL_QUOTA / 100,
        "{most_bytes}"
    );
    assert!(held > 100, "{held}");
    Arc::try_unwrap(taker).ok().unwrap().stop().await;
    giver.stop().await;
}
