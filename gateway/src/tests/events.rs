//! The event stream: exact resumption, no loss, an end.

use std::time::Duration;

use axum::{body::Body, http::Request};
use http_body_util::BodyExt as _;
use model::EntryId;
use tower::ServiceExt as _;

use super::{App, get, request};

/// Reads messages one by one.
struct Messages {
    body: Body,
    text: String,
}

impl App {
    async fn subscribe(&self, request: Request<Body>) -> Messages {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Messages {
            body: response.into_body(),
            text: String::new(),
        }
    }
}

impl Messages {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                return Some(self.text.drain(..end + 2).collect());
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await;
            let frame = frame.expect("a message within ten seconds")?.unwrap();
            self.text
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// The next event with data: its name and id.
    async fn event(&mut self) -> Option<(String, String)> {
        loop {
            let message = self.next().await?;
            let field = |name| message.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(event), Some(id)) = (field("event: "), field("id: ")) {
                return Some((event.to_owned(), id.to_owned()));
            }
        }
    }
}

fn insert(seq: u64) -> Option<(String, String)> {
    Some(("insert".into(), format!("7:{seq}")))
}

#[tokio::test]
async fn without_a_cursor_it_begins_now_and_says_where_now_is() {
    let app = App::new();
    let root = EntryId::of(b"a");
    app.node.commit(root);
    let mut messages = app.subscribe(get("/api/v1/events")).await;
    assert!(messages.next().await.unwrap().contains("id: 7:1"));
    app.node.commit(root);
    assert_eq!(messages.event().await, insert(2));
    app.node.commit(root);
    app.node.commit(root);
    assert_eq!(messages.event().await, insert(3));
    assert_eq!(messages.event().await, insert(4));
}

#[tokio::test]
async fn a_cursor_resumes_at_exactly_the_next_event() {
    let app = App::new();
    for _ in 0..5 {
        app.node.commit(EntryId::of(b"a"));
    }
    let mut by_query = app.subscribe(get("/api/v1/events?cursor=7:3")).await;
    assert_eq!(by_query.event().await, insert(4));
    assert_eq!(by_query.event().await, insert(5));
    let last = [("last-event-id", "7:4")];
    let again = request("GET", "/api/v1/events?cursor=7:1", &last, Body::empty());
    let mut by_header = app.subscribe(again).await;
    assert_eq!(by_header.event().await, insert(5));
}

#[tokio::test]
async fn a_slow_subscriber_loses_nothing() {
    let app = App::new();
    let mut messages = app.subscribe(get("/api/v1/events?cursor=7:0")).await;
    for _ in 0..2000 {
        app.node.commit(EntryId::of(b"a"));
    }
    for seq in 1..=2000 {
        assert_eq!(messages.event().await, insert(seq));
    }
    app.node.commit(EntryId::of(b"a"));
    assert_eq!(messages.event().await, insert(2001));
}

#[tokio::test]
async fn a_filter_skips_and_still_moves_the_cursor() {
    let app = App::new();
    let (wanted, other) = (EntryId::of(b"a"), EntryId::of(b"b"));
    let mut messages = app
        .subscribe(get(&format!("/api/v1/events?root={wanted}")))
        .await;
    assert!(messages.next().await.unwrap().contains("id: 7:0"));
    app.node.commit(other);
    let skipped = messages.next().await.unwrap();
    assert!(
        skipped.contains("id: 7:1") && !skipped.contains("data:"),
        "{skipped}"
    );
    app.node.commit(wanted);
    assert_eq!(messages.event().await, insert(2));
}

#[tokio::test]
async fn a_cursor_of_another_epoch_is_reset_to_now() {
    let app = App::new();
    app.node.commit(EntryId::of(b"a"));
    let mut messages = app.subscribe(get("/api/v1/events?cursor=6:9")).await;
    assert_eq!(messages.event().await, Some(("reset".into(), "7:1".into())));
    app.node.commit(EntryId::of(b"a"));
    assert_eq!(messages.event().await, insert(2));
    let bad = app.get("/api/v1/events?cursor=nonsense").await;
    assert_eq!((bad.status.as_u16(), bad.code().as_str()), (400, "invalid"));
}

#[tokio::test]
async fn the_stream_ends_when_the_node_stops() {
    let app = App::new();
    app.node.commit(EntryId::of(b"a"));
    let mut messages = app.subscribe(get("/api/v1/events?cursor=7:0")).await;
    assert_eq!(messages.event().await, insert(1));
    app.node.head.lock().unwrap().take();
    assert_eq!(messages.event().await, None);
}

#[tokio::test]
async fn subscribers_are_bounded() {
    let app = App::with(|settings| settings.limits.event_streams = 1);
    let first = app.subscribe(get("/api/v1/events")).await;
    assert_eq!(app.get("/api/v1/events").await.status, 503);
    drop(first);
    app.subscribe(get("/api/v1/events")).await;
}
