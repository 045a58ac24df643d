//! A disk that is really full: a small tmpfs, where the tests may mount one.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use n0_future::stream;

use super::{network::Node, noise, read};
use crate::{
    BlobStatus, Blobs, BlobsOptions, FetchError, FetchOptions, ImportError, IntakeError, Keep,
    Quota, QuotaError, StoreError,
    dag::{codec, name_of, verify},
    unwatched,
};

struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(&at)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED: no tmpfs can be mounted here, so the full disk is not tested");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// A quota that asks another disk, so that only the full one itself can refuse.
async fn open_unwarned(disk: &Path) -> Blobs {
    let options = BlobsOptions {
        quota: Quota::new(std::env::temp_dir(), u64::MAX, 0),
        denied: Default::default(),
        cache_max_bytes: u64::MAX,
        pieces_min_bytes: crate::DEFAULT_PIECES_MIN_BYTES,
    };
    Blobs::open(&disk.join("blobs"), options).await.unwrap()
}

#[tokio::test]
async fn a_disk_without_room_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(dir.path().join("disk"), "size=16m") else {
        return;
    };
    let options = BlobsOptions {
        quota: Quota::new(&disk.0, u64::MAX, 4 << 20),
        denied: Default::default(),
        cache_max_bytes: u64::MAX,
        pieces_min_bytes: crate::DEFAULT_PIECES_MIN_BYTES,
    };
    let blobs = Blobs::open(&disk.0.join("blobs"), options).await.unwrap();
    let refused = blobs
        .import_bytes(noise("big", 12 << 20), &Keep::Cache)
        .await;
    assert!(matches!(
        refused,
        Err(ImportError::Quota(QuotaError::DiskFull { .. }))
    ));
    blobs
        .import_bytes(noise("small", 1 << 20), &Keep::Cache)
        .await
        .unwrap();
    blobs.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_disk_that_fills_up_during_an_import_is_named_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(dir.path().join("disk"), "size=16m") else {
        return;
    };
    let blobs = open_unwarned(&disk.0).await;
    let held = noise("held", 1 << 20);
    let blob = blobs
        .import_bytes(held.clone(), &Keep::pin("x"))
        .await
        .unwrap()
        .blob;
    let chunk = noise("endless", 1 << 20);
    let endless = stream::repeat_with(move || io::Result::Ok(chunk.clone()));
    let full = blobs
        .import_stream(endless, None, u64::MAX, &Keep::Cache, &unwatched())
        .await;
    assert!(
        matches!(full, Err(ImportError::Store(StoreError::DiskFull { .. }))),
        "{full:?}"
    );
    let file = dir.path().join("file");
    std::fs::write(&file, noise("file", 30 << 20)).unwrap();
    let full = blobs.import_path(&file, &Keep::Cache, &unwatched()).await;
    assert!(
        matches!(full, Err(ImportError::Store(StoreError::DiskFull { .. }))),
        "{full:?}"
    );
    assert_eq!(read(&blobs, blob).await, held);
    let after = blobs
        .import_bytes(noise("after", 1 << 20), &Keep::Cache)
        .await;
    after.unwrap();
    blobs.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_disk_that_fills_up_during_a_fetch_is_named_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(dir.path().join("disk"), "size=16m") else {
        return;
    };
    let giver = Node::start(&dir.path().join("giver")).await;
    let kept = Keep::pin("x");
    let big = giver
        .blobs
        .import_bytes(noise("big", 30 << 20), &kept)
        .await
        .unwrap()
        .blob;
    let small = giver
        .blobs
        .import_bytes(noise("small", 1 << 20), &kept)
        .await
        .unwrap()
        .blob;
    let blobs = open_unwarned(&disk.0).await;
    let endpoint = super::network::endpoint().await;
    let fetcher = crate::Fetcher::new(blobs.clone(), endpoint.clone());
    let options = FetchOptions::default();
    let full = fetcher
        .fetch(big, [giver.addr()], &options, &unwatched())
        .await;
    assert!(
        matches!(full, Err(FetchError::Store(StoreError::DiskFull { .. }))),
        "{full:?}"
    );
    let status = blobs.status(big).await.unwrap();
    assert_eq!(status, BlobStatus::Missing, "what filled the disk is gone");
    let fetched = fetcher
        .fetch(small, [giver.addr()], &options, &unwatched())
        .await;
    fetched.unwrap();
    blobs.shutdown().await.unwrap();
    endpoint.close().await;
    giver.stop().await;
}

#[tokio::test]
async fn a_disk_that_fills_up_during_an_intake_is_named_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(dir.path().join("disk"), "size=16m") else {
        return;
    };
    let blobs = open_unwarned(&disk.0).await;
    for (size, most) in [(1 << 20, 40), (30_000, 2000)] {
        let root = name_of(codec::RAW, &noise("root", size));
        let mut intake = blobs.intake(root).await.unwrap();
        let mut kept = Vec::new();
        let mut full = None;
        for n in 0..most {
            let bytes = noise(&format!("block {n}"), size);
            let cid = name_of(codec::RAW, &bytes);
            let taken = async {
                intake.put(&cid, bytes).await?;
                intake.flush().await
            };
            match taken.await {
                Ok(()) => kept.push(cid),
                Err(error) => {
                    full = Some(error);
                    break;
                }
            }
        }
        assert!(
            matches!(full, Some(IntakeError::Store(StoreError::DiskFull { .. }))),
            "{full:?}"
        );
        assert!(!kept.is_empty());
        for cid in &kept {
            verify(cid, &blobs.block(cid).await.unwrap()).unwrap();
        }
        drop(intake);
        assert!(blobs.remove_dag(&root).await.unwrap());
        let small = noise("after", 100);
        let cid = name_of(codec::RAW, &small);
        blobs.put_block(&cid, small).await.unwrap();
        assert!(blobs.has_block(&cid).await.unwrap());
    }
    blobs.shutdown().await.unwrap();
}
