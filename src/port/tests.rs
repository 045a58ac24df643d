#![allow(clippy::unwrap_used)]
use std::convert::Infallible;

use axum::{body::Body, extract::Request, routing::get};
use bytes::Bytes;
use gateway::OverTls;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use iroh::{
    Endpoint, EndpointAddr, RelayConfig, RelayMap, RelayMode, RelayUrl, Watcher, endpoint::presets,
};
use iroh_relay::tls::CaTlsConfig;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::{
    config::Traffic,
    throttle::{Class, Moved, Throttle},
};

const STOP_WITHIN: Duration = Duration::from_secs(8);
const ALPN: &[u8] = b"datt/test";
/// Long for anything that happens on this machine.
const SOON: Duration = Duration::from_secs(20);
/// How long a client may stand still where that is what a test is about.
const STILL: Duration = Duration::from_secs(1);
/// Times that a test begins anew when this machine gave it no time.
const TRIES: usize = 10;

/// A certificate for this machine, and who trusts it.
struct Trust {
    certificate: Certificate,
    root: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

impl Trust {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        let names = self_signed::names("127.0.0.1:0".parse().unwrap(), &Http::default());
        let files = self_signed::files(&folder, &names, now_ms()).unwrap();
        let root = CertificateDer::from_pem_file(&files.chain).unwrap();
        Self {
            certificate: Certificate::read(files).unwrap(),
            root,
            _folder: dir,
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.certificate.server_config()))
    }

    async fn connect(&self, stream: TcpStream, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.unwrap()
    }
}

fn site(tls: Option<TlsAcceptor>) -> Site {
    let way = |request: Request| async move {
        let is_secure = request.extensions().get::<OverTls>().is_some();
        if is_secure { "over TLS" } else { "plain" }
    };
    let endless = || async {
        let zeros = Bytes::from(vec![0; 256 << 10]);
        let frames = futures_lite::stream::repeat_with(move || {
            Ok::<_, Infallible>(Frame::data(zeros.clone()))
        });
        Body::new(StreamBody::new(frames))
    };
    Site {
        app: axum::Router::new()
            .route("/way", get(way))
            .route("/endless", get(endless)),
        relay: None,
        tls,
        counting: uncapped(),
        patience: Patience::default(),
    }
}

fn uncapped() -> Counting {
    Counting::new(Throttle::new(Traffic::default()), Vec::new())
}

/// The site, counted for `throttle`, with a proxy at 127.0.0.1 or none.
fn counted(throttle: &Throttle, proxies: &[&str]) -> Site {
    let mut site = site(None);
    let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    site.counting = Counting::new(throttle.clone(), proxies);
    site
}

/// Lets those go whose turn it is, until dropped.
fn going(throttle: &Throttle) -> AbortOnDropHandle<()> {
    let throttle = throttle.clone();
    AbortOnDropHandle::new(tokio::spawn(async move { throttle.let_go().await }))
}

/// That site, where clients may take nothing of an answer for a short while only.
fn soon_stalled(tls: Option<TlsAcceptor>) -> Site {
    let mut site = site(tls);
    site.patience.stall = STILL;
    site
}

/// A connection to that site that seems to come from `client`, and the task that serves it.
async fn met(site: Site, client: Option<&str>) -> (TcpStream, JoinHandle<()>) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (accepted, real) = accepted.unwrap();
    let client = client.map_or(real, |client| client.parse().unwrap());
    let serving = connection::serve(accepted, client, site, CancellationToken::new());
    (stream.unwrap(), tokio::spawn(serving))
}

/// What is answered to a request over plain HTTP.
async fn answered(site: Site, client: Option<&str>, request: &str) -> String {
    let (mut stream, serving) = met(site, client).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    serving.await.unwrap();
    answer
}

#[tokio::test]
async fn with_a_certificate_plain_http_is_for_this_machine_and_others_go_to_https() {
    let trust = Trust::new();
    let elsewhere = Some("192.0.2.7:4000");
    let head =
        |line: &str, host: &str| format!("GET {line} HTTP/1.1\r\n{host}connection: close\r\n\r\n");
    for (client, line, host, status, said) in [
        (None, "/way", "host: localhost\r\n", "200", "\r\n\r\nplain"),
        (
            Some("127.0.0.5:1"),
            "/way",
            "host: x\r\n",
            "200",
            "\r\n\r\nplain",
        ),
        (
            Some("[::ffff:127.0.0.1]:1"),
            "/way",
            "host: x\r\n",
            "200",
            "\r\n\r\nplain",
        ),
        (
            elsewhere,
            "/way?a=b",
            "host: forum.example\r\n",
            "308",
            "location: https://forum.example/way?a=b\r\n",
        ),
        (
            elsewhere,
            "/",
            "host: [2001:db8::1]:8420\r\n",
            "308",
            "location: https://[2001:db8::1]:8420/\r\n",
        ),
        (
            elsewhere,
            "/way",
            "host: trusted.example@evil.example\r\n",
            "400",
            "names no host",
        ),
        (elsewhere, "/way", "host: a b\r\n", "400", "names no host"),
        (elsewhere, "/way", "", "400", "names no host"),
        (elsewhere, "/ping", "host: forum.example\r\n", "200", ""),
        (
            elsewhere,
            "/relay",
            "host: forum.example\r\n",
            "404",
            "runs no relay",
        ),
    ] {
        let answer = answered(site(Some(trust.acceptor())), client, &head(line, host)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{client:?} {line} {host}: {answer}"
        );
        assert!(answer.contains(said), "{client:?} {line} {host}: {answer}");
    }
    let plain = answered(site(None), elsewhere, &head("/way", "host: x\r\n")).await;
    assert!(
        plain.starts_with("HTTP/1.1 200"),
        "without a certificate all is plain: {plain}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_begin_is_dropped() {
    let trust = Trust::new();
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut site = site(Some(trust.acceptor()));
        site.patience.handshake = Duration::from_millis(500);
        let (mut stream, serving) = met(site, None).await;
        stream.write_all(begun).await.unwrap();
        timeout(SOON, serving)
            .await
            .expect("it waits for the client")
            .unwrap();
    }
}

