//! Failures as pages.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use views::{Template, frame::Frame, problem::ProblemPage};

use super::{
    flash,
    visit::{plain_frame, wants_json},
};
use crate::{api::types::ErrorCode, failure::Failure};

/// A failure as a page, for routes that aren't pages themselves.
pub fn failure(failure: &Failure, signed_in: bool) -> Response {
    render(failure, plain_frame(&HeaderMap::new()), signed_in)
}

/// Turns failures of the pages into pages, in the visitor's colours; scripts get JSON. A message
/// that a page showed is not shown again.
pub(super) async fn show_failures(request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    let mut response = match response.extensions_mut().remove::<Failure>() {
        Some(failure) if !wants_json(&headers) => render(&failure, plain_frame(&headers), false),
        _ => response,
    };
    if !response.status().is_redirection() && !flash::take(&headers).is_empty() {
        response
            .headers_mut()
            .append(header::SET_COOKIE, flash::spent());
    }
    response
}

fn render(failure: &Failure, mut frame: Frame, signed_in: bool) -> Response {
    let status = failure.status();
    frame.title = title(failure.code, status).to_owned();
    frame.noindex = true;
    frame.unknown_viewer = true;
    let page = ProblemPage {
        frame: &frame,
        status: status.as_u16(),
        message: &views::text::sentence(&failure.message),
        ways: ways(failure.code),
        sign_in: failure.code == ErrorCode::Unauthorized && !signed_in,
    };
    let body = page.render().unwrap_or_else(|_| failure.message.clone());
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Html(body)).into_response();
    if let Some(seconds) = failure.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn title(code: ErrorCode, status: StatusCode) -> &'static str {
    match code {
        ErrorCode::NotFound => "Not found",
        ErrorCode::NotHeld => "Not held here yet",
        ErrorCode::Unauthorized => "Sign in first",
        ErrorCode::Forbidden => "Not allowed",
        ErrorCode::TooLarge => "Too large",
        ErrorCode::QuotaExceeded => "The disk quota is full",
        ErrorCode::Denied => "Not served here",
        ErrorCode::NotVerified => "Could not be verified",
        ErrorCode::Busy | ErrorCode::Unavailable => "Try again in a moment",
        _ if status.is_server_error() => "This node has a problem",
        _ => "That didn't work",
    }
}

fn ways(code: ErrorCode) -> &'static [&'static str] {
    match code {
        ErrorCode::NotHeld => &[
            "Try again in a moment: a node that has it may come online.",
            "If somebody gave you a ticket for it, join with that: it says where to ask.",
        ],
        ErrorCode::NotFound => &[
            "Check that the whole address was copied.",
            "It may be on another node: ask who gave you the link for a ticket.",
        ],
        ErrorCode::QuotaExceeded => &[
            "Unpin something on the node page.",
            "Raise storage.max_bytes in the configuration and restart the node.",
        ],
        ErrorCode::Denied => &["Another node may serve it."],
        _ => &[],
    }
}
