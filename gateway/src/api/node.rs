//! The node itself: status, ticket, sign-in, verification, health, metrics, the document.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use views::data::Status;

use super::{
    caller::{Caller, Owner},
    document,
    input::Asked,
    progress,
    types::{ErrorBody, SignInUrl, TicketAnswer, TicketQuery, VerifyProgress},
};
use crate::{failure::Failure, gate::Gate, node::NodeError};

/// The node answers.
#[utoipa::path(get, path = "/healthz", tag = "node",
    responses((status = 200, description = "It runs", body = str, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Numbers for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses((status = 200, description = "Exposition text", body = str, content_type = "application/openmetrics-text")))]
pub async fn metrics(State(gate): State<Gate>) -> Response {
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], gate.metrics().text()).into_response()
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "node",
    responses((status = 200, description = "OpenAPI", content_type = "application/json")))]
pub async fn openapi() -> Response {
    Json(document::document()).into_response()
}

/// Peers, topics, entries, bytes, warnings.
#[utoipa::path(get, path = "/api/v1/status", tag = "node",
    responses((status = 200, description = "State", body = Status)))]
pub async fn status(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
) -> Result<Json<Status>, Failure> {
    Ok(Json(gate.node().status(viewer).await?))
}

/// How others reach this node, a space or a thread.
#[utoipa::path(get, path = "/api/v1/ticket", tag = "node", params(TicketQuery),
    responses((status = 200, description = "Ticket", body = TicketAnswer),
        (status = 404, description = "Unknown space or thread", body = ErrorBody)))]
pub async fn ticket(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Asked(query): Asked<TicketQuery>,
) -> Result<Json<TicketAnswer>, Failure> {
    if query.space.is_some() && query.root.is_some() {
        return Err(NodeError::Invalid(
            "a ticket leads to a space or to a thread: give `space` or `root`, not both".to_owned(),
        )
        .into());
    }
    Ok(Json(TicketAnswer {
        ticket: gate.node().ticket(viewer, query).await?,
    }))
}

/// A fresh one-time sign-in URL for a browser.
#[utoipa::path(post, path = "/api/v1/signin", tag = "node", security(("token" = [])),
    responses((status = 200, description = "Works once, for ten minutes", body = SignInUrl),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn sign_in(State(gate): State<Gate>, _: Owner) -> Json<SignInUrl> {
    Json(SignInUrl {
        url: gate.sign_in_url(),
    })
}

/// Checks everything held: signatures, hashes, indexes.
#[utoipa::path(post, path = "/api/v1/verify", tag = "node", security(("token" = [])),
    responses((status = 200, description = "Events `progress`, then `done` or `error`",
        body = VerifyProgress, content_type = "text/event-stream"),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn verify(State(gate): State<Gate>, _: Owner) -> Result<Response, Failure> {
    let items = gate.node().verify().await?;
    progress::answer(&gate, items)
}
