//! `/routing/v1`: delegated routing over HTTP, for what this node holds (IPIP-337).

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{address::parse_cid, types::IpfsProvider};
use crate::{blob::sharing::open, failure::Failure, gate::Gate, node::NodeError};

const NDJSON: &str = "application/x-ndjson";
/// How long others may remember a provider, and that there was none.
const FOUND: &str = "public, max-age=300, stale-while-revalidate=172800";
const NOT_FOUND: &str = "public, max-age=15, stale-while-revalidate=172800";

/// Who provides a CID.
#[derive(Debug, Serialize, ToSchema)]
pub struct Providers {
    /// This node, or nobody.
    #[serde(rename = "Providers")]
    providers: Vec<Provider>,
}

/// One provider, in the `peer` schema.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Provider {
    /// Always `peer`.
    schema: &'static str,
    /// Peer id.
    #[serde(rename = "ID")]
    id: String,
    /// Multiaddresses.
    addrs: Vec<String>,
    /// How it gives out blocks.
    protocols: Vec<String>,
}

impl From<IpfsProvider> for Provider {
    fn from(provider: IpfsProvider) -> Self {
        Self {
            schema: "peer",
            id: provider.id,
            addrs: provider.addrs,
            protocols: provider.protocols,
        }
    }
}

/// Who provides a CID: this node, if it holds the block and may say so.
#[utoipa::path(get, path = "/routing/v1/providers/{cid}", tag = "ipfs",
    params(("cid" = String, Path, description = "CID of version 0 or 1"),
        ("accept" = Option<String>, Header, description = "`application/x-ndjson` for one provider a line")),
    responses((status = 200, description = "Providers, perhaps none", body = Providers),
        (status = 400, description = "No CID", body = crate::api::types::ErrorBody)))]
pub async fn providers(
    State(gate): State<Gate>,
    Path(cid): Path<String>,
    headers: HeaderMap,
) -> Response {
    let answer = answer(&gate, &cid, &headers).await;
    open(answer.unwrap_or_else(IntoResponse::into_response))
}

async fn answer(gate: &Gate, cid: &str, headers: &HeaderMap) -> Result<Response, Failure> {
    let cid = parse_cid(cid).map_err(|why| {
        let shown: String = cid.chars().take(100).collect();
        Failure::invalid(format!("`{shown}` can't be looked for: {why}"))
    })?;
    let providers = gate.node().ipfs_providers(cid).await?;
    let providers: Vec<Provider> = providers.into_iter().map(Provider::from).collect();
    let cache = if providers.is_empty() {
        NOT_FOUND
    } else {
        FOUND
    };
    let cache = [(header::CACHE_CONTROL, cache), (header::VARY, "Accept")];
    if !wants_lines(headers) {
        return Ok((cache, Json(Providers { providers })).into_response());
    }
    let mut lines = String::new();
    for provider in &providers {
        let line = serde_json::to_string(provider);
        lines.push_str(&line.map_err(|error| NodeError::local("write a provider", error))?);
        lines.push('\n');
    }
    let kind = [(header::CONTENT_TYPE, NDJSON)];
    Ok((StatusCode::OK, cache, kind, Body::from(lines)).into_response())
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    accepted.any(|value| value.to_str().is_ok_and(|value| value.contains(NDJSON)))
}

/// Answers a cross-origin preflight.
#[utoipa::path(options, path = "/routing/v1/providers/{cid}", tag = "ipfs",
    params(("cid" = String, Path, description = "CID")),
    responses((status = 204, description = "Allowed methods and headers")))]
pub async fn preflight() -> Response {
    crate::blob::sharing::preflight()
}
