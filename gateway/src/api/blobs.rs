//! Blobs: upload, import, state, fetch.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use model::BlobId;

use super::{
    caller::{Caller, Owner},
    input::{Asked, Id, MaybeSent, Sent},
    progress,
    types::{
        AddRequest, BlobAdded, BlobState, ErrorBody, FetchProgress, FetchRequest, ImportProgress,
        UploadQuery,
    },
};
use crate::{
    blob::{
        media_type,
        reader::{Reader, Source},
    },
    failure::Failure,
    gate::Gate,
    upload,
};

/// Longest file name in bytes; the schema's limit for `media.name`.
const MAX_NAME_BYTES: usize = 200;

/// Uploads a file: the raw bytes are the body.
#[utoipa::path(post, path = "/api/v1/blobs", tag = "blobs", params(UploadQuery),
    request_body(content = String, content_type = "application/octet-stream"),
    security(("token" = [])),
    responses((status = 200, description = "Imported, and on disk", body = BlobAdded),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 413, description = "Over the limit of an upload", body = ErrorBody),
        (status = 507, description = "Over the quota; nothing was written", body = ErrorBody)))]
pub async fn upload(
    State(gate): State<Gate>,
    _: Owner,
    Asked(query): Asked<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BlobAdded>, Failure> {
    check_name(&query.name)?;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<u64>().ok());
    upload::check_announced(&gate, announced)?;
    let slot = gate.slots().upload()?;
    let body = upload::from_body(&gate, body, slot);
    Ok(Json(
        gate.node().add_blob(query.name, announced, body).await?,
    ))
}

/// Imports a file of the node's machine without a copy through HTTP.
#[utoipa::path(post, path = "/api/v1/blobs/path", tag = "blobs", request_body = AddRequest,
    security(("token" = [])),
    responses((status = 200, description = "Events `progress`, then `done` or `error`",
        body = ImportProgress, content_type = "text/event-stream"),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn import_path(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<AddRequest>,
) -> Result<Response, Failure> {
    let items = gate.node().add_path(request).await?;
    progress::answer(&gate, items)
}

/// What is held of a blob.
#[utoipa::path(get, path = "/api/v1/blobs/{cid}", tag = "blobs",
    params(("cid" = String, Path, description = "Blob CID")),
    responses((status = 200, description = "State", body = BlobState),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn state(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(blob): Id<BlobId>,
) -> Result<Json<BlobState>, Failure> {
    let mut state = gate.node().blob_state(viewer, blob).await?;
    state.media_type = match state.complete {
        true => Reader::open(&gate, viewer, Source::Blob(blob))
            .await?
            .media_type(media_type::sniff)
            .await?
            .to_owned(),
        false => gate
            .known_types()
            .get(blob.to_cid())
            .unwrap_or(media_type::OPAQUE)
            .to_owned(),
    };
    Ok(Json(state))
}

/// Fetches a blob, or a range of it, from whoever has it.
#[utoipa::path(post, path = "/api/v1/blobs/{cid}/fetch", tag = "blobs", request_body = FetchRequest,
    params(("cid" = String, Path, description = "Blob CID")), security(("token" = [])),
    responses((status = 200, description = "Events `progress`, then `done` or `error`",
        body = FetchProgress, content_type = "text/event-stream"),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn fetch(
    State(gate): State<Gate>,
    _: Owner,
    Id(blob): Id<BlobId>,
    MaybeSent(request): MaybeSent<FetchRequest>,
) -> Result<Response, Failure> {
    if let Some([first, end]) = request.range
        && first >= end
    {
        return Err(Failure::invalid(format!(
            "the range {first}..{end} is empty: give the first byte and the byte after the last"
        )));
    }
    let items = gate.node().fetch_blob(blob, request).await?;
    progress::answer(&gate, items)
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() > MAX_NAME_BYTES
        || name.contains(['/', '\\'])
        || name.chars().any(char::is_control)
    {
        return Err(Failure::invalid(format!(
            "`name` is a file name without folders, of at most {MAX_NAME_BYTES} bytes"
        )));
    }
    Ok(())
}
