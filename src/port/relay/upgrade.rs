//! From a request to a client of the relay: the WebSocket (RFC 6455), then the relay's handshake.
//!
//! The relay's own server takes nothing but TCP streams as they are; here the bytes below are
//! counted, so that the caps hold for what is relayed too.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use iroh_relay::{
    ExportKeyingMaterial,
    http::{CLIENT_AUTH_HEADER, ProtocolVersion},
    protos::{handshake, streams::StreamError},
    server::{ClientRequest, client::Config, streams::RelayedStream},
};
use n0_future::Sink;
use sha1::{Digest, Sha1};
use thiserror::Error;
use tokio::time::timeout;
use tokio_websockets::{Limits, Message, Payload, ServerBuilder, WebSocketStream};

use super::{Relay, WRITE_TIMEOUT};
use crate::{port::stream::Stream, throttle::Class};

/// What the key of a client is hashed with (RFC 6455, 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The one version of the protocol (RFC 6455, 4.1).
const WEBSOCKET_VERSION: &str = "13";
/// Largest frame of the relay's protocol, bytes, as iroh-relay has it.
const FRAME_BYTES: usize = 1 << 20;
/// For a client to prove who it is.
const GREETING: Duration = Duration::from_secs(30);

/// Why a request doesn't become a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum UpgradeError {
    /// Something else than a WebSocket is asked for.
    #[error("the relay speaks WebSocket, version 13, over HTTP/1.1")]
    NotWebSocket,
    /// None of the client's versions is known.
    #[error("the relay speaks {}", ProtocolVersion::all_joined())]
    Version,
}

/// Why a client didn't come about.
#[derive(Debug, Error)]
enum GreetingError {
    #[error("the connection ended before it was upgraded: {0}")]
    Upgrade(#[from] hyper::Error),
    #[error("the client spoke before it was its turn")]
    Early,
    #[error("the client did not prove who it is, or may not come in: {0}")]
    Handshake(#[from] handshake::Error),
    #[error("the upgraded connection is of another type than those of the port")]
    Foreign,
}

impl Relay {
    /// Answers a request to become a client; it is greeted in the background.
    pub(super) fn upgrade(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, UpgradeError> {
        let wishes = Wishes::read(request.headers())?;
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, _) = request.into_parts();
        let relay = self.clone();
        self.greeting.spawn(async move {
            match timeout(GREETING, relay.greet(upgrade, head, wishes.version)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "no client of the relay came about"),
                Err(_) => tracing::debug!("a client of the relay took too long to begin"),
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        let websocket = HeaderValue::from_static("websocket");
        headers.insert(header::UPGRADE, websocket);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, wishes.accept);
        let version = wishes.version.to_header_value();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, version);
        Ok(response)
    }

    async fn greet(
        &self,
        upgrade: OnUpgrade,
        head: http::request::Parts,
        version: ProtocolVersion,
    ) -> Result<(), GreetingError> {
        let mut stream = own_stream(upgrade.await?)?;
        stream.set_class(Class::Relay);
        let mut frames = Frames(
            ServerBuilder::new()
                .limits(Limits::default().max_payload_len(Some(FRAME_BYTES)))
                .serve(stream),
        );
        let proof = head.headers.get(CLIENT_AUTH_HEADER).cloned();
        let known = handshake::serverside(&mut frames, proof).await?;
        let request = ClientRequest::new(known.client_key, version, head);
        let guard = known
            .authorize_with(&request, &self.access, &mut frames)
            .await?;
        let stream = RelayedStream::new(frames, self.keys.clone());
        let mut config = Config::new(guard, stream, version);
        config.write_timeout = WRITE_TIMEOUT;
        self.clients.register(config, self.metrics.clone());
        Ok(())
    }
}

fn own_stream(upgraded: Upgraded) -> Result<Stream, GreetingError> {
    let parts = upgraded
        .downcast::<TokioIo<Stream>>()
        .map_err(|_| GreetingError::Foreign)?;
    if parts.read_buf.is_empty() {
        Ok(parts.io.into_inner())
    } else {
        Err(GreetingError::Early)
    }
}

/// What a client asks for.
#[derive(Debug)]
struct Wishes {
    accept: HeaderValue,
    version: ProtocolVersion,
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Result<Self, UpgradeError> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let is_websocket = text(&header::UPGRADE)
            .is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
            && text(&header::SEC_WEBSOCKET_VERSION) == Some(WEBSOCKET_VERSION);
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .filter(|_| is_websocket)
            .ok_or(UpgradeError::NotWebSocket)?;
        let version = text(&header::SEC_WEBSOCKET_PROTOCOL)
            .and_then(|versions| {
                versions
                    .split(',')
                    .filter_map(|version| ProtocolVersion::match_from_str(version.trim()))
                    .max()
            })
            .ok_or(UpgradeError::Version)?;
        let hash = Sha1::new()
            .chain_update(key.as_bytes())
            .chain_update(KEY_SUFFIX)
            .finalize();
        let accept = HeaderValue::from_str(&BASE64.encode(&hash))
            .expect("base64 has only visible characters");
        Ok(Self { accept, version })
    }
}

/// The binary messages of a WebSocket.
struct Frames(WebSocketStream<Stream>);

impl ExportKeyingMaterial for Frames {
    fn export_keying_material<T: AsMut<[u8]>>(
        &self,
        output: T,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Option<T> {
        let stream = self.0.get_ref();
        stream.export_keying_material(output, label, context)
    }
}

impl n0_future::Stream for Frames {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let message = match ready!(Pin::new(&mut self.0).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(StreamError::from_std(error))));
                }
                Some(Ok(message)) => message,
            };
            if message.is_close() {
                return Poll::Ready(None);
            }
            if message.is_binary() {
                return Poll::Ready(Some(Ok(message.into_payload().into())));
            }
            // Pings are answered below; text means nothing here.
        }
    }
}

