//! One request for something below an IPFS root, and the heads of its answers.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use model::{BlobId, EntryId};

use super::{
    address::Address,
    format::{IpfsQuery, Wish},
    origin::Origin,
};
use crate::{
    api::types::ErrorCode,
    blob::{
        disposition::{disposition, header_value},
        range::{Wanted, wanted},
        sharing::IMMUTABLE,
    },
    failure::Failure,
    gate::Gate,
    node::{NodeError, Viewer},
};

/// The request.
pub struct Asked<'a> {
    /// Node, settings and limits.
    pub gate: &'a Gate,
    /// For whom it is read.
    pub viewer: Viewer,
    /// What it names.
    pub address: &'a Address,
    /// Where its answer will live.
    pub origin: &'a Origin,
    /// GET or HEAD.
    pub method: &'a Method,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its query as it came.
    pub raw_query: Option<&'a str>,
    /// Its query, read.
    pub query: IpfsQuery,
    /// In which format.
    pub wish: Wish,
}

/// What is sent, apart from its bytes.
pub struct Entity<'a> {
    /// With its quotes.
    pub etag: String,
    /// `Content-Type`.
    pub media_type: &'a str,
    /// A browser may show it.
    pub is_inline: bool,
    /// File name for saving, where the request names none.
    pub name: Option<String>,
}

/// An answer's head, with the bytes that are still to be put into it.
pub enum Framed {
    /// This range of them.
    Send(Response, Range<u64>),
    /// None: the answer is complete.
    Done(Response),
}

