//! A file on its own: what the script of the composer uses, with progress.

use axum::{
    Json,
    extract::{FromRequest, Multipart, Query, Request},
    http::header,
    response::{IntoResponse, Response},
};

use super::{
    form::{Posted, plain_name},
    visit::{Visit, wants_json},
};
use crate::{api::types::UploadQuery, failure::Failure, gate::Gate, upload};

/// `POST /upload?name=`: a raw body with the header `x-csrf-token`, or a form with a file.
pub(super) async fn receive(
    visit: Visit,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Response, Failure> {
    let session = visit.owner()?;
    let headers = request.headers();
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("multipart/form-data") {
        return upload_form(visit, request).await;
    }
    let token = headers
        .get("x-csrf-token")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    session.check_csrf(token)?;
    visit.room().await?;
    let slot = visit.gate.slots().upload()?;
    let body = upload::from_body(&visit.gate, request.into_body(), slot);
    let added = visit
        .node()
        .add_blob(plain_name(&query.name), visit.body_bytes, body)
        .await?;
    Ok(Json(added).into_response())
}

async fn upload_form(visit: Visit, request: Request) -> Result<Response, Failure> {
    let json = wants_json(request.headers());
    let multipart = <Multipart as FromRequest<Gate>>::from_request(request, &visit.gate)
        .await
        .map_err(|rejection| Failure::rejected(rejection.status(), &rejection.body_text()))?;
    let posted = Posted::read(&visit, multipart).await?;
    if let Some(failure) = posted.refused {
        return Err(failure);
    }
    let Some(file) = posted.media.first() else {
        return Err(Failure::invalid(
            "the form has no file; choose one and send it again",
        ));
    };
    if json {
        return Ok(Json(&file.blob).into_response());
    }
    Ok(axum::response::Redirect::to(&format!("/ipfs/{}", file.blob)).into_response())
}
