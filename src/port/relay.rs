//! The embedded relay: who may use it, and how it takes a connection over.

mod upgrade;

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use iroh_relay::{
    KeyCache,
    server::{Access, AccessControl, ClientRequest, DynAccessControl, Metrics, clients::Clients},
};
use tokio_util::task::TaskTracker;

/// Endpoint keys that the relay remembers as checked.
const RELAY_KEYS: usize = 1024;
/// A client that takes nothing for so long is dropped. Under a cap everyone waits now and then.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// The embedded relay; clones are the same.
#[derive(Clone, Debug)]
pub struct Relay {
    access: Arc<dyn DynAccessControl>,
    clients: Clients,
    keys: KeyCache,
    metrics: Arc<Metrics>,
    greeting: TaskTracker,
}

impl Relay {
    /// A relay for those who know the token of this node's tickets.
    pub fn new(token: String) -> Self {
        Self {
            access: Arc::new(TicketHolders { token }),
            clients: Clients::default(),
            keys: KeyCache::new(RELAY_KEYS),
            metrics: Arc::new(Metrics::default()),
            greeting: TaskTracker::new(),
        }
    }

    /// Disconnects everyone.
    pub async fn shutdown(&self) {
        self.greeting.close();
        self.clients.shutdown().await;
        self.greeting.wait().await;
    }
}

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
pub(super) fn relayed(relay: Option<&Relay>, request: Request<Incoming>) -> Response<Body> {
    match relay {
        None => refusal(StatusCode::NOT_FOUND, "this node runs no relay"),
        Some(relay) => match relay.upgrade(request) {
            Ok(response) => response,
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
