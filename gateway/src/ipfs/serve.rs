//! What a content path names, in the format that is wanted.

use axum::{
    extract::Query,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use model::BlobId;
use tokio::time::Instant;

use super::{
    address::Address,
    asked::{Asked, Entity, Framed},
    car, data, directory,
    format::{Format, IpfsQuery, Wish, not_acceptable},
    media,
    origin::Origin,
    types::{PathKind, ResolvedPath},
};
use crate::{
    api::types::ErrorCode,
    blob::{
        body::Slot,
        disposition::header_value,
        media_type,
        reader::{Reader, Source, within},
        sharing::IMMUTABLE,
    },
    failure::Failure,
    gate::Gate,
    node::{NodeError, Viewer},
};

const PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
const ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");
/// Documents that are shown, not run: neither scripts nor forms nor the origin's rights.
const DOCUMENT_POLICY: HeaderValue = HeaderValue::from_static("sandbox");

/// Answers a GET or HEAD for what `address` names.
///
/// # Errors
/// A failure for the caller to show.
pub async fn serve(
    gate: &Gate,
    viewer: Viewer,
    address: &Address,
    origin: &Origin,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
) -> Result<Response, Failure> {
    if *origin == Origin::Shared && is_service_worker(headers) {
        return Err(Failure::invalid(
            "no service worker may be registered below /ipfs/: it would rule over every root; \
             open the root on its own origin, {cid}.ipfs.{host}",
        ));
    }
    let Query(query) = Query::<IpfsQuery>::try_from_uri(uri)
        .map_err(|refused| Failure::rejected(refused.status(), &refused.body_text()))?;
    let wish = Wish::of(&query, headers)?;
    let asked = Asked {
        gate,
        viewer,
        address,
        origin,
        method,
        headers,
        raw_query: uri.query(),
        query,
        wish,
    };
    let resolved = resolve(&asked)
        .await
        .map_err(|error| asked.failure(error))?;
    let mut response = answer(&asked, &resolved).await?;
    describe(&asked, &resolved, &mut response)?;
    Ok(response)
}

fn is_service_worker(headers: &HeaderMap) -> bool {
    headers
        .get("service-worker")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"script"))
}

/// Follows the path. A bare name of datt needs no walk, and is opened only once.
async fn resolve(asked: &Asked<'_>) -> Result<ResolvedPath, NodeError> {
    let root = asked.address.root;
    let known = if asked.is_cached_only() {
        None
    } else if asked.own_blob().is_some() {
        Some(PathKind::File { size_bytes: 0 })
    } else {
        asked.own_block().map(|_| PathKind::Data {
            codec: data::DAG_CBOR,
            block_bytes: 0,
            fault: None,
        })
    };
    if let Some(kind) = known {
        return Ok(ResolvedPath {
            visited: vec![root],
            roots: vec![root],
            cid: root,
            kind,
            remainder: Vec::new(),
        });
    }
    walk(asked, asked.address.segments.clone()).await
}

/// Follows these names below the root, before the deadline for the first byte.
pub async fn walk(asked: &Asked<'_>, path: Vec<String>) -> Result<ResolvedPath, NodeError> {
    let deadline = Instant::now() + asked.gate.settings().limits.first_byte;
    let root = asked.address.root;
    let node = asked.gate.node();
    let walk = node.ipfs_resolve(asked.viewer, root, path, asked.is_cached_only());
    within(deadline, root, walk).await
}

async fn answer(asked: &Asked<'_>, resolved: &ResolvedPath) -> Result<Response, Failure> {
    if !resolved.remainder.is_empty() {
        let why = format!(
            "{} leads into the inside of the data block {}: values within a block are not served; \
             ask for the block",
            asked.address.content_path(),
            resolved.cid
        );
        return Err(Failure::new(ErrorCode::NotImplemented, why));
    }
    match (asked.wish.format, &resolved.kind) {
        (Some(Format::Raw), _) => data::raw(asked, resolved.cid).await,
        (Some(Format::Car), _) => car::serve(asked, resolved.cid).await,
        (Some(Format::Tar), _) => Err(Failure::new(
            ErrorCode::NotImplemented,
            "this gateway makes no tar archives; ask for format=car",
        )),
        (Some(format @ Format::IpnsRecord), _) => {
            Err(not_acceptable("a path below /ipfs/", format))
        }
        (
            _,
            PathKind::Data {
                fault: Some(fault), ..
            },
        ) => Err(Failure::invalid(format!(
            "{} can be had as a block only, with format=raw or format=car: {fault}",
            resolved.cid
        ))),
        (format, PathKind::Data { codec, .. }) => {
            data::serve(asked, resolved.cid, *codec, format).await
        }
        (Some(format @ (Format::DagJson | Format::DagCbor)), _) => Err(mismatch(resolved, format)),
        (_, PathKind::File { .. }) => {
            let etag = format!("\"{}\"", resolved.cid);
            file(asked, resolved, &etag, asked.file_name()).await
        }
        (Some(format @ (Format::Json | Format::Cbor)), _) => Err(mismatch(resolved, format)),
        (_, PathKind::Directory { .. }) => directory::serve(asked, resolved).await,
        (_, PathKind::Symlink { target }) => {
            let entity = Entity {
                etag: format!("\"{}\"", resolved.cid),
                media_type: "inode/symlink",
                is_inline: true,
                name: None,
            };
            asked.bytes(&entity, &target.clone().into())
        }
    }
}

