//! Content paths: `/ipfs/{cid}/a/b`, as they stand in URLs.

use std::fmt::Write as _;

use cid::{
    Cid, Version,
    multibase::{self, Base},
};

use crate::{blob::disposition::percent_encoded, failure::Failure};

/// Longest text that is read as a CID, in bytes: a CID of a 64-byte digest in base 2 is shorter.
const MAX_CID_TEXT: usize = 600;
/// Segments of a path. Those who follow paths have the same limit.
pub const MAX_SEGMENTS: usize = 1024;
/// Characters that a path segment keeps besides letters and digits (RFC 3986 §3.3, without quotes,
/// brackets and the comma and semicolon that some read as separators).
const KEPT: &[u8] = b"-._~$&+:=@";

/// A root and the way down from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The root.
    pub root: Cid,
    /// The root as the client wrote it.
    pub root_text: String,
    /// Names below it, decoded.
    pub segments: Vec<String>,
    /// The path ends with a slash.
    pub is_folder: bool,
}

impl Address {
    /// From the path of a URL, which begins with `/ipfs/`.
    ///
    /// # Errors
    /// When the first segment is no CID, or a later one leaves the root or isn't UTF-8.
    pub fn of_path(path: &str) -> Result<Self, Failure> {
        let below = path.strip_prefix("/ipfs/").unwrap_or_default();
        let (root_text, rest) = match below.split_once('/') {
            Some((root, rest)) => (root, Some(rest)),
            None => (below, None),
        };
        let root = parse_cid(root_text).map_err(|why| invalid(path, &why))?;
        let segments = segments(rest.unwrap_or_default()).map_err(|why| invalid(path, why))?;
        Ok(Self {
            root,
            root_text: root_text.to_owned(),
            segments,
            is_folder: rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/')),
        })
    }

    /// From the path of a URL on the root's own origin.
    ///
    /// # Errors
    /// When a segment leaves the root or isn't UTF-8.
    pub fn below(root: Cid, root_text: &str, path: &str) -> Result<Self, Failure> {
        Ok(Self {
            root,
            root_text: root_text.to_owned(),
            segments: segments(path).map_err(|why| invalid(path, why))?,
            is_folder: path.is_empty() || path.ends_with('/'),
        })
    }

    /// What `X-Ipfs-Path` says: `/ipfs/{cid}/a/b`.
    pub fn content_path(&self) -> String {
        format!("/ipfs/{}{}", self.root_text, self.rest())
    }

    /// The part after the root, percent-encoded, with its slashes: empty, `/`, `/a/b` or `/a/b/`.
    pub fn rest(&self) -> String {
        let mut rest = way(&self.segments);
        if self.is_folder {
            rest.push('/');
        }
        rest
    }
}

/// `/a/b`, percent-encoded; empty where there are no segments.
pub fn way(segments: &[String]) -> String {
    segments.iter().fold(String::new(), |mut way, segment| {
        // Writing to a string can't fail.
        let _ = write!(way, "/{}", escaped(segment));
        way
    })
}

/// One segment, percent-encoded.
pub fn escaped(segment: &str) -> String {
    percent_encoded(segment, KEPT)
}

/// Reads a CID in text form, in any base. The whole text is the CID.
pub fn parse_cid(text: &str) -> Result<Cid, String> {
    if text.len() > MAX_CID_TEXT {
        return Err(format!("a CID has at most {MAX_CID_TEXT} characters"));
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_+=".contains(&byte))
    {
        return Err("a CID has letters and digits only".to_owned());
    }
    let is_v0 = Version::is_v0_str(text);
    let bytes = if is_v0 {
        Base::Base58Btc.decode(text)
    } else {
        multibase::decode(text).map(|(_, bytes)| bytes)
    };
    let bytes = bytes.map_err(|error| format!("not a CID: {error}"))?;
    let cid = Cid::try_from(bytes.as_slice()).map_err(|error| format!("not a CID: {error}"))?;
    if cid.encoded_len() != bytes.len() {
        return Err("not a CID: something follows it, or its numbers are too long".to_owned());
    }
    if is_v0 != (cid.version() == Version::V0) {
        return Err("not a CID: version 0 is written in base 58, without a prefix".to_owned());
    }
    Ok(cid)
}

/// The names of a path, decoded; `..` goes up, and never out.
///
/// # Errors
/// Why it is no path below a root.
pub fn segments(path: &str) -> Result<Vec<String>, &'static str> {
    let mut segments = Vec::new();
    for part in path.split('/') {
        match decoded(part)?.as_str() {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or("it leads out of its root")?;
            }
            name => segments.push(name.to_owned()),
        }
        if segments.len() > MAX_SEGMENTS {
            return Err("it has too many segments");
        }
    }
    Ok(segments)
}

