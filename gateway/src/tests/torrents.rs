//! `/torrent/{infohash}`, `/webseed/{infohash}/...`, and the API of swarms.

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use data_encoding::BASE64;
use model::BlobId;

use super::{App, TOKEN, bearer, get, request, swarm_fake::Seeded, write};
use crate::{api::torrents::MAX_BODY_BYTES, node::Viewer};

const HASH: &str = "0101010101010101010101010101010101010101";

fn single(blob: BlobId) -> Seeded {
    Seeded {
        name: "a clip é.webm".to_owned(),
        metainfo: Bytes::from_static(b"d4:infod4:name1:aee"),
        files: BTreeMap::from([(vec!["bafk.webm".to_owned()], blob)]),
        denied: false,
    }
}

fn app() -> (App, BlobId) {
    let app = App::new();
    let blob = app.node.hold_file(&[7; 5_000]);
    app.node.seed(1, single(blob));
    (app, blob)
}

#[tokio::test]
async fn a_torrent_file_is_an_attachment_that_caches_ask_about_again() {
    let (app, _) = app();
    for name in [
        HASH.to_owned(),
        format!("{HASH}.torrent"),
        "AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIB".to_owned(),
    ] {
        let answer = app.get(&format!("/torrent/{name}")).await;
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.body, b"d4:infod4:name1:aee");
        assert_eq!(answer.header("content-type"), "application/x-bittorrent");
        assert_eq!(
            answer.header("content-disposition"),
            "attachment; filename=\"a clip _.webm.torrent\"; \
             filename*=UTF-8''a%20clip%20%C3%A9.webm.torrent"
        );
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(
        *app.node.last_viewer.lock().unwrap(),
        Some(Viewer::Stranger)
    );
}

#[tokio::test]
async fn the_etag_of_a_torrent_file_changes_with_its_bytes() {
    let (app, blob) = app();
    let path = format!("/torrent/{HASH}");
    let etag = app.get(&path).await.header("etag").to_owned();
    let again = || request("GET", &path, &[("if-none-match", &etag)], Body::empty());
    let answer = app.send(again()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let mut changed = single(blob);
    changed.metainfo = Bytes::from_static(b"d8:announce1:x4:infod4:name1:aee");
    app.node.seed(1, changed);
    assert_eq!(app.send(again()).await.status, 200);
    let head = app.send(request("HEAD", &path, &[], Body::empty())).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), "32");
}

