//! URLs of trustless gateways, and where they may lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cid::Cid;
use reqwest::Url;
use thiserror::Error;

use super::plan::Form;

/// Longest URL of a gateway, bytes.
const URL_BYTES: usize = 2_000;

/// Why a text is not a gateway's URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// No URL at all, or another scheme, or with a query, a fragment or a password.
    #[error(
        "`{0}` is no gateway: write http:// or https:// and a host, as in https://ipfs.example"
    )]
    NotAGateway(String),
    /// The node runs offline, and that is another machine.
    #[error("{0} is not on this machine, and this node runs with --offline")]
    NotLoopback(String),
}

/// A trustless gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    base: Url,
}

impl Link {
    /// Reads the URL of a gateway; what stands before `/ipfs/` may have a path of its own.
    ///
    /// # Errors
    /// When it isn't one, or may not be asked offline.
    pub fn parse(text: &str, is_offline: bool) -> Result<Self, LinkError> {
        let refused = || LinkError::NotAGateway(text.chars().take(200).collect());
        if text.len() > URL_BYTES {
            return Err(refused());
        }
        let mut base = Url::parse(text).map_err(|_| refused())?;
        let fits = is_web(&base)
            && base.has_host()
            && base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty()
            && base.password().is_none();
        if !fits {
            return Err(refused());
        }
        if is_offline && !is_loopback(&base) {
            return Err(LinkError::NotLoopback(text.to_owned()));
        }
        let path = base.path().trim_end_matches('/');
        let path = format!("{}/", path.strip_suffix("/ipfs").unwrap_or(path));
        base.set_path(&path);
        Ok(Self { base })
    }

    /// The name of its host; none for an address.
    pub(super) fn host_name(&self) -> Option<&str> {
        self.base.host_str().filter(|host| address(host).is_none())
    }

    /// Whether it is on this machine or in this house, as far as its URL tells.
    pub(super) fn is_near(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        is_loopback(&self.base) || address(host).is_some_and(is_private)
    }

    /// As people write it.
    pub fn text(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// Where something is had by a path below the gateway's URL.
    pub(super) fn below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    /// Where a block or DAG is had (trustless gateway specification).
    pub(super) fn request(&self, cid: &Cid, form: Form) -> Url {
        let query = match form {
            Form::Raw => "format=raw",
            Form::Car => "format=car&dag-scope=all&car-order=dfs&car-dups=n",
        };
        let mut url = self.base.clone();
        url.set_path(&format!("{}ipfs/{cid}", self.base.path()));
        url.set_query(Some(query));
        url
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Whether a URL is of this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    match address(host) {
        Some(address) => address.to_canonical().is_loopback(),
        None => is_localhost(host),
    }
}

/// Whether a name always means this machine (RFC 6761, section 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    let name = bare(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// A name as it is compared: small letters, and no dot for the root of all names.
pub(super) fn bare(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Whether a gateway may lead from one URL to another: never from the network into this machine or
/// this house, never from https to http.
pub(super) fn may_lead(from: &Url, to: &Url, is_offline: bool) -> bool {
    if !is_web(to) || (from.scheme() == "https" && to.scheme() != "https") {
        return false;
    }
    if is_loopback(from) {
        return !is_offline || is_loopback(to);
    }
    let host = to.host_str().unwrap_or_default();
    !is_loopback(to) && !address(host).is_some_and(is_private)
}

/// Whether an address is of this machine or this house, or of none at all.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            // 0.0.0.0/8 is this machine; 100.64.0.0/10 is shared within a network (RFC 6598).
            let is_shared = first == 0 || (first == 100 && second & 0xc0 == 64);
            is_shared
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_loopback()
                || v4.is_broadcast()
                || v4.is_multicast()
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || embedded(v6).is_some_and(|v4| is_private(IpAddr::V4(v4)))
        }
    }
}

