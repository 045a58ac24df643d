use std::{io, time::Duration};

use bytes::Bytes;
use model::BlobId;
use n0_future::stream;

use super::{noise, open, open_with, read};
use crate::{
    BlobSource, BlobStatus, Damaged, ImportError, Keep, QuotaError, ReadError, Stage,
    VerifyProgress, unwatched,
};

const SIZES: [usize; 7] = [
    0,
    1,
    16 * 1024,
    16 * 1024 + 1,
    1 << 20,
    (4 << 20) + 5,
    9 << 20,
];

fn pieces(bytes: &Bytes, piece_bytes: usize) -> Vec<Result<Bytes, io::Error>> {
    (0..bytes.len())
        .step_by(piece_bytes)
        .map(|at| Ok(bytes.slice(at..bytes.len().min(at + piece_bytes))))
        .collect()
}

#[tokio::test]
async fn every_way_in_gives_the_same_blob_and_it_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let progress = unwatched();
    let blobs = open(dir.path()).await;
    for size in SIZES {
        let bytes = noise("storing", size);
        let blob = BlobId::of(&bytes);
        std::fs::write(&file, &bytes).unwrap();
        let from_path = blobs
            .import_path(&file, &Keep::Cache, &progress)
            .await
            .unwrap();
        let parts = stream::iter(pieces(&bytes, 50_000));
        let from_stream = blobs
            .import_stream(parts, None, u64::MAX, &Keep::Cache, &progress)
            .await
            .unwrap();
        let from_memory = blobs
            .import_bytes(bytes.clone(), &Keep::Cache)
            .await
            .unwrap();
        assert_eq!(from_path.blob, blob);
        assert_eq!(from_path.size_bytes, size as u64);
        assert_eq!([from_stream, from_memory], [from_path; 2]);
        assert_eq!(read(&blobs, blob).await, bytes);
    }
    assert_eq!(progress.borrow().stage, Stage::Hash);
    blobs.shutdown().await.unwrap();
    drop(blobs);
    let blobs = open(dir.path()).await;
    for size in SIZES {
        let bytes = noise("storing", size);
        let blob = BlobId::of(&bytes);
        let size_bytes = size as u64;
        let status = blobs.status(blob).await.unwrap();
        assert_eq!(status, BlobStatus::Complete { size_bytes });
        assert_eq!(read(&blobs, blob).await, bytes);
    }
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs/temp"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn outboards_verify_their_blob_whether_in_a_file_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    for size in SIZES {
        let bytes = noise("outboard", size);
        let imported = blobs
            .import_bytes(bytes.clone(), &Keep::Cache)
            .await
            .unwrap();
        let pairs = match blobs.outboard(imported.blob).await.unwrap() {
            BlobSource::Bytes(pairs) => pairs.to_vec(),
            BlobSource::File { path, size_bytes } => {
                let pairs = std::fs::read(path).unwrap();
                assert_eq!(pairs.len() as u64, size_bytes);
                pairs
            }
        };
        let group = bao_tree::BlockSize::from_chunk_log(4);
        let computed = bao_tree::io::outboard::PreOrderMemOutboard::create(&bytes, group);
        assert_eq!(pairs, computed.data, "{size} bytes");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, noise("big", 3 << 20)).unwrap();
    let blobs = open_with(dir.path(), 3 << 20).await;
    let before = blobs.quota().usage();
    assert!(before.store_bytes > 0, "the store's own database counts");
    let refused = blobs.import_path(&file, &Keep::Cache, &unwatched()).await;
    assert!(matches!(
        refused,
        Err(ImportError::Quota(QuotaError::Exceeded { .. }))
    ));
    // A source that must not be touched: the length alone decides.
    let untouched = stream::poll_fn(|_| -> std::task::Poll<Option<io::Result<Bytes>>> {
        panic!("read although it can't fit")
    });
    let refused = blobs
        .import_stream(
            untouched,
            Some(3 << 20),
            u64::MAX,
            &Keep::Cache,
            &unwatched(),
        )
        .await;
    assert!(matches!(refused, Err(ImportError::Quota(_))));
    assert_eq!(blobs.quota().usage(), before);
    assert_eq!(blobs.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_stream_that_grows_too_long_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 20 << 20).await;
    let before = blobs.quota().usage();
    let endless = |chunk: Bytes| stream::repeat_with(move || io::Result::Ok(chunk.clone()));
    let chunk = noise("endless", 1 << 20);
    let keep = Keep::Cache;
    let watch = unwatched();
    let over_quota = blobs
        .import_stream(endless(chunk.clone()), None, u64::MAX, &keep, &watch)
        .await;
    assert!(
        matches!(over_quota, Err(ImportError::Quota(_))),
        "{over_quota:?}"
    );
    let too_long = blobs
        .import_stream(endless(chunk.clone()), None, 2 << 20, &keep, &watch)
        .await;
    assert!(
        matches!(too_long, Err(ImportError::TooLong { .. })),
        "{too_long:?}"
    );
    let more_than_said = blobs
        .import_stream(
            endless(chunk.clone()),
            Some(1 << 20),
            u64::MAX,
            &keep,
            &watch,
        )
        .await;
    assert!(matches!(more_than_said, Err(ImportError::Length { .. })));
    let short = stream::iter(pieces(&chunk, 1000));
    let less_than_said = blobs
        .import_stream(short, Some(2 << 20), u64::MAX, &keep, &watch)
        .await;
    assert!(matches!(less_than_said, Err(ImportError::Length { .. })));
    let broken = stream::iter([Ok(chunk), Err(io::Error::other("the client went away"))]);
    let broke = blobs
        .import_stream(broken, None, u64::MAX, &keep, &watch)
        .await;
    assert!(matches!(broke, Err(ImportError::Source(_))), "{broke:?}");
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs/temp"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(blobs.quota().usage().reserved_bytes, 0);
    assert!(blobs.quota().usage().store_bytes <= before.store_bytes + (1 << 20));
    // And the store still works.
    let bytes = noise("after", 100_000);
    let imported = blobs.import_bytes(bytes.clone(), &keep).await.unwrap();
    assert_eq!(read(&blobs, imported.blob).await, bytes);
}

