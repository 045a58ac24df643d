//! `GET|HEAD /ipfs/{cid}` and `GET /blob/{cid}/outboard`.
//!
//! Nothing here runs as script: types come from [`media_type`], under `nosniff` and a sandbox.

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXUPPER;
use model::{BlobId, EntryId};
use serde::Deserialize;

use super::{
    body::{self, Slot},
    media_type,
    range::{Wanted, wanted},
    reader::Reader,
};
use crate::{
    api::{caller::Caller, types::ErrorCode},
    failure::Failure,
    gate::Gate,
    node::{BlobBody, NodeError, Viewer},
};

/// About eleven months, as public IPFS gateways say for what never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=29030400, immutable");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, max-age=29030400, immutable");
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");
const ANYONE: HeaderValue = HeaderValue::from_static("*");
const CROSS_ORIGIN: HeaderValue = HeaderValue::from_static("cross-origin");
const DAG_CBOR: &str = "application/vnd.ipld.dag-cbor";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// How to hand out a block.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ServeQuery {
    /// Save it under this file name instead of showing it.
    download: Option<String>,
}

/// A blob (raw CID), an entry or a payload (dag-cbor CID), with ranges.
#[utoipa::path(get, path = "/ipfs/{cid}", tag = "blobs",
    params(("cid" = String, Path, description = "CIDv1, raw or dag-cbor, BLAKE3"), ServeQuery,
        ("range" = Option<String>, Header, description = "One range, RFC 9110; several: the whole"),
        ("if-none-match" = Option<String>, Header), ("if-range" = Option<String>, Header)),
    responses((status = 200, description = "All of it; the ETag is the CID", content_type = "application/octet-stream"),
        (status = 206, description = "The range"), (status = 304, description = "You have it"),
        (status = 404, description = "Unknown", body = crate::api::types::ErrorBody),
        (status = 410, description = "On the denylist", body = crate::api::types::ErrorBody),
        (status = 416, description = "Not a byte of the range exists", body = crate::api::types::ErrorBody),
        (status = 504, description = "Nobody delivered it in time", body = crate::api::types::ErrorBody)))]
pub async fn ipfs(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Path(cid): Path<String>,
    Query(query): Query<ServeQuery>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let request = |cid| Request {
        cid,
        query: &query,
        method: &method,
        headers: &headers,
    };
    let answer = if let Ok(blob) = cid.parse::<BlobId>() {
        serve_blob(&gate, viewer, blob, &request(blob.to_string())).await
    } else if let Ok(entry) = cid.parse::<EntryId>() {
        serve_block(&gate, viewer, entry, &request(entry.to_string())).await
    } else {
        Err(malformed(&cid))
    };
    let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
    // What only its owner may see must not stay in a cache that others share.
    if viewer.is_owner() && answer.headers().get(header::CACHE_CONTROL) == Some(&IMMUTABLE) {
        answer.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
    }
    share(answer)
}

/// Answers a cross-origin preflight: anyone may read, nobody with credentials.
#[utoipa::path(options, path = "/ipfs/{cid}", tag = "blobs",
    params(("cid" = String, Path, description = "CIDv1")),
    responses((status = 204, description = "Allowed methods and headers")))]
pub async fn preflight() -> Response {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "range, if-range, if-none-match",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    share((StatusCode::NO_CONTENT, allowed).into_response())
}

/// The BLAKE3 outboard of a blob, in the format of iroh-blobs (16 KiB groups).
#[utoipa::path(get, path = "/blob/{cid}/outboard", tag = "blobs",
    params(("cid" = String, Path, description = "Blob CID")),
    responses((status = 200, description = "Outboard", content_type = "application/octet-stream"),
        (status = 404, description = "Not held in full", body = crate::api::types::ErrorBody)))]
pub async fn outboard(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Path(cid): Path<String>,
) -> Response {
    share(
        serve_outboard(&gate, viewer, &cid)
            .await
            .unwrap_or_else(IntoResponse::into_response),
    )
}

struct Request<'a> {
    /// In its canonical text, whichever base the URL used.
    cid: String,
    query: &'a ServeQuery,
    method: &'a Method,
    headers: &'a HeaderMap,
}

impl Request<'_> {
    fn etag(&self) -> String {
        format!("\"{}\"", self.cid)
    }

    /// The client holds this very block: `If-None-Match`, compared weakly (RFC 9110 §13.1.2).
    fn is_known(&self) -> bool {
        let etag = self.etag();
        self.headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .any(|value| {
                value.to_str().is_ok_and(|tags| {
                    tags.split(',')
                        .map(str::trim)
                        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
                })
            })
    }

    /// The range asked for; ignored for HEAD and when `If-Range` names another version.
    fn wanted(&self, size_bytes: u64) -> Wanted {
        let text = |name| {
            self.headers
                .get(name)
                .map(|value: &HeaderValue| value.to_str().ok())
        };
        let same = match text(header::IF_RANGE) {
            None => true,
            Some(tag) => tag == Some(self.etag().as_str()),
        };
        let range = text(header::RANGE).flatten();
        if *self.method == Method::GET && same {
            wanted(range, size_bytes)
        } else {
            Wanted::Whole
        }
    }

    fn head(&self, status: StatusCode, media_type: &'static str) -> Result<Response, Failure> {
        let mut response = status.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ETAG, header_value(&self.etag())?);
        headers.insert(header::CACHE_CONTROL, IMMUTABLE);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        let inline = media_type::is_inline(media_type) && media_type != DAG_CBOR;
        let disposition = match &self.query.download {
            Some(name) => attachment(name),
            None if inline => "inline".to_owned(),
            None => "attachment".to_owned(),
        };
        headers.insert(header::CONTENT_DISPOSITION, header_value(&disposition)?);
        Ok(response)
    }

    fn not_modified(&self) -> Result<Response, Failure> {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response
            .headers_mut()
            .insert(header::ETAG, header_value(&self.etag())?);
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, IMMUTABLE);
        Ok(response)
    }
}

