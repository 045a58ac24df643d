use model::{BlobId, EntryId};

use super::{noise, open, open_with, read};
use crate::{BlobStatus, BlobsOptions, FetchError, ImportError, Keep, ReadError, unwatched};

#[tokio::test]
async fn collection_takes_what_nothing_keeps_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let entry = EntryId::of(b"post");
    let reasons = [
        Keep::pin(entry),
        Keep::Post { entry, index: 0 },
        Keep::Cache,
    ];
    let mut kept = Vec::new();
    for (n, reason) in reasons.iter().enumerate() {
        let bytes = noise(&format!("kept {n}"), 50_000);
        kept.push(blobs.import_bytes(bytes, reason).await.unwrap().blob);
    }
    let loose = blobs
        .import_bytes(noise("loose", 50_000), &Keep::Cache)
        .await
        .unwrap()
        .blob;
    let used = blobs
        .import_bytes(noise("used", 50_000), &Keep::Cache)
        .await
        .unwrap()
        .blob;
    for blob in [loose, used] {
        blobs.release(blob, &Keep::Cache).await.unwrap();
    }
    let guard = blobs.guard(used).await.unwrap();
    blobs.collect().await.unwrap();
    assert_eq!(blobs.status(loose).await.unwrap(), BlobStatus::Missing);
    for blob in kept.iter().chain([&used]) {
        let status = blobs.status(*blob).await.unwrap();
        assert_eq!(status, BlobStatus::Complete { size_bytes: 50_000 });
    }
    drop(guard);
    blobs.collect().await.unwrap();
    assert_eq!(blobs.status(used).await.unwrap(), BlobStatus::Missing);
    assert_eq!(blobs.kept().await.unwrap().len(), 3);
    // The last reason counts, not the first.
    blobs.keep(kept[0], &reasons[1]).await.unwrap();
    assert_eq!(blobs.release_all(&reasons[0]).await.unwrap(), 1);
    blobs.collect().await.unwrap();
    assert_ne!(blobs.status(kept[0]).await.unwrap(), BlobStatus::Missing);
}

#[tokio::test]
async fn collection_during_imports_takes_none_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let imports = async {
        let mut imported = Vec::new();
        for n in 0..30 {
            let bytes = noise(&format!("import {n}"), 100_000);
            let done = blobs.import_bytes(bytes, &Keep::pin("x")).await.unwrap();
            imported.push(done.blob);
        }
        imported
    };
    let collections = async {
        loop {
            blobs.collect().await.unwrap();
        }
    };
    let imported = tokio::select! {
        imported = imports => imported,
        () = collections => unreachable!(),
    };
    for blob in imported {
        assert_eq!(BlobId::of(&read(&blobs, blob).await), blob);
    }
}

#[tokio::test]
async fn the_cache_makes_room_longest_unused_first_and_pins_stay() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 7 << 20).await;
    let mib = |seed: &str| noise(seed, 1 << 20);
    let pinned = blobs
        .import_bytes(mib("pinned"), &Keep::pin("t"))
        .await
        .unwrap()
        .blob;
    let old = blobs
        .import_bytes(mib("old"), &Keep::Cache)
        .await
        .unwrap()
        .blob;
    let fresh = blobs
        .import_bytes(mib("fresh"), &Keep::Cache)
        .await
        .unwrap()
        .blob;
    {
        let mut ledger = blobs.ledger();
        ledger.used(pinned, 1);
        ledger.used(old, 2);
        ledger.used(fresh, 3);
    }
    let free = {
        let usage = blobs.quota().usage();
        usage.max_bytes - usage.total_bytes()
    };
    let size = usize::try_from(free).unwrap() - (512 << 10);
    let bytes = noise("needs room", size + (600 << 10));
    let newest = blobs
        .import_bytes(bytes, &Keep::pin("n"))
        .await
        .unwrap()
        .blob;
    let is_held = async |blob| blobs.status(blob).await.unwrap() != BlobStatus::Missing;
    assert!(is_held(pinned).await && is_held(newest).await && is_held(fresh).await);
    assert!(!is_held(old).await);
    // Evicting all of the cache would not do: then nothing is evicted.
    let refused = blobs
        .import_bytes(noise("far too big", 5 << 20), &Keep::Cache)
        .await;
    assert!(matches!(refused, Err(ImportError::Quota(_))));
    assert!(is_held(fresh).await);
}

#[tokio::test]
async fn the_cache_keeps_to_its_own_bound() {
    let dir = tempfile::tempdir().unwrap();
    let options = BlobsOptions {
        quota: crate::Quota::new(dir.path(), u64::MAX, 0),
        denied: Default::default(),
        cache_max_bytes: 250_000,
        pieces_min_bytes: crate::DEFAULT_PIECES_MIN_BYTES,
    };
    let blobs = crate::Blobs::open(&dir.path().join("blobs"), options)
        .await
        .unwrap();
    let mut all = Vec::new();
    for n in 0..5 {
        let bytes = noise(&format!("cached {n}"), 100_000);
        all.push(blobs.import_bytes(bytes, &Keep::Cache).await.unwrap().blob);
        blobs.ledger().used(all[n], n as u64);
    }
    blobs.maintain().await.unwrap();
    let mut left = blobs.list().await.unwrap();
    left.sort();
    let mut expected = all[3..].to_vec();
    expected.sort();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn denied_blobs_are_gone_and_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let bytes = noise("denied", 50_000);
    let blob = blobs
        .import_bytes(bytes.clone(), &Keep::pin("x"))
        .await
        .unwrap()
        .blob;
    blobs.deny(blob).await.unwrap();
    assert_eq!(blobs.status(blob).await.unwrap(), BlobStatus::Missing);
    assert!(matches!(
        blobs.source(blob).await,
        Err(ReadError::Denied(_))
    ));
    let refused = blobs.import_bytes(bytes.clone(), &Keep::pin("x")).await;
    assert!(matches!(refused, Err(ImportError::Denied(_))));
    blobs.collect().await.unwrap();
    assert_eq!(blobs.status(blob).await.unwrap(), BlobStatus::Missing);
    let endpoint = super::network::endpoint().await;
    let fetcher = crate::Fetcher::new(blobs.clone(), endpoint.clone());
    let refused = fetcher
        .fetch(blob, [], &Default::default(), &unwatched())
        .await;
    assert!(matches!(refused, Err(FetchError::Denied(_))));
    endpoint.close().await;
    blobs.allow(blob);
    blobs.import_bytes(bytes, &Keep::pin("x")).await.unwrap();
}

