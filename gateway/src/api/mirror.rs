//! Mirrors: what is kept, who else keeps it, who proves it, and who was asked.

use axum::{Json, extract::State};
use views::data::{AuditRow, MirrorStatus, PinAsked};

use super::{
    caller::Owner,
    input::{Asked, MaybeSent, Sent},
    pins::Pinned,
    types::{AuditRequest, ErrorBody, MirrorAnswer, MirrorPin, MirrorUnpin},
};
use crate::{failure::Failure, gate::Gate};

/// Ranges that one audit asks of a mirror.
const MAX_CHALLENGES: u32 = 256;
/// Longest ticket or endpoint id, bytes.
const MAX_MIRROR_BYTES: usize = 4_000;

/// What this node keeps for others, and who else does.
#[utoipa::path(get, path = "/api/v1/mirror", tag = "mirrors", security(("token" = [])),
    responses((status = 200, description = "Rules, room, promises, mirrors", body = MirrorStatus),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn status(State(gate): State<Gate>, _: Owner) -> Result<Json<MirrorStatus>, Failure> {
    Ok(Json(gate.node().mirror().await?))
}

/// Challenges mirrors now. An answer proves that a mirror delivers, not that it stores.
#[utoipa::path(post, path = "/api/v1/mirror/audit", tag = "mirrors", request_body = AuditRequest,
    security(("token" = [])),
    responses((status = 200, description = "The new results, signed", body = [AuditRow]),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "No such mirror or space", body = ErrorBody)))]
pub async fn audit(
    State(gate): State<Gate>,
    _: Owner,
    MaybeSent(mut request): MaybeSent<AuditRequest>,
) -> Result<Json<Vec<AuditRow>>, Failure> {
    if let Some(mirror) = &request.mirror {
        check_mirror(mirror)?;
    }
    request.challenges = request
        .challenges
        .map(|challenges| challenges.clamp(1, MAX_CHALLENGES));
    Ok(Json(gate.node().audit(request).await?))
}

/// Results of audits, the newest first.
#[utoipa::path(get, path = "/api/v1/mirror/audit", tag = "mirrors", security(("token" = [])),
    responses((status = 200, description = "Results", body = [AuditRow]),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn audits(State(gate): State<Gate>, _: Owner) -> Result<Json<Vec<AuditRow>>, Failure> {
    Ok(Json(gate.node().audits().await?))
}

/// What this node asked of mirrors, and others of it.
#[utoipa::path(get, path = "/api/v1/mirror/requests", tag = "mirrors", security(("token" = [])),
    responses((status = 200, description = "Requests", body = [PinAsked]),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn asked(State(gate): State<Gate>, _: Owner) -> Result<Json<Vec<PinAsked>>, Failure> {
    Ok(Json(gate.node().pins_asked().await?))
}

/// Asks a mirror to keep something; its answer is given as it is.
#[utoipa::path(post, path = "/api/v1/mirror/requests", tag = "mirrors", request_body = MirrorPin,
    security(("token" = [])),
    responses((status = 200, description = "What the mirror said: accepted or not, and why", body = MirrorAnswer),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 504, description = "The mirror did not answer", body = ErrorBody)))]
pub async fn ask(
    State(gate): State<Gate>,
    _: Owner,
    Sent(mut request): Sent<MirrorPin>,
) -> Result<Json<MirrorAnswer>, Failure> {
    check_mirror(&request.mirror)?;
    request.id = id(&request.id)?;
    Ok(Json(gate.node().ask_mirror(request).await?))
}

/// Takes back what was asked of a mirror.
#[utoipa::path(delete, path = "/api/v1/mirror/requests", tag = "mirrors", params(MirrorUnpin),
    security(("token" = [])),
    responses((status = 200, description = "What the mirror said", body = MirrorAnswer),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 504, description = "The mirror did not answer", body = ErrorBody)))]
pub async fn release(
    State(gate): State<Gate>,
    _: Owner,
    Asked(mut request): Asked<MirrorUnpin>,
) -> Result<Json<MirrorAnswer>, Failure> {
    check_mirror(&request.mirror)?;
    request.id = id(&request.id)?;
    Ok(Json(gate.node().release_mirror(request).await?))
}

fn id(text: &str) -> Result<String, Failure> {
    let Pinned(id) = text.parse().map_err(|why: &str| Failure::invalid(why))?;
    Ok(id)
}

fn check_mirror(mirror: &str) -> Result<(), Failure> {
    if mirror.is_empty() || mirror.len() > MAX_MIRROR_BYTES {
        return Err(Failure::invalid(
            "`mirror` is the ticket or the endpoint id of a mirror",
        ));
    }
    Ok(())
}
