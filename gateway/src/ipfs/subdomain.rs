//! Roots on origins of their own, `{cid}.ipfs.{host}`, and the way there from path addresses.

use axum::{
    extract::Query,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use model::{BlobId, EntryId};

use super::{
    address::Address,
    format::{Format, IpfsQuery, Wish},
    origin::{Origin, label_of, root_of},
    serve::{moved, serve},
};
use crate::{
    api::types::ErrorCode,
    blob::sharing::{open, preflight},
    client::Client,
    failure::Failure,
    gate::Gate,
    node::Viewer,
};

/// Marks answers on a root's own origin: the pages' headers are none of theirs.
#[derive(Clone, Copy, Debug)]
pub struct OwnOrigin;

/// The host name of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootHost {
    /// The CID, as one label.
    pub label: String,
    /// `host[:port]` of the gateway.
    pub parent: String,
}

/// Answers on a root's own origin. Nobody is signed in there: cookies and tokens are not looked at.
pub async fn serve_own(gate: &Gate, client: &Client, host: &RootHost, parts: &Parts) -> Response {
    let answer = match parts.method {
        Method::OPTIONS => Ok(preflight()),
        Method::GET | Method::HEAD => own(gate, client, host, parts).await,
        _ => Err(Failure::new(
            ErrorCode::WrongMethod,
            "roots are only read: GET, HEAD and OPTIONS are all there is on their origins",
        )),
    };
    let mut answer = open(answer.unwrap_or_else(|failure| plain(&failure)));
    answer.extensions_mut().insert(OwnOrigin);
    answer
}

async fn own(
    gate: &Gate,
    client: &Client,
    host: &RootHost,
    parts: &Parts,
) -> Result<Response, Failure> {
    let root = root_of(&host.label)?;
    let label = label_of(&root)?;
    if label != host.label {
        // One root has one origin.
        let rest = parts.uri.path_and_query().map_or("/", |rest| rest.as_str());
        return moved(&own_url(client, &label, &host.parent, rest));
    }
    let address = Address::below(root, &root.to_string(), parts.uri.path())?;
    let origin = Origin::Own {
        parent: host.parent.clone(),
    };
    let parts = (&parts.method, &parts.uri, &parts.headers);
    serve(gate, Viewer::Stranger, &address, &origin, parts).await
}

/// What a host with subdomains answers to a path address instead of the content: the way to the
/// root's own origin, or why there is none. Nothing for what a page embeds, for blocks and CARs,
/// and for datt's own names, which are harmless wherever they are shown.
pub fn instead(
    gate: &Gate,
    client: &Client,
    address: &Result<Address, Failure>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response> {
    let parent = client.host.as_deref()?.to_ascii_lowercase();
    if !gate.has_subdomains(&parent) {
        return None;
    }
    let address = match address {
        Ok(address) => address,
        Err(failure) => return Some(open(plain(failure))),
    };
    let is_own =
        BlobId::try_from(&address.root).is_ok() || EntryId::try_from(&address.root).is_ok();
    if is_own && address.segments.is_empty()
        || !is_navigation(headers)
        || wants_blocks(uri, headers)
    {
        return None;
    }
    let redirect = label_of(&address.root).and_then(|label| {
        let mut rest = address.rest();
        if rest.is_empty() {
            rest.push('/');
        }
        if let Some(query) = uri.query() {
            rest = format!("{rest}?{query}");
        }
        moved(&own_url(client, &label, &parent, &rest))
    });
    let mut answer = redirect.unwrap_or_else(|failure| plain(&failure));
    let vary = HeaderValue::from_static("Accept, Sec-Fetch-Dest");
    answer.headers_mut().insert(header::VARY, vary);
    Some(open(answer))
}

/// Fetch metadata says what a browser does with the answer; programs send none.
fn is_navigation(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-dest") {
        None => true,
        Some(dest) => ["document", "iframe", "frame", "embed", "object"]
            .contains(&dest.to_str().unwrap_or("")),
    }
}

fn wants_blocks(uri: &Uri, headers: &HeaderMap) -> bool {
    let query = Query::<IpfsQuery>::try_from_uri(uri);
    let wish = query.map(|Query(query)| Wish::of(&query, headers));
    let format = wish.ok().and_then(Result::ok).and_then(|wish| wish.format);
    matches!(format, Some(Format::Raw | Format::Car))
}

fn own_url(client: &Client, label: &str, parent: &str, rest: &str) -> String {
    let scheme = if client.is_secure { "https" } else { "http" };
    format!("{scheme}://{label}.ipfs.{parent}{rest}")
}

/// A failure as text: there is no page of this gateway on these origins.
fn plain(failure: &Failure) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let status: StatusCode = failure.status();
    let mut response = (status, headers, format!("{}\n", failure.message)).into_response();
    if let Some(seconds) = failure.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