fn decoded(part: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err("a percent sign is not followed by two hexadecimal digits");
        };
        bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| "its names are not UTF-8")
}

fn invalid(path: &str, why: &str) -> Failure {
    let shown: String = path.chars().take(200).collect();
    Failure::invalid(format!(
        "invalid path \"{shown}\": {why}; expected /ipfs/CID or /ipfs/CID/name"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ROOT: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

    #[test]
    fn a_path_is_read_segment_by_segment_and_written_in_one_way() {
        let table: [(&str, &[&str], &str); 11] = [
            ("", &[], ""),
            ("/", &[], "/"),
            ("/a/b", &["a", "b"], "/a/b"),
            ("/a/b/", &["a", "b"], "/a/b/"),
            ("/a//./b", &["a", "b"], "/a/b"),
            ("/a/../b", &["b"], "/b"),
            ("/%C4%85/ę", &["ą", "ę"], "/%C4%85/%C4%99"),
            ("/100%25", &["100%"], "/100%25"),
            ("/a%2525+b=c%20d", &["a%25+b=c d"], "/a%2525+b=c%20d"),
            ("/a%2Fb", &["a/b"], "/a%2Fb"),
            ("/%3Cx%3E,;\"", &["<x>,;\""], "/%3Cx%3E%2C%3B%22"),
        ];
        for (rest, segments, written) in table {
            let address = Address::of_path(&format!("/ipfs/{ROOT}{rest}")).unwrap();
            assert_eq!(address.segments, segments, "{rest}");
            assert_eq!(address.rest(), written, "{rest}");
            assert_eq!(address.content_path(), format!("/ipfs/{ROOT}{written}"));
        }
    }

    #[test]
    fn a_cid_is_the_whole_text_in_any_base() {
        let root: Cid = ROOT.parse().unwrap();
        let v0 = Cid::new_v0(*root.hash()).unwrap();
        for base in [Base::Base32Lower, Base::Base36Lower, Base::Base58Btc] {
            let text = root.to_string_of_base(base).unwrap();
            assert_eq!(parse_cid(&text), Ok(root), "{base:?}");
            for tail in [&b"\0"[..], b"junk", &root.to_bytes()] {
                let bytes = [&root.to_bytes(), tail].concat();
                let text = multibase::encode(base, bytes);
                parse_cid(&text).unwrap_err();
            }
        }
        assert_eq!(parse_cid(&v0.to_string()), Ok(v0));
        for prefixed in [
            format!("z{v0}"),
            format!("{v0}1"),
            format!("{ROOT}junkjunk"),
        ] {
            parse_cid(&prefixed).unwrap_err();
        }
        // A version in two bytes where one is enough.
        let long = [&[0x81, 0][..], &root.to_bytes()[1..]].concat();
        parse_cid(&multibase::encode(Base::Base32Lower, long)).unwrap_err();
    }

    #[test]
    fn a_path_that_is_none_is_named_in_the_error() {
        let long = "a".repeat(MAX_CID_TEXT + 1);
        let many = format!("{ROOT}{}", "/x".repeat(MAX_SEGMENTS + 1));
        let bad = [
            "",
            "QmInvalidCID",
            "%62afk",
            &long,
            &many,
            &format!("{ROOT}/.."),
            &format!("{ROOT}/a/../.."),
            &format!("{ROOT}/%2e%2e"),
            &format!("{ROOT}/%zz"),
            &format!("{ROOT}/%f"),
            &format!("{ROOT}/%ff"),
        ];
        for path in bad {
            let failure = Address::of_path(&format!("/ipfs/{path}")).unwrap_err();
            assert_eq!(failure.status(), 400);
            let shown: String = path.chars().take(100).collect();
            let expected = format!("invalid path \"/ipfs/{shown}");
            assert!(
                failure.message.starts_with(&expected),
                "{}",
                failure.message
            );
        }
    }
}
