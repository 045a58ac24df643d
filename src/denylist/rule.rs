//! One line of a denylist (compact denylist format, IPIP-383, "Block item").

use blocks::dag;
use cid::{Cid, multibase::Base, multihash::Multihash};
use data_encoding::HEXLOWER_PERMISSIVE;
use thiserror::Error;

/// Multihash code of sha2-256.
pub(super) const SHA2_256: u64 = 0x12;
/// Multihash code of BLAKE3.
pub(super) const BLAKE3: u64 = 0x1e;
/// Bytes of the digests that double hashes are compared by.
pub(super) const DIGEST_BYTES: usize = 32;
/// Longest reason kept, characters.
const REASON_CHARS: usize = 300;
/// Longest CID in text form; those of hashes in use are far shorter.
const CID_CHARS: usize = 256;
/// The hint that says why.
const REASON: &str = "reason";

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Takes back what earlier rules deny, instead of denying.
    pub(super) is_allow: bool,
    /// What it is about.
    pub(super) target: Target,
    /// Why, if the line says so.
    pub(super) reason: Option<String>,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A hash, whatever CID it is in, and paths from it.
    Content {
        /// Multihash, as bytes.
        multihash: Vec<u8>,
        /// Which paths.
        path: PathRule,
    },
    /// An IPNS name or domain. Nothing here resolves names, so nothing matches it.
    Name,
    /// Hashes of what is meant; two where the text can be read both ways.
    Hashed(Vec<DoubleHash>),
}

/// A hash of the text form of a name and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DoubleHash {
    /// Multihash code of its hash function.
    pub(super) code: u64,
    /// The digest.
    pub(super) digest: [u8; DIGEST_BYTES],
}

/// Which paths from a hash a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathRule {
    /// Without slashes at its ends; empty for the hash itself.
    text: String,
    /// Everything that begins so.
    is_prefix: bool,
}

/// Why a line is no rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum LineFault {
    /// Over the format's limit.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// Not text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Begins with none of the words of the format.
    #[error("it begins neither with /ipfs/ nor /ipns/ nor //")]
    Unknown,
    /// No CID where one belongs.
    #[error("`{text}` is no CID: {why}")]
    Cid {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A path that is not percent-encoded UTF-8.
    #[error("its path is not percent-encoded text")]
    Path,
    /// An IPNS rule without a name.
    #[error("it names nothing")]
    NoName,
    /// Neither a base58 multihash nor 64 hex digits.
    #[error("`{0}` is neither a base58 multihash nor the 64 hex digits of a SHA-256")]
    DoubleHash(String),
    /// A double hash by a function that is not computed here.
    #[error("double hashes by hash function 0x{0:x} are not compared, only sha2-256 and blake3")]
    HashFunction(u64),
}

impl Rule {
    /// Reads a line without its end; none for comments and empty lines.
    pub(super) fn parse(line: &[u8]) -> Result<Option<Self>, LineFault> {
        let line = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
        if line.starts_with('#') {
            return Ok(None);
        }
        let mut fields = line.split_ascii_whitespace();
        let Some(item) = fields.next() else {
            return Ok(None);
        };
        // `!` is the word of the format; `+` and `-` stand in older lists.
        let (is_allow, item) = match item.strip_prefix(['!', '+', '-']) {
            Some(item) => (true, item),
            None => (false, item),
        };
        Ok(Some(Self {
            is_allow,
            target: target(item)?,
            reason: fields.find_map(|hint| reason(hint_of(hint)?)),
        }))
    }
}

/// Key and value of a hint; older lists write `=`.
pub(super) fn hint_of(text: &str) -> Option<(&str, &str)> {
    text.split_once([':', '='])
}

