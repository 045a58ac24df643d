//! Profiles and follows.

use axum::{Json, extract::State};
use model::IdentityId;
use views::data::Profile;

use super::{
    caller::{Caller, Owner},
    input::{Asked, Id, Sent},
    threads::MAX_POSTS,
    types::{ErrorBody, FollowRequest, PageQuery, ProfileEdit, Written},
};
use crate::{failure::Failure, gate::Gate};

/// An identity with its devices and newest posts.
#[utoipa::path(get, path = "/api/v1/identities/{cid}", tag = "people",
    params(("cid" = String, Path, description = "Identity CID"), PageQuery),
    responses((status = 200, description = "Profile", body = Profile),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn profile(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(identity): Id<IdentityId>,
    Asked(mut page): Asked<PageQuery>,
) -> Result<Json<Profile>, Failure> {
    page.limit = page.limit.map(|limit| limit.clamp(1, MAX_POSTS));
    Ok(Json(gate.node().profile(viewer, identity, page).await?))
}

/// Changes one's own profile.
#[utoipa::path(put, path = "/api/v1/profile", tag = "people", request_body = ProfileEdit,
    security(("token" = [])),
    responses((status = 200, description = "Changed", body = Written),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn set_profile(
    State(gate): State<Gate>,
    _: Owner,
    Sent(edit): Sent<ProfileEdit>,
) -> Result<Json<Written>, Failure> {
    Ok(Json(gate.node().set_profile(edit).await?))
}

/// Follows an identity, or stops following it.
#[utoipa::path(put, path = "/api/v1/follows/{cid}", tag = "people", request_body = FollowRequest,
    params(("cid" = String, Path, description = "Identity CID")), security(("token" = [])),
    responses((status = 200, description = "Done", body = Written),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn follow(
    State(gate): State<Gate>,
    _: Owner,
    Id(identity): Id<IdentityId>,
    Sent(request): Sent<FollowRequest>,
) -> Result<Json<Written>, Failure> {
    Ok(Json(gate.node().follow(identity, request.on).await?))
}
