//! `GET /torrent/{infohash}`.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};

use super::{Request, infohash};
use crate::{
    api::{caller::Caller, types::ErrorBody},
    blob::sharing::{self, share},
    failure::Failure,
    gate::Gate,
    ipfs::asked::Entity,
};

const MEDIA_TYPE: &str = "application/x-bittorrent";

/// A `.torrent` file (BEP 3): of what may travel into swarms, for everybody.
#[utoipa::path(get, path = "/torrent/{infohash}", tag = "torrents",
    params(("infohash" = String, Path, description = "BitTorrent v1 infohash, 40 hexadecimal digits or 32 characters of base32; `.torrent` may follow")),
    responses((status = 200, description = "Metainfo; it may change with the configuration of the node, the ETag tells", content_type = "application/x-bittorrent"),
        (status = 304, description = "You have it"),
        (status = 400, description = "No infohash", body = ErrorBody),
        (status = 404, description = "Unknown, or not for swarms", body = ErrorBody),
        (status = 410, description = "On the denylist", body = ErrorBody),
        (status = 503, description = "BitTorrent is switched off", body = ErrorBody)))]
pub async fn file(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let request = Request {
        gate: &gate,
        viewer,
        method: &method,
        headers: &headers,
    };
    let answer = serve(&request, &name).await;
    share(answer.unwrap_or_else(IntoResponse::into_response))
}

/// Answers a cross-origin preflight: anyone may read, nobody with credentials.
#[utoipa::path(options, path = "/torrent/{infohash}", tag = "torrents",
    params(("infohash" = String, Path, description = "BitTorrent v1 infohash")),
    responses((status = 204, description = "What may be asked across origins")))]
pub async fn preflight() -> Response {
    sharing::preflight()
}

async fn serve(request: &Request<'_>, name: &str) -> Result<Response, Failure> {
    let infohash = infohash(name.strip_suffix(".torrent").unwrap_or(name))?;
    let node = request.gate.node();
    let file = node.torrent(request.viewer, infohash).await?;
    let entity = Entity {
        etag: format!("\"{}\"", blake3::hash(&file.bytes).to_hex()),
        media_type: MEDIA_TYPE,
        is_inline: false,
        name: Some(format!("{}.torrent", file.name)),
    };
    request.bytes(&entity, &file.bytes)
}