/// The reason in a hint, if it is one.
pub(super) fn reason((key, value): (&str, &str)) -> Option<String> {
    if key != REASON {
        return None;
    }
    let text = percent_decoded(value)?;
    let text: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// A line that denies or allows a CID and every path from it.
pub(super) fn line_of(cid: &Cid, is_allow: bool, reason: Option<&str>) -> String {
    let sign = if is_allow { "!" } else { "" };
    let mut line = format!("{sign}/ipfs/{cid}/*");
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        let reason: String = reason.chars().take(REASON_CHARS).collect();
        line.push_str(&format!(" {REASON}:{}", percent_encoded(&reason)));
    }
    line.push('\n');
    line
}

/// The CID in a line that denies one.
pub(super) fn named_cid(line: &[u8]) -> Option<Cid> {
    let item = std::str::from_utf8(line).ok()?.strip_prefix("/ipfs/")?;
    let end = item.find(['/', ' ', '\t', '\r']).unwrap_or(item.len());
    parse_cid(&item[..end]).ok()
}

fn target(item: &str) -> Result<Target, LineFault> {
    if let Some(text) = item.strip_prefix("//") {
        return double_hashes(text).map(Target::Hashed);
    }
    if let Some(rest) = item
        .strip_prefix("/ipfs/")
        .or_else(|| item.strip_prefix("/ipld/"))
    {
        let (cid, path) = rest.split_once('/').unwrap_or((rest, ""));
        return Ok(Target::Content {
            multihash: parse_cid(cid)?.hash().to_bytes(),
            path: PathRule::parse(path)?,
        });
    }
    if let Some(rest) = item.strip_prefix("/ipns/") {
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        PathRule::parse(path)?;
        return match name {
            "" => Err(LineFault::NoName),
            _ => Ok(Target::Name),
        };
    }
    Err(LineFault::Unknown)
}

fn parse_cid(text: &str) -> Result<Cid, LineFault> {
    let fault = |why: String| LineFault::Cid {
        text: shown(text),
        why,
    };
    if text.len() > CID_CHARS {
        return Err(fault(format!("longer than {CID_CHARS} characters")));
    }
    // The format also takes a bare multihash in base58, of any hash function.
    dag::parse_cid(text)
        .or_else(|| multihash(text).map(|hash| Cid::new_v1(0, hash)))
        .ok_or_else(|| fault("not a CID".to_owned()))
}

fn multihash(base58: &str) -> Option<Multihash<64>> {
    if base58.len() > CID_CHARS {
        return None;
    }
    let bytes = Base::Base58Btc.decode(base58).ok()?;
    Multihash::from_bytes(&bytes).ok()
}

