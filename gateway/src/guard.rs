//! What every request must pass before a route sees it.
//!
//! Exact Host (against DNS rebinding), Origin on writes (against other sites), a rate for writes
//! and a place among the requests. Coming from loopback grants nothing.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    api::types::ErrorCode,
    client::Client,
    failure::Failure,
    gate::Gate,
    ipfs::subdomain::{self, RootHost},
};

/// The layer: checks, then hands on with the [`Client`] as a request extension. No route is there
/// on the origins of IPFS roots.
pub async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = Client::of(&parts, gate.settings());
    let root = match check(&gate, &client, &parts) {
        Ok(root) => root,
        Err(failure) => return failure.into_response(),
    };
    let place = match gate.slots().request() {
        Ok(place) => place,
        Err(failure) => return failure.into_response(),
    };
    let response = match root {
        Some(root) => subdomain::serve_own(&gate, &client, &root, &parts).await,
        None => {
            parts.extensions.insert(client);
            next.run(Request::from_parts(parts, body)).await
        }
    };
    drop(place);
    response
}

/// The layer around routes that answer in one piece: they do so within a deadline.
pub async fn deadline(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let limit = gate.settings().limits.answer;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure {
            code: ErrorCode::Unavailable,
            message: format!(
                "no answer within {} s; the node is busy, try again",
                limit.as_secs()
            ),
            retry_after_s: Some(5),
        }
        .into_response(),
    }
}

fn check(gate: &Gate, client: &Client, parts: &Parts) -> Result<Option<RootHost>, Failure> {
    let root = check_host(gate, client)?;
    let is_read = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if root.is_some() || is_read {
        return Ok(root);
    }
    check_origin(gate, parts)?;
    if gate.auth().bearer(&parts.headers) == Some(true) {
        return Ok(None);
    }
    gate.write_rate()
        .take(client.ip)
        .map(|()| None)
        .map_err(|wait| {
            let seconds = u32::try_from(wait.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            Failure::busy("too many writes from this network", seconds)
        })
}

fn check_host(gate: &Gate, client: &Client) -> Result<Option<RootHost>, Failure> {
    let Some(host) = &client.host else {
        return Err(Failure::new(
            ErrorCode::WrongHost,
            "the request names no host, or two that differ; send one Host header",
        ));
    };
    if gate.answers_to(host) {
        return Ok(None);
    }
    if let Some(root) = gate.root_host(host) {
        return Ok(Some(root));
    }
    let shown: String = host.chars().take(100).collect();
    Err(Failure::new(
        ErrorCode::WrongHost,
        format!(
            "this gateway does not answer to `{shown}`; open {} instead, or add the name to \
             http.hosts (or http.public_url) in the configuration",
            gate.settings().base_url()
        ),
    ))
}

/// A write says where it comes from. Programs with a bearer token need not; the API takes no
/// cookies for writing, so a request there without Origin is stopped by the token alone.
fn check_origin(gate: &Gate, parts: &Parts) -> Result<(), Failure> {
    let text = |name| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap_or("malformed"))
    };
    if let Some(origin) = text(header::ORIGIN) {
        if gate.accepts_origin(origin) {
            return Ok(());
        }
        let shown: String = origin.chars().take(100).collect();
        return Err(foreign(&format!("the page at `{shown}`")));
    }
    let is_api = parts.uri.path().starts_with("/api/");
    if is_api && !has_session_only(&parts.headers) {
        return Ok(());
    }
    match parts
        .headers
        .get("sec-fetch-site")
        .map(|value| value.as_bytes())
    {
        Some(b"same-origin") => Ok(()),
        _ => Err(foreign("a request without an Origin header")),
    }
}

fn has_session_only(headers: &HeaderMap) -> bool {
    headers.contains_key(header::COOKIE) && !headers.contains_key(header::AUTHORIZATION)
}

fn foreign(who: &str) -> Failure {
    Failure::new(
        ErrorCode::Forbidden,
        format!(
            "{who} may not write here; use this gateway's own pages, or the API with its token"
        ),
    )
}
