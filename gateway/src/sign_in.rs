//! `GET /signin/{once}` and `POST /signout`: how a browser becomes the owner's, and ends it.

use axum::{
    Router,
    extract::{Extension, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use crate::{api::types::ErrorCode, auth::CsrfForm, client::Client, failure::Failure, gate::Gate};

const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

/// The page moves on by itself: a redirect would be part of a navigation that another program or
/// site began, and then browsers hold a `SameSite=Strict` cookie back.
const SIGNED_IN: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\">\
    <meta http-equiv=\"refresh\" content=\"0;url=/\"><title>Signed in</title>\
    <p>Signed in. <a href=\"/\">Go on</a></p></html>";

/// Both routes.
pub fn routes() -> Router<Gate> {
    Router::new()
        .route("/signin/{once}", get(sign_in))
        .route("/signout", post(sign_out))
}

async fn sign_in(
    State(gate): State<Gate>,
    Extension(client): Extension<Client>,
    Path(once): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    // Programs that look ahead must not use the link up.
    if method == Method::HEAD || headers.contains_key(SEC_PURPOSE) {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            "open the sign-in link itself to use it",
        ));
    }
    let cookie = gate.auth().sign_in(&once, client.is_secure).ok_or_else(|| {
        Failure::new(
            ErrorCode::Unauthorized,
            "this sign-in link was used already or is older than ten minutes; run `datt signin` on \
             the node's machine and open the URL it prints",
        )
    })?;
    let cookie = cookie_header(&cookie);
    let private = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::SET_COOKIE, cookie),
    ];
    Ok((private, Html(SIGNED_IN)).into_response())
}

#[derive(Debug, Deserialize)]
struct Nothing {}

async fn sign_out(
    State(gate): State<Gate>,
    Extension(client): Extension<Client>,
    form: CsrfForm<Nothing>,
) -> Response {
    let Nothing {} = form.fields;
    let cookie = gate.auth().sign_out(&form.session, client.is_secure);
    (
        [(header::SET_COOKIE, cookie_header(&cookie))],
        Redirect::to("/"),
    )
        .into_response()
}

fn cookie_header(cookie: &str) -> HeaderValue {
    HeaderValue::from_str(cookie).expect("cookies are made of hex digits and ASCII attributes")
}
