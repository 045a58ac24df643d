//! One connection: what it speaks, how long it may take, who answers its requests.
//!
//! With a certificate the first byte decides: TLS (a handshake record, RFC 8446, 5.1) with what the
//! client chose by ALPN, or plain HTTP/1.1. Plain HTTP is for programs on this machine, such as the
//! node's own command line; others are sent to https. The relay takes both: what goes through it is
//! encrypted from end to end, and endpoints can't verify every certificate.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use gateway::{ClientAddr, OverTls};
use http::{HeaderMap, Request, Response, StatusCode, Uri, header, uri::Authority};
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use super::{
    certificate::HTTP_2,
    counting::Counting,
    progress::{Progress, Stop},
    relay::{Relay, pong, refusal, relayed},
    stream::Stream,
};
use crate::throttle::Metered;

/// Open requests get this long to end when the node stops: event streams never do by themselves,
/// and whatever stops after the port waits for it.
pub(super) const DRAIN: Duration = Duration::from_secs(1);
/// First byte of a TLS connection: a record of type handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Requests at once on one HTTP/2 connection (RFC 9113, 6.5.2).
const STREAMS: u32 = 100;
/// Largest head of a request on HTTP/2, bytes, counted as RFC 9113, 6.5.2 does.
const HEAD_BYTES: u32 = 16 << 10;
/// Streams that a client may open and reset before they are looked at (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// Streams that this side may have to reset for the client's faults (CVE-2025-8671).
const LOCAL_RESETS: usize = 256;
/// Bytes of an answer that wait for the client's window.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// Pings begin after this silence, and are answered within it.
const PING: Duration = Duration::from_secs(20);

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the first byte and the TLS handshake.
    pub handshake: Duration,
    /// For the head of a request (slow loris), and between two of them on HTTP/1.1.
    pub head: Duration,
    /// Without a request, on HTTP/2.
    pub idle: Duration,
    /// Without taking a byte of what was asked for.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(60),
        }
    }
}

/// What answers on every connection.
#[derive(Clone)]
pub(super) struct Site {
    pub app: axum::Router,
    pub relay: Option<Relay>,
    pub tls: Option<TlsAcceptor>,
    pub counting: Counting,
    pub patience: Patience,
}

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Plain HTTP, on a port that speaks nothing else, or from this machine.
    Plain,
    /// Plain HTTP from elsewhere, on a port that speaks TLS.
    PlainFromElsewhere,
    /// TLS.
    Tls,
}

/// Serves one connection until it ends, or `cancel` and a while for open requests.
pub(super) async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    site: Site,
    cancel: CancellationToken,
) {
    // Pages are small writes: waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    drop_when_stalled(&stream, site.patience.stall);
    let counts = site.counting.counts(&stream, client);
    let opened = timeout(site.patience.handshake, open(stream, client, &site));
    let opened = tokio::select! {
        opened = opened => opened,
        () = cancel.cancelled() => return,
    };
    let (stream, way) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            tracing::debug!(%client, %error, "no TLS connection came about");
            return;
        }
        Err(_) => {
            tracing::debug!(%client, "the client took too long to begin");
            return;
        }
    };
    let patience = site.patience;
    let requests = Requests {
        app: site.app,
        relay: site.relay,
        counting: counts.then_some(site.counting),
        client,
        way,
    };
    match stream {
        Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) => {
            http_2(*stream, requests, patience, cancel).await;
        }
        stream => http_1(stream, requests, patience, cancel).await,
    }
}

/// A client that takes no byte of what lies ready for it is cut off by the kernel: its window stays
/// shut, or its machine is gone. Bytes that it takes, however slowly, begin the time anew.
fn drop_when_stalled(stream: &TcpStream, stall: Duration) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(stall)) {
        tracing::debug!(%error, "the system sets no bound for stalled clients");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (stream, stall);
}

