//! The one TCP port: pages and API from the gateway, `/relay` from the embedded relay.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use gateway::ClientAddr;
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use iroh_relay::{
    KeyCache,
    server::{
        Access, AccessControl, ClientRequest, Metrics,
        http_server::{Handlers, RelayService, RelayServiceWithNotify},
        streams::MaybeTlsStream,
    },
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// A client that sends no whole request head in this time is dropped (slow loris).
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Open requests get this long to end when the node stops: event streams never do by themselves,
/// and whatever stops after the port waits for it.
const DRAIN: Duration = Duration::from_secs(1);
/// All connections have been dropped this long after that.
const DROPPED: Duration = Duration::from_millis(200);
/// Endpoint keys that the relay remembers as checked.
const RELAY_KEYS: usize = 1024;
/// Rest after an accept that failed for want of descriptors or memory.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The port can't be had.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(.source))]
pub struct ListenError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program uses that port: choose one with --http, or --http 127.0.0.1:0 for any"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need rights: choose a higher one with --http"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

/// Takes the port.
///
/// # Errors
/// When it is in use or not allowed.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError { address, source })
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

/// Serves until `cancel`, then lets open requests end within a bound.
pub async fn serve(
    listener: TcpListener,
    relay: Option<RelayService>,
    app: axum::Router,
    cancel: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let slot = tokio::select! {
            () = cancel.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let (relay, app, cancel) = (relay.clone(), app.clone(), cancel.clone());
        connections.spawn(async move {
            connection(stream, client, relay, app, cancel).await;
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    let ended = async {
        if let Some(relay) = relay {
            relay.shutdown().await;
        }
        connections.wait().await;
    };
    if timeout(DRAIN + DROPPED, ended).await.is_err() {
        tracing::debug!(open = connections.len(), "connections cut off at shutdown");
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    relay: Option<RelayService>,
    app: axum::Router,
    cancel: CancellationToken,
) {
    // Pages are small writes: waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    let relay = relay.map(|relay| RelayServiceWithNotify::new(relay, Arc::new(Notify::new())));
    let service = service_fn(move |request: Request<Incoming>| {
        let (relay, mut app) = (relay.clone(), app.clone());
        async move {
            match request.uri().path() {
                "/relay" => return Ok::<_, Infallible>(relayed(relay, request).await),
                "/ping" => return Ok(pong()),
                _ => {}
            }
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ClientAddr(client));
            app.call(request).await
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        // The relay takes the connection back as this very type.
        .serve_connection(TokioIo::new(MaybeTlsStream::Plain(stream)), service)
        .with_upgrades();
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            match timeout(DRAIN, serving).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "connection ended");
    }
}

/// What endpoints measure their way to a relay by; without an answer none of them chooses it.
fn pong() -> Response<axum::body::Body> {
    let mut response = Response::new(axum::body::Body::empty());
    let anybody = http::HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
    response
}

async fn relayed(
    relay: Option<RelayServiceWithNotify>,
    request: Request<Incoming>,
) -> Response<axum::body::Body> {
    use hyper::service::Service as _;
    let refusal = |status, why: &str| {
        let mut response = Response::new(axum::body::Body::from(why.to_owned()));
        *response.status_mut() = status;
        response
    };
    match relay {
        None => refusal(StatusCode::NOT_FOUND, "this node runs no relay"),
        Some(relay) => match relay.call(request).await {
            Ok(response) => response.map(axum::body::Body::new),
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use iroh::{
        Endpoint, EndpointAddr, RelayConfig, RelayMap, RelayMode, RelayUrl, endpoint::presets,
    };

    use super::*;

    const ALPN: &[u8] = b"datt/test";

    /// An endpoint that has no way but the relay.
    async fn relayed_only(url: &RelayUrl, token: &str) -> Endpoint {
        let map = RelayMap::empty();
        let config = RelayConfig::new(url.clone(), None).with_auth_token(token);
        map.insert(url.clone(), Arc::new(config));
        Endpoint::builder(presets::Minimal)
            .relay_mode(RelayMode::Custom(map))
            .clear_ip_transports()
            .alpns(vec![ALPN.to_vec()])
            .bind()
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nodes_reach_each_other_through_the_relay_with_its_token_only() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url: RelayUrl = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let cancel = CancellationToken::new();
        let app = axum::Router::new();
        let serving = tokio::spawn(serve(
            listener,
            Some(relay("right".to_owned())),
            app,
            cancel.clone(),
        ));
        let (a, b) = (
            relayed_only(&url, "right").await,
            relayed_only(&url, "right").await,
        );
        timeout(Duration::from_secs(10), a.online()).await.unwrap();
        timeout(Duration::from_secs(10), b.online()).await.unwrap();
        let there = EndpointAddr::new(a.id()).with_relay_url(url.clone());
        let dialled = tokio::spawn(async move {
            let connection = b.connect(there, ALPN).await.unwrap();
            let mut words = connection.accept_uni().await.unwrap();
            let heard = words.read_to_end(64).await.unwrap();
            b.close().await;
            heard
        });
        let met = timeout(Duration::from_secs(10), a.accept())
            .await
            .unwrap()
            .unwrap();
        let connection = met.await.unwrap();
        let mut words = connection.open_uni().await.unwrap();
        words.write_all(b"over the relay").await.unwrap();
        words.finish().unwrap();
        assert_eq!(dialled.await.unwrap(), b"over the relay");

        let stranger = relayed_only(&url, "wrong").await;
        let online = timeout(Duration::from_secs(2), stranger.online()).await;
        assert!(
            online.is_err(),
            "the relay admits only those who have its token"
        );
        stranger.close().await;
        a.close().await;
        cancel.cancel();
        timeout(STOP_WITHIN, serving).await.unwrap().unwrap();
    }

    const STOP_WITHIN: Duration = Duration::from_secs(8);
}
