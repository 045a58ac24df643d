//! Files that were changed behind the store's back.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use model::BlobId;
use tokio::{sync::watch, time::timeout};

use super::{crashed, network::Node, noise, open, open_with};
use crate::{
    BlobSource, BlobStatus, Blobs, Damaged, FetchOptions, Keep, ReadError, VerifyProgress,
    unwatched,
};

const SIZE: usize = 9 << 20;
const GROUP: u64 = 16 * 1024;
const AT: u64 = 5_000_000;
const SOON: Duration = Duration::from_secs(20);

async fn import(blobs: &Blobs, seed: &str, size: usize) -> (BlobId, Bytes) {
    let bytes = noise(seed, size);
    let imported = blobs.import_bytes(bytes.clone(), &Keep::pin("kept")).await;
    (imported.unwrap().blob, bytes)
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    age(path);
}

/// Moves a file's time, which writes so soon after it was made may not.
fn age(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let now = file.metadata().unwrap().modified().unwrap();
    file.set_modified(now + Duration::from_secs(1)).unwrap();
}

fn data(blobs: &Blobs, blob: BlobId) -> PathBuf {
    blobs.files().data(blob)
}

async fn refused(blobs: &Blobs, blob: BlobId) {
    let is_told = match source(blobs, blob).await {
        (Err(ReadError::Changed(_)), _) => true,
        // Told meanwhile.
        (Err(ReadError::NotHeld(_)), has_waited) => has_waited,
        _ => false,
    };
    assert!(is_told);
}

/// A source, when its file is checked; whether it had to be asked for again.
async fn source(blobs: &Blobs, blob: BlobId) -> (Result<BlobSource, ReadError>, bool) {
    let mut has_waited = false;
    loop {
        match blobs.source(blob).await {
            Err(ReadError::Checking(_)) => has_waited = true,
            source => return (source, has_waited),
        }
    }
}

async fn read(blobs: &Blobs, blob: BlobId) -> Bytes {
    match source(blobs, blob).await.0.unwrap() {
        BlobSource::Bytes(bytes) => bytes,
        BlobSource::File { path, .. } => std::fs::read(path).unwrap().into(),
    }
}

#[tokio::test]
async fn a_flipped_byte_is_never_read_is_told_of_and_only_its_group_is_fetched_again() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (node, source) = (
        Node::start(dir.path()).await,
        Node::start(other.path()).await,
    );
    let (blob, bytes) = import(&node.blobs, "flipped", SIZE).await;
    import(&source.blobs, "flipped", SIZE).await;
    let mut damage = node.blobs.damage();
    let before_bytes = node.blobs.bytes_on_disk().await.unwrap();
    flip(&data(&node.blobs, blob), AT);
    assert!(!node.blobs.is_sound(blob));
    let status = node.blobs.status(blob).await.unwrap();
    assert!(matches!(status, BlobStatus::Partial { .. }), "{status:?}");
    refused(&node.blobs, blob).await;
    let told = timeout(SOON, damage.recv()).await.unwrap().unwrap();
    assert_eq!(told, Damaged::Blob(blob));
    let lost = AT / GROUP * GROUP;
    let status = node.blobs.status(blob).await.unwrap();
    let partial = BlobStatus::Partial {
        held_bytes: SIZE as u64 - GROUP,
        total_bytes: Some(SIZE as u64),
    };
    assert_eq!(status, partial);
    let held = node.blobs.held_ranges(blob).await.unwrap();
    assert_eq!(held, [0..lost, lost + GROUP..SIZE as u64]);
    let kept = node.blobs.kept().await.unwrap();
    assert_eq!(kept[&blob], [Keep::pin("kept")]);
    assert!(node.blobs.bytes_on_disk().await.unwrap() <= before_bytes + 512 * 1024);
    assert_eq!(node.blobs.quota().usage().reserved_bytes, 0);
    let (options, watch) = (FetchOptions::default(), unwatched());
    let fetching = node.fetcher.fetch(blob, [source.addr()], &options, &watch);
    let fetched = fetching.await.unwrap();
    assert!(fetched.fetched_bytes <= GROUP, "{}", fetched.fetched_bytes);
    assert_eq!(read(&node.blobs, blob).await, bytes);
    node.stop().await;
    source.stop().await;
}

#[tokio::test]
async fn peers_get_nothing_of_a_changed_file_and_no_lie() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let giver = Node::start(dir.path()).await;
    let taker = Node::start(other.path()).await;
    let (blob, _) = import(&giver.blobs, "peers", SIZE).await;
    flip(&data(&giver.blobs, blob), AT);
    let (options, watch) = (FetchOptions::default(), unwatched());
    let fetching = taker.fetcher.fetch(blob, [giver.addr()], &options, &watch);
    let error = fetching.await.unwrap_err();
    assert!(!error.faults().iter().any(|report| report.fault.is_lie()));
    assert!(taker.blobs.source(blob).await.is_err());
    giver.stop().await;
    taker.stop().await;
}

#[tokio::test]
async fn what_is_wrong_of_a_part_is_taken_out_by_verification() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (blob, _) = import(&blobs, "part", SIZE).await;
    flip(&data(&blobs, blob), AT);
    refused(&blobs, blob).await;
    assert_eq!(blobs.held_ranges(blob).await.unwrap().len(), 2);
    let mut damage = blobs.damage();
    flip(&data(&blobs, blob), 0);
    let progress = watch::Sender::new(VerifyProgress::default());
    let damages = blobs.verify(&progress).await.unwrap();
    assert_eq!(damages.len(), 1);
    assert_eq!(damage.recv().await.unwrap(), Damaged::Blob(blob));
    let lost = AT / GROUP * GROUP;
    let held = blobs.held_ranges(blob).await.unwrap();
    assert_eq!(held, [GROUP..lost, lost + GROUP..SIZE as u64]);
    let damages = blobs.verify(&progress).await.unwrap();
    assert_eq!(damages.len(), 1, "it isn't whole yet");
    assert!(damage.try_recv().is_err());
}