async fn open(stream: TcpStream, client: SocketAddr, site: &Site) -> io::Result<(Stream, Way)> {
    let meter = |stream| site.counting.meter(stream, client);
    let Some(tls) = &site.tls else {
        return Ok((Stream::Plain(meter(stream)), Way::Plain));
    };
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] == TLS_HANDSHAKE {
        let stream = tls.accept(meter(stream)).await?;
        return Ok((Stream::Tls(Box::new(stream)), Way::Tls));
    }
    // Nobody else's packets come from an address of this machine.
    let ip = client.ip().to_canonical();
    let is_here = ip.is_loopback() || stream.local_addr()?.ip().to_canonical() == ip;
    let way = if is_here {
        Way::Plain
    } else {
        Way::PlainFromElsewhere
    };
    Ok((Stream::Plain(meter(stream)), way))
}

async fn http_1(stream: Stream, requests: Requests, patience: Patience, cancel: CancellationToken) {
    let client = requests.client;
    let service = service_fn(move |request: Request<Incoming>| {
        let requests = requests.clone();
        async move { Ok::<_, Infallible>(requests.answer(request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        // The relay takes the connection back as this very type.
        .serve_connection(TokioIo::new(stream), service)
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

/// The tasks of one connection's streams: they end with it.
#[derive(Clone, Default)]
struct Streams {
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Streams {
    async fn end(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let cancel = self.cancel.clone();
        self.tasks.spawn(cancel.run_until_cancelled_owned(stream));
    }
}

async fn http_2(
    stream: TlsStream<Metered<TcpStream>>,
    requests: Requests,
    patience: Patience,
    cancel: CancellationToken,
) {
    let client = requests.client;
    let progress = Progress::new();
    let watched = Arc::clone(&progress);
    let service = service_fn(move |request: Request<Incoming>| {
        let (requests, open) = (requests.clone(), progress.request());
        async move {
            let response = requests.answer(request).await;
            Ok::<_, Infallible>(response.map(|body| open.answered_by(body)))
        }
    });
    let streams = Streams::default();
    let serving = http2::Builder::new(streams.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = Box::pin(serving);
    let grace = tokio::select! {
        ended = serving.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%client, %error, "connection ended");
            }
            None
        }
        () = cancel.cancelled() => Some(DRAIN),
        why = watched.stops(patience.idle, patience.stall) => {
            tracing::debug!(%client, ?why, "connection closed");
            // What was asked for last may still be on its way.
            (why == Stop::Idle).then_some(patience.stall)
        }
    };
    if let Some(grace) = grace {
        serving.as_mut().graceful_shutdown();
        let _ = timeout(grace, serving.as_mut()).await;
    }
    drop(serving);
    streams.end().await;
}

/// Who answers the requests of one connection.
#[derive(Clone)]
struct Requests {
    app: axum::Router,
    relay: Option<Relay>,
    /// Where files may be refused, if bytes to this client count.
    counting: Option<Counting>,
    client: SocketAddr,
    way: Way,
}

impl Requests {
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let Self {
            mut app,
            relay,
            counting,
            client,
            way,
        } = self;
        match request.uri().path() {
            "/relay" => return relayed(relay.as_ref(), request),
            "/ping" => return pong(),
            _ => {}
        }
        if way == Way::PlainFromElsewhere {
            return to_https(request.uri(), request.headers());
        }
        if let Some(refusal) = counting.and_then(|counting| counting.refuse(request.uri().path())) {
            return refusal;
        }
        let mut request = request.map(Body::new);
        let extensions = request.extensions_mut();
        extensions.insert(ClientAddr(client));
        if way == Way::Tls {
            extensions.insert(OverTls);
        }
        match app.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The same place over TLS, under the name that the client used; the gateway there knows its names.
fn to_https(uri: &Uri, headers: &HeaderMap) -> Response<Body> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok())
        .filter(|host| !host.as_str().contains('@'));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let target = host.map(|host| format!("https://{host}{path}"));
    match target.and_then(|target| target.parse().ok()) {
        Some(target) => {
            let words = "this node speaks HTTPS only\n";
            let mut response = refusal(StatusCode::PERMANENT_REDIRECT, words);
            response.headers_mut().insert(header::LOCATION, target);
            response
        }
        None => refusal(
            StatusCode::BAD_REQUEST,
            "this node speaks HTTPS only, and the request names no host\n",
        ),
    }
}
