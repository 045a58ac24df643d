//! `/webseed/{infohash}/...`: the files of a torrent by their paths (BEP 19), for everybody.
//!
//! `{public_url}/webseed/{infohash}/` is what `url-list` of our metainfo names: clients put the
//! torrent's name after it, and the path of a file where there are several.

use axum::{
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};

use super::{Request, infohash};
use crate::{
    api::types::ErrorBody,
    blob::sharing::{self, share},
    failure::Failure,
    gate::Gate,
    ipfs::address::segments,
    node::Viewer,
};

/// Where all of them are.
const PREFIX: &str = "/webseed/";

/// The file of a torrent of one file.
#[utoipa::path(get, path = "/webseed/{infohash}", tag = "torrents",
    params(("infohash" = String, Path, description = "BitTorrent v1 infohash"),
        ("range" = Option<String>, Header, description = "RFC 9110; of several ranges the first")),
    responses((status = 200, description = "All of it", content_type = "application/octet-stream"),
        (status = 206, description = "The range"),
        (status = 400, description = "No infohash", body = ErrorBody),
        (status = 404, description = "Unknown, or not for swarms", body = ErrorBody),
        (status = 410, description = "On the denylist", body = ErrorBody),
        (status = 416, description = "Not a byte of the range exists", body = ErrorBody)))]
pub async fn only(
    State(gate): State<Gate>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let request = Request {
        gate: &gate,
        viewer: Viewer::Stranger,
        method: &method,
        headers: &headers,
    };
    let answer = serve(&request, uri.path()).await;
    share(answer.unwrap_or_else(IntoResponse::into_response))
}

/// A file of a torrent, by its path below the torrent's name.
#[utoipa::path(get, path = "/webseed/{infohash}/{path}", tag = "torrents",
    params(("infohash" = String, Path, description = "BitTorrent v1 infohash"),
        ("path" = String, Path, description = "The torrent's name, and names below it, percent-encoded, with slashes between them"),
        ("range" = Option<String>, Header, description = "RFC 9110; of several ranges the first")),
    responses((status = 200, description = "As for `/webseed/{infohash}`", content_type = "application/octet-stream"),
        (status = 404, description = "No such file, or not for swarms", body = ErrorBody)))]
pub async fn below(gate: State<Gate>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    only(gate, method, uri, headers).await
}

/// Answers a cross-origin preflight: anyone may read, nobody with credentials.
#[utoipa::path(options, path = "/webseed/{infohash}/{path}", tag = "torrents",
    params(("infohash" = String, Path, description = "BitTorrent v1 infohash"),
        ("path" = String, Path, description = "Names")),
    responses((status = 204, description = "What may be asked across origins")))]
pub async fn preflight() -> Response {
    sharing::preflight()
}

async fn serve(request: &Request<'_>, path: &str) -> Result<Response, Failure> {
    let below = path.strip_prefix(PREFIX).unwrap_or_default();
    let (hash, names) = below.split_once('/').unwrap_or((below, ""));
    let infohash = infohash(hash)?;
    let names = segments(names)
        .map_err(|why| Failure::invalid(format!("the path in the torrent can't be read: {why}")))?;
    let name = names.last().cloned().unwrap_or_default();
    let blob = request.gate.node().torrent_file(infohash, names).await?;
    request.blob(blob, name).await
}
