//! The stylesheet, the script and the logo, compiled in.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{api::types::ErrorCode, failure::Failure};

const STYLE: &str = include_str!("../../assets/style.css");
pub(super) const SCRIPT: &str = include_str!("../../assets/app.js");
const LIVE: &str = include_str!("../../assets/live.js");
const LOGO: &str = include_str!("../../assets/logo.svg");

/// Digits of the version in addresses and ETags.
const VERSION_DIGITS: usize = 12;

/// Hash over all assets: part of their addresses, so that they can be cached for good.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for asset in [STYLE, SCRIPT, LIVE, LOGO] {
        hasher.update(asset.as_bytes());
    }
    hasher.finalize().to_hex()[..VERSION_DIGITS].to_owned()
});

/// `GET /assets/{name}`.
pub(super) async fn serve(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (body, kind) = match name.as_str() {
        "style.css" => (STYLE, "text/css; charset=utf-8"),
        "app.js" => (SCRIPT, "text/javascript; charset=utf-8"),
        "live.js" => (LIVE, "text/javascript; charset=utf-8"),
        "logo.svg" => (LOGO, "image/svg+xml"),
        _ => {
            return Err(Failure::new(
                ErrorCode::NotFound,
                format!("there is no asset `{name}`"),
            ));
        }
    };
    let etag = format!("\"{}\"", VERSION.as_str());
    let cache = "public, max-age=31536000, immutable".to_owned();
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|tag| tag.as_bytes() == etag.as_bytes())
    {
        return Ok((
            StatusCode::NOT_MODIFIED,
            [(header::ETAG, etag), (header::CACHE_CONTROL, cache)],
        )
            .into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, cache),
    ];
    Ok((headers, body).into_response())
}