#[tokio::test]
async fn a_client_that_takes_no_byte_is_dropped() {
    for protocol in [None, Some("http/1.1")] {
        let trust = Trust::new();
        let tls = protocol.map(|_| trust.acceptor());
        let (mut stream, serving) = met(soon_stalled(tls), None).await;
        let request = b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut secure = None;
        match protocol {
            None => stream.write_all(request).await.unwrap(),
            Some(protocol) => {
                let mut stream = trust.connect(stream, protocol.as_bytes()).await;
                stream.write_all(request).await.unwrap();
                stream.flush().await.unwrap();
                secure = Some(stream);
            }
        }
        timeout(SOON, serving)
            .await
            .expect("it waits for the client")
            .unwrap();
        drop(secure);
    }
}

/// A client's side of an HTTP/2 connection to the site.
async fn over_http_2(
    trust: &Trust,
    site: Site,
) -> (http2::SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let (stream, serving) = met(site, None).await;
    let stream = trust.connect(stream, certificate::HTTP_2).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (requests, driver) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(driver);
    (requests, serving)
}

fn asking(path: &str) -> http::request::Builder {
    http::Request::get(format!("https://localhost{path}"))
}

#[tokio::test]
async fn http_2_answers_and_bounds_what_a_client_may_do() {
    let trust = Trust::new();
    let site = site(Some(trust.acceptor()));
    let (mut requests, _serving) = over_http_2(&trust, site).await;
    let request = asking("/way").body(Empty::new()).unwrap();
    let answer = requests.send_request(request).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "over TLS");
    let large = asking("/way").header("x-large", "x".repeat(32 << 10));
    let answer = requests
        .send_request(large.body(Empty::new()).unwrap())
        .await;
    let refused = match answer {
        Ok(answer) => answer.status() == http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Err(_) => true,
    };
    assert!(refused, "a head of 32 KiB is taken");
}

#[tokio::test]
async fn an_http_2_connection_that_stands_still_is_closed() {
    let trust = Trust::new();
    let mut unasked = site(Some(trust.acceptor()));
    unasked.patience.idle = STILL;
    let (requests, serving) = over_http_2(&trust, unasked).await;
    timeout(SOON, serving)
        .await
        .expect("nothing is asked for")
        .unwrap();
    drop(requests);

    let (mut requests, serving) = over_http_2(&trust, soon_stalled(Some(trust.acceptor()))).await;
    let begun = tokio::time::Instant::now();
    let request = asking("/endless").body(Empty::new()).unwrap();
    // The connection goes on answering pings; only this answer isn't read. On a machine that gives
    // this test no time it may be over before its head arrived.
    let unread = requests.send_request(request).await;
    timeout(SOON, serving)
        .await
        .expect("nothing is taken")
        .unwrap();
    assert!(begun.elapsed() >= STILL, "it isn't waited for");
    drop(unread);
}

#[tokio::test]
async fn an_http_2_connection_that_moves_is_kept() {
    let trust = Trust::new();
    for _ in 0..TRIES {
        let site = soon_stalled(Some(trust.acceptor()));
        match longest_rest(&trust, site).await {
            Ok(()) => return,
            Err(rest) => assert!(rest >= STILL / 2, "cut off after a rest of {rest:?}"),
        }
    }
    panic!("this machine is too busy to tell");
}

/// Reads an answer for longer than a client may stand still; if it is cut off, the longest time in
/// which this machine let nothing be read.
async fn longest_rest(trust: &Trust, site: Site) -> Result<(), Duration> {
    let (mut requests, serving) = over_http_2(trust, site).await;
    let request = asking("/endless").body(Empty::new()).unwrap();
    let begun = tokio::time::Instant::now();
    let (mut read, mut rest) = (begun, Duration::ZERO);
    let answer = requests.send_request(request).await;
    let mut body = answer.map_err(|_| begun.elapsed())?.into_body();
    while begun.elapsed() < 3 * STILL {
        let frame = body.frame().await;
        rest = rest.max(read.elapsed());
        read = tokio::time::Instant::now();
        if !matches!(frame, Some(Ok(_))) || serving.is_finished() {
            return Err(rest);
        }
    }
    Ok(())
}