#[tokio::test]
async fn torrents_that_are_unknown_denied_or_misnamed_are_told_apart() {
    let (app, blob) = app();
    let mut denied = single(blob);
    denied.denied = true;
    let denied = app.node.seed(2, denied);
    let unknown = "03".repeat(20);
    for prefix in ["/torrent/", "/webseed/"] {
        for (name, status, code) in [
            (denied.to_string(), 410, "denied"),
            (unknown.clone(), 404, "not_found"),
            ("nonsense".to_owned(), 400, "invalid"),
            (format!("{HASH}00"), 400, "invalid"),
        ] {
            let answer = app.get(&format!("{prefix}{name}")).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (status, code),
                "{prefix}{name}"
            );
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}

#[tokio::test]
async fn the_owner_gets_a_torrent_file_that_no_shared_cache_keeps() {
    let (app, _) = app();
    let token = bearer(TOKEN);
    let path = format!("/torrent/{HASH}");
    let headers = [("authorization", token.as_str())];
    let answer = app
        .send(request("GET", &path, &headers, Body::empty()))
        .await;
    assert!(answer.header("cache-control").starts_with("private"));
    assert_eq!(*app.node.last_viewer.lock().unwrap(), Some(Viewer::Owner));
}

#[tokio::test]
async fn a_single_file_is_a_web_seed_with_and_without_its_name() {
    let (app, _) = app();
    for path in [
        format!("/webseed/{HASH}"),
        format!("/webseed/{HASH}/"),
        format!("/webseed/{HASH}/bafk.webm"),
    ] {
        let range = [("range", "bytes=1024-2047")];
        let answer = app.send(request("GET", &path, &range, Body::empty())).await;
        assert_eq!(answer.status, 206, "{path}");
        assert_eq!(answer.body, [7; 1024]);
        assert_eq!(answer.header("content-range"), "bytes 1024-2047/5000");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let answer = app.send(request("HEAD", &path, &[], Body::empty())).await;
        assert_eq!(answer.header("content-length"), "5000");
        let past = [("range", "bytes=5000-")];
        let answer = app.send(request("GET", &path, &past, Body::empty())).await;
        assert_eq!(answer.status, 416);
    }
    let answer = app.get(&format!("/webseed/{HASH}/another.webm")).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn the_files_of_an_album_are_web_seeds_by_their_paths() {
    let app = App::new();
    let (first, second) = (app.node.hold_file(b"one"), app.node.hold_bytes(b"two"));
    let path = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let album = app.node.seed(
        1,
        Seeded {
            files: BTreeMap::from([
                (path(&["My album", "01 é.flac"]), first),
                (path(&["My album", "b", "02.flac"]), second),
            ]),
            ..Seeded::default()
        },
    );
    let base = format!("/webseed/{album}");
    let answer = app
        .get(&format!("{base}/My%20album/01%20%C3%A9.flac"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (200, &b"one"[..])
    );
    let answer = app.get(&format!("{base}/My%20album/b/02.flac")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (200, &b"two"[..])
    );
    for (path, status) in [
        ("", 404),
        ("/My%20album", 404),
        ("/My%20album/c", 404),
        ("/../../etc/passwd", 400),
        ("/%ff", 400),
    ] {
        let answer = app.get(&format!("{base}{path}")).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn a_download_is_asked_for_by_magnet_or_file_and_told_step_by_step() {
    let app = App::new();
    let magnet = r#"{"source": {"magnet": "magnet:?xt=urn:btih:x"}, "peers": ["127.0.0.1:1"]}"#;
    let answer = app.send(write("POST", "/api/v1/torrents", magnet)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let (progress, done) = answer.text().split_once("event: done").map_or_else(
        || panic!("no end: {}", answer.text()),
        |(progress, done)| (progress.to_owned(), done.to_owned()),
    );
    assert!(progress.contains("\"peers\":3") && done.contains("an infohash"));
    // Larger than any other JSON.
    let file = BASE64.encode(&vec![0; 3 << 20]);
    let body = format!("{{\"source\": {{\"file\": \"{file}\"}}}}");
    assert_eq!(
        app.send(write("POST", "/api/v1/torrents", &body))
            .await
            .status,
        200
    );
    let asked = app.node.swarm.asked.lock().unwrap().clone();
    assert_eq!(asked, ["magnet magnet:?xt=urn:btih:x", "file of 3145728"]);
}

#[tokio::test]
async fn downloads_that_are_too_large_or_no_downloads_never_reach_the_node() {
    let app = App::new();
    let long = format!(r#"{{"source": {{"magnet": "{}"}}}}"#, "m".repeat(70_000));
    let huge = format!(
        r#"{{"source": {{"file": "{}"}}}}"#,
        "A".repeat(MAX_BODY_BYTES)
    );
    let peers = format!(
        r#"{{"source": {{"magnet": "m"}}, "peers": [{}"a:1"]}}"#,
        r#""a:1","#.repeat(256)
    );
    for (body, status) in [
        (long.as_str(), 413),
        (huge.as_str(), 413),
        (peers.as_str(), 400),
        (r#"{"source": {"url": "x"}}"#, 400),
        (r#"{"source": {"file": "?"}}"#, 400),
        ("{}", 400),
    ] {
        let answer = app.send(write("POST", "/api/v1/torrents", body)).await;
        let shown: String = body.chars().take(40).collect();
        assert!(
            [status, 422].contains(&answer.status.as_u16()),
            "{} for {shown}",
            answer.status
        );
    }
    assert!(app.node.swarm.asked.lock().unwrap().is_empty());
    for path in ["/api/v1/torrents", "/api/v1/mirror", "/api/v1/mirror/audit"] {
        assert_eq!(app.send(get(path)).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_torrent_is_forgotten_by_the_owner_alone_and_once() {
    let (app, _) = app();
    let path = format!("/api/v1/torrents/{HASH}");
    let stranger = request("DELETE", &path, &[], Body::empty());
    assert_eq!(app.send(stranger).await.status, 401);
    assert_eq!(app.get(&format!("/torrent/{HASH}")).await.status, 200);
    assert_eq!(app.send(write("DELETE", &path, "")).await.status, 204);
    assert_eq!(app.send(write("DELETE", &path, "")).await.status, 404);
    let nonsense = write("DELETE", "/api/v1/torrents/nonsense", "");
    assert_eq!(app.send(nonsense).await.status, 400);
}

#[tokio::test]
async fn publicity_is_said_and_told_by_the_owner_alone() {
    let app = App::new();
    let blob = app.node.hold_bytes(b"mine");
    let path = format!("/api/v1/blobs/{blob}/publicity");
    assert_eq!(app.get(&path).await.status, 401);
    for word in ["gateway", "swarm", "peers"] {
        let body = format!(r#"{{"publicity": "{word}"}}"#);
        let said = app.send(write("PUT", &path, &body)).await.json();
        assert_eq!(
            (&said["publicity"], &said["chosen"]),
            (&word.into(), &word.into())
        );
        let told = app.send(write("GET", &path, "")).await.json();
        assert_eq!(told, said);
    }
    let answer = app
        .send(write("PUT", &path, r#"{"publicity": "world"}"#))
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn anyone_may_ask_where_bytes_came_from() {
    let app = App::new();
    let blob = app.node.hold_bytes(b"fetched");
    let answer = app.get(&format!("/api/v1/blobs/{blob}/sources")).await;
    let share = &answer.json()[0];
    assert_eq!(
        (&share["kind"], &share["state"], &share["bytes"]),
        (&"swarm".into(), &"active".into(), &7.into())
    );
    assert_eq!(
        *app.node.last_viewer.lock().unwrap(),
        Some(Viewer::Stranger)
    );
}
