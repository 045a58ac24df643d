//! Caps, over real sockets and in real time.

use std::num::NonZeroU32;

use super::*;

const CAP: u32 = 4 << 20;
const LONG: Duration = Duration::from_secs(3);

fn only(up: Option<u32>, down: Option<u32>) -> Limits {
    Limits {
        upload_bytes_per_s: up.and_then(NonZeroU32::new),
        download_bytes_per_s: down.and_then(NonZeroU32::new),
    }
}

/// Bytes a second that come over three seconds after some idle ones, and after a change.
async fn measured(seeder: &Node, leecher: &Node, number: u64) -> f64 {
    let metainfo = seeder.seed("film", &noise(number, 40 << 20));
    seeder.is_live(metainfo.info.infohash()).await;
    // caps fill up while nothing is sent
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let options = DownloadOptions {
        peers: vec![seeder.addr()],
        ..DownloadOptions::default()
    };
    let (wanted, into) = (Wanted::Metainfo(Box::new(metainfo)), leecher.path("into"));
    let download = leecher
        .swarm
        .download(wanted, &into, options)
        .await
        .unwrap();
    until("bytes come", || leecher.swarm.totals().received_bytes > 0).await;
    let start = Instant::now();
    tokio::time::sleep(LONG).await;
    let received_bytes = leecher.swarm.totals().received_bytes as f64;
    let rate = received_bytes / start.elapsed().as_secs_f64();
    seeder.swarm.set_limits(only(None, None));
    leecher.swarm.set_limits(only(None, None));
    timeout(LIMIT, download.finished()).await.unwrap().unwrap();
    rate
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_hold_from_the_start_and_can_be_lifted() {
    for (up, down) in [(Some(CAP), None), (None, Some(CAP))] {
        let seeder = node_with(|options| options.limits = only(up, None)).await;
        let leecher = node().await;
        leecher.swarm.set_limits(only(None, down));
        let rate = measured(&seeder, &leecher, 30).await / f64::from(CAP);
        assert!((0.85..=1.05).contains(&rate), "{rate} of the cap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_torrent_has_a_cap() {
    let seeder = node().await;
    let torrent = seeder.seed("a", &noise(31, 40 << 20));
    let infohash = torrent.info.infohash();
    seeder.is_live(infohash).await;
    let owner = || seeder.swarm.entry(infohash).unwrap().owner();
    let before = owner();
    seeder.swarm.set_torrent_limits(only(Some(CAP), None));
    until("it left and came back", || {
        owner().is_some_and(|owner| Some(owner) != before)
    })
    .await;
    let leecher = node().await;
    let options = DownloadOptions {
        peers: vec![seeder.addr()],
        ..DownloadOptions::default()
    };
    let (wanted, into) = (Wanted::Metainfo(Box::new(torrent)), leecher.path("into"));
    let _download = leecher
        .swarm
        .download(wanted, &into, options)
        .await
        .unwrap();
    // what gathered up in a second comes first
    until("bytes come", || {
        leecher.swarm.totals().received_bytes > u64::from(CAP)
    })
    .await;
    let (start, before) = (Instant::now(), leecher.swarm.totals().received_bytes);
    tokio::time::sleep(LONG).await;
    let received_bytes = leecher.swarm.totals().received_bytes - before;
    let rate = received_bytes as f64 / start.elapsed().as_secs_f64() / f64::from(CAP);
    assert!((0.85..=1.05).contains(&rate), "{rate} of the cap");
}
