//! Text that strangers wrote, made safe to read: nothing invisible changes what is seen.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters shown of an id at each end when it is shortened.
const ID_END_CHARS: usize = 6;
/// Longest excerpt for previews and for feed titles, in characters.
pub const EXCERPT_CHARS: usize = 200;

/// Pages of a gateway that mean the same on every gateway.
const SAFE_PATHS: [&str; 6] = ["/ipfs/", "/t/", "/p/", "/s/", "/e/", "/@"];

/// Direction overrides, embeddings and isolates: they can make text read as something else.
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Control characters that have no place in a text.
fn is_stray_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t' | '\r')
}

/// `text` with direction controls spelled out as `⟨U+202E⟩` and other control characters dropped.
///
/// The result is still plain text: it has to be escaped like any other.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text
        .chars()
        .any(|c| is_direction_control(c) || is_stray_control(c))
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_direction_control(c) {
            write!(out, "⟨U+{:04X}⟩", u32::from(c)).expect("a String takes every write");
        } else if !is_stray_control(c) {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// An id with its middle left out, for places where it only has to be recognised.
#[must_use]
pub fn short_id(id: &str) -> String {
    let chars = id.chars().count();
    if chars <= 2 * ID_END_CHARS + 1 {
        return visible(id).into_owned();
    }
    let head: String = id.chars().take(ID_END_CHARS).collect();
    let tail: String = id.chars().skip(chars - ID_END_CHARS).collect();
    format!("{head}…{tail}")
}

/// The first words of a markdown source, without its most common marks, on one line.
#[must_use]
pub fn excerpt(markdown: &str) -> String {
    let mut out = String::new();
    let mut chars = 0;
    for word in markdown.split_whitespace() {
        let word = word.trim_matches(['#', '>', '_']).replace(['*', '`'], "");
        if word.is_empty() {
            continue;
        }
        chars += word.chars().count() + 1;
        if chars > EXCERPT_CHARS {
            out.push('…');
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&word);
    }
    visible(&out).into_owned()
}

/// A message as a sentence: messages begin in lower case, as they follow a colon on the command
/// line.
#[must_use]
pub fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let mut text: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(chars)
        .collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// Percent-encodes `text` for use as one value of a query string or path segment.
#[must_use]
pub fn query_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes every write");
        }
    }
    out
}

/// The host of a web link, to show where it leads.
#[must_use]
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.rsplit('@').next().unwrap_or(host);
    host.strip_prefix("www.").unwrap_or(host)
}

/// Whether a link that an author gave may be followed from a page.
#[must_use]
pub fn is_safe_link(url: &str) -> bool {
    let lower = url.trim_start().to_ascii_lowercase();
    let local = SAFE_PATHS.iter().any(|p| url.starts_with(p)) && !url.contains("..");
    local
        || ["http://", "https://", "mailto:", "magnet:"]
            .iter()
            .any(|p| lower.starts_with(p))
}

/// A language tag (BCP 47) for an attribute; nothing where it can't be one.
#[must_use]
pub fn lang_tag(tag: &str) -> &str {
    let sound = tag
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if sound { tag } else { "" }
}

/// A link for an `href`, if it may be followed: what would be invisible is percent-encoded.
#[must_use]
pub fn address(url: &str) -> Option<String> {
    let mut out = String::with_capacity(url.len());
    for c in url.trim().chars() {
        if is_direction_control(c) || c.is_control() || c.is_whitespace() {
            out.push_str(&query_value(c.encode_utf8(&mut [0; 4])));
        } else {
            out.push(c);
        }
    }
    is_safe_link(&out).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_controls_are_spelled_out() {
        let table = [
            ("plain", "plain"),
            ("a\u{202E}b", "a⟨U+202E⟩b"),
            ("\u{2066}x\u{2069}", "⟨U+2066⟩x⟨U+2069⟩"),
            ("line\none\u{0}\u{8}", "line\none"),
            ("سلام", "سلام"),
        ];
        for (text, expected) in table {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(
            excerpt("# Title\n\n**bold**. > `words`"),
            "Title bold. words"
        );
        let long = "word ".repeat(200);
        assert!(excerpt(&long).chars().count() <= EXCERPT_CHARS + 1);
        assert!(excerpt(&long).ends_with('…'));
    }

    #[test]
    fn links_are_allowed_by_scheme() {
        for good in [
            "http://a",
            "HTTPS://a",
            "magnet:?xt=urn",
            "mailto:a@b",
            "/ipfs/bafk",
        ] {
            assert!(is_safe_link(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            " JavaScript:x",
            "data:text/html,x",
            "//evil",
            "/post",
            "vbscript:x",
            "",
        ] {
            assert!(!is_safe_link(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_hide_nothing() {
        assert_eq!(
            address(" https://a/\u{202E}b c ").as_deref(),
            Some("https://a/%E2%80%AEb%20c")
        );
        assert_eq!(address("java\u{0}script:x"), None);
    }

    #[test]
    fn hosts_and_short_ids() {
        assert_eq!(
            host_of("https://user@www.example.org:8080/path?q"),
            "example.org:8080"
        );
        assert_eq!(host_of("http://example.org"), "example.org");
        assert_eq!(short_id("bafyabcdefghijklmnop"), "bafyab…klmnop");
        assert_eq!(short_id("short"), "short");
        assert_eq!(query_value("a b/ü"), "a%20b%2F%C3%BC");
    }
}
