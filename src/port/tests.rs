#![allow(clippy::unwrap_used)]
use std::convert::Infallible;

use axum::{body::Body, extract::Request, routing::get};
use bytes::Bytes;
use gateway::OverTls;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use iroh::{Endpoint, EndpointAddr, RelayConfig, RelayMap, RelayMode, RelayUrl, endpoint::presets};
use iroh_relay::tls::CaTlsConfig;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

const STOP_WITHIN: Duration = Duration::from_secs(8);
const ALPN: &[u8] = b"datt/test";
/// Long for anything that happens on this machine.
const SOON: Duration = Duration::from_secs(20);

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
        patience: Patience {
            stall: Duration::from_secs(1),
            idle: Duration::from_secs(1),
            handshake: Duration::from_millis(500),
            ..Patience::default()
        },
    }
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
        let (mut stream, serving) = met(site(Some(trust.acceptor())), None).await;
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
        let (mut stream, serving) = met(site(tls), None).await;
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
async fn over_http_2(trust: &Trust) -> (http2::SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let (stream, serving) = met(site(Some(trust.acceptor())), None).await;
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
    let (mut requests, _serving) = over_http_2(&trust).await;
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
    let (requests, serving) = over_http_2(&trust).await;
    timeout(SOON, serving)
        .await
        .expect("nothing is asked for")
        .unwrap();
    drop(requests);

    let (mut requests, serving) = over_http_2(&trust).await;
    let request = asking("/endless").body(Empty::new()).unwrap();
    // The connection goes on answering pings; only this answer isn't read.
    let unread = requests.send_request(request).await.unwrap();
    timeout(SOON, serving)
        .await
        .expect("nothing is taken")
        .unwrap();
    drop(unread);

    let (mut requests, serving) = over_http_2(&trust).await;
    let request = asking("/endless").body(Empty::new()).unwrap();
    let mut body = requests.send_request(request).await.unwrap().into_body();
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        body.frame().await.unwrap().unwrap();
        assert!(!serving.is_finished());
    }
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
        Some(relay("right".to_owned())),
        axum::Router::new(),
        certificate,
        cancel.clone(),
    ));
    let (a, b) = (
        relayed_only(&url, "right", trust).await,
        relayed_only(&url, "right", trust).await,
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

    let stranger = relayed_only(&url, "wrong", trust).await;
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
