//! `Content-Disposition` (RFC 6266): shown or saved, and under which name.

use axum::http::HeaderValue;
use data_encoding::HEXUPPER;

use crate::failure::Failure;

/// Longest file name that is sent, in characters.
const MAX_NAME: usize = 200;

/// `inline` or `attachment`, with a file name in both forms of RFC 6266 where there is one.
pub fn disposition(is_inline: bool, name: Option<&str>) -> String {
    let kind = if is_inline { "inline" } else { "attachment" };
    let Some(name) = name else {
        return kind.to_owned();
    };
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && !"/\\".contains(*c))
        .take(MAX_NAME)
        .collect();
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii() && !"\"%;".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let encoded = percent_encoded(&name, b"-._~");
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// Text with every byte but ASCII letters, digits and these in percent encoding (RFC 3986 §2.1).
pub fn percent_encoded(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&HEXUPPER.encode(&[byte]));
        }
    }
    encoded
}

/// Text as a header's value.
pub fn header_value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|_| Failure::invalid("the request names a header value with control characters"))
}
