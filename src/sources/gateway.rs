//! HTTP gateways that serve blobs by their CID, as nodes of datt do: `GET /ipfs/{cid}` with ranges,
//! and `GET /blob/{cid}/outboard`.

use std::{ops::Range, sync::Arc, time::Duration};

use blocks::{RawFault, RawOutboard, RawSource, SourceKind, SourceLabel};
use bytes::Bytes;
use futures_lite::{StreamExt, stream};
use model::BlobId;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, RANGE},
};
use tokio::{sync::watch, time::timeout};

use crate::{flow::retrieve::Http, throttle::Throttle};

/// Longest wait for the head of an answer.
const ANSWER: Duration = Duration::from_secs(15);

/// One gateway, for one blob.
pub(super) struct Source {
    http: Http,
    at: usize,
    blob: BlobId,
    throttle: Throttle,
    // All of it, or it isn't there at all.
    has: watch::Receiver<Option<Vec<Range<u64>>>>,
}

impl Source {
    pub(super) fn of(
        http: Http,
        at: usize,
        blob: BlobId,
        throttle: Throttle,
    ) -> Arc<dyn RawSource> {
        let (_, has) = watch::channel(None);
        Arc::new(Self {
            http,
            at,
            blob,
            throttle,
            has,
        })
    }
}

impl RawSource for Source {
    fn label(&self) -> SourceLabel {
        label(&self.http, self.at)
    }

    fn has(&self) -> watch::Receiver<Option<Vec<Range<u64>>>> {
        self.has.clone()
    }

    fn read(&self, range: Range<u64>) -> stream::Boxed<Result<Bytes, RawFault>> {
        let (http, at) = (self.http.clone(), self.at);
        let path = format!("ipfs/{}", self.blob);
        let answer = async move {
            let header = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            let request = http
                .of_gateway(at, Method::GET, &path)
                .header(RANGE, header);
            let response = send(request).await?;
            if response.status() != StatusCode::PARTIAL_CONTENT {
                return Err(RawFault::Lied("the whole where a range was asked for"));
            }
            let wanted = range.end - range.start;
            if response
                .content_length()
                .is_some_and(|bytes| bytes != wanted)
            {
                return Err(RawFault::Lied("another range than was asked for"));
            }
            Ok(body(response, wanted))
        };
        self.throttle.paced(flat(answer))
    }
}

/// The outboard that a gateway has; none if it has none.
pub(super) async fn outboard(http: &Http, at: usize, blob: BlobId) -> Option<RawOutboard> {
    let path = format!("ipfs/{blob}");
    let head = send(http.of_gateway(at, Method::HEAD, &path)).await.ok()?;
    let length = head.headers().get(CONTENT_LENGTH)?.to_str().ok()?;
    let size_bytes = length.parse().ok()?;
    let path = format!("blob/{blob}/outboard");
    let response = send(http.of_gateway(at, Method::GET, &path)).await.ok()?;
    Some(RawOutboard {
        label: label(http, at),
        size_bytes,
        pairs: body(response, u64::MAX),
    })
}

fn label(http: &Http, at: usize) -> SourceLabel {
    SourceLabel {
        kind: SourceKind::Gateway,
        name: http.text(at),
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<Response, RawFault> {
    let sent = timeout(ANSWER, request.send()).await;
    let response = sent
        .map_err(|late| RawFault::Unreachable(Box::new(late)))?
        .map_err(|error| RawFault::Unreachable(Box::new(error)))?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(RawFault::Busy),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RawFault::Refused),
        _ => Err(RawFault::NotHeld),
    }
}

/// At most so many bytes of an answer.
fn body(response: Response, most: u64) -> stream::Boxed<Result<Bytes, RawFault>> {
    let chunks = response.bytes_stream();
    let chunks = chunks.map(|chunk| chunk.map_err(|error| RawFault::Broke(Box::new(error))));
    let bounded = chunks.scan(most, |left, chunk| {
        let chunk = chunk.and_then(|bytes| {
            let left_after = left.checked_sub(bytes.len() as u64);
            *left = left_after.ok_or(RawFault::Lied("more than was asked for"))?;
            Ok(bytes)
        });
        Some(chunk)
    });
    bounded.boxed()
}

/// A stream that is there only after waiting.
fn flat(
    answer: impl Future<Output = Result<stream::Boxed<Result<Bytes, RawFault>>, RawFault>>
    + Send
    + 'static,
) -> stream::Boxed<Result<Bytes, RawFault>> {
    let opened = stream::once_future(answer).map(|opened| match opened {
        Ok(body) => body,
        Err(fault) => stream::once(Err(fault)).boxed(),
    });
    opened.flatten().boxed()
}
