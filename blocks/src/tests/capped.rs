use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use iroh::protocol::Router;
use n0_future::boxed::BoxFuture;

use super::{
    network::{Node, endpoint},
    noise, open_with,
};
use crate::{
    ALPN, FetchError, FetchOptions, Keep, PeerFault, Provider, ProviderLimits, Throttle, unwatched,
};

const LENGTH: usize = 1 << 20;

/// Counts, and lets everything go as long as anything may.
#[derive(Debug, Default)]
struct Counter {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    is_spent: AtomicBool,
}

impl Throttle for Counter {
    fn send(&self, bytes: u64) -> BoxFuture<()> {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }

    fn receive(&self, bytes: u64) -> BoxFuture<()> {
        self.received_bytes.fetch_add(bytes, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }

    fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn every_byte_is_asked_for_and_nothing_is_given_when_all_is_spent() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open_with(&dir.path().join("giver"), u64::MAX).await;
    let giving = Arc::new(Counter::default());
    let limits = ProviderLimits::default();
    let (protocol, service, _provider) =
        Provider::throttled(&blobs, |_, _| true, limits, giving.clone());
    let giver = Router::builder(endpoint().await)
        .accept(ALPN, protocol)
        .spawn();
    let service = tokio::spawn(service.run());
    let taker = Node::start(&dir.path().join("taker")).await;
    let taking = Arc::new(Counter::default());
    taker.fetcher.set_throttle(taking.clone());
    let keep = Keep::pin("x");
    let fetch = async |name| {
        let bytes = noise(name, LENGTH);
        let blob = blobs.import_bytes(bytes, &keep).await.unwrap().blob;
        let from = giver.endpoint().addr();
        let options = FetchOptions::default();
        taker
            .fetcher
            .fetch(blob, [from], &options, &unwatched())
            .await
    };
    fetch("while there is something").await.unwrap();
    for counted in [&giving.sent_bytes, &taking.received_bytes] {
        let bytes = counted.load(Ordering::Relaxed);
        assert!(
            (LENGTH as u64..LENGTH as u64 * 11 / 10).contains(&bytes),
            "{bytes}"
        );
    }
    giving.is_spent.store(true, Ordering::Relaxed);
    let refused = fetch("when all is spent").await;
    assert!(
        matches!(
            &refused,
            Err(FetchError::NoPeer { faults, .. }) if matches!(*faults[0].fault, PeerFault::Busy)
        ),
        "{refused:?}"
    );
    giver.shutdown().await.unwrap();
    service.await.unwrap();
    blobs.shutdown().await.unwrap();
    taker.stop().await;
}