/// The address that a translator makes of this one (NAT64, RFC 6052), or that it stands for
/// (IPv4-compatible, RFC 4291).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, 0, 0, 0, 0, high, low] = v6.segments() else {
        return None;
    };
    let is_known = matches!((a, b), (0x64, 0xff9b) | (0, 0));
    is_known.then(|| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gateways_are_told_from_other_texts() {
        for (text, is_offline, fits) in [
            ("https://ipfs.example", false, true),
            ("https://ipfs.example:8443/", false, true),
            ("http://127.0.0.1:8080", true, true),
            ("http://[::1]:8080", true, true),
            ("http://localhost:8080/", true, true),
            ("https://ipfs.example/gate/ipfs/", false, true),
            ("https://ipfs.example", true, false),
            ("http://127.0.0.1.example", true, false),
            ("ftp://ipfs.example", false, false),
            ("ipfs.example", false, false),
            ("https://", false, false),
            ("https://ipfs.example/?a=b", false, false),
            ("https://ipfs.example/#a", false, false),
            ("https://me:secret@ipfs.example", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            assert_eq!(Link::parse(text, is_offline).is_ok(), fits, "{text}");
        }
        assert!(Link::parse(&format!("https://{}", "a".repeat(3_000)), false).is_err());
    }

    #[test]
    fn requests_name_the_form() {
        let cid: Cid = "bafkqaaa".parse().unwrap();
        for (text, form, url) in [
            (
                "https://a.example",
                Form::Raw,
                "https://a.example/ipfs/bafkqaaa?format=raw",
            ),
            (
                "https://a.example/ipfs/",
                Form::Raw,
                "https://a.example/ipfs/bafkqaaa?format=raw",
            ),
            (
                "https://a.example/b",
                Form::Car,
                "https://a.example/b/ipfs/bafkqaaa?format=car&dag-scope=all&car-order=dfs&car-dups=n",
            ),
        ] {
            let link = Link::parse(text, false).unwrap();
            assert_eq!(link.request(&cid, form).as_str(), url);
        }
    }

    #[test]
    fn nobody_is_led_from_the_network_into_this_machine() {
        for (from, to, is_offline, may) in [
            ("https://a.example/", "https://b.example/", false, true),
            ("http://a.example/", "https://b.example/", false, true),
            ("https://a.example/", "http://a.example/", false, false),
            ("https://a.example/", "https://127.0.0.1/", false, false),
            ("https://a.example/", "https://localhost/", false, false),
            ("https://a.example/", "https://localhost./", false, false),
            ("https://a.example/", "https://x.localhost/", false, false),
            (
                "https://a.example/",
                "https://X.Localhost.:1/",
                false,
                false,
            ),
            ("https://a.example/", "https://127.0.0.1./", false, false),
            ("https://a.example/", "https://0.0.0.0/", false, false),
            ("https://a.example/", "https://100.64.0.1/", false, false),
            ("https://a.example/", "https://100.63.0.1/", false, true),
            (
                "https://a.example/",
                "https://[::ffff:127.0.0.1]/",
                false,
                false,
            ),
            (
                "https://a.example/",
                "https://[64:ff9b::a00:1]/",
                false,
                false,
            ),
            (
                "https://a.example/",
                "https://[64:ff9b::808:808]/",
                false,
                true,
            ),
            (
                "https://a.example/",
                "https://localhost.example/",
                false,
                true,
            ),
            ("http://x.localhost:1/", "http://127.0.0.1:2/", true, true),
            ("https://a.example/", "https://192.168.1.1/", false, false),
            (
                "https://a.example/",
                "https://169.254.169.254/",
                false,
                false,
            ),
            (
                "https://a.example/",
                "https://[::ffff:10.0.0.1]/",
                false,
                false,
            ),
            ("https://a.example/", "https://[fe80::1]/", false, false),
            ("https://a.example/", "file:///etc/passwd", false, false),
            ("http://127.0.0.1:1/", "http://127.0.0.1:2/", true, true),
            ("http://127.0.0.1:1/", "https://b.example/", true, false),
            ("http://127.0.0.1:1/", "https://b.example/", false, true),
        ] {
            let (from_url, to_url) = (Url::parse(from).unwrap(), Url::parse(to).unwrap());
            assert_eq!(may_lead(&from_url, &to_url, is_offline), may, "{from} {to}");
        }
    }
}
