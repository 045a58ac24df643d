//! Torrents of others.

use super::*;

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_torrent_comes_by_its_link_and_is_there_when_asked_again() {
    let (seeder, leecher) = (node().await, node().await);
    let bytes = noise(20, 2 * MIB);
    let metainfo = seeder.seed("film", &bytes);
    seeder.is_live(metainfo.info.infohash()).await;
    let mut magnet = metainfo.magnet();
    magnet.peers = vec![seeder.addr().to_string().parse().unwrap()];
    let got = leecher.get(Wanted::Magnet(magnet), &[]).await.unwrap();
    assert_eq!(fs::read(&got.files[0]).unwrap(), bytes);
    assert_eq!(leecher.swarm.torrents(), [], "nothing is seeded unasked");
    seeder.swarm.withdraw(metainfo.info.infohash()).await;
    let again = leecher.get(Wanted::Metainfo(Box::new(metainfo)), &[]).await;
    assert_eq!(again.unwrap().files, got.files);
}
