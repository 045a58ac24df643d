//! Boards, and what is followed.

use axum::{Json, extract::State};
use model::SpaceId;
use views::data::Board;

use super::{
    caller::{Caller, Owner},
    input::{Id, Sent},
    types::{ErrorBody, JoinRequest, Joined, NewSpace, SpaceCreated},
};
use crate::{failure::Failure, gate::Gate};

/// The boards this node follows.
#[utoipa::path(get, path = "/api/v1/spaces", tag = "boards",
    responses((status = 200, description = "Boards; unlisted ones only with the token", body = [Board])))]
pub async fn list(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
) -> Result<Json<Vec<Board>>, Failure> {
    Ok(Json(gate.node().spaces(viewer).await?))
}

/// One board.
#[utoipa::path(get, path = "/api/v1/spaces/{cid}", tag = "boards",
    params(("cid" = String, Path, description = "Space id")),
    responses((status = 200, description = "Board", body = Board),
        (status = 404, description = "Not followed", body = ErrorBody)))]
pub async fn one(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(space): Id<SpaceId>,
) -> Result<Json<Board>, Failure> {
    Ok(Json(gate.node().space(viewer, space).await?))
}

/// Makes a board.
#[utoipa::path(post, path = "/api/v1/spaces", tag = "boards", request_body = NewSpace,
    security(("token" = [])),
    responses((status = 200, description = "Made, and on disk", body = SpaceCreated),
        (status = 400, description = "Malformed schema or field", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn create(
    State(gate): State<Gate>,
    _: Owner,
    Sent(space): Sent<NewSpace>,
) -> Result<Json<SpaceCreated>, Failure> {
    Ok(Json(gate.node().create_space(space).await?))
}

/// Follows a space, thread or identity.
#[utoipa::path(post, path = "/api/v1/join", tag = "boards", request_body = JoinRequest,
    security(("token" = [])),
    responses((status = 200, description = "Followed", body = Joined),
        (status = 400, description = "Neither a ticket nor an id", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 504, description = "Nobody delivered it in time", body = ErrorBody)))]
pub async fn join(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<JoinRequest>,
) -> Result<Json<Joined>, Failure> {
    Ok(Json(gate.node().join(request).await?))
}
