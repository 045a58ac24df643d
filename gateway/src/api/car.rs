//! CARs: export as a stream, import of a file of the node's machine.

use axum::{
    extract::State,
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use cid::Cid;
use futures_lite::StreamExt;

use super::{
    caller::Owner,
    input::{Asked, Sent},
    progress,
    types::{CarProgress, ErrorBody, ExportQuery, PathRequest},
};
use crate::{
    blob::body::{self, Slot},
    failure::Failure,
    gate::Gate,
    ipfs::address::parse_cid,
};

/// Media type of a CARv1 (IANA).
const CAR: &str = "application/vnd.ipld.car; version=1";

/// Exports threads, spaces, the whole node, or any DAG as one CAR. An answer that breaks off is no
/// CAR; the node's log says why.
#[utoipa::path(get, path = "/api/v1/export", tag = "car", params(ExportQuery),
    security(("token" = [])),
    responses((status = 200, description = "The CAR", body = String,
            content_type = "application/vnd.ipld.car"),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Not held here", body = ErrorBody)))]
pub async fn export(
    State(gate): State<Gate>,
    _: Owner,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Failure> {
    let cids = query
        .cids
        .split(',')
        .filter(|text| !text.is_empty())
        .map(parse)
        .collect::<Result<Vec<_>, _>>()?;
    let slot = Slot::new(gate.slots().blob_stream()?, gate.metrics().clone());
    let mut bytes = gate.node().export(cids).await?;
    let first = match bytes.next().await {
        Some(first) => first?,
        None => bytes::Bytes::new(),
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(CAR)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"datt.car\""),
        ),
    ];
    Ok((headers, body::from_stream(first, bytes, slot)).into_response())
}

/// Imports a CAR of the node's machine: a capsule, or any CARv1.
#[utoipa::path(post, path = "/api/v1/import/path", tag = "car", request_body = PathRequest,
    security(("token" = [])),
    responses((status = 200, description = "Events `progress`, then `done` or `error`",
        body = CarProgress, content_type = "text/event-stream"),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn import_path(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<PathRequest>,
) -> Result<Response, Failure> {
    let items = gate.node().import_path(request.path).await?;
    progress::answer(&gate, items)
}

fn parse(text: &str) -> Result<Cid, Failure> {
    parse_cid(text).map_err(|why| {
        let shown: String = text.chars().take(100).collect();
        Failure::invalid(format!("`{shown}` is wrong: {why}"))
    })
}
