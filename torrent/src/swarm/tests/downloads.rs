//! Torrents of others.

use super::{
    fakes::{Peer, Tracker},
    *,
};
use crate::{Magnet, MetainfoFault, bencode::Item};

const MIB: usize = 1 << 20;

/// Downloads that lack something give up after this.
const SOON: Duration = Duration::from_secs(2);

fn from(peers: &[SocketAddr]) -> DownloadOptions {
    DownloadOptions {
        peers: peers.to_vec(),
        stall_timeout: SOON,
        ..DownloadOptions::default()
    }
}

fn by_file(metainfo: &Metainfo) -> Wanted {
    Wanted::Metainfo(Box::new(metainfo.clone()))
}

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
    let again = leecher.get(by_file(&metainfo), &[]).await;
    assert_eq!(again.unwrap().files, got.files);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_downloaded_is_seeded_when_asked() {
    let (seeder, second, third) = (node().await, node().await, node().await);
    let metainfo = seeder.seed("film", &noise(21, MIB));
    let infohash = metainfo.info.infohash();
    seeder.is_live(infohash).await;
    let options = DownloadOptions {
        keep_seeding: true,
        ..from(&[seeder.addr()])
    };
    let into = second.path("into");
    let download = second.swarm.download(by_file(&metainfo), &into, options);
    download.await.unwrap().finished().await.unwrap();
    second.is_live(infohash).await;
    let taken = second
        .swarm
        .download(by_file(&metainfo), &into, from(&[]))
        .await;
    assert!(matches!(taken, Err(SwarmError::Taken { .. })));
    seeder.swarm.withdraw(infohash).await;
    third
        .get(by_file(&metainfo), &[second.addr()])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_pieces_are_not_kept() {
    let (seeder, leecher) = (node().await, node().await);
    let bytes = noise(22, 4 * MIB);
    let metainfo = seeder.seed("film", &bytes);
    let infohash = metainfo.info.infohash();
    seeder.is_live(infohash).await;
    let (liar, _lies) = Peer::Liar.listen(infohash, 4).await;
    let got = leecher
        .get(by_file(&metainfo), &[liar, seeder.addr()])
        .await;
    assert!(fs::read(&got.unwrap().files[0]).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_nothing_useful_gives_up() {
    let leecher = node().await;
    let (metainfo, _) = file(leecher.place.path(), "film", &noise(23, 2 * MIB));
    let infohash = metainfo.info.infohash();
    for peer in [Peer::Mute, Peer::Describes(Vec::new())] {
        let (addr, _peer) = peer.listen(infohash, 2).await;
        let into = leecher.path("into");
        let download = leecher
            .swarm
            .download(by_file(&metainfo), &into, from(&[addr]));
        let error = download.await.unwrap().finished().await.unwrap_err();
        assert!(matches!(error, SwarmError::Stalled { .. }), "{error}");
    }
    let magnet = |peers: &[SocketAddr]| {
        let (wanted, options) = (Wanted::Magnet(Magnet::new(infohash)), from(peers));
        let (swarm, into) = (leecher.swarm.clone(), leecher.path("into"));
        async move {
            let download = swarm.download(wanted, &into, options).await.unwrap();
            download.finished().await.unwrap_err()
        }
    };
    let error = magnet(&[]).await;
    assert!(matches!(error, SwarmError::NoWay { .. }), "{error}");
    let nobody = ([127, 0, 0, 1], 1).into();
    let error = magnet(&[nobody]).await;
    assert!(matches!(error, SwarmError::Stalled { .. }), "{error}");
    assert_eq!(leecher.swarm.torrents(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_are_read_strictly_before_a_path_is_made() {
    let leecher = node().await;
    let outside = Item::dict([
        ("length", Item::Integer(5)),
        ("path", Item::List(vec!["..".into(), "evil".into()])),
    ]);
    let info = |content: (&'static str, Item<'_>), piece_bytes| {
        let pieces = [0; 20];
        Item::dict([
            content,
            ("name", "a".into()),
            ("piece length", Item::Integer(piece_bytes)),
            ("pieces", Item::Bytes(&pieces)),
        ])
        .encode()
    };
    let length = || ("length", Item::Integer(5));
    for (bytes, is_refused_here) in [
        (info(("files", Item::List(vec![outside])), 1 << 20), false),
        (info(length(), 0), false),
        (info(length(), 1 << 30), true),
    ] {
        let infohash = InfoHash::of(&bytes);
        let (addr, _peer) = Peer::Describes(bytes).listen(infohash, 1).await;
        let wanted = Wanted::Magnet(Magnet::new(infohash));
        let error = leecher.get(wanted, &[addr]).await.unwrap_err();
        let here = matches!(
            error,
            SwarmError::Description {
                source: MetainfoFault::PieceLength { .. },
                ..
            }
        );
        assert_eq!(here, is_refused_here, "{error:?}");
        assert!(
            here || matches!(error, SwarmError::Unusable { .. }),
            "{error:?}"
        );
        assert_eq!(fs::read_dir(leecher.path("into")).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trackers_are_told_our_port_and_may_talk_garbage() {
    let mut garbage = Vec::new();
    for body in [
        b"".as_slice(),
        b"<html>",
        b"d8:intervali1ee",
        b"d5:peers6:\0\0\0\0\0\0e",
    ] {
        garbage.push(Tracker::listen(body.to_vec()).await);
    }
    let first = Tracker::of(&[]).await;
    let urls: Vec<String> = garbage
        .iter()
        .chain([&first])
        .map(|t| t.url.clone())
        .collect();
    let seeder = node_with(|options| options.trackers = urls).await;
    let unasked = file(seeder.place.path(), "other", &noise(24, MIB)).0;
    let metainfo = seeder.seed("film", &noise(25, MIB));
    until("the seed is announced", || !first.asked().is_empty()).await;
    let port = format!("port={}&", seeder.addr().port());
    let asked = first.asked().concat();
    assert!(asked.contains(&port), "{asked}");
    let hash = |metainfo: &Metainfo| {
        let bytes = *metainfo.info.infohash().as_bytes();
        percent_encoding::percent_encode(&bytes, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    assert!(asked.contains(&hash(&metainfo)), "{asked}");
    assert!(!asked.contains(&hash(&unasked)), "{asked}");

    let second = Tracker::of(&[seeder.addr()]).await;
    let mut known = metainfo.clone();
    known.announce_list = vec![
        garbage
            .iter()
            .chain([&second])
            .map(|t| t.url.clone())
            .collect(),
    ];
    let leecher = node().await;
    leecher.get(by_file(&known), &[]).await.unwrap();

    let silent = node_with(|options| options.trackers = vec![second.url.clone()]).await;
    let before = second.asked().len();
    let mut found = silent.swarm.find_peers(metainfo.info.infohash()).await;
    assert_eq!(
        timeout(LIMIT, found.recv()).await.unwrap(),
        Some(seeder.addr())
    );
    assert_eq!(second.asked().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_is_not_loaded_again() {
    let (seeder, leecher) = (node().await, node().await);
    let bytes = noise(26, 40 * MIB);
    let metainfo = seeder.seed("film", &bytes);
    seeder.is_live(metainfo.info.infohash()).await;
    let slow = Limits {
        download_bytes_per_s: std::num::NonZeroU32::new(16 << 20),
        upload_bytes_per_s: None,
    };
    leecher.swarm.set_limits(slow);
    let into = leecher.path("into");
    let download = leecher
        .swarm
        .download(by_file(&metainfo), &into, from(&[seeder.addr()]));
    let download = download.await.unwrap();
    let mut progress = download.progress();
    let half = progress.wait_for(|progress| progress.done_bytes > 20 * MIB as u64);
    timeout(LIMIT, half).await.unwrap().unwrap();
    // what a process leaves behind that is killed now
    let image = tempfile::tempdir().unwrap();
    copy(leecher.place.path(), image.path());
    drop(download);
    until("it was cancelled", || leecher.swarm.torrents().is_empty()).await;

    let lying = tempfile::tempdir().unwrap();
    copy(image.path(), lying.path());
    let part = lying
        .path()
        .join(format!("into/.{}.part/film", metainfo.info.infohash()));
    fs::write(
        &part,
        vec![0; fs::metadata(&part).unwrap().len().try_into().unwrap()],
    )
    .unwrap();

    for (place, least_saved) in [
        (leecher.place.path(), 20 * MIB),
        (image.path(), 16 * MIB),
        (lying.path(), 0),
    ] {
        let place = place.to_owned();
        let swarm = start(&place, |options| options.folder = place.join("state")).await;
        let into = place.join("into");
        let again = swarm.download(by_file(&metainfo), &into, from(&[seeder.addr()]));
        let got = timeout(LIMIT, again.await.unwrap().finished())
            .await
            .unwrap()
            .unwrap();
        assert!(fs::read(&got.files[0]).unwrap() == bytes);
        let received_bytes = swarm.totals().received_bytes;
        let saved = received_bytes + least_saved as u64 <= bytes.len() as u64;
        assert!(saved || least_saved == 0, "{received_bytes} bytes came");
        assert_eq!(fs::read_dir(into).unwrap().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_there_already_is_not_written_over() {
    let (seeder, leecher) = (node().await, node().await);
    let metainfo = seeder.seed("film", &noise(27, MIB));
    seeder.is_live(metainfo.info.infohash()).await;
    fs::create_dir(leecher.path("into")).unwrap();
    let mine = leecher.path("into").join("film");
    fs::write(&mine, noise(28, MIB)).unwrap();
    let error = leecher
        .get(by_file(&metainfo), &[seeder.addr()])
        .await
        .unwrap_err();
    assert!(matches!(error, SwarmError::Exists { .. }), "{error}");
    assert!(fs::read(mine).unwrap() == noise(28, MIB));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => fs::copy(entry.path(), target).map(drop).unwrap(),
        }
    }
}
