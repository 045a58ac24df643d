//! Seeds: what goes in, what comes out, what is read.

use super::*;

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_seeded_where_it_lies() {
    let (seeder, leecher) = (node().await, node().await);
    let bytes = noise(1, 3 * MIB + 5);
    let metainfo = seeder.seed("film.mkv", &bytes);
    seeder.is_live(metainfo.info.infohash()).await;
    let before = seeder.disk_bytes();
    let wanted = Wanted::Metainfo(Box::new(metainfo.clone()));
    let got = leecher.get(wanted, &[seeder.addr()]).await.unwrap();
    assert_eq!(got.info, metainfo.info);
    assert_eq!(got.files, [leecher.path("into").join("film.mkv")]);
    assert_eq!(fs::read(&got.files[0]).unwrap(), bytes);
    let grown_bytes = seeder.disk_bytes() - before;
    assert!(
        grown_bytes < 64 << 10,
        "{grown_bytes} bytes beside the one copy"
    );
    let totals = seeder.swarm.totals();
    assert!(totals.sent_bytes >= bytes.len() as u64, "{totals:?}");
    assert_eq!((totals.live_torrents, totals.offered_torrents), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_album_is_seeded_from_all_its_files() {
    let (seeder, leecher) = (node().await, node().await);
    let files = [
        ("a/first.flac", noise(2, MIB + 7)),
        ("a/none.txt", Vec::new()),
        ("b.flac", noise(3, 2 * MIB)),
        ("cover.jpg", noise(4, 100)),
    ];
    let paths = files.iter().enumerate().map(|(index, (_, bytes))| {
        let path = seeder.path(&index.to_string());
        fs::write(&path, bytes).unwrap();
        path
    });
    let paths = paths.collect();
    let listed = files
        .iter()
        .map(|(path, bytes)| (*path, bytes.len() as u64));
    let hashes = pieces(files.iter().map(|(_, bytes)| bytes.as_slice()));
    let info = Info::of_files("Album", listed, &hashes).unwrap();
    let metainfo = Metainfo::new(info);
    seeder.swarm.offer(Seed {
        metainfo: metainfo.clone(),
        files: paths,
        rarity: 0,
    });
    seeder.is_live(metainfo.info.infohash()).await;
    let magnet = metainfo.magnet();
    let got = leecher
        .get(Wanted::Magnet(magnet), &[seeder.addr()])
        .await
        .unwrap();
    for ((path, bytes), file) in files.iter().zip(&got.files) {
        assert_eq!(*file, leecher.path("into").join("Album").join(path));
        assert!(fs::read(file).unwrap() == *bytes, "{path}");
    }
    let left = fs::read_dir(leecher.path("into")).unwrap().count();
    assert_eq!(left, 1, "only the album");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_stops_at_once() {
    let (seeder, leecher) = (node().await, node().await);
    seeder.swarm.set_limits(Limits {
        upload_bytes_per_s: std::num::NonZeroU32::new(1 << 20),
        download_bytes_per_s: None,
    });
    let metainfo = seeder.seed("long", &noise(5, 30 * MIB));
    let infohash = metainfo.info.infohash();
    seeder.is_live(infohash).await;
    let wanted = Wanted::Metainfo(Box::new(metainfo));
    let options = DownloadOptions {
        peers: vec![seeder.addr()],
        ..DownloadOptions::default()
    };
    let into = leecher.path("into");
    let download = leecher
        .swarm
        .download(wanted, &into, options)
        .await
        .unwrap();
    let mut progress = download.progress();
    let some = progress.wait_for(|progress| progress.done_bytes > 0);
    timeout(LIMIT, some).await.unwrap().unwrap();
    seeder.swarm.withdraw(infohash).await;
    let sent_bytes = seeder.swarm.totals().sent_bytes;
    assert_eq!(seeder.swarm.torrents(), []);
    let error = seeder.swarm.wake(infohash).await.unwrap_err();
    assert!(matches!(error, SwarmError::NotOffered { .. }), "{error}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(seeder.swarm.totals().sent_bytes, sent_bytes);
    drop(download);
    until("the download is gone", || {
        leecher.swarm.torrents().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_comes_in_and_another_goes() {
    let node = node_with(|options| options.max_live = 1).await;
    let first = node.seed("first", &noise(6, MIB)).info.infohash();
    node.is_live(first).await;
    let second = node.seed("second", &noise(7, MIB)).info.infohash();
    assert!(node.swarm.wake(second).await.unwrap());
    assert!(!node.swarm.wake(second).await.unwrap(), "it is in");
    let live: Vec<_> = node.swarm.torrents();
    let live = live.iter().filter(|torrent| torrent.is_live);
    assert_eq!(
        live.map(|torrent| torrent.infohash).collect::<Vec<_>>(),
        [second]
    );
    node.swarm.pause();
    until("all are out", || node.swarm.totals().live_torrents == 0).await;
    assert!(!node.swarm.wake(first).await.unwrap());
    node.swarm.resume();
    node.is_live(first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_hashes_nothing_anew() {
    let place = tempfile::tempdir().unwrap();
    let (metainfo, seed) = file(place.path(), "large", &noise(8, 64 * MIB));
    let infohash = metainfo.info.infohash();
    let read_bytes = async |seed: &Seed| {
        let swarm = start(place.path(), |_| {}).await;
        swarm.offer(seed.clone());
        swarm.wake(infohash).await.unwrap();
        let read_bytes = swarm.entry(infohash).unwrap().read_bytes();
        swarm.stop().await;
        read_bytes
    };
    for _ in 0..2 {
        let read_bytes = read_bytes(&seed).await;
        assert!(
            read_bytes < 16 << 20,
            "{read_bytes} bytes of 64 MiB were read"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_changed_are_not_served() {
    let node = node().await;
    let mut events = node.swarm.events();
    let bytes = noise(9, 2 * MIB);
    let metainfo = node.seed("film", &bytes);
    let infohash = metainfo.info.infohash();
    node.is_live(infohash).await;
    let leecher = super::node().await;
    // touched only: its bytes are checked, and it is served
    let path = node.path("film.blob");
    touch(&path, 1);
    let wanted = || Wanted::Metainfo(Box::new(metainfo.clone()));
    leecher.get(wanted(), &[node.addr()]).await.unwrap();
    // other bytes of the same length
    fs::write(&path, noise(10, 2 * MIB)).unwrap();
    touch(&path, 2);
    let leecher = super::node().await;
    let options = DownloadOptions {
        peers: vec![node.addr()],
        ..DownloadOptions::default()
    };
    let into = leecher.path("into");
    let download = leecher
        .swarm
        .download(wanted(), &into, options)
        .await
        .unwrap();
    let event = timeout(LIMIT, events.recv()).await.unwrap().unwrap();
    let reason = WithdrawReason::Damaged;
    assert_eq!(event, SwarmEvent::Withdrawn { infohash, reason });
    assert_eq!(node.swarm.torrents(), []);
    assert_eq!(
        leecher.swarm.totals().received_bytes,
        0,
        "nothing wrong was sent"
    );
    drop(download);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_was_offered_does_not_come_in() {
    let mut reasons = Vec::new();
    for (change, sampled) in [("cut", false), ("remove", false), ("damage", true)] {
        let node = node().await;
        node.swarm.pause();
        let mut events = node.swarm.events();
        let (metainfo, seed) = file(node.place.path(), "film", &noise(11, MIB));
        let path = node.path("film.blob");
        match change {
            "cut" => fs::write(&path, b"short").unwrap(),
            "remove" => fs::remove_file(&path).unwrap(),
            _ => fs::write(&path, noise(12, MIB)).unwrap(),
        }
        node.swarm.offer(seed);
        node.swarm.resume();
        let woken = node.swarm.wake(metainfo.info.infohash()).await;
        assert!(woken.is_err(), "{change} {sampled}");
        let event = timeout(LIMIT, events.recv()).await.unwrap().unwrap();
        let SwarmEvent::Withdrawn { reason, .. } = event;
        reasons.push(reason);
    }
    let expected = [
        WithdrawReason::Changed { file: 0 },
        WithdrawReason::Unreadable { file: 0 },
        WithdrawReason::Damaged,
    ];
    assert_eq!(reasons, expected);
}

fn touch(path: &Path, hours: u64) {
    let file = fs::File::options().append(true).open(path).unwrap();
    let at = std::time::UNIX_EPOCH + Duration::from_secs(hours * 3600);
    file.set_modified(at).unwrap();
}

impl Node {
    /// Bytes that all files of this node take on disk.
    fn disk_bytes(&self) -> u64 {
        fn of(path: &Path) -> u64 {
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
            entries
                .map(|entry| match entry.file_type().unwrap().is_dir() {
                    true => of(&entry.path()),
                    false => {
                        std::os::unix::fs::MetadataExt::blocks(&entry.metadata().unwrap()) * 512
                    }
                })
                .sum()
        }
        of(self.place.path())
    }
}
