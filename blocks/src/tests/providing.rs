use model::BlobId;

use super::{network::Node, noise};
use crate::{FetchError, FetchOptions, Keep, PeerFault, ProviderLimits, Sent, unwatched};

#[tokio::test]
async fn the_provider_knows_who_got_what_in_full() {
    let dir = tempfile::tempdir().unwrap();
    let giver = Node::start(&dir.path().join("giver")).await;
    let taker = Node::start(&dir.path().join("taker")).await;
    let bytes = noise("delivered", 500_000);
    let blob = giver
        .blobs
        .import_bytes(bytes, &Keep::pin("x"))
        .await
        .unwrap()
        .blob;
    let mut deliveries = giver.provider.deliveries();
    let half = FetchOptions {
        range: Some(0..200_000),
        ..FetchOptions::default()
    };
    let from = giver.addr();
    let watch = unwatched();
    taker
        .fetcher
        .fetch(blob, [from.clone()], &half, &watch)
        .await
        .unwrap();
    assert!(giver.provider.sent_to(blob).is_empty());
    let all = FetchOptions::default();
    taker
        .fetcher
        .fetch(blob, [from], &all, &watch)
        .await
        .unwrap();
    let peer = taker.endpoint.id();
    assert_eq!(deliveries.recv().await.unwrap(), Sent { blob, peer });
    assert_eq!(giver.provider.sent_to(blob), [peer]);
    let sent_bytes = giver.provider.sent_bytes();
    assert!((500_000..600_000).contains(&sent_bytes), "{sent_bytes}");
    assert_eq!(giver.provider.sent_bytes_by_peer()[&peer], sent_bytes);
    giver.stop().await;
    taker.stop().await;
}

#[tokio::test]
async fn what_is_denied_or_unlisted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let listed = noise("listed", 50_000);
    let public = BlobId::of(&listed);
    let gate = move |blob, _| blob == public;
    let limits = ProviderLimits::default();
    let giver = Node::with(&dir.path().join("giver"), u64::MAX, gate, limits).await;
    let taker = Node::start(&dir.path().join("taker")).await;
    let keep = Keep::pin("x");
    giver.blobs.import_bytes(listed, &keep).await.unwrap();
    let secret = noise("secret", 50_000);
    let secret = giver.blobs.import_bytes(secret, &keep).await.unwrap().blob;
    let options = FetchOptions::default();
    let watch = unwatched();
    let fetch = async |blob| {
        taker
            .fetcher
            .fetch(blob, [giver.addr()], &options, &watch)
            .await
    };
    let refused = fetch(secret).await;
    assert!(
        matches!(
            &refused,
            Err(FetchError::NoPeer { faults, .. }) if matches!(*faults[0].fault, PeerFault::Refused)
        ),
        "{refused:?}"
    );
    fetch(public).await.unwrap();
    taker.blobs.delete(public).await.unwrap();
    giver.blobs.deny(public).await.unwrap();
    assert!(fetch(public).await.is_err());
    giver.stop().await;
    taker.stop().await;
}

#[tokio::test]
async fn who_asks_too_much_is_told_to_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ProviderLimits {
        requests_per_peer: 0,
        ..ProviderLimits::default()
    };
    let giver = Node::with(&dir.path().join("giver"), u64::MAX, |_, _| true, limits).await;
    let taker = Node::start(&dir.path().join("taker")).await;
    let blob = giver
        .blobs
        .import_bytes(noise("busy", 50_000), &Keep::Cache)
        .await
        .unwrap()
        .blob;
    let busy = taker
        .fetcher
        .fetch(blob, [giver.addr()], &FetchOptions::default(), &unwatched())
        .await;
    assert!(
        matches!(
            &busy,
            Err(FetchError::NoPeer { faults, .. }) if matches!(*faults[0].fault, PeerFault::Busy)
        ),
        "{busy:?}"
    );
    giver.stop().await;
    taker.stop().await;
}
