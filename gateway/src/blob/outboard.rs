//! `GET /blob/{cid}/outboard`.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use model::BlobId;

use super::{
    body::{self, Slot},
    disposition::header_value,
    media_type,
    sharing::{IMMUTABLE, share},
};
use crate::{
    api::caller::Caller,
    failure::Failure,
    gate::Gate,
    node::{BlobBody, NodeError, Viewer},
};

/// The BLAKE3 outboard of a blob, in the format of iroh-blobs (16 KiB groups).
#[utoipa::path(get, path = "/blob/{cid}/outboard", tag = "blobs",
    params(("cid" = String, Path, description = "Blob CID")),
    responses((status = 200, description = "Outboard", content_type = "application/octet-stream"),
        (status = 404, description = "Not held in full", body = crate::api::types::ErrorBody)))]
pub async fn outboard(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Path(cid): Path<String>,
) -> Response {
    share(
        serve(&gate, viewer, &cid)
            .await
            .unwrap_or_else(IntoResponse::into_response),
    )
}

async fn serve(gate: &Gate, viewer: Viewer, cid: &str) -> Result<Response, Failure> {
    let blob = cid.parse::<BlobId>().map_err(|_| malformed(cid))?;
    let open = gate.node().outboard(viewer, blob).await?;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type::OPAQUE),
    );
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment"),
    );
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    headers.insert(header::ETAG, header_value(&format!("\"{cid}.outboard\""))?);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(open.size_bytes));
    let slot = Slot::new(gate.slots().blob_stream()?, gate.metrics().clone());
    *response.body_mut() = match open.body {
        BlobBody::File(file) => body::from_file(file, 0..open.size_bytes, slot),
        BlobBody::Bytes(bytes) => Body::from(bytes),
        BlobBody::Partial => {
            let why = format!("the outboard of {blob} is not held in full");
            return Err(NodeError::NotFound(why).into());
        }
    };
    Ok(response)
}

fn malformed(cid: &str) -> Failure {
    let shown: String = cid.chars().take(100).collect();
    Failure::invalid(format!(
        "`{shown}` names no blob: expected a CIDv1, raw, with a BLAKE3 hash, as in bafkr4i..."
    ))
}
