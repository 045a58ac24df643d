//! Imports that fail at the end, and removals that break off.

use std::{future::Future, pin::pin, task::Poll};

use n0_future::future::poll_fn;

use super::{
    intake::{Blocks, assert_gone, assert_held, file, folder, take},
    noise, open,
};
use crate::{BlobStatus, ImportError, Keep, StoreError};

const KIB: usize = 1 << 10;

/// Drops what is running after so many steps; says whether it had ended.
async fn broken_off<T>(running: impl Future<Output = T>, steps: usize) -> bool {
    let mut running = pin!(running);
    let mut step = 0;
    poll_fn(|context| {
        if step == steps {
            return Poll::Ready(false);
        }
        step += 1;
        running.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn a_removal_that_broke_off_leaves_nothing_that_the_next_one_does_not_find() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let mut blocks = Blocks::new();
    let large = file(&mut blocks, &noise("large", 300 * KIB), 100 * KIB, true);
    let root = folder(&mut blocks, &[("large", large)]);
    for steps in 1.. {
        take(&blobs, root, &blocks).await;
        let is_ended = broken_off(blobs.remove_dag(&root), steps).await;
        if !blobs.dags().await.unwrap().is_empty() {
            assert_held(&blobs, &blocks).await;
        }
        match steps % 2 {
            0 => drop(blobs.remove_dag(&root).await.unwrap()),
            _ => blobs.maintain().await.unwrap(),
        }
        let kept = blobs.kept().await.unwrap();
        if !kept.is_empty() {
            // It had not begun.
            assert_held(&blobs, &blocks).await;
            assert_eq!(blobs.dags().await.unwrap().len(), 1, "{steps} steps");
            blobs.remove_dag(&root).await.unwrap();
        }
        assert_eq!(blobs.kept().await.unwrap().len(), 0, "{steps} steps");
        blobs.collect().await.unwrap();
        assert_gone(&blobs, &blocks).await;
        if is_ended {
            return;
        }
    }
}

#[tokio::test]
async fn an_import_whose_names_can_not_be_written_leaves_no_reason_to_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let keep = Keep::pin("mine");
    let before = noise("before", 300 * KIB);
    let kept = blobs.import_bytes(before.clone(), &keep).await.unwrap();
    blobs.index().close();
    for bytes in [before, noise("after", 300 * KIB)] {
        let failed = blobs.import_bytes(bytes, &keep).await;
        let is_stopped = matches!(failed, Err(ImportError::Store(StoreError::Stopped)));
        assert!(is_stopped, "{failed:?}");
    }
    let reasons = blobs.kept().await.unwrap();
    assert_eq!(
        reasons.into_iter().collect::<Vec<_>>(),
        [(kept.blob, vec![keep])]
    );
    assert_eq!(blobs.list().await.unwrap(), [kept.blob]);
    assert!(matches!(
        blobs.status(kept.blob).await.unwrap(),
        BlobStatus::Complete { .. }
    ));
    assert_eq!(blobs.quota().usage().reserved_bytes, 0);
}
