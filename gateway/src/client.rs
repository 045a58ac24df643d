//! Who is at the other end, as far as the connection and believed proxies tell.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderMap, HeaderName, Uri, header, request::Parts};

use crate::{ClientAddr, OverTls, settings::Settings};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client of a request; a request extension behind the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; unspecified when the accept loop said nothing.
    pub ip: IpAddr,
    /// The `host[:port]` it believes to talk to.
    pub host: Option<String>,
    /// It came over TLS, so cookies can be `Secure`.
    pub is_secure: bool,
}

impl Client {
    /// Reads connection and headers. `X-Forwarded-*` counts only from trusted proxies.
    pub fn of(parts: &Parts, settings: &Settings) -> Self {
        let peer = parts
            .extensions
            .get::<ClientAddr>()
            .map(|address| address.0.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let trusted = |ip| {
            settings
                .trusted_proxies
                .iter()
                .any(|proxy| proxy.contains(ip))
        };
        let host = host(&parts.uri, &parts.headers);
        let mut client = Self {
            ip: peer,
            host,
            is_secure: parts.extensions.get::<OverTls>().is_some(),
        };
        if trusted(peer) {
            let text = |name| {
                parts
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            let hops = text(FORWARDED_FOR).unwrap_or_default().rsplit(',');
            let mut hops = hops.map_while(|hop| hop.trim().parse::<IpAddr>().ok());
            client.ip = hops.find(|hop| !trusted(*hop)).unwrap_or(peer);
            client.host = text(FORWARDED_HOST).map(str::to_owned).or(client.host);
            if let Some(scheme) = text(FORWARDED_PROTO) {
                client.is_secure = scheme == "https";
            }
        }
        let public = settings
            .public_url
            .as_deref()
            .and_then(|url| url.strip_prefix("https://"));
        if let (Some(public), Some(host)) = (public, &client.host) {
            client.is_secure |= public.trim_end_matches('/').eq_ignore_ascii_case(host);
        }
        client
    }
}

/// The one host of the request: HTTP/2's authority or the one `Host` header; none if they disagree.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut named = headers.get_all(header::HOST).iter();
    let header = named.next();
    if named.next().is_some() {
        return None;
    }
    let header = header.map(|value| value.to_str().ok().map(str::to_ascii_lowercase));
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().to_ascii_lowercase());
    match (authority, header) {
        (Some(authority), None) => Some(authority),
        (None, Some(header)) => header,
        (Some(authority), Some(Some(header))) => (authority == header).then_some(header),
        _ => None,
    }
}
