//! Directories: with a slash at the end, as their `index.html`, or as a list.

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use cid::Cid;
use tokio::time::Instant;
use views::{
    Template,
    listing::{self, Crumb, ListingPage, Row},
};

use super::{
    address::escaped,
    asked::Asked,
    serve::{file, moved, walk},
    types::{PathKind, ResolvedPath},
};
use crate::{
    blob::{
        disposition::{header_value, percent_encoded},
        reader::within,
    },
    failure::Failure,
    node::NodeError,
};

/// File that stands for its directory.
const INDEX: &str = "index.html";
/// A generated page may change with the next version of this program: a week, then asked again.
const GENERATED: HeaderValue =
    HeaderValue::from_static("public, max-age=604800, stale-while-revalidate=2678400");
/// Generated pages carry their style with them and nothing else.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
/// Tells this version's pages from another's.
static TEMPLATES: LazyLock<String> = LazyLock::new(|| {
    let hash = blake3::hash(listing::TEMPLATES.as_bytes());
    hash.to_hex().chars().take(16).collect()
});

/// Answers for a directory.
pub async fn serve(asked: &Asked<'_>, resolved: &ResolvedPath) -> Result<Response, Failure> {
    let address = asked.address;
    if !address.is_folder {
        let here = asked.origin.path(&address.root_text, &address.segments);
        let query = asked.raw_query.map(|query| format!("?{query}"));
        return moved(&format!("{here}/{}", query.unwrap_or_default()));
    }
    let mut path = address.segments.clone();
    path.push(INDEX.to_owned());
    match walk(asked, path).await {
        Ok(index) if matches!(index.kind, PathKind::File { .. }) => {
            let etag = format!("\"{}\"", resolved.cid);
            file(asked, &index, &etag, Some(INDEX)).await
        }
        // A fault of the directory itself is said by its list.
        Ok(_) | Err(NodeError::NotFound(_) | NodeError::NotHeld { .. } | NodeError::Invalid(_)) => {
            listed(asked, resolved.cid).await
        }
        Err(error) => Err(asked.failure(error)),
    }
}

async fn listed(asked: &Asked<'_>, cid: Cid) -> Result<Response, Failure> {
    let etag = page_etag("DirIndex", &cid);
    let deadline = Instant::now() + asked.gate.settings().limits.first_byte;
    let listing = asked.gate.node().ipfs_list(asked.viewer, cid);
    let listing = within(deadline, cid, listing).await;
    let listing = listing.map_err(|error| asked.failure(error))?;
    let (address, origin) = (asked.address, asked.origin);
    let here = origin.path(&address.root_text, &address.segments);
    let namespace = origin.namespace();
    let rows: Vec<Row> = listing
        .entries
        .into_iter()
        .map(|entry| {
            let name = escaped(&entry.name);
            let cid = entry.cid.to_string();
            let filename = percent_encoded(&name, b"-._~");
            Row {
                path: format!("{here}/{name}"),
                hash_path: format!("{namespace}{cid}?filename={filename}"),
                name: entry.name,
                cid,
                size_bytes: entry.size_bytes,
            }
        })
        .collect();
    let mut crumb_path = format!("{namespace}{}", address.root_text);
    let mut crumbs = vec![Crumb {
        path: crumb_path.clone(),
        name: address.root_text.clone(),
    }];
    for segment in &address.segments {
        crumb_path = format!("{crumb_path}/{}", escaped(segment));
        crumbs.push(Crumb {
            path: crumb_path.clone(),
            name: segment.clone(),
        });
    }
    let up = (!address.segments.is_empty()).then(|| format!("{here}/.."));
    let page = ListingPage {
        crumbs: &crumbs,
        cid: &cid.to_string(),
        up: up.as_deref(),
        rows: &rows,
        is_cut: listing.is_cut,
    };
    generated(asked, &etag, &page)
}

/// The ETag of a page about a block: changes with the block and with the page's template.
pub fn page_etag(kind: &str, cid: &Cid) -> String {
    format!("\"{kind}-{}_CID-{cid}\"", *TEMPLATES)
}

/// A page that this gateway made about content.
pub fn generated(asked: &Asked<'_>, etag: &str, page: &impl Template) -> Result<Response, Failure> {
    if asked.is_known(etag) {
        return asked.not_modified(etag, GENERATED);
    }
    let html = page.render();
    let html = html.map_err(|error| NodeError::local("render the page", error))?;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ETAG, header_value(etag)?);
    headers.insert(header::CACHE_CONTROL, GENERATED);
    headers.insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(html.len()));
    if *asked.method != Method::HEAD {
        *response.body_mut() = Body::from(html);
    }
    Ok(response)
}
