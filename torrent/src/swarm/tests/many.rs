//! A thousand torrents: memory and descriptors, measured in a process of its own.

use std::process::Command;

use super::*;

const TORRENTS: u64 = 1_000;
/// The engine keeps a file open for each torrent in the session.
const LIVE: usize = 200;
const MAX_GROWN_BYTES: u64 = 100 << 20;
const MAX_DESCRIPTORS: usize = 400;

#[test]
fn a_thousand_torrents_take_little() {
    let me = std::env::current_exe().unwrap();
    let measured = Command::new(me)
        .args(["--exact", "--ignored", "swarm::tests::many::measure"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&measured.stdout);
    assert!(measured.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures its process, which has to be alone: started by the test above"]
async fn measure() {
    let seeder = node_with(|options| options.max_live = LIVE).await;
    let leecher = node().await;
    let seeds: Vec<_> = (0..TORRENTS)
        .map(|number| {
            file(
                seeder.place.path(),
                &number.to_string(),
                &noise(number, 20_000),
            )
        })
        .collect();
    let before_bytes = resident_bytes();
    for (_, seed) in &seeds {
        seeder.swarm.offer(seed.clone());
    }
    until("the places are taken", || {
        seeder.swarm.totals().live_torrents == LIVE
    })
    .await;
    for (metainfo, _) in seeds.iter().step_by(20) {
        seeder.swarm.wake(metainfo.info.infohash()).await.unwrap();
        let wanted = Wanted::Metainfo(Box::new(metainfo.clone()));
        leecher.get(wanted, &[seeder.addr()]).await.unwrap();
    }
    let totals = seeder.swarm.totals();
    assert_eq!(totals.offered_torrents, seeds.len());
    assert!(totals.live_torrents <= LIVE, "{totals:?}");
    let grown_bytes = resident_bytes().saturating_sub(before_bytes);
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    println!("{} MiB more, {descriptors} descriptors", grown_bytes >> 20);
    assert!(grown_bytes < MAX_GROWN_BYTES, "{grown_bytes} bytes more");
    assert!(descriptors < MAX_DESCRIPTORS, "{descriptors} descriptors");
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}
