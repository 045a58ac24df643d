//! The embedded relay: who may use it, and how it takes a connection over.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use iroh_relay::{
    KeyCache,
    server::{
        Access, AccessControl, ClientRequest, Metrics,
        http_server::{Handlers, RelayService, RelayServiceWithNotify},
    },
};

/// Endpoint keys that the relay remembers as checked.
const RELAY_KEYS: usize = 1024;

/// Admits those who know the token of this node's tickets.
#[derive(Debug)]
struct TicketHolders {
    token: String,
}

impl AccessControl for TicketHolders {
    async fn on_connect(&self, request: &ClientRequest) -> Access {
        if request
            .auth_token()
            .is_some_and(|token| constant_time_eq(&token, &self.token))
        {
            Access::Allow
        } else {
            Access::Deny {
                reason: Some("the relay of this node asks for the token in its tickets".to_owned()),
            }
        }
    }
}

fn constant_time_eq(a: &str, b: &str) -> bool {
    blake3::hash(a.as_bytes()) == blake3::hash(b.as_bytes())
}

/// The embedded relay.
pub fn relay(token: String) -> RelayService {
    RelayService::new(
        Handlers::default(),
        http::HeaderMap::new(),
        None,
        KeyCache::new(RELAY_KEYS),
        Arc::new(TicketHolders { token }),
        Arc::new(Metrics::default()),
    )
}

/// What endpoints measure their way to a relay by; without an answer none of them chooses it.
pub(super) fn pong() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let anybody = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
    response
}

/// Hands a connection to the relay.
pub(super) async fn relayed(
    relay: Option<RelayServiceWithNotify>,
    request: Request<Incoming>,
) -> Response<Body> {
    use hyper::service::Service as _;
    match relay {
        None => refusal(StatusCode::NOT_FOUND, "this node runs no relay"),
        Some(relay) => match relay.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        },
    }
}

/// An answer in words.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(why.to_owned()));
    *response.status_mut() = status;
    response
}