#[tokio::test]
async fn a_file_cut_short_keeps_its_beginning_and_a_longer_one_all_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (cut, _) = import(&blobs, "cut", SIZE).await;
    let file = File::options().write(true).open(data(&blobs, cut)).unwrap();
    file.set_len(AT).unwrap();
    refused(&blobs, cut).await;
    let held = blobs.held_ranges(cut).await.unwrap();
    assert_eq!((held.len(), held[0].clone()), (1, 0..AT / GROUP * GROUP));
    let (long, bytes) = import(&blobs, "long", SIZE).await;
    let file = File::options()
        .write(true)
        .open(data(&blobs, long))
        .unwrap();
    file.set_len(SIZE as u64 + 1).unwrap();
    assert_eq!(read(&blobs, long).await, bytes);
    let (gone, _) = import(&blobs, "gone", SIZE).await;
    std::fs::remove_file(data(&blobs, gone)).unwrap();
    refused(&blobs, gone).await;
    assert_eq!(blobs.status(gone).await.unwrap(), BlobStatus::Missing);
    assert!(blobs.kept().await.unwrap().contains_key(&gone));
}

#[tokio::test]
async fn right_bytes_outlive_a_damaged_outboard() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (blob, bytes) = import(&blobs, "outboard", SIZE).await;
    let outboard = blobs.files().outboard(blob);
    let right = std::fs::read(&outboard).unwrap();
    flip(&outboard, 0);
    age(&data(&blobs, blob));
    assert_eq!(read(&blobs, blob).await, bytes);
    assert_eq!(std::fs::read(&outboard).unwrap(), right);
    std::fs::remove_file(&outboard).unwrap();
    age(&data(&blobs, blob));
    assert_eq!(read(&blobs, blob).await, bytes);
    assert_eq!(std::fs::read(&outboard).unwrap(), right);
}

#[tokio::test]
async fn what_a_file_looked_like_outlives_a_crash_and_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (blob, _) = import(&blobs, "crash", SIZE).await;
    let left = crashed(dir.path());
    assert!(!left.path().join("blobs/ledger").exists());
    let blobs = open(left.path()).await;
    flip(&data(&blobs, blob), AT);
    refused(&blobs, blob).await;
    // And of a file that is only older than it was, everything is right.
    let left = crashed(dir.path());
    let blobs = open(left.path()).await;
    age(&data(&blobs, blob));
    assert_eq!(read(&blobs, blob).await, noise("crash", SIZE));
}

#[tokio::test]
async fn a_crash_amid_mending_loses_no_reason() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (blob, _) = import(&blobs, "mending", SIZE).await;
    let tag = Keep::pin("kept").tag(blob);
    blobs.begin_mending(blob, vec![tag.clone()]).await.unwrap();
    blobs.store().tags().delete(tag).await.unwrap();
    blobs.collect().await.unwrap();
    assert_eq!(blobs.status(blob).await.unwrap(), BlobStatus::Missing);
    blobs.shutdown().await.unwrap();
    drop(blobs);
    let blobs = open(dir.path()).await;
    assert_eq!(blobs.kept().await.unwrap()[&blob], [Keep::pin("kept")]);
    assert_eq!(blobs.mending().await.unwrap(), []);
}

#[tokio::test]
async fn upkeep_finds_what_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (blob, _) = import(&blobs, "unread", SIZE).await;
    let (whole, bytes) = import(&blobs, "read", SIZE).await;
    let mut damage = blobs.damage();
    flip(&data(&blobs, blob), AT);
    blobs.maintain().await.unwrap();
    let told = timeout(SOON, damage.recv()).await.unwrap().unwrap();
    assert_eq!(told, Damaged::Blob(blob));
    assert_eq!(read(&blobs, whole).await, bytes);
}

#[tokio::test]
async fn a_blob_in_use_is_refused_until_what_is_wrong_can_be_taken_out() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let (blob, _) = import(&blobs, "in use", SIZE).await;
    let guard = blobs.guard(blob).await.unwrap();
    flip(&data(&blobs, blob), AT);
    refused(&blobs, blob).await;
    refused(&blobs, blob).await;
    let status = blobs.status(blob).await.unwrap();
    assert!(matches!(status, BlobStatus::Partial { held_bytes: 0, .. }));
    drop(guard);
    let mut damage = blobs.damage();
    blobs.maintain().await.unwrap();
    timeout(SOON, damage.recv()).await.unwrap().unwrap();
    let held = blobs.held_ranges(blob).await.unwrap();
    assert_eq!(held.len(), 2);
}

#[tokio::test]
async fn a_full_quota_does_not_keep_a_blob_from_being_mended() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 14 << 20).await;
    let (blob, _) = import(&blobs, "full", SIZE).await;
    let max_bytes = blobs.quota().usage().total_bytes();
    blobs.quota().set_max_bytes(max_bytes);
    flip(&data(&blobs, blob), 0);
    refused(&blobs, blob).await;
    let status = blobs.status(blob).await.unwrap();
    let held_bytes = SIZE as u64 - GROUP;
    let is_expected =
        matches!(status, BlobStatus::Partial { held_bytes: held, .. } if held == held_bytes);
    assert!(is_expected, "{status:?}");
    assert!(!matches!(
        blobs.source(blob).await,
        Ok(BlobSource::File { .. })
    ));
}
