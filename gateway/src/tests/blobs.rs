//! `/ipfs/{cid}` from a file, from memory and from peers.

use std::{sync::atomic::Ordering, time::Duration};

use axum::body::Body;
use model::{BlobId, EntryId};

use super::{Answer, App, fake::SILENT, request};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0123456789abcdefghijklmnopqrstuvwxyz";

impl App {
    async fn ranged(&self, cid: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(
            "GET",
            &format!("/ipfs/{cid}"),
            headers,
            Body::empty(),
        ))
        .await
    }
}

#[tokio::test]
async fn ranges_are_the_same_wherever_the_bytes_are() {
    let bytes: Vec<u8> = [PNG, &vec![7; 700_000]].concat();
    let app = App::new();
    let size = bytes.len();
    let last = size - 1;
    let table = [
        (None, 200, Some(0..size)),
        (Some("bytes=0-0"), 206, Some(0..1)),
        (Some("bytes=8-17"), 206, Some(8..18)),
        (Some("bytes=262140-600000"), 206, Some(262_140..600_001)),
        (Some("bytes=700000-"), 206, Some(700_000..size)),
        (Some("bytes=-5"), 206, Some(size - 5..size)),
        (Some("bytes=6-16,0-4"), 206, Some(6..17)),
        (Some("bytes=9999999-,0-4"), 416, None),
        (Some("bytes=x-y"), 200, Some(0..size)),
        (Some("bytes=9999999-"), 416, None),
        (Some("bytes=-0"), 416, None),
    ];
    let holders: [fn(&App, &[u8]) -> BlobId; 3] = [
        |app, bytes| app.node.hold_file(bytes),
        |app, bytes| app.node.hold_bytes(bytes),
        |app, bytes| app.node.hold_partly(bytes),
    ];
    for hold in holders {
        let cid = hold(&app, &bytes).to_string();
        for (range, status, part) in &table {
            let headers: Vec<_> = range.iter().map(|range| ("range", *range)).collect();
            let answer = app.ranged(&cid, &headers).await;
            assert_eq!(answer.status.as_u16(), *status, "{range:?}");
            let Some(part) = part else {
                assert_eq!(answer.header("content-range"), format!("bytes */{size}"));
                assert_eq!(answer.code(), "bad_range");
                continue;
            };
            assert!(answer.body == bytes[part.clone()], "{range:?}");
            assert_eq!(answer.header("content-length"), part.len().to_string());
            let content_range = match *status {
                206 => format!("bytes {}-{}/{size}", part.start, (part.end - 1).min(last)),
                _ => String::new(),
            };
            assert_eq!(answer.header("content-range"), content_range);
        }
    }
}

#[tokio::test]
async fn a_blob_is_immutable_sandboxed_and_readable_by_anyone() {
    let app = App::new();
    let cid = app.node.hold_bytes(PNG).to_string();
    let answer = app.ranged(&cid, &[]).await;
    assert_eq!(answer.header("etag"), format!("\"{cid}\""));
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=29030400, immutable"
    );
    assert_eq!(answer.header("content-type"), "image/png");
    assert_eq!(answer.header("content-disposition"), "inline");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(
        answer.header("content-security-policy"),
        "sandbox; default-src 'none'"
    );
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        "cross-origin"
    );
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    let preflight = request("OPTIONS", &format!("/ipfs/{cid}"), &[], Body::empty());
    let answer = app.send(preflight).await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "Content-Type, Range, User-Agent, X-Requested-With, If-Range, If-None-Match"
    );
}

#[tokio::test]
async fn nothing_uploaded_is_served_as_a_page() {
    let app = App::new();
    for evil in [
        &b"<html><script>alert(1)</script>"[..],
        b"<svg onload='alert(1)'/>",
        b"",
    ] {
        let cid = app.node.hold_bytes(evil).to_string();
        let answer = app.ranged(&cid, &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("content-disposition"), "attachment");
        assert_eq!(answer.header("content-length"), evil.len().to_string());
    }
}

#[tokio::test]
async fn conditions_are_compared_with_the_cid() {
    let app = App::new();
    let cid = app.node.hold_file(PNG).to_string();
    let etag = format!("\"{cid}\"");
    let (weak, list) = (format!("W/{etag}"), format!("\"other\", {etag}"));
    for known in [etag.as_str(), weak.as_str(), list.as_str(), "*"] {
        let answer = app.ranged(&cid, &[("if-none-match", known)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.len()),
            (304, 0),
            "{known}"
        );
        assert_eq!(answer.header("etag"), etag);
    }
    assert_eq!(
        app.ranged(&cid, &[("if-none-match", "\"other\"")])
            .await
            .status,
        200
    );
    let range = ("range", "bytes=0-3");
    assert_eq!(
        app.ranged(&cid, &[range, ("if-range", &etag)]).await.status,
        206
    );
    for stale in ["\"other\"", weak.as_str(), "Sat, 21 Nov 2026 07:00:00 GMT"] {
        assert_eq!(
            app.ranged(&cid, &[range, ("if-range", stale)]).await.status,
            200,
            "{stale}"
        );
    }
}

