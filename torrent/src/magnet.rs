//! Magnet links.

use std::{fmt, str::FromStr};

use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode as escape,
};
use thiserror::Error;

use crate::{HostPort, InfoHash, MAX_ADDRESSES};

/// The longest link that is read, bytes.
pub const MAX_MAGNET_BYTES: usize = 64 << 10;

/// What stands in a link as it is: letters, digits and the marks that RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Peers keep their colons: not every client decodes them.
const PEER_ESCAPED: &AsciiSet = &ESCAPED.remove(b':');

/// A link that names a torrent, with hints where to find it (BEP 9). Text is `magnet:?xt=urn:btih:…`.
///
/// Read are infohashes in hex and base32, and parameters with a number behind them (`tr.1`). Hints
/// that are not what they should be are passed over, as are parameters that are not known here, such
/// as the selection of files (BEP 53).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// The torrent (`xt`).
    pub infohash: InfoHash,
    /// What to call it until its own name is known (`dn`).
    pub name: Option<String>,
    /// Trackers' URLs (`tr`).
    pub trackers: Vec<String>,
    /// Web seeds' URLs (`ws`, BEP 19).
    pub web_seeds: Vec<String>,
    /// Peers that have it (`x.pe`).
    pub peers: Vec<HostPort>,
}

/// Why a text is no magnet link that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MagnetFault {
    /// It doesn't start as one.
    #[error("a magnet link starts with magnet:?")]
    Scheme,
    /// More bytes than [`MAX_MAGNET_BYTES`].
    #[error("a magnet link of {size_bytes} bytes is too long")]
    TooLong {
        /// Bytes given.
        size_bytes: usize,
    },
    /// It names no torrent.
    #[error("the magnet link names no torrent: it has no xt=urn:btih:…")]
    NoHash,
    /// What should be an infohash isn't one.
    #[error("the magnet link's infohash is neither 40 hex digits nor 32 characters of base32")]
    Hash,
    /// It names several torrents.
    #[error("the magnet link names several torrents: give them one at a time")]
    SeveralHashes,
    /// It has only the second version's hash (BEP 52).
    #[error(
        "this magnet link has only a BitTorrent v2 hash (BEP 52), which can't be used here: look for \
         one with urn:btih"
    )]
    V2Only,
}

impl Magnet {
    /// Without hints.
    pub fn new(infohash: InfoHash) -> Self {
        Self {
            infohash,
            name: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
        }
    }
}

impl FromStr for Magnet {
    type Err = MagnetFault;

    fn from_str(text: &str) -> Result<Self, MagnetFault> {
        let size_bytes = text.len();
        if size_bytes > MAX_MAGNET_BYTES {
            return Err(MagnetFault::TooLong { size_bytes });
        }
        let (scheme, query) = text.trim().split_once('?').ok_or(MagnetFault::Scheme)?;
        if !scheme.eq_ignore_ascii_case("magnet:") {
            return Err(MagnetFault::Scheme);
        }
        let query = query.split('#').next().unwrap_or_default();
        let mut topics = Topics::default();
        // replaced as soon as the topics are known
        let mut magnet = Self::new(InfoHash::from_bytes([0; InfoHash::BYTES]));
        for (key, value) in query.split('&').filter_map(parameter) {
            match key.as_str() {
                "xt" => topics.push(value)?,
                "dn" => magnet.name = magnet.name.or_else(|| name(value)),
                "tr" => push(&mut magnet.trackers, url(value)),
                "ws" => push(&mut magnet.web_seeds, url(value)),
                "x.pe" => push(&mut magnet.peers, url(value).and_then(|a| a.parse().ok())),
                _ => {}
            }
        }
        magnet.infohash = topics.infohash()?;
        Ok(magnet)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.infohash)?;
        if let Some(name) = &self.name {
            write!(f, "&dn={}", escape(name, ESCAPED))?;
        }
        for tracker in &self.trackers {
            write!(f, "&tr={}", escape(tracker, ESCAPED))?;
        }
        for web_seed in &self.web_seeds {
            write!(f, "&ws={}", escape(web_seed, ESCAPED))?;
        }
        for peer in &self.peers {
            write!(f, "&x.pe={}", escape(&peer.to_string(), PEER_ESCAPED))?;
        }
        Ok(())
    }
}

