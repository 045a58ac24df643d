//! A peer that others wrote.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures_lite::StreamExt;
use librqbit::{
    AddTorrent, AddTorrentOptions, ListenerMode, ListenerOptions, Session, SessionOptions,
};
use tokio::time::{Instant, timeout};

use super::{KIB, MIB, content};
use crate::{
    Info, Metainfo, PieceHasher,
    leech::{Have, LeechError, LeechOptions, Leecher, Peer, Target},
};

/// Nothing here takes longer, however busy the machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Seeds a file in a folder, from loopback only, to whoever comes.
async fn seed(folder: &Path, name: &str, content: &[u8]) -> (Arc<Session>, SocketAddr, Info) {
    std::fs::write(folder.join(name), content).unwrap();
    let mut pieces = PieceHasher::new();
    pieces.push(content);
    let info = Info::of_file(name, content.len() as u64, &pieces.finish()).unwrap();
    let options = SessionOptions {
        dht: None,
        disable_trackers: true,
        disable_local_service_discovery: true,
        ipv4_only: true,
        listen: Some(ListenerOptions {
            mode: ListenerMode::TcpOnly,
            listen_addr: (Ipv4Addr::LOCALHOST, 0).into(),
            ipv4_only: true,
            ..ListenerOptions::default()
        }),
        ..SessionOptions::default()
    };
    let session = Session::new_with_opts(folder.to_owned(), options)
        .await
        .unwrap();
    let torrent = AddTorrent::from_bytes(Metainfo::new(info.clone()).encode());
    let options = AddTorrentOptions {
        overwrite: true,
        output_folder: Some(folder.to_str().unwrap().to_owned()),
        ..AddTorrentOptions::default()
    };
    let added = session.add_torrent(torrent, Some(options)).await.unwrap();
    let torrent = added.into_handle().unwrap();
    timeout(DEADLINE, torrent.wait_until_completed())
        .await
        .unwrap()
        .unwrap();
    let addr = session.listen_addr().unwrap();
    (session, addr, info)
}

async fn read(peer: &Peer, start: u64, end: u64) -> Result<Vec<u8>, LeechError> {
    let mut blocks = peer.read(start..end);
    let mut bytes = Vec::new();
    while let Some(part) = timeout(DEADLINE, blocks.next()).await.unwrap() {
        let (offset, part) = part?;
        assert_eq!(offset, start + bytes.len() as u64);
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_a_session_of_librqbit_are_byte_by_byte_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let length = 128 * MIB + 12_345;
    let content = content(length);
    let (session, addr, info) = seed(folder.path(), "a file.bin", &content).await;
    let target = Target {
        infohash: info.infohash(),
        piece_bytes: info.piece_bytes(),
        length_bytes: info.length_bytes(),
    };
    let leecher = Leecher::new(LeechOptions::default());
    let peer = timeout(DEADLINE, leecher.connect(addr, target))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*peer.has().borrow(), Have::All);
    let dictionary = timeout(DEADLINE, peer.info()).await.unwrap().unwrap();
    assert_eq!(dictionary, info.encoded());

    let start = Instant::now();
    let bytes = read(&peer, 0, length).await.unwrap();
    let took = start.elapsed();
    assert!(bytes == content);
    println!(
        "{} KiB/s in one read",
        u128::from(length / KIB) * 1000 / took.as_millis()
    );

    // places spread over all of it, some of them at once
    let ranges = (1..40_u64).map(|number| {
        let start = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % length;
        let bytes = number.wrapping_mul(0x2545_f491_4f6c_dd1d) % (2 * MIB) + 1;
        (start, length.min(start + bytes))
    });
    let reads = ranges.map(|(start, end)| {
        let peer = peer.clone();
        tokio::spawn(async move { (start, end, read(&peer, start, end).await.unwrap()) })
    });
    for read in reads.collect::<Vec<_>>() {
        let (start, end, bytes) = read.await.unwrap();
        let cut = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        assert!(bytes == content[cut], "{start} to {end}");
    }
    // what is dropped in the middle leaves the connection as it was
    let mut dropped = peer.read(0..length);
    assert!(
        timeout(DEADLINE, dropped.next())
            .await
            .unwrap()
            .unwrap()
            .is_ok()
    );
    drop(dropped);
    assert!(read(&peer, length - 5, length).await.unwrap() == content[content.len() - 5..]);

    session.stop().await;
    let ended = timeout(DEADLINE, peer.ended()).await.unwrap();
    assert!(matches!(ended, LeechError::Broke { .. }), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_librqbit_that_shares_another_torrent_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (session, addr, info) = seed(folder.path(), "small.bin", b"bytes").await;
    let target = Target {
        infohash: crate::InfoHash::of(b"another"),
        piece_bytes: info.piece_bytes(),
        length_bytes: info.length_bytes(),
    };
    let leecher = Leecher::new(LeechOptions::default());
    let error = timeout(DEADLINE, leecher.connect(addr, target))
        .await
        .unwrap();
    // it hangs up without a word
    let error = error.unwrap_err();
    assert!(matches!(error, LeechError::Broke { .. }), "{error:?}");
    session.stop().await;
}
