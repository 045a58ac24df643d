//! CARs: a path's blocks in order, as a stream (trustless gateway, IPIP-402, IPIP-412).

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};
use cid::Cid;
use futures_lite::StreamExt as _;
use tokio::time::Instant;

use super::{
    asked::{Asked, Entity},
    types::{CarRequest, CarScope},
};
use crate::{
    blob::{
        body::{self, Slot},
        reader::within,
        sharing::IMMUTABLE,
    },
    failure::Failure,
    node::NodeError,
};

/// Answers with a CAR of the blocks on the way and of what the path names. An error after the
/// first block breaks the body off: a CAR that ended well is whole.
pub async fn serve(asked: &Asked<'_>, end: Cid) -> Result<Response, Failure> {
    let wish = asked.wish.car;
    let request = CarRequest {
        root: asked.address.root,
        path: asked.address.segments.clone(),
        scope: wish.scope,
        bytes: wish.bytes,
        duplicates: wish.duplicates,
    };
    let dups = if wish.duplicates { "y" } else { "n" };
    let mut name = vec![request.root.to_string()];
    name.extend(request.path.iter().cloned());
    let entity = Entity {
        etag: format!("\"{end}.car.{}\"", kind_of(&request)),
        media_type: &format!("application/vnd.ipld.car; version=1; order=dfs; dups={dups}"),
        is_inline: false,
        name: Some(format!("{}.car", name.join("_"))),
    };
    if asked.is_known(&entity.etag) {
        return asked.not_modified(&entity.etag, IMMUTABLE);
    }
    let mut response = asked.head(StatusCode::OK, &entity)?;
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    if *asked.method == Method::HEAD {
        return Ok(response);
    }
    let slot = Slot::new(
        asked.gate.slots().blob_stream()?,
        asked.gate.metrics().clone(),
    );
    let deadline = Instant::now() + asked.gate.settings().limits.first_byte;
    let begun = async {
        let mut rest = asked.gate.node().ipfs_car(asked.viewer, request).await?;
        match rest.next().await {
            Some(first) => Ok((first?, rest)),
            None => Err(NodeError::local("make a CAR", "it has not even a header")),
        }
    };
    let begun = within(deadline, end, begun).await;
    let (first, rest) = begun.map_err(|error| asked.failure(error))?;
    *response.body_mut() = body::from_stream(first, rest, slot);
    Ok(response)
}

/// Tells CARs about the same block apart.
fn kind_of(request: &CarRequest) -> String {
    let scope = match request.scope {
        CarScope::Block => "block",
        CarScope::Entity => "entity",
        CarScope::All => "all",
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&request.root.to_bytes());
    for segment in &request.path {
        hasher.update(&(segment.len() as u64).to_be_bytes());
        hasher.update(segment.as_bytes());
    }
    let rest = format!("{scope} {:?} {}", request.bytes, request.duplicates);
    hasher.update(rest.as_bytes());
    let hash = hasher.finalize().to_hex();
    hash.chars().take(16).collect()
}
