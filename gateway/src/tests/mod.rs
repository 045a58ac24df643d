//! The gateway as its clients see it, over a node made of plain maps.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod blobs;
mod document;
mod events;
mod fake;
mod ipfs;
mod ipfs_car;
mod ipfs_fake;
mod ipfs_pages;
mod ipfs_subdomain;
mod mirrors;
mod payments;
mod payments_fake;
mod security;
mod sessions;
mod swarm_fake;
mod torrents;
mod uploads;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::{gate::Gate, metrics::Metrics, settings::Settings};
use fake::Fake;

const TOKEN: &str = "the-token-of-this-node";
const HOST: &str = "127.0.0.1:8420";
const ORIGIN: &str = "http://127.0.0.1:8420";

struct App {
    router: Router,
    gate: Gate,
    node: Arc<Fake>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl App {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new("127.0.0.1:8420".parse().unwrap(), TOKEN);
        change(&mut settings);
        let node = Arc::new(Fake::new());
        let (router, gate) = crate::router(node.clone(), settings, Metrics::new());
        Self { router, gate, node }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(get(path)).await
    }
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

fn get(path: &str) -> Request<Body> {
    request("GET", path, &[], Body::empty())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A write as the command line sends it.
fn write(method: &str, path: &str, json: &str) -> Request<Body> {
    let token = bearer(TOKEN);
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    request(method, path, &headers, json.to_owned())
}