async fn serve_blob(
    gate: &Gate,
    viewer: Viewer,
    blob: BlobId,
    request: &Request<'_>,
) -> Result<Response, Failure> {
    let reader = Reader::open(gate, viewer, blob).await?;
    if request.is_known() {
        return request.not_modified();
    }
    let size_bytes = reader.size_bytes();
    let (status, range) = match request.wanted(size_bytes) {
        Wanted::Nothing => return out_of_range(&request.cid, size_bytes),
        Wanted::Whole => (StatusCode::OK, 0..size_bytes),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let mut response = request.head(status, reader.media_type().await?)?;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(range.end - range.start),
    );
    if status == StatusCode::PARTIAL_CONTENT {
        let content = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
        headers.insert(header::CONTENT_RANGE, header_value(&content)?);
    }
    if *request.method != Method::HEAD {
        let slot = Slot::new(gate.slots().blob_stream()?, gate.metrics().clone());
        *response.body_mut() = reader.body(range, slot).await?;
    }
    Ok(response)
}

async fn serve_block(
    gate: &Gate,
    viewer: Viewer,
    cid: EntryId,
    request: &Request<'_>,
) -> Result<Response, Failure> {
    let bytes = gate.node().block(viewer, cid).await?;
    if request.is_known() {
        return request.not_modified();
    }
    let size_bytes = bytes.len() as u64;
    let (status, part) = match request.wanted(size_bytes) {
        Wanted::Nothing => return out_of_range(&request.cid, size_bytes),
        Wanted::Whole => (StatusCode::OK, bytes),
        Wanted::Part(range) => {
            let limit = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            let part = bytes.slice(limit(range.start)..limit(range.end));
            let content = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
            let mut response = request.head(StatusCode::PARTIAL_CONTENT, DAG_CBOR)?;
            response
                .headers_mut()
                .insert(header::CONTENT_RANGE, header_value(&content)?);
            *response.body_mut() = Body::from(part);
            return Ok(response);
        }
    };
    let mut response = request.head(status, DAG_CBOR)?;
    *response.body_mut() = Body::from(part);
    Ok(response)
}

async fn serve_outboard(gate: &Gate, viewer: Viewer, cid: &str) -> Result<Response, Failure> {
    let blob = cid.parse::<BlobId>().map_err(|_| malformed(cid))?;
    let open = gate.node().outboard(viewer, blob).await?;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type::OPAQUE),
    );
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment"),
    );
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    headers.insert(header::ETAG, header_value(&format!("\"{cid}.outboard\""))?);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(open.size_bytes));
    let slot = Slot::new(gate.slots().blob_stream()?, gate.metrics().clone());
    *response.body_mut() = match open.body {
        BlobBody::File(file) => body::from_file(file, 0..open.size_bytes, slot),
        BlobBody::Bytes(bytes) => Body::from(bytes),
        BlobBody::Partial => {
            let why = format!("the outboard of {blob} is not held in full");
            return Err(NodeError::NotFound(why).into());
        }
    };
    Ok(response)
}

fn out_of_range(cid: &str, size_bytes: u64) -> Result<Response, Failure> {
    let why = format!("the range lies outside {cid}, which has {size_bytes} bytes");
    let mut response = Failure::new(ErrorCode::BadRange, why).into_response();
    let whole = header_value(&format!("bytes */{size_bytes}"))?;
    response.headers_mut().insert(header::CONTENT_RANGE, whole);
    Ok(response)
}

fn malformed(cid: &str) -> Failure {
    let shown: String = cid.chars().take(100).collect();
    Failure::invalid(format!(
        "`{shown}` names no block: expected a CIDv1, raw or dag-cbor, with a BLAKE3 hash, as in bafkr4i..."
    ))
}

/// `attachment` with the name in both forms of RFC 6266.
fn attachment(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && !"/\\".contains(*c))
        .take(200)
        .collect();
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii() && !"\"%;".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&HEXUPPER.encode(&[byte]));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn header_value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|_| Failure::invalid("the request names a header value with control characters"))
}

/// What every answer about blobs carries, failures included.
fn share(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(RESOURCE_POLICY, CROSS_ORIGIN);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANYONE);
    let exposed = HeaderValue::from_static("content-length, content-range, etag");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}
