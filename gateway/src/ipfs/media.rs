//! Which media type an IPFS file is served with: by its name, else by its first bytes.
//!
//! Unlike blobs of datt these may be whole web sites. On origins that they share with the pages,
//! nothing of it runs: see [`shared`].

use crate::blob::media_type::{self, OPAQUE};

/// Plain text of unknown meaning.
pub const TEXT: &str = "text/plain; charset=utf-8";

const HTML: &str = "text/html";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";
const XML: &str = "application/xml";
const PDF: &str = "application/pdf";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const BY_EXTENSION: [(&str, &str); 58] = [
    ("html", HTML),
    ("htm", HTML),
    ("xhtml", "application/xhtml+xml"),
    ("css", STYLE),
    ("js", SCRIPT),
    ("mjs", SCRIPT),
    ("json", JSON),
    ("map", JSON),
    ("webmanifest", "application/manifest+json"),
    ("xml", XML),
    ("atom", XML),
    ("rss", XML),
    ("svg", SVG),
    ("pdf", PDF),
    ("wasm", "application/wasm"),
    ("txt", TEXT),
    ("text", TEXT),
    ("log", TEXT),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("vtt", "text/vtt"),
    ("ics", "text/calendar; charset=utf-8"),
    ("png", "image/png"),
    ("apng", "image/apng"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/x-icon"),
    ("bmp", "image/bmp"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("ogv", "video/ogg"),
    ("m4a", "audio/mp4"),
    ("mp3", "audio/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tar", "application/x-tar"),
    ("zst", "application/zstd"),
    ("epub", "application/epub+zip"),
    ("cbor", "application/cbor"),
    ("car", "application/vnd.ipld.car"),
    ("bin", OPAQUE),
];

/// Beginnings by which a file is taken for HTML (WHATWG MIME Sniffing §7.1, the usual ones).
const HTML_BEGINNINGS: [&str; 9] = [
    "<!doctype html",
    "<html",
    "<head",
    "<body",
    "<script",
    "<title",
    "<table",
    "<div",
    "<h1",
];

/// The type that a file of this name has, if its extension is known.
pub fn by_name(name: &str) -> Option<&'static str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let mut known = BY_EXTENSION.into_iter();
    let (_, found) = known.find(|(known, _)| extension.eq_ignore_ascii_case(known))?;
    (!stem.is_empty()).then_some(found)
}

/// The type of a file that begins with these bytes.
pub fn sniff(head: &[u8]) -> &'static str {
    match media_type::sniff(head) {
        OPAQUE => {}
        found => return found,
    }
    if head.starts_with(b"%PDF-") {
        return PDF;
    }
    let Some(text) = text_of(head) else {
        return OPAQUE;
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins = |with: &str| {
        let beginning = text.get(..with.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(with))
    };
    if HTML_BEGINNINGS.into_iter().any(begins) {
        HTML
    } else if begins("<svg") || begins("<?xml") && text.contains("<svg") {
        SVG
    } else if begins("<?xml") {
        XML
    } else if is_json(text, (head.len() as u64) < media_type::HEAD_BYTES) {
        JSON
    } else {
        TEXT
    }
}

/// UTF-8 without control characters; a character that the end cuts is left out.
fn text_of(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}');
    text.chars().all(is_text).then_some(text)
}

fn is_json(text: &str, is_whole: bool) -> bool {
    if !text.starts_with(['{', '[']) {
        return false;
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => !is_whole && error.is_eof(),
    }
}

/// The type on an origin that the file shares with others' files and with the pages: what could be
/// loaded into another page as script or style is text there, or opaque.
pub fn shared(media_type: &'static str) -> &'static str {
    match media_type {
        SCRIPT | STYLE => TEXT,
        "application/wasm" => OPAQUE,
        other => other,
    }
}

/// A document that could act if it weren't under a sandbox without permissions.
pub fn is_document(media_type: &str) -> bool {
    [HTML, SVG, XML, PDF, "application/xhtml+xml"].contains(&media_type)
}

/// True where a browser may show or play it in place; the rest is for saving.
pub fn is_inline(media_type: &str) -> bool {
    let is_archive = matches!(
        media_type,
        "application/zip"
            | "application/gzip"
            | "application/x-tar"
            | "application/zstd"
            | "application/epub+zip"
            | "application/cbor"
            | "application/vnd.ipld.car"
            | OPAQUE
    );
    !is_archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_type_where_its_extension_is_known() {
        let table = [
            ("index.html", Some(HTML)),
            ("INDEX.HTM", Some(HTML)),
            ("a.tar.gz", Some("application/gzip")),
            ("main.mjs", Some(SCRIPT)),
            ("t.json", Some(JSON)),
            ("picture.JPEG", Some("image/jpeg")),
            ("file", None),
            (".html", None),
            ("a.unknown", None),
        ];
        for (name, expected) in table {
            assert_eq!(by_name(name), expected, "{name}");
        }
    }

    #[test]
    fn the_first_bytes_tell_it_otherwise() {
        let long_json = format!("[{}", "1, ".repeat(200));
        let cut = "ą".repeat(256);
        let table: [(&[u8], &str); 19] = [
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"%PDF-1.7", PDF),
            (b"<!DOCTYPE HTML><p>", HTML),
            (b"\xef\xbb\xbf \n<html>", HTML),
            (b"<svg xmlns=", SVG),
            (b"<?xml version='1.0'?><svg>", SVG),
            (b"<?xml version='1.0'?><feed>", XML),
            (b"{\"a\": 1}\n", JSON),
            (b" [1, 2]", JSON),
            (&long_json.as_bytes()[..512], JSON),
            (b"{not json}", TEXT),
            (b"{\"a\": 1", TEXT),
            (b"hello\n", TEXT),
            (b"", TEXT),
            ("ąę".as_bytes(), TEXT),
            (&cut.as_bytes()[..511], TEXT),
            (b"\xff\xfe", OPAQUE),
            (b"a\0b", OPAQUE),
            (b"\x1f\x8b\x08", OPAQUE),
        ];
        for (head, expected) in table {
            assert_eq!(sniff(head), expected, "{:?}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn nothing_is_script_or_style_on_a_shared_origin() {
        for (extension, media_type) in BY_EXTENSION {
            let served = shared(media_type);
            assert!(
                !served.contains("script") && !served.contains("css"),
                "{extension}"
            );
            assert_ne!(served, "application/wasm");
        }
    }
}
