//! One message that survives a redirect: a short-lived cookie that only scripts of the server read.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use data_encoding::BASE64URL_NOPAD;

const COOKIE: &str = "datt_note";
/// Longest message that travels in the cookie, in bytes.
const MAX_BYTES: usize = 900;
/// How long it waits for the next page.
const LIFETIME_S: u32 = 30;

/// A value of a cookie of the request.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// The message that the request brings, one notice a line.
pub(super) fn take(headers: &HeaderMap) -> Vec<String> {
    let text = cookie(headers, COOKIE)
        .and_then(|value| BASE64URL_NOPAD.decode(value.as_bytes()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The cookie that removes a message that was shown.
pub(super) fn spent() -> HeaderValue {
    HeaderValue::from_static("datt_note=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
}

/// 303 to `path`, where the notices are shown.
pub(super) fn redirect(path: &str, notices: &[String]) -> Response {
    let mut response = Redirect::to(path).into_response();
    let mut text = notices.join("\n");
    if text.is_empty() {
        return response;
    }
    while text.len() > MAX_BYTES {
        text.pop();
    }
    let value = format!(
        "{COOKIE}={}; Path=/; Max-Age={LIFETIME_S}; HttpOnly; SameSite=Strict",
        BASE64URL_NOPAD.encode(text.as_bytes())
    );
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