/// An endpoint that has no way but the relay.
async fn relayed_only(url: &RelayUrl, token: &str, trust: &Trust) -> Endpoint {
    let map = RelayMap::empty();
    let config = RelayConfig::new(url.clone(), None).with_auth_token(token);
    map.insert(url.clone(), Arc::new(config));
    Endpoint::builder(presets::Minimal)
        .ca_tls_config(CaTlsConfig::custom_roots([trust.root.clone()]))
        .relay_mode(RelayMode::Custom(map))
        .clear_ip_transports()
        .alpns(vec![ALPN.to_vec()])
        .bind()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_reach_each_other_through_the_relay_with_its_token_only() {
    let trust = Trust::new();
    let tls = || Some(trust.certificate.clone());
    for (scheme, certificate) in [("http", None), ("http", tls()), ("https", tls())] {
        meet_through_the_relay(scheme, certificate, &trust).await;
    }
}

async fn meet_through_the_relay(scheme: &str, certificate: Option<Certificate>, trust: &Trust) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url: RelayUrl = format!("{scheme}://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(serve(
        listener,
        Some(Relay::new("right".to_owned())),
        axum::Router::new(),
        certificate,
        uncapped(),
        cancel.clone(),
    ));
    let (a, b) = (
        relayed_only(&url, "right", trust).await,
        relayed_only(&url, "right", trust).await,
    );
    timeout(SOON, a.online()).await.unwrap();
    timeout(SOON, b.online()).await.unwrap();
    let there = EndpointAddr::new(a.id()).with_relay_url(url.clone());
    let dialled = tokio::spawn(async move {
        let connection = b.connect(there, ALPN).await.unwrap();
        let mut words = connection.accept_uni().await.unwrap();
        let heard = words.read_to_end(64).await.unwrap();
        b.close().await;
        heard
    });
    let met = timeout(SOON, a.accept()).await.unwrap().unwrap();
    let connection = met.await.unwrap();
    let mut words = connection.open_uni().await.unwrap();
    words.write_all(b"over the relay").await.unwrap();
    words.finish().unwrap();
    assert_eq!(dialled.await.unwrap(), b"over the relay");

    let stranger = relayed_only(&url, "wrong", trust).await;
    let mut states = stranger.home_relay_status();
    let denied = timeout(SOON, async {
        loop {
            let state = states.updated().await.unwrap();
            assert!(
                !state.iter().any(|relay| relay.is_connected()),
                "the relay admits only those who have its token"
            );
            let reason = state.iter().find_map(|relay| relay.auth_denied_reason());
            if let Some(reason) = reason {
                return reason.to_owned();
            }
        }
    });
    let reason = denied.await.expect("the relay denies nothing");
    assert!(reason.contains("asks for the token"), "{reason}");
    stranger.close().await;
    a.close().await;
    cancel.cancel();
    timeout(STOP_WITHIN, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn only_what_leaves_the_machine_is_counted() {
    let elsewhere = Some("192.0.2.7:4000");
    let cases = [
        (None, &[][..], false),
        (None, &["127.0.0.1"][..], true),
        (elsewhere, &[][..], true),
    ];
    for (client, proxies, counts) in cases {
        let throttle = Throttle::new(Traffic::default());
        let site = counted(&throttle, proxies);
        let request = "GET /way HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
        let answer = answered(site, client, request).await;
        let http = throttle.ways().http;
        assert_eq!(http.out_bytes > answer.len() as u64, counts, "{client:?}");
        assert_eq!(http.in_bytes > request.len() as u64, counts, "{client:?}");
    }
}

#[tokio::test]
async fn when_the_month_is_used_up_files_are_refused_and_pages_are_not() {
    let throttle = Throttle::new(Traffic {
        max_month_bytes: 1,
        ..Traffic::default()
    });
    throttle.note(Class::Iroh, Moved::sent(1));
    throttle.see_month();
    let _going = going(&throttle);
    for (client, path, status) in [
        (Some("192.0.2.7:4000"), "/ipfs/some", "HTTP/1.1 503"),
        (Some("192.0.2.7:4000"), "/way", "HTTP/1.1 200"),
        (None, "/ipfs/some", "HTTP/1.1 404"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        let answer = answered(counted(&throttle, &[]), client, &request).await;
        assert!(answer.starts_with(status), "{path}: {answer}");
        let says_when = answer.to_lowercase().contains("retry-after: ");
        assert_eq!(says_when, status.ends_with("503"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_downloaded_keeps_the_cap() {
    const RATE: u64 = 1 << 20;
    let throttle = Throttle::new(Traffic {
        max_out_bytes_per_s: RATE,
        ..Traffic::default()
    });
    let (mut stream, serving) = met(counted(&throttle, &["127.0.0.1"]), None).await;
    let _going = going(&throttle);
    let request = "GET /endless HTTP/1.1\r\nHost: here\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = vec![0; usize::try_from(RATE).unwrap()];
    let began = tokio::time::Instant::now();
    timeout(SOON, stream.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(950), "{took:?}");
    drop(stream);
    serving.await.unwrap();
}