#[tokio::test]
async fn an_import_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let chunk = noise("given up", 1 << 20);
    let (keep, watch) = (Keep::Cache, unwatched());
    let seen = watch.subscribe();
    {
        let chunks = stream::unfold(0, move |n| {
            let chunk = chunk.clone();
            async move {
                if n == 4 {
                    std::future::pending::<()>().await;
                }
                Some((io::Result::Ok(chunk), n + 1))
            }
        });
        let importing = blobs.import_stream(chunks, None, u64::MAX, &keep, &watch);
        let mut seen = seen.clone();
        tokio::select! {
            _ = importing => panic!("the stream never ends"),
            _ = seen.wait_for(|progress| progress.done_bytes >= 2 << 20) => {}
        }
    }
    assert_eq!(blobs.quota().usage().reserved_bytes, 0);
    // The store notices on its own that nobody feeds it; then the next import clears up.
    blobs.store().wait_idle().await.unwrap();
    blobs.import_bytes(noise("next", 10), &keep).await.unwrap();
    assert_eq!(
        std::fs::read_dir(dir.path().join("blobs/temp"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn concurrent_imports_stay_within_the_quota_together() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 8 << 20).await;
    let imports = (0..12).map(|n| {
        let blobs = blobs.clone();
        async move {
            let bytes = noise(&format!("race {n}"), 1 << 20);
            let keep = Keep::pin("x");
            let parts = stream::iter(pieces(&bytes, 10_000));
            blobs
                .import_stream(parts, Some(1 << 20), u64::MAX, &keep, &unwatched())
                .await
        }
    });
    let results = n0_future::join_all(imports).await;
    let stored = results.iter().filter(|result| result.is_ok()).count();
    assert!((4..8).contains(&stored), "{stored}");
    for result in results {
        assert!(
            matches!(result, Ok(_) | Err(ImportError::Quota(_))),
            "{result:?}"
        );
    }
    blobs.measure().await.unwrap();
    let usage = blobs.quota().usage();
    assert!(usage.total_bytes() <= usage.max_bytes, "{usage:?}");
}

#[tokio::test]
async fn odd_sources_are_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let watch = unwatched();
    let missing = dir.path().join("missing");
    let refused = blobs.import_path(&missing, &Keep::Cache, &watch).await;
    assert!(matches!(refused, Err(ImportError::File { .. })));
    let refused = blobs.import_path(dir.path(), &Keep::Cache, &watch).await;
    assert!(matches!(refused, Err(ImportError::File { .. })));
    let device = std::path::Path::new("/dev/zero");
    let refused = blobs.import_path(device, &Keep::Cache, &watch).await;
    assert!(matches!(refused, Err(ImportError::File { .. })));
}

