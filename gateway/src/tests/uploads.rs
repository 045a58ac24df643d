//! Uploads and long work: limits, breaks, progress.

use std::{sync::atomic::Ordering, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest as _, Multipart},
    http::Request,
};
use bytes::Bytes;
use futures_lite::{StreamExt as _, stream};

use super::{App, TOKEN, bearer, request, write};
use crate::upload;

fn upload(query: &str, length: Option<&str>, body: Body) -> Request<Body> {
    let token = bearer(TOKEN);
    let mut headers = vec![("authorization", token.as_str())];
    headers.extend(length.map(|length| ("content-length", length)));
    request("POST", &format!("/api/v1/blobs{query}"), &headers, body)
}

#[tokio::test]
async fn a_raw_body_is_imported_whatever_its_size_in_chunks() {
    let app = App::new();
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![1; 10_000])));
    let body = Body::from_stream(stream::iter(chunks));
    let answer = app.send(upload("?name=a%20clip.webm", None, body)).await;
    assert_eq!(answer.status, 200);
    let added = answer.json();
    assert_eq!(added["size_bytes"], 1_000_000);
    assert_eq!(added["name"], "a clip.webm");
}

#[tokio::test]
async fn an_upload_announced_too_large_is_refused_unread() {
    let app = App::with(|settings| settings.max_upload_bytes = 1000);
    let body = Body::from_stream(stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<Bytes, std::io::Error>>> {
            panic!("the body was read")
        },
    ));
    let answer = app.send(upload("", Some("1001"), body)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (413, "too_large")
    );
}

#[tokio::test]
async fn an_upload_that_grows_too_large_keeps_nothing() {
    let app = App::with(|settings| settings.max_upload_bytes = 1000);
    let chunks = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 600])));
    let answer = app.send(upload("", None, Body::from_stream(chunks))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (413, "too_large")
    );
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_falls_silent_keeps_nothing() {
    let app = App::with(|settings| settings.limits.upload_idle = Duration::from_millis(30));
    let first = || stream::once(Ok(Bytes::from_static(b"first")));
    let broken = first().chain(stream::once(Err(std::io::Error::other("reset"))));
    let answer = app.send(upload("", None, Body::from_stream(broken))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (400, "invalid")
    );
    let silent = first().chain(stream::pending());
    let answer = app.send(upload("", None, Body::from_stream(silent))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (400, "invalid")
    );
    assert!(answer.text().contains("silent"));
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_file_name_has_no_folders() {
    let app = App::new();
    let long = format!("?name={}", "x".repeat(201));
    for query in ["?name=..%2Fetc", "?name=a%5Cb", "?name=a%0Ab", &long] {
        let answer = app.send(upload(query, None, Body::from("x"))).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn no_more_uploads_than_places() {
    let app = App::with(|settings| settings.limits.uploads = 0);
    let answer = app.send(upload("", None, Body::from("x"))).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn long_work_tells_its_progress_and_its_end() {
    let app = App::new();
    let blob = model::BlobId::of(b"x");
    let answer = app
        .send(write("POST", &format!("/api/v1/blobs/{blob}/fetch"), "{}"))
        .await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(
        answer.text(),
        "event: progress\ndata: {\"state\":\"progress\",\"held_bytes\":1,\"total_bytes\":2}\n\n\
         event: done\ndata: {\"state\":\"done\",\"held_bytes\":2,\"total_bytes\":2}\n\n"
    );
    let backwards = r#"{"range":[5,5]}"#;
    let answer = app
        .send(write(
            "POST",
            &format!("/api/v1/blobs/{blob}/fetch"),
            backwards,
        ))
        .await;
    assert_eq!(answer.status, 400);
    let answer = app.send(write("POST", "/api/v1/verify", "")).await;
    assert!(
        answer
            .text()
            .ends_with("data: {\"state\":\"done\",\"ok\":true,\"problems\":[]}\n\n")
    );
}

#[tokio::test]
async fn long_work_that_fails_ends_with_the_error() {
    let app = App::new();
    let answer = app
        .send(write("POST", "/api/v1/blobs/path", r#"{"path":"/no"}"#))
        .await;
    let text = answer.text();
    let events: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert_eq!(events.len(), 2, "nothing follows an error: {text}");
    assert!(events[1].starts_with("event: error\ndata: {\"error\":{\"code\":\"not_found\""));
}

#[tokio::test]
async fn a_forms_file_is_imported_and_a_silent_one_is_given_up() {
    let app = App::with(|settings| settings.limits.upload_idle = Duration::from_millis(30));
    let head = "--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\nbytes";
    let end = "\r\n--b--\r\n";
    let first = || stream::once(Ok::<_, std::io::Error>(Bytes::from_static(head.as_bytes())));
    let whole =
        Body::from_stream(first().chain(stream::once(Ok(Bytes::from_static(end.as_bytes())))));
    let silent = Body::from_stream(first().chain(stream::pending()));
    let import = async |body: Body| {
        let kind = [("content-type", "multipart/form-data; boundary=b")];
        let form = Multipart::from_request(request("POST", "/upload", &kind, body), &app.gate);
        let mut form = form.await.unwrap();
        let field = form.next_field().await.unwrap().unwrap();
        upload::import_field(&app.gate, "f".into(), field).await
    };
    assert_eq!(import(whole).await.unwrap().size_bytes, 5);
    assert!(import(silent).await.unwrap_err().message.contains("silent"));
    assert_eq!(app.node.writes.load(Ordering::SeqCst), 1);
}
