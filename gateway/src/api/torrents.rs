//! Torrents, how far files may travel, and where their bytes come from.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use model::BlobId;
use views::data::{Share, Torrent};

use super::{
    caller::{Caller, Owner},
    input::{Id, Sent},
    progress,
    types::{
        ErrorBody, Infohash, PublicityAnswer, PublicityRequest, TorrentProgress, TorrentRequest,
        TorrentSource,
    },
};
use crate::{failure::Failure, gate::Gate, node::NodeError};

/// Longest `.torrent` file, bytes: a terabyte in pieces of a mebibyte, with its names.
const MAX_FILE_BYTES: usize = 24 << 20;
/// Longest JSON body: the longest file in base64, and what surrounds it.
pub const MAX_BODY_BYTES: usize = MAX_FILE_BYTES / 3 * 4 + (64 << 10);
/// Longest magnet link, bytes.
const MAX_MAGNET_BYTES: usize = 64 << 10;
/// Peers that a request names.
const MAX_PEERS: usize = 256;
/// Longest of their addresses, bytes: a host name of DNS and a port.
const MAX_PEER_BYTES: usize = 260;

/// What this node seeds, offers or downloads.
#[utoipa::path(get, path = "/api/v1/torrents", tag = "torrents", security(("token" = [])),
    responses((status = 200, description = "Torrents", body = [Torrent]),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn list(State(gate): State<Gate>, _: Owner) -> Result<Json<Vec<Torrent>>, Failure> {
    Ok(Json(gate.node().torrents().await?))
}

/// Downloads a torrent, and names its files by CID.
#[utoipa::path(post, path = "/api/v1/torrents", tag = "torrents", request_body = TorrentRequest,
    security(("token" = [])),
    responses((status = 200, description = "Events `progress`, then `done` or `error`",
        body = TorrentProgress, content_type = "text/event-stream"),
        (status = 400, description = "No magnet link, no metainfo", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 413, description = "Metainfo over its limit", body = ErrorBody),
        (status = 503, description = "BitTorrent is switched off", body = ErrorBody)))]
pub async fn get(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<TorrentRequest>,
) -> Result<Response, Failure> {
    check(&request)?;
    let items = gate.node().get_torrent(request).await?;
    progress::answer(&gate, items)
}

fn check(request: &TorrentRequest) -> Result<(), Failure> {
    let (what, size, limit) = match &request.source {
        TorrentSource::Magnet(link) => ("the magnet link", link.len(), MAX_MAGNET_BYTES),
        TorrentSource::File(bytes) => ("the .torrent file", bytes.len(), MAX_FILE_BYTES),
    };
    if size > limit {
        return Err(NodeError::TooLarge {
            what: what.to_owned(),
            size_bytes: size as u64,
            limit_bytes: limit as u64,
        }
        .into());
    }
    if request.peers.len() > MAX_PEERS
        || request.peers.iter().any(|peer| peer.len() > MAX_PEER_BYTES)
    {
        return Err(Failure::invalid(format!(
            "name up to {MAX_PEERS} peers, each as host:port"
        )));
    }
    Ok(())
}

/// Stops seeding an album or a torrent of others. The bytes stay.
#[utoipa::path(delete, path = "/api/v1/torrents/{infohash}", tag = "torrents",
    params(("infohash" = String, Path, description = "BitTorrent v1 infohash, 40 hexadecimal digits or 32 characters of base32")),
    security(("token" = [])),
    responses((status = 204, description = "Out of its swarm, and forgotten"),
        (status = 400, description = "No infohash", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Unknown", body = ErrorBody),
        (status = 409, description = "It follows from the publicity of one file", body = ErrorBody)))]
pub async fn forget(
    State(gate): State<Gate>,
    _: Owner,
    Id(infohash): Id<Infohash>,
) -> Result<StatusCode, Failure> {
    gate.node().forget_torrent(infohash).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far a file may travel, and why.
#[utoipa::path(get, path = "/api/v1/blobs/{cid}/publicity", tag = "torrents",
    params(("cid" = String, Path, description = "Blob CID")), security(("token" = [])),
    responses((status = 200, description = "How far", body = PublicityAnswer),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn publicity(
    State(gate): State<Gate>,
    _: Owner,
    Id(blob): Id<BlobId>,
) -> Result<Json<PublicityAnswer>, Failure> {
    Ok(Json(gate.node().publicity(blob).await?))
}

/// Says how far a file may travel from here. What others have copied can't be called back.
#[utoipa::path(put, path = "/api/v1/blobs/{cid}/publicity", tag = "torrents",
    request_body = PublicityRequest,
    params(("cid" = String, Path, description = "Blob CID")), security(("token" = [])),
    responses((status = 200, description = "On disk, and in force", body = PublicityAnswer),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Unknown", body = ErrorBody),
        (status = 409, description = "It belongs to an unlisted space only", body = ErrorBody)))]
pub async fn set_publicity(
    State(gate): State<Gate>,
    _: Owner,
    Id(blob): Id<BlobId>,
    Sent(request): Sent<PublicityRequest>,
) -> Result<Json<PublicityAnswer>, Failure> {
    let said = gate.node().set_publicity(blob, request.publicity).await?;
    Ok(Json(said))
}

/// Where the bytes of a file came from in the last minutes, source by source.
#[utoipa::path(get, path = "/api/v1/blobs/{cid}/sources", tag = "blobs",
    params(("cid" = String, Path, description = "Blob CID")),
    responses((status = 200, description = "Sources; none where nothing was fetched lately", body = [Share]),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn sources(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(blob): Id<BlobId>,
) -> Result<Json<Vec<Share>>, Failure> {
    Ok(Json(gate.node().shares(viewer, blob).await?))
}