impl Sink<Bytes> for Frames {
    type Error = StreamError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(&mut self.0)
            .poll_ready(cx)
            .map_err(StreamError::from_std)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> Result<(), StreamError> {
        Pin::new(&mut self.0)
            .start_send(Message::binary(Payload::from(frame)))
            .map_err(StreamError::from_std)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(&mut self.0)
            .poll_flush(cx)
            .map_err(StreamError::from_std)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        Pin::new(&mut self.0)
            .poll_close(cx)
            .map_err(StreamError::from_std)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_websockets_of_a_known_version_become_clients() {
        let headers = |changed: &[(&'static str, &'static str)]| {
            let mut all = vec![
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                // The key and its answer are those of RFC 6455, 1.3.
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                (
                    "sec-websocket-protocol",
                    "iroh-relay-v9, iroh-relay-v1, iroh-relay-v2",
                ),
            ];
            all.retain(|(name, _)| !changed.iter().any(|(other, _)| other == name));
            all.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
            let map: HeaderMap = all
                .into_iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            map
        };
        let wishes = Wishes::read(&headers(&[])).unwrap();
        assert_eq!(wishes.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(wishes.version, ProtocolVersion::V2);
        let cases = [
            (("upgrade", ""), UpgradeError::NotWebSocket),
            (("upgrade", "h2c"), UpgradeError::NotWebSocket),
            (("sec-websocket-version", "12"), UpgradeError::NotWebSocket),
            (("sec-websocket-key", ""), UpgradeError::NotWebSocket),
            (("sec-websocket-protocol", ""), UpgradeError::Version),
            (
                ("sec-websocket-protocol", "iroh-relay-v9"),
                UpgradeError::Version,
            ),
        ];
        for (change, expected) in cases {
            let refused = Wishes::read(&headers(&[change])).unwrap_err();
            assert_eq!(refused, expected, "{change:?}");
        }
    }
}