fn mismatch(resolved: &ResolvedPath, format: Format) -> Failure {
    not_acceptable(&resolved.cid.to_string(), format)
}

/// A file, or the range of it that is wanted.
pub async fn file(
    asked: &Asked<'_>,
    resolved: &ResolvedPath,
    etag: &str,
    name: Option<&str>,
) -> Result<Response, Failure> {
    let blob = BlobId::try_from(&resolved.cid).ok();
    let source = blob.map_or(Source::Ipfs(resolved.cid), Source::Blob);
    let reader = Reader::open(asked.gate, asked.viewer, source).await;
    let reader = reader.map_err(|error| asked.failure(error))?;
    if asked.is_known(etag) {
        return asked.not_modified(etag, IMMUTABLE);
    }
    let media_type = media_type(asked, &reader, source, name).await?;
    let is_inline = match source {
        Source::Blob(_) => media_type::is_inline(media_type),
        Source::Ipfs(_) => media::is_inline(media_type),
    };
    let entity = Entity {
        etag: etag.to_owned(),
        media_type,
        is_inline,
        name: asked.address.segments.last().cloned(),
    };
    match asked.framed(&entity, reader.size_bytes())? {
        Framed::Done(response) => Ok(response),
        Framed::Send(mut response, range) => {
            let slot = asked.gate.slots().blob_stream()?;
            let slot = Slot::new(slot, asked.gate.metrics().clone());
            let body = reader.body(range, slot).await;
            *response.body_mut() = body.map_err(|error| asked.failure(error))?;
            Ok(response)
        }
    }
}

/// Blobs of datt have one of the types that are harmless everywhere, whoever shows them; other
/// files have the type of their name.
async fn media_type(
    asked: &Asked<'_>,
    reader: &Reader<'_>,
    source: Source,
    name: Option<&str>,
) -> Result<&'static str, Failure> {
    let sniff = match source {
        Source::Blob(_) => media_type::sniff,
        Source::Ipfs(_) => media::sniff,
    };
    let named = match source {
        Source::Blob(_) => None,
        Source::Ipfs(_) => name.and_then(media::by_name),
    };
    let media_type = match named {
        Some(named) => named,
        None => match reader.media_type(sniff).await {
            Ok(sniffed) => sniffed,
            // The first bytes of a file may be missing where the range that is wanted isn't.
            Err(NodeError::NotHeld { .. } | NodeError::NotFound(_))
                if matches!(source, Source::Ipfs(_)) =>
            {
                media_type::OPAQUE
            }
            Err(error) => return Err(asked.failure(error)),
        },
    };
    Ok(match asked.origin {
        Origin::Shared => media::shared(media_type),
        Origin::Own { .. } => media_type,
    })
}

/// Headers that say what was found and on what the answer depends.
fn describe(
    asked: &Asked<'_>,
    resolved: &ResolvedPath,
    response: &mut Response,
) -> Result<(), Failure> {
    let roots: Vec<String> = resolved.roots.iter().map(ToString::to_string).collect();
    let headers = response.headers_mut();
    headers.insert(PATH, header_value(&asked.address.content_path())?);
    headers.insert(ROOTS, header_value(&roots.join(","))?);
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Sec-Fetch-Dest"),
    );
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    if *asked.origin == Origin::Shared && media_type.is_some_and(media::is_document) {
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(DOCUMENT_POLICY);
    }
    if asked.viewer.is_owner()
        && let Some(cache) = headers.get(header::CACHE_CONTROL)
        && let Ok(cache) = cache.to_str()
        && let Some(rest) = cache.strip_prefix("public")
    {
        let private = header_value(&format!("private{rest}"))?;
        headers.insert(header::CACHE_CONTROL, private);
    }
    Ok(())
}

/// 301 to another address; caches ask again.
pub fn moved(location: &str) -> Result<Response, Failure> {
    let location = [(header::LOCATION, header_value(location)?)];
    Ok((StatusCode::MOVED_PERMANENTLY, location).into_response())
}