#[tokio::test]
async fn last_uses_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let blob = blobs
        .import_bytes(noise("used", 10), &Keep::Cache)
        .await
        .unwrap()
        .blob;
    let used_ms = blobs.ledger().used_ms(blob);
    assert!(used_ms > 0);
    blobs.shutdown().await.unwrap();
    assert!(
        blobs.status(blob).await.is_err(),
        "a closed store only fails"
    );
    drop(blobs);
    assert_eq!(open(dir.path()).await.ledger().used_ms(blob), used_ms);
}

#[tokio::test]
async fn what_rules_ask_for_goes_for_promises_only_and_the_least_worth_first() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 8 << 20).await;
    let mut mirrored = Vec::new();
    for n in 0..3 {
        let bytes = noise(&format!("mirrored {n}"), 1 << 20);
        mirrored.push(blobs.import_bytes(bytes, &Keep::Mirror).await.unwrap().blob);
    }
    blobs.set_eviction_order(&[mirrored[1], mirrored[2], mirrored[0]]);
    let is_held = async |blob| blobs.status(blob).await.unwrap() != BlobStatus::Missing;
    let free_bytes = {
        let usage = blobs.quota().usage();
        usize::try_from(usage.max_bytes - usage.total_bytes()).unwrap()
    };
    let big = noise("big", free_bytes + (100 << 10));
    let cached = blobs.import_bytes(big.clone(), &Keep::Cache).await;
    assert!(matches!(cached, Err(ImportError::Quota(_))));
    for blob in &mirrored {
        assert!(is_held(*blob).await);
    }
    blobs.import_bytes(big, &Keep::pin("p")).await.unwrap();
    assert!(!is_held(mirrored[1]).await);
    assert!(is_held(mirrored[2]).await && is_held(mirrored[0]).await);
    assert!(blobs.make_way(1_300 << 10).await.unwrap());
    assert!(!is_held(mirrored[2]).await && is_held(mirrored[0]).await);
    assert!(
        !blobs.make_way(7 << 20).await.unwrap(),
        "what is pinned stays"
    );
    assert!(is_held(mirrored[0]).await);
}

#[tokio::test]
async fn reasons_follow_what_rules_ask_for() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut all = Vec::new();
    for n in 0..4 {
        let bytes = noise(&format!("followed {n}"), 20_000);
        let imported = blobs.import_bytes(bytes, &Keep::Mirror).await.unwrap();
        all.push(imported.blob);
    }
    blobs.keep(all[3], &Keep::pin("p")).await.unwrap();
    blobs.keep(all[2], &Keep::Cache).await.unwrap();
    blobs
        .mirror(&[all[0]], &[all[1]], &[all[2], all[3]])
        .await
        .unwrap();
    let kept = blobs.kept().await.unwrap();
    assert_eq!(kept[&all[0]], [Keep::Mirror]);
    assert_eq!(kept[&all[1]], [Keep::Cache]);
    assert_eq!(kept[&all[3]], [Keep::pin("p")]);
    assert_eq!(blobs.status(all[2]).await.unwrap(), BlobStatus::Missing);
    assert_ne!(blobs.status(all[3]).await.unwrap(), BlobStatus::Missing);
}

#[tokio::test]
async fn what_grew_beside_the_store_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(dir.path(), 8 << 20).await;
    let mirrored = blobs.import_bytes(noise("m", 1 << 20), &Keep::Mirror).await;
    let cached = blobs.import_bytes(noise("c", 1 << 20), &Keep::Cache).await;
    let pinned = blobs
        .import_bytes(noise("p", 1 << 20), &Keep::pin("p"))
        .await;
    let (mirrored, cached, pinned) = (
        mirrored.unwrap().blob,
        cached.unwrap().blob,
        pinned.unwrap().blob,
    );
    let is_held = async |blob| blobs.status(blob).await.unwrap() != BlobStatus::Missing;
    let free_bytes = {
        let usage = blobs.quota().usage();
        usage.max_bytes - usage.total_bytes()
    };
    blobs.shed().await.unwrap();
    assert!(is_held(cached).await, "there is room");
    blobs.quota().set_other_bytes(free_bytes + 1);
    blobs.shed().await.unwrap();
    assert!(!is_held(cached).await && is_held(mirrored).await);
    blobs.quota().set_other_bytes(8 << 20);
    blobs.shed().await.unwrap();
    assert!(!is_held(mirrored).await && is_held(pinned).await);
}