#[tokio::test]
async fn what_is_wrong_is_found_and_held_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut held = Vec::new();
    for seed in ["changed", "cut", "small", "right"] {
        let size = if seed == "small" { 100 } else { 300_000 };
        let imported = blobs.import_bytes(noise(seed, size), &Keep::Cache).await;
        held.push(imported.unwrap().blob);
    }
    let path = blobs.files().data(held[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let cut = std::fs::File::options()
        .write(true)
        .open(blobs.files().data(held[1]));
    cut.unwrap().set_len(1000).unwrap();
    let progress = tokio::sync::watch::Sender::new(VerifyProgress::default());
    let damages = blobs.verify(&progress).await.unwrap();
    let mut damaged: Vec<_> = damages.iter().map(|damage| damage.subject).collect();
    let mut expected: Vec<_> = held[..2].iter().copied().map(Damaged::Blob).collect();
    damaged.sort();
    expected.sort();
    assert_eq!(damaged, expected);
    let end = *progress.borrow();
    assert_eq!((end.blobs, end.total_blobs), (4, 4));
    assert!(end.bytes >= 600_000);
    for blob in &held[..2] {
        assert_eq!(blobs.status(*blob).await.unwrap(), BlobStatus::Missing);
        let read = blobs.source(*blob).await;
        assert!(matches!(read, Err(ReadError::NotHeld(_))));
        let kept = blobs.kept().await.unwrap();
        assert!(kept.contains_key(blob), "the reason to hold it stays");
    }
    // Told of until it is whole again.
    assert_eq!(blobs.verify(&progress).await.unwrap().len(), 2);
    let again = blobs
        .import_bytes(noise("changed", 300_000), &Keep::Cache)
        .await;
    assert_eq!(again.unwrap().blob, held[0]);
    blobs.source(held[0]).await.unwrap();
    let left = blobs.verify(&progress).await.unwrap();
    assert_eq!((left.len(), left[0].subject), (1, Damaged::Blob(held[1])));
}

#[tokio::test]
async fn a_file_that_was_only_touched_is_hashed_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let bytes = noise("touched", 100_000);
    let blob = blobs
        .import_bytes(bytes.clone(), &Keep::Cache)
        .await
        .unwrap()
        .blob;
    let path = blobs.files().data(blob);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&blobs, blob).await, bytes);
}

#[tokio::test]
async fn what_a_crash_left_without_a_record_is_cleared_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let bytes = noise("recorded", 50_000);
    let keep = Keep::pin("x");
    let blob = blobs.import_bytes(bytes.clone(), &keep).await.unwrap().blob;
    let lost = blobs.files().data(BlobId::of(b"lost"));
    blobs.shutdown().await.unwrap();
    drop(blobs);
    let temporary = dir.path().join("blobs/temp/1.temp");
    for path in [&lost, &temporary] {
        std::fs::write(path, [0; 1000]).unwrap();
    }
    let blobs = open(dir.path()).await;
    assert!(!lost.exists() && !temporary.exists());
    assert_eq!(read(&blobs, blob).await, bytes);
}

#[tokio::test]
async fn a_store_can_be_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let options = crate::BlobsOptions {
        quota: blobs.quota().clone(),
        denied: Default::default(),
        cache_max_bytes: 0,
        pieces_min_bytes: crate::DEFAULT_PIECES_MIN_BYTES,
    };
    let second = crate::Blobs::open(&dir.path().join("blobs"), options).await;
    assert!(matches!(second, Err(crate::StoreError::Open { .. })));
}

#[tokio::test]
async fn a_store_that_is_given_up_without_a_word_closes() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let again = || crate::BlobsOptions {
        quota: crate::Quota::new(dir.path(), u64::MAX, 0),
        denied: Default::default(),
        cache_max_bytes: 0,
        pieces_min_bytes: crate::DEFAULT_PIECES_MIN_BYTES,
    };
    let opened = tokio::time::timeout(Duration::from_secs(60), async {
        let path = dir.path().join("blobs");
        while crate::Blobs::open(&path, again()).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    opened.await.expect("its files are let go");
}
