//! A failed request as an answer: JSON for the API; the pages' layer turns it into HTML.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    api::types::{ErrorBody, ErrorCode, ErrorDetail},
    node::NodeError,
};

/// Why a request failed, ready to be sent.
///
/// Any handler may return it. As a response it is the API's JSON and carries itself as a response
/// extension, so that the router renders it as a page where the route is a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable name; decides the status.
    pub code: ErrorCode,
    /// What failed, why, and what to do.
    pub message: String,
    /// Seconds after which another try makes sense.
    pub retry_after_s: Option<u32>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_s: None,
        }
    }

    /// A request that can't be read as it stands.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    /// Too much at once.
    pub fn busy(what: &str, retry_after_s: u32) -> Self {
        NodeError::Busy {
            what: what.to_owned(),
            retry_after_s,
        }
        .into()
    }

    /// What an extractor refused: its status decides the code.
    pub fn rejected(status: StatusCode, text: &str) -> Self {
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::WrongType,
            StatusCode::METHOD_NOT_ALLOWED => ErrorCode::WrongMethod,
            _ => ErrorCode::Invalid,
        };
        Self::new(code, format!("cannot read the request: {text}"))
    }

    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The API's JSON.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message.clone(),
            },
        }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let code = error.code();
        if let NodeError::Local { act, source } = &error {
            tracing::error!(act, %source, "local fault while answering a request");
        }
        let retry_after_s = match &error {
            NodeError::Busy { retry_after_s, .. } => Some(*retry_after_s),
            _ => None,
        };
        Self {
            code,
            message: error.to_string(),
            retry_after_s,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == ErrorCode::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