#[tokio::test]
async fn head_tells_the_length_and_sends_nothing() {
    let app = App::new();
    for cid in [app.node.hold_file(PNG), app.node.hold_bytes(b"another")] {
        let head = request(
            "HEAD",
            &format!("/ipfs/{cid}"),
            &[("range", "bytes=0-1")],
            Body::empty(),
        );
        let answer = app.send(head).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        assert_ne!(answer.header("content-length"), "0");
        assert_eq!(
            answer.header("content-range"),
            "",
            "ranges are for GET only"
        );
    }
}

#[tokio::test]
async fn a_download_carries_its_name_safely() {
    let app = App::new();
    let cid = app.node.hold_bytes(PNG).to_string();
    let table = [
        (
            "a.png",
            "attachment; filename=\"a.png\"; filename*=UTF-8''a.png",
        ),
        (
            "%C3%A9%22%0A%2Fb.png",
            "attachment; filename=\"__b.png\"; filename*=UTF-8''%C3%A9%22b.png",
        ),
    ];
    for (name, expected) in table {
        let answer = app.ranged(&format!("{cid}?download={name}"), &[]).await;
        assert_eq!(answer.header("content-disposition"), expected);
    }
}

#[tokio::test]
async fn entries_are_served_as_the_bytes_that_were_signed() {
    let app = App::new();
    let cid = app.node.hold_block(b"\x82\xa1as an entry").to_string();
    let answer = app.ranged(&cid, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (200, &b"\x82\xa1as an entry"[..])
    );
    assert_eq!(
        answer.header("content-type"),
        "application/vnd.ipld.dag-cbor"
    );
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"{cid}.cbor\"; filename*=UTF-8''{cid}.cbor")
    );
    let answer = app.ranged(&cid, &[("range", "bytes=1-2")]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (206, &b"\xa1a"[..])
    );
    assert_eq!(
        app.ranged(&cid, &[("range", "bytes=99-")]).await.status,
        416
    );
}

#[tokio::test]
async fn unknown_and_malformed_cids_are_told_apart() {
    let app = App::new();
    let unknown = [
        BlobId::of(b"?").to_string(),
        EntryId::of(b"?").to_string(),
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".to_owned(),
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKU9oD".to_owned(),
    ];
    for cid in unknown {
        let answer = app.ranged(&cid, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (404, "not_found")
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for cid in ["nonsense", "QmInvalid", "%00", "bafk"] {
        let answer = app.ranged(cid, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "invalid"),
            "{cid}"
        );
    }
}

#[tokio::test]
async fn what_nobody_sends_ends_with_the_ways_on() {
    let app = App::with(|settings| settings.limits.first_byte = Duration::from_millis(30));
    let cid = app.node.hold_partly(SILENT).to_string();
    let answer = app.ranged(&cid, &[("range", "bytes=0-3")]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (504, "not_held")
    );
    assert!(answer.text().contains(&format!("datt get {cid}")));
}

#[tokio::test]
async fn the_type_of_a_partly_held_blob_is_looked_up_once() {
    let app = App::new();
    let cid = app.node.hold_partly(PNG).to_string();
    for _ in 0..3 {
        let answer = app.ranged(&cid, &[("range", "bytes=20-23")]).await;
        assert_eq!(answer.header("content-type"), "image/png");
    }
    assert_eq!(app.node.fetches.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn no_more_downloads_than_places() {
    let app = App::with(|settings| settings.limits.blob_streams = 0);
    let cid = app.node.hold_file(PNG).to_string();
    let answer = app.ranged(&cid, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "unavailable")
    );
}

#[tokio::test]
async fn an_outboard_is_bytes_for_everyone() {
    let app = App::new();
    let cid = app.node.hold_file(b"pretend outboard").to_string();
    let answer = app.get(&format!("/blob/{cid}/outboard")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (200, &b"pretend outboard"[..])
    );
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("content-length"), "16");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let partly = app.node.hold_partly(PNG).to_string();
    assert_eq!(
        app.get(&format!("/blob/{partly}/outboard")).await.status,
        404
    );
    assert_eq!(app.get("/blob/nonsense/outboard").await.status, 400);
}

#[tokio::test]
async fn the_state_of_a_blob_names_the_sniffed_type() {
    let app = App::new();
    let whole = app.node.hold_file(PNG).to_string();
    let state = app.get(&format!("/api/v1/blobs/{whole}")).await.json();
    assert_eq!(
        (&state["complete"], &state["type"]),
        (&true.into(), &"image/png".into())
    );
}
