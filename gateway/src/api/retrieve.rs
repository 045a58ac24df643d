//! Reading from IPFS gateways, and refusing what is denied.

use axum::{Json, extract::State, response::Response};
use cid::Cid;

use super::{
    caller::Owner,
    input::{Id, MaybeSent, Sent},
    progress,
    types::{Denied, DenyRequest, ErrorBody, RetrieveProgress, RetrieveRequest},
};
use crate::{failure::Failure, gate::Gate, ipfs::address::parse_cid};

/// Longest path below a root, and most gateways asked.
const SEGMENTS: usize = 256;
const GATEWAYS: usize = 16;
/// Longest reason, characters.
const REASON_CHARS: usize = 300;

/// Reads a DAG from IPFS gateways, verified block by block.
#[utoipa::path(post, path = "/api/v1/ipfs/{cid}/fetch", tag = "ipfs",
    request_body = RetrieveRequest,
    params(("cid" = String, Path, description = "CID of a root")), security(("token" = [])),
    responses((status = 200, description = "Events `progress`, then `done` or `error`",
        body = RetrieveProgress, content_type = "text/event-stream"),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn fetch(
    State(gate): State<Gate>,
    _: Owner,
    Id(root): Id<Cid>,
    MaybeSent(request): MaybeSent<RetrieveRequest>,
) -> Result<Response, Failure> {
    if request.path.len() > SEGMENTS {
        return Err(Failure::invalid(format!(
            "a path has up to {SEGMENTS} segments"
        )));
    }
    if request.gateways.len() > GATEWAYS {
        return Err(Failure::invalid(format!("name up to {GATEWAYS} gateways")));
    }
    let items = gate.node().retrieve(root, request).await?;
    progress::answer(&gate, items)
}

/// What is denied here, and by which lists.
#[utoipa::path(get, path = "/api/v1/denylist", tag = "ipfs", security(("token" = [])),
    responses((status = 200, description = "The own list, and all lists", body = Denied),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn denied(State(gate): State<Gate>, _: Owner) -> Result<Json<Denied>, Failure> {
    Ok(Json(gate.node().denied().await?))
}

/// Denies a CID: its bytes are removed and not served any more.
#[utoipa::path(post, path = "/api/v1/denylist", tag = "ipfs", request_body = DenyRequest,
    security(("token" = [])),
    responses((status = 200, description = "Denied, on disk; what is denied now", body = Denied),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn deny(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<DenyRequest>,
) -> Result<Json<Denied>, Failure> {
    let cid = parse_cid(&request.cid)
        .map_err(|why| Failure::invalid(format!("`cid` is wrong: {why}")))?;
    let reason = request.reason.filter(|reason| !reason.is_empty());
    if reason
        .as_ref()
        .is_some_and(|why| why.chars().count() > REASON_CHARS)
    {
        return Err(Failure::invalid(format!(
            "a reason has up to {REASON_CHARS} characters"
        )));
    }
    gate.node().deny(cid, reason).await?;
    Ok(Json(gate.node().denied().await?))
}

/// Takes the denial of a CID back, whichever list it is on.
#[utoipa::path(delete, path = "/api/v1/denylist/{cid}", tag = "ipfs", security(("token" = [])),
    params(("cid" = String, Path, description = "Any name of the denied bytes")),
    responses((status = 200, description = "Allowed again; what is denied now", body = Denied),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn allow(
    State(gate): State<Gate>,
    _: Owner,
    Id(cid): Id<Cid>,
) -> Result<Json<Denied>, Failure> {
    gate.node().allow(cid).await?;
    Ok(Json(gate.node().denied().await?))
}