/// What the `xt` parameters name.
#[derive(Default)]
struct Topics {
    infohash: Option<InfoHash>,
    has_v2: bool,
}

impl Topics {
    fn push(&mut self, value: &str) -> Result<(), MagnetFault> {
        let Ok(topic) = percent_decode_str(value).decode_utf8() else {
            return Ok(());
        };
        let Some((kind, hash)) = topic.rsplit_once(':') else {
            return Ok(());
        };
        if kind.eq_ignore_ascii_case("urn:btmh") {
            self.has_v2 = true;
        } else if kind.eq_ignore_ascii_case("urn:btih") {
            let hash = InfoHash::from_link(hash).ok_or(MagnetFault::Hash)?;
            if self.infohash.is_some_and(|other| other != hash) {
                return Err(MagnetFault::SeveralHashes);
            }
            self.infohash = Some(hash);
        }
        Ok(())
    }

    fn infohash(&self) -> Result<InfoHash, MagnetFault> {
        self.infohash.ok_or(if self.has_v2 {
            MagnetFault::V2Only
        } else {
            MagnetFault::NoHash
        })
    }
}

/// A parameter's key without its number, and its value. Links copied out of HTML keep `amp;` before.
fn parameter(text: &str) -> Option<(String, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.strip_prefix("amp;").unwrap_or(key);
    let key = match key.rsplit_once('.') {
        Some((key, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => key,
        _ => key,
    };
    Some((key.to_ascii_lowercase(), value))
}

/// A name: forms write spaces as `+`.
fn name(value: &str) -> Option<String> {
    let spaced = value.replace('+', " ");
    let name = percent_decode_str(&spaced).decode_utf8_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

fn url(value: &str) -> Option<String> {
    let url = percent_decode_str(value).decode_utf8().ok()?;
    (!url.is_empty()).then(|| url.into_owned())
}

fn push<T>(to: &mut Vec<T>, one: Option<T>) {
    if to.len() < MAX_ADDRESSES {
        to.extend(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    const BASE32: &str = "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ";

    #[test]
    fn links_are_read() {
        let bare = Magnet::new(InfoHash::of(b""));
        let named = |name: &str| Magnet {
            name: Some(name.to_owned()),
            ..bare.clone()
        };
        for (query, expected) in [
            (format!("xt=urn:btih:{HEX}"), bare.clone()),
            (format!("xt=urn:btih:{}", HEX.to_uppercase()), bare.clone()),
            (format!("xt=urn:btih:{BASE32}"), bare.clone()),
            (
                format!("xt=URN:BTIH:{}", BASE32.to_lowercase()),
                bare.clone(),
            ),
            (format!("xt=urn%3Abtih%3A{HEX}"), bare.clone()),
            (format!("xt.1=urn:btih:{HEX}"), bare.clone()),
            (
                format!("xt=urn:btih:{HEX}&xt=urn:btih:{BASE32}"),
                bare.clone(),
            ),
            (
                format!("xt=urn:btih:{HEX}&xt=urn:btmh:1220{HEX}"),
                bare.clone(),
            ),
            (
                format!("xt=urn:sha1:{BASE32}&xt=urn:btih:{HEX}"),
                bare.clone(),
            ),
            (
                format!("xt=urn:btih:{HEX}&so=0,2,4-8&xl=9&kt=a#b"),
                bare.clone(),
            ),
            (
                format!("&&dn&dn=&xt=urn:btih:{HEX}&tr=&x.pe=nobody"),
                bare.clone(),
            ),
            (
                format!("xt=urn:btih:{HEX}&dn=a+b%20c%2Bd"),
                named("a b c+d"),
            ),
            (
                format!("xt=urn:btih:{HEX}&amp;dn=%C3%BC%ff%4"),
                named("ü\u{fffd}%4"),
            ),
            (
                format!("xt=urn:btih:{HEX}&dn=first&dn=second"),
                named("first"),
            ),
        ] {
            let link = format!("magnet:?{query}");
            assert_eq!(link.parse(), Ok(expected.clone()), "{link}");
            assert_eq!(
                format!(" MAGNET:?{query}\n").parse(),
                Ok(expected),
                "{link}"
            );
        }
    }

    #[test]
    fn hints_are_read_and_written() {
        let magnet = Magnet {
            infohash: InfoHash::of(b""),
            name: Some("Ünder & +über=100%/?#.mp4".to_owned()),
            trackers: vec![
                "udp://tracker.example:1337/announce".to_owned(),
                "https://t.example/a?b=c&d=e+f".to_owned(),
            ],
            web_seeds: vec!["https://g.example/blob/x.mp4".to_owned()],
            peers: vec![
                "192.0.2.1:6881".parse().unwrap(),
                "[2001:db8::1]:6881".parse().unwrap(),
            ],
        };
        let link = format!(
            "magnet:?xt=urn:btih:{HEX}&dn=%C3%9Cnder%20%26%20%2B%C3%BCber%3D100%25%2F%3F%23.mp4\
             &tr=udp%3A%2F%2Ftracker.example%3A1337%2Fannounce\
             &tr=https%3A%2F%2Ft.example%2Fa%3Fb%3Dc%26d%3De%2Bf\
             &ws=https%3A%2F%2Fg.example%2Fblob%2Fx.mp4\
             &x.pe=192.0.2.1:6881&x.pe=%5B2001:db8::1%5D:6881"
        );
        assert_eq!(magnet.to_string(), link);
        assert_eq!(link.parse(), Ok(magnet.clone()));
        let numbered = link
            .replacen("&tr=", "&tr.0=", 1)
            .replacen("&tr=", "&tr.1=", 1)
            .replacen("&x.pe=", "&X.PE.1=", 1);
        assert_eq!(numbered.parse(), Ok(magnet));
    }

    #[test]
    fn what_names_no_torrent_is_refused() {
        let other = InfoHash::of(b"other");
        for (link, fault) in [
            (String::new(), MagnetFault::Scheme),
            (HEX.to_owned(), MagnetFault::Scheme),
            ("magnet:".to_owned(), MagnetFault::Scheme),
            (format!("http://a?xt=urn:btih:{HEX}"), MagnetFault::Scheme),
            ("magnet:?".to_owned(), MagnetFault::NoHash),
            (
                "magnet:?dn=a&tr=udp%3A%2F%2Fa".to_owned(),
                MagnetFault::NoHash,
            ),
            (format!("magnet:?xt=urn:sha1:{BASE32}"), MagnetFault::NoHash),
            (format!("magnet:?xt={HEX}"), MagnetFault::NoHash),
            ("magnet:?xt=urn:btih:".to_owned(), MagnetFault::Hash),
            (
                format!("magnet:?xt=urn:btih:{}", &HEX[1..]),
                MagnetFault::Hash,
            ),
            (format!("magnet:?xt=urn:btih:{HEX}0"), MagnetFault::Hash),
            (
                format!("magnet:?xt=urn:btih:{}", HEX.replace('d', "g")),
                MagnetFault::Hash,
            ),
            (
                format!("magnet:?xt=urn:btih:{}", BASE32.replace('3', "1")),
                MagnetFault::Hash,
            ),
            (
                format!("magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{other}"),
                MagnetFault::SeveralHashes,
            ),
            (
                format!("magnet:?xt=urn:btmh:1220{HEX}"),
                MagnetFault::V2Only,
            ),
            (
                format!("magnet:?{}", "a".repeat(MAX_MAGNET_BYTES)),
                MagnetFault::TooLong {
                    size_bytes: MAX_MAGNET_BYTES + 8,
                },
            ),
        ] {
            assert_eq!(link.parse::<Magnet>(), Err(fault), "{link}");
        }
    }

    #[test]
    fn hints_are_bounded() {
        let link = format!(
            "magnet:?xt=urn:btih:{HEX}{}",
            "&tr=a&ws=b&x.pe=c:1".repeat(1100)
        );
        let magnet: Magnet = link.parse().unwrap();
        let counts = [
            magnet.trackers.len(),
            magnet.web_seeds.len(),
            magnet.peers.len(),
        ];
        assert_eq!(counts, [MAX_ADDRESSES; 3]);
    }
}