fn double_hashes(text: &str) -> Result<Vec<DoubleHash>, LineFault> {
    let mut found = Vec::new();
    if let Ok(digest) = HEXLOWER_PERMISSIVE.decode(text.as_bytes())
        && let Ok(digest) = digest.try_into()
    {
        let code = SHA2_256;
        found.push(DoubleHash { code, digest });
    }
    if let Some(hash) = multihash(text) {
        let code = hash.code();
        let known = matches!(code, SHA2_256 | BLAKE3);
        match <[u8; DIGEST_BYTES]>::try_from(hash.digest()) {
            Ok(digest) if known => found.push(DoubleHash { code, digest }),
            _ if found.is_empty() => return Err(LineFault::HashFunction(code)),
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(LineFault::DoubleHash(shown(text)));
    }
    Ok(found)
}

impl PathRule {
    fn parse(text: &str) -> Result<Self, LineFault> {
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(text) => (text, true),
            None => (text, false),
        };
        Ok(Self {
            text: percent_decoded(text.trim_matches('/')).ok_or(LineFault::Path)?,
            is_prefix,
        })
    }

    /// Whether it is about this path: segments joined by slashes, empty for the hash itself.
    pub(super) fn matches(&self, path: &str) -> bool {
        if self.is_prefix {
            path.starts_with(&self.text)
        } else {
            path == self.text
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Percent-decoding (RFC 3986, section 2.1); none for what decodes to no text.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        decoded.extend(HEXLOWER_PERMISSIVE.decode(&digits).ok()?);
    }
    String::from_utf8(decoded).ok()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CID: &str = "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8";

    fn rule(line: &str) -> Rule {
        Rule::parse(line.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for line in ["", "# a word", "#/ipfs/x", "   ", "\r"] {
            assert_eq!(Rule::parse(line.as_bytes()), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn every_form_of_a_rule_is_read() {
        let hex = "d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7";
        for (line, is_allow) in [
            (format!("/ipfs/{CID}"), false),
            (format!("!/ipfs/{CID}/a%20b/*"), true),
            (format!("+/ipfs/{CID}/a*"), true),
            (format!("-/ipfs/{CID}"), true),
            (
                "/ipfs/gW7Nhu4HrfDtphEivm3Z9NNE7gpdh5Tga8g6JNZc1S8E47".to_owned(),
                false,
            ),
            ("/ipns/domain.example/path hint:x".to_owned(), false),
            (format!("//{hex}"), false),
            (format!("//{}", hex.to_uppercase()), false),
            (
                "//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM".to_owned(),
                false,
            ),
            (
                "!//gW813G35CnLsy7gRYYHuf63hrz71U1xoLFDVeV7actx6oX".to_owned(),
                true,
            ),
        ] {
            assert_eq!(rule(&line).is_allow, is_allow, "{line}");
        }
    }

    #[test]
    fn what_is_no_rule_says_why() {
        let sha512 = Multihash::<64>::wrap(0x13, &[7; 64]).unwrap();
        let sha512 = format!("//{}", Base::Base58Btc.encode(sha512.to_bytes()));
        let endless = format!("/ipfs/{}", "b".repeat(10_000));
        for (line, why) in [
            ("/ipfs/nonsense", "no CID"),
            ("/ipfs/", "no CID"),
            (endless.as_str(), "longer than"),
            ("/mime/image/*", "begins neither"),
            ("hello", "begins neither"),
            ("/ipns/", "names nothing"),
            ("//", "neither a base58"),
            ("//d9d295", "neither a base58"),
            (sha512.as_str(), "0x13"),
            (&format!("/ipfs/{CID}/%zz"), "percent-encoded"),
            (&format!("/ipfs/{CID}/%2"), "percent-encoded"),
            (&format!("/ipfs/{CID}/%ff"), "percent-encoded"),
        ] {
            let fault = Rule::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(why), "{line}: {fault}");
        }
        assert_eq!(Rule::parse(b"/ipfs/\xff"), Err(LineFault::NotUtf8));
    }

    #[test]
    fn an_own_line_is_read_back_with_its_reason() {
        let cid: Cid = CID.parse().unwrap();
        let line = line_of(&cid, false, Some("spam: 100 % bad\nnews"));
        let read = rule(line.trim_end());
        assert_eq!(read.reason.as_deref(), Some("spam: 100 % badnews"));
        assert!(!read.is_allow);
        let Target::Content { multihash, path } = read.target else {
            panic!("{line}");
        };
        assert_eq!(multihash, cid.hash().to_bytes());
        assert!(path.matches("") && path.matches("any/path"));
        assert!(rule(line_of(&cid, true, None).trim_end()).is_allow);
    }

    #[test]
    fn paths_match_whole_or_by_their_beginning() {
        for (path, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "a/b"], &[]),
            (
                "test*",
                &["test", "test2", "test/one"],
                &["tes", "", "one/test"],
            ),
            ("test/*", &["test", "test2", "test/one"], &["tes", ""]),
            ("path/", &["path"], &["path2", "path/a"]),
            ("a%20b", &["a b"], &["a%20b"]),
        ] {
            let rule = PathRule::parse(path).unwrap();
            for asked in yes {
                assert!(rule.matches(asked), "{path} {asked}");
            }
            for asked in no {
                assert!(!rule.matches(asked), "{path} {asked}");
            }
        }
    }
}
