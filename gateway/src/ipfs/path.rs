//! `/ipfs/{cid}` and `/ipfs/{cid}/{path}`: the routes.

use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    address::Address,
    format::IpfsQuery,
    origin::Origin,
    serve::{self, moved},
    subdomain,
};
use crate::{
    api::caller::Caller,
    blob::sharing::{self, share},
    client::Client,
    failure::Failure,
    gate::Gate,
};

/// A blob, an entry, a payload, or anything else that has a CID.
///
/// Raw and dag-cbor CIDs with BLAKE3 are datt's own; others are blocks and UnixFS. `?format=` goes
/// before `Accept`. On hosts with subdomains, navigation is redirected to the root's own origin.
#[utoipa::path(get, path = "/ipfs/{cid}", tag = "ipfs",
    params(("cid" = String, Path, description = "CID of version 0 or 1"), IpfsQuery,
        ("accept" = Option<String>, Header, description = "As `format`, by media type"),
        ("range" = Option<String>, Header, description = "RFC 9110; of several ranges the first"),
        ("if-none-match" = Option<String>, Header), ("if-range" = Option<String>, Header),
        ("cache-control" = Option<String>, Header, description = "`only-if-cached`")),
    responses((status = 200, description = "All of it; the ETag names CID and format", content_type = "application/octet-stream"),
        (status = 206, description = "The range"), (status = 304, description = "You have it"),
        (status = 301, description = "To the directory's slash, or to the root's own origin"),
        (status = 400, description = "No CID, or one of a codec or hash that isn't read", body = crate::api::types::ErrorBody),
        (status = 404, description = "Unknown, or not held", body = crate::api::types::ErrorBody),
        (status = 406, description = "Not to be had in that format", body = crate::api::types::ErrorBody),
        (status = 410, description = "On the denylist", body = crate::api::types::ErrorBody),
        (status = 412, description = "Only if cached, and not held", body = crate::api::types::ErrorBody),
        (status = 416, description = "Not a byte of the range exists", body = crate::api::types::ErrorBody),
        (status = 501, description = "A value within a data block, or a tar archive", body = crate::api::types::ErrorBody),
        (status = 504, description = "A name of datt that nobody delivered in time", body = crate::api::types::ErrorBody)))]
pub async fn root(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Extension(client): Extension<Client>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let address = Address::of_path(uri.path());
    if let Some(answer) = subdomain::instead(&gate, &client, &address, &uri, &headers) {
        return answer;
    }
    let answer = async {
        let parts = (&method, &uri, &headers);
        serve::serve(&gate, viewer, &address?, &Origin::Shared, parts).await
    };
    share(answer.await.unwrap_or_else(IntoResponse::into_response))
}

/// What a path below a root names: a file, a directory, a data block.
#[utoipa::path(get, path = "/ipfs/{cid}/{path}", tag = "ipfs",
    params(("cid" = String, Path, description = "CID of version 0 or 1"),
        ("path" = String, Path, description = "Names, percent-encoded, with slashes between them"),
        IpfsQuery),
    responses((status = 200, description = "As for `/ipfs/{cid}`", content_type = "application/octet-stream"),
        (status = 404, description = "No such name, or not held", body = crate::api::types::ErrorBody)))]
pub async fn below(
    gate: State<Gate>,
    caller: Caller,
    client: Extension<Client>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    root(gate, caller, client, method, uri, headers).await
}

/// Where a browser sends `ipfs://` links that this gateway handles.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UriQuery {
    /// `ipfs://CID/path`.
    uri: Option<String>,
}

/// Redirects an `ipfs://` address to its content path.
#[utoipa::path(get, path = "/ipfs/", tag = "ipfs", params(UriQuery),
    responses((status = 301, description = "To `/ipfs/{cid}/{path}`"),
        (status = 400, description = "No such address", body = crate::api::types::ErrorBody)))]
pub async fn by_uri(Query(query): Query<UriQuery>) -> Response {
    let answer = || {
        let uri = query.uri.as_deref().unwrap_or_default();
        let below = uri.strip_prefix("ipfs://").ok_or_else(|| {
            Failure::invalid("invalid path \"/ipfs/\": expected /ipfs/CID or ?uri=ipfs://CID/path")
        })?;
        let below = below.split(['?', '#']).next().unwrap_or_default();
        moved(&Address::of_path(&format!("/ipfs/{below}"))?.content_path())
    };
    share(answer().unwrap_or_else(IntoResponse::into_response))
}

/// Answers a cross-origin preflight: anyone may read, nobody with credentials.
#[utoipa::path(options, path = "/ipfs/{cid}", tag = "ipfs",
    params(("cid" = String, Path, description = "CID")),
    responses((status = 204, description = "Allowed methods and headers")))]
pub async fn preflight() -> Response {
    sharing::preflight()
}

/// Answers a cross-origin preflight for a path.
#[utoipa::path(options, path = "/ipfs/{cid}/{path}", tag = "ipfs",
    params(("cid" = String, Path, description = "CID"), ("path" = String, Path)),
    responses((status = 204, description = "Allowed methods and headers")))]
pub async fn preflight_below() -> Response {
    sharing::preflight()
}
