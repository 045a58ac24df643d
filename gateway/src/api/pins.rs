//! Pins: promises to keep a thread, a space or a blob.

use axum::{Json, extract::State, http::StatusCode};
use views::data::Pin;

use super::{
    caller::Owner,
    input::{Id, MaybeSent, Sent},
    types::{ErrorBody, NewPin, PinRequest},
};
use crate::{failure::Failure, gate::Gate, ipfs::address::parse_cid};

/// The id of something that can be pinned, checked for form.
#[derive(Clone, Debug)]
pub struct Pinned(pub String);

impl std::str::FromStr for Pinned {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_cid(text)
            .map(|cid| Self(cid.to_string()))
            .map_err(|_| "expected the CID of a thread, a space, a blob or a DAG")
    }
}

/// What is pinned.
#[utoipa::path(get, path = "/api/v1/pins", tag = "pins", security(("token" = [])),
    responses((status = 200, description = "Pins", body = [Pin]),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn list(State(gate): State<Gate>, _: Owner) -> Result<Json<Vec<Pin>>, Failure> {
    Ok(Json(gate.node().pins().await?))
}

/// Pins, with the id in the body.
#[utoipa::path(post, path = "/api/v1/pins", tag = "pins", request_body = NewPin,
    security(("token" = [])),
    responses((status = 200, description = "Pinned", body = Pin),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn create(
    State(gate): State<Gate>,
    _: Owner,
    Sent(pin): Sent<NewPin>,
) -> Result<Json<Pin>, Failure> {
    let Pinned(id) = pin.id.parse().map_err(|why: &str| Failure::invalid(why))?;
    let request = PinRequest {
        media: pin.media,
        max_bytes: pin.max_bytes,
    };
    Ok(Json(gate.node().pin(id, request).await?))
}

/// Pins, or changes a pin.
#[utoipa::path(put, path = "/api/v1/pins/{cid}", tag = "pins", request_body = PinRequest,
    params(("cid" = String, Path, description = "CID of a thread, space or blob")),
    security(("token" = [])),
    responses((status = 200, description = "Pinned", body = Pin),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn put(
    State(gate): State<Gate>,
    _: Owner,
    Id(Pinned(id)): Id<Pinned>,
    MaybeSent(request): MaybeSent<PinRequest>,
) -> Result<Json<Pin>, Failure> {
    Ok(Json(gate.node().pin(id, request).await?))
}

/// Unpins: the bytes may be collected.
#[utoipa::path(delete, path = "/api/v1/pins/{cid}", tag = "pins",
    params(("cid" = String, Path, description = "CID of a thread, space, blob or DAG")),
    security(("token" = [])),
    responses((status = 204, description = "Unpinned"),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Not pinned", body = ErrorBody)))]
pub async fn delete(
    State(gate): State<Gate>,
    _: Owner,
    Id(Pinned(id)): Id<Pinned>,
) -> Result<StatusCode, Failure> {
    gate.node().unpin(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
