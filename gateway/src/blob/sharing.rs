//! Headers of everything that anyone may read from any origin, failures included.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// About eleven months, as public IPFS gateways say for what never changes.
pub const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=29030400, immutable");

const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Adds them, and a sandbox; a content security policy that is there already stays.
pub fn share(response: Response) -> Response {
    let mut response = open(response);
    response
        .headers_mut()
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(SANDBOX);
    response
}

/// Adds them without a sandbox: for what has an origin of its own.
pub fn open(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let all: [(HeaderName, &'static str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (RESOURCE_POLICY, "cross-origin"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Content-Type, Range, User-Agent, X-Requested-With, If-Range, If-None-Match",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Content-Length, Content-Range, Etag, X-Ipfs-Path, X-Ipfs-Roots, X-Chunked-Output, \
             X-Stream-Output",
        ),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Answers a cross-origin preflight: anyone may read, nobody with credentials.
pub fn preflight() -> Response {
    let max_age = [(header::ACCESS_CONTROL_MAX_AGE, "86400")];
    open((StatusCode::NO_CONTENT, max_age).into_response())
}