impl Asked<'_> {
    /// The blob of datt that is asked for itself, not through a path.
    pub fn own_blob(&self) -> Option<BlobId> {
        let is_bare = self.address.segments.is_empty();
        BlobId::try_from(&self.address.root)
            .ok()
            .filter(|_| is_bare)
    }

    /// The entry or payload of datt that is asked for itself, not through a path.
    pub fn own_block(&self) -> Option<EntryId> {
        let is_bare = self.address.segments.is_empty();
        EntryId::try_from(&self.address.root)
            .ok()
            .filter(|_| is_bare)
    }

    /// The client wants only what is held (`Cache-Control: only-if-cached`, RFC 9111 §5.2.1.7).
    pub fn is_cached_only(&self) -> bool {
        let mut values = self.headers.get_all(header::CACHE_CONTROL).iter();
        values.any(|value| {
            let directives = value.to_str().unwrap_or_default().split(',');
            directives
                .map(str::trim)
                .any(|directive| directive.eq_ignore_ascii_case("only-if-cached"))
        })
    }

    /// What the node said, as this request's answer. What is missing under a name of datt may be
    /// looked for at peers and has its own status; under other names it isn't there. Who takes only
    /// what is cached hears the same of a name that doesn't exist.
    pub fn failure(&self, error: NodeError) -> Failure {
        let is_missing = matches!(error, NodeError::NotHeld { .. } | NodeError::NotFound(_));
        let is_own = self.own_blob().is_some() || self.own_block().is_some();
        let mut failure = Failure::from(error);
        if is_missing && self.is_cached_only() {
            failure.code = ErrorCode::NotCached;
        } else if failure.code == ErrorCode::NotHeld && !is_own {
            failure.code = ErrorCode::NotFound;
        }
        failure
    }

    /// The client holds this very answer: `If-None-Match`, compared weakly (RFC 9110 §13.1.2).
    pub fn is_known(&self, etag: &str) -> bool {
        let mut values = self.headers.get_all(header::IF_NONE_MATCH).iter();
        values.any(|value| {
            value.to_str().is_ok_and(|tags| {
                tags.split(',')
                    .map(str::trim)
                    .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
            })
        })
    }

    /// The file name that the request itself names: from `filename`, or from `download` as pages of
    /// datt say it.
    fn asked_name(&self) -> Option<&str> {
        let named = self.query.download.as_deref();
        let named = named.filter(|name| !["true", "false", ""].contains(name));
        self.query.filename.as_deref().or(named)
    }

    /// File name of what is asked for: the request's, else the last name of the path.
    pub fn file_name(&self) -> Option<&str> {
        self.asked_name()
            .or_else(|| self.address.segments.last().map(String::as_str))
    }

    fn disposition(&self, entity: &Entity<'_>) -> String {
        let is_saved = self
            .query
            .download
            .as_deref()
            .is_some_and(|download| !["false", ""].contains(&download));
        let name = self.asked_name().or(entity.name.as_deref());
        disposition(entity.is_inline && !is_saved, name)
    }

    /// A head with the headers that every immutable answer has.
    pub fn head(&self, status: StatusCode, entity: &Entity<'_>) -> Result<Response, Failure> {
        let mut response = status.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ETAG, header_value(&entity.etag)?);
        headers.insert(header::CACHE_CONTROL, IMMUTABLE);
        headers.insert(header::CONTENT_TYPE, header_value(entity.media_type)?);
        let disposition = self.disposition(entity);
        headers.insert(header::CONTENT_DISPOSITION, header_value(&disposition)?);
        Ok(response)
    }

    /// 304, with the headers that a stored answer takes over.
    pub fn not_modified(&self, etag: &str, cache: HeaderValue) -> Result<Response, Failure> {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ETAG, header_value(etag)?);
        headers.insert(header::CACHE_CONTROL, cache);
        Ok(response)
    }

    /// The head of something with a known length, for the range that is wanted of it.
    pub fn framed(&self, entity: &Entity<'_>, size_bytes: u64) -> Result<Framed, Failure> {
        let (status, range) = match self.wanted(&entity.etag, size_bytes) {
            Wanted::Nothing => return self.out_of_range(size_bytes).map(Framed::Done),
            Wanted::Whole => (StatusCode::OK, 0..size_bytes),
            Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        };
        let mut response = self.head(status, entity)?;
        let headers = response.headers_mut();
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(
            header::CONTENT_LENGTH,
            HeaderValue::from(range.end - range.start),
        );
        if status == StatusCode::PARTIAL_CONTENT {
            let content = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
            headers.insert(header::CONTENT_RANGE, header_value(&content)?);
        }
        if *self.method == Method::HEAD {
            return Ok(Framed::Done(response));
        }
        Ok(Framed::Send(response, range))
    }

    /// The answer of bytes that are in memory.
    pub fn bytes(&self, entity: &Entity<'_>, bytes: &Bytes) -> Result<Response, Failure> {
        if self.is_known(&entity.etag) {
            return self.not_modified(&entity.etag, IMMUTABLE);
        }
        match self.framed(entity, bytes.len() as u64)? {
            Framed::Done(response) => Ok(response),
            Framed::Send(mut response, range) => {
                let limit = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let part = bytes.slice(limit(range.start)..limit(range.end));
                *response.body_mut() = Body::from(part);
                Ok(response)
            }
        }
    }

    /// The range asked for; ignored for HEAD and when `If-Range` names another version.
    fn wanted(&self, etag: &str, size_bytes: u64) -> Wanted {
        let text = |name| {
            self.headers
                .get(name)
                .map(|value: &HeaderValue| value.to_str().ok())
        };
        let same = match text(header::IF_RANGE) {
            None => true,
            Some(tag) => tag == Some(etag),
        };
        let range = text(header::RANGE).flatten();
        if *self.method == Method::GET && same {
            wanted(range, size_bytes)
        } else {
            Wanted::Whole
        }
    }

    fn out_of_range(&self, size_bytes: u64) -> Result<Response, Failure> {
        let path = self.address.content_path();
        let why = format!("the range lies outside {path}, which has {size_bytes} bytes");
        let mut response = Failure::new(ErrorCode::BadRange, why).into_response();
        let whole = header_value(&format!("bytes */{size_bytes}"))?;
        response.headers_mut().insert(header::CONTENT_RANGE, whole);
        Ok(response)
    }
}
