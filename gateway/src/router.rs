//! Everything the gateway answers, under its guards: the service that the accept loop drives.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};

use crate::{
    api::{routes, types::ErrorCode},
    failure::Failure,
    gate::Gate,
    guard, headers,
    ipfs::subdomain::OwnOrigin,
    metrics::Metrics,
    node::Node,
    pages,
    settings::Settings,
    sign_in,
};

/// The whole gateway before a node. The gate is given back too: it makes sign-in URLs.
pub fn router(node: Arc<dyn Node>, settings: Settings, metrics: Metrics) -> (Router, Gate) {
    let gate = Gate::new(node, settings, metrics);
    let with = |gate: &Gate| gate.clone();
    let show = from_fn_with_state(with(&gate), show_failures);
    let deadline = from_fn_with_state(with(&gate), guard::deadline);
    let api = routes::answers().into_router().layer(deadline);
    let router = Router::new()
        .merge(api)
        .merge(routes::streams().into_router())
        .merge(pages::routes())
        .merge(sign_in::routes().layer(show))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(with(&gate), guard::guard))
        .layer(from_fn_with_state(with(&gate), headers::secure))
        .layer(from_fn_with_state(with(&gate), count))
        .with_state(with(&gate));
    (router, gate)
}

/// Renders a failed sign-in as a page.
async fn show_failures(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let is_signed_in = gate.auth().session(request.headers()).is_some();
    let response = next.run(request).await;
    match response.extensions().get::<Failure>() {
        Some(failure) => pages::failure(failure, is_signed_in),
        None => response,
    }
}

async fn unknown(State(gate): State<Gate>, request: Request) -> Response {
    let failure = Failure::new(ErrorCode::NotFound, "there is no such page or route here");
    if is_for_programs(request.uri().path()) {
        return failure.into_response();
    }
    pages::failure(&failure, gate.auth().session(request.headers()).is_some())
}

async fn wrong_method(request: Request) -> Failure {
    let why = format!(
        "{} {} is not something this gateway does",
        request.method(),
        request.uri().path()
    );
    Failure::new(ErrorCode::WrongMethod, why)
}

fn is_for_programs(path: &str) -> bool {
    let prefixes = [
        "/api/",
        "/ipfs/",
        "/blob/",
        "/routing/",
        "/torrent/",
        "/webseed/",
    ];
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

async fn count(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_name(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let route = match response.extensions().get::<OwnOrigin>() {
        Some(_) => "{cid}.ipfs",
        None => route.as_deref().unwrap_or("unmatched"),
    };
    gate.metrics()
        .answered(method, route, response.status().as_u16(), began.elapsed());
    response
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
