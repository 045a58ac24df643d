//! Headers that every answer carries unless its route said otherwise.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::{gate::Gate, ipfs::subdomain::OwnOrigin};

/// What the pages may load: their own scripts, styles, pictures and media, nothing inline.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// The layer.
pub async fn secure(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let defaults: [(HeaderName, &'static str); 8] = [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers would send `Origin: null` with the pages' own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ];
    let is_own = response.extensions().get::<OwnOrigin>().is_some();
    let headers = response.headers_mut();
    // What an IPFS root loads, embeds and allows on its own origin is its own matter.
    let is_common =
        |name: &HeaderName| [header::X_CONTENT_TYPE_OPTIONS, header::CACHE_CONTROL].contains(name);
    for (name, value) in defaults {
        if is_own && !is_common(&name) {
            continue;
        }
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if gate
        .settings()
        .public_url
        .as_deref()
        .is_some_and(|url| url.starts_with("https://"))
    {
        let strict = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict);
    }
    response
}
