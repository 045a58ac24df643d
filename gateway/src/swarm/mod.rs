//! What BitTorrent clients ask a web server for: `.torrent` files, and web seeds.

pub mod file;
pub mod webseed;

use axum::{
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use bytes::Bytes;
use cid::Cid;
use model::BlobId;

use crate::{
    api::types::Infohash,
    failure::Failure,
    gate::Gate,
    ipfs::{
        address::Address,
        asked::{Asked, Entity},
        format::{IpfsQuery, Wish},
        origin::Origin,
        serve,
        types::{PathKind, ResolvedPath},
    },
    node::Viewer,
};

/// How long caches may keep an answer: a torrent may be denied or taken back, and its metainfo
/// follows the configuration.
const FOR_STRANGERS: HeaderValue = HeaderValue::from_static("public, max-age=300");
const FOR_OWNER: HeaderValue = HeaderValue::from_static("private, max-age=0, must-revalidate");

/// What answers to one name at most depend on.
struct Request<'a> {
    gate: &'a Gate,
    viewer: Viewer,
    method: &'a Method,
    headers: &'a HeaderMap,
}

impl Request<'_> {
    /// The answer with a file in memory.
    fn bytes(&self, entity: &Entity<'_>, bytes: &Bytes) -> Result<Response, Failure> {
        let address = address(BlobId::of(bytes).to_cid(), String::new());
        Ok(self.cached(self.asked(&address).bytes(entity, bytes)?))
    }

    /// The answer with a blob, or the range of it that is wanted.
    async fn blob(&self, blob: BlobId, name: String) -> Result<Response, Failure> {
        let cid = blob.to_cid();
        let address = address(cid, name);
        let resolved = ResolvedPath {
            visited: vec![cid],
            roots: vec![cid],
            cid,
            kind: PathKind::File { size_bytes: 0 },
            remainder: Vec::new(),
        };
        let etag = format!("\"{cid}\"");
        let answer = serve::file(&self.asked(&address), &resolved, &etag, None).await?;
        Ok(self.cached(answer))
    }

    fn asked<'a>(&'a self, address: &'a Address) -> Asked<'a> {
        Asked {
            gate: self.gate,
            viewer: self.viewer,
            address,
            origin: &Origin::Shared,
            method: self.method,
            headers: self.headers,
            raw_query: None,
            query: IpfsQuery::default(),
            wish: Wish::default(),
        }
    }

    fn cached(&self, mut response: Response) -> Response {
        let cache = match self.viewer {
            Viewer::Stranger => FOR_STRANGERS,
            Viewer::Owner => FOR_OWNER,
        };
        let headers = response.headers_mut();
        if headers.contains_key(header::ETAG) {
            headers.insert(header::CACHE_CONTROL, cache);
        }
        response
    }
}

fn address(root: Cid, name: String) -> Address {
    Address {
        root,
        root_text: root.to_string(),
        segments: Some(name)
            .filter(|name| !name.is_empty())
            .into_iter()
            .collect(),
        is_folder: false,
    }
}

fn infohash(text: &str) -> Result<Infohash, Failure> {
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(100).collect();
        Failure::invalid(format!("`{shown}` names no torrent: {error}"))
    })
}
