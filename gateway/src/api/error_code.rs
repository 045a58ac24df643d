//! The API's error codes, and what each means as an HTTP status and as an exit code.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The stable name of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No such thing.
    NotFound,
    /// Exists perhaps, but nobody delivered it in time.
    NotHeld,
    /// Malformed id, range, body or parameter.
    Invalid,
    /// Collides with what is held.
    Conflict,
    /// Over a size limit.
    TooLarge,
    /// No room under the byte quota.
    QuotaExceeded,
    /// On the denylist.
    Denied,
    /// Token or session missing or wrong.
    Unauthorized,
    /// Wrong Origin, missing CSRF token, or no right to do this.
    Forbidden,
    /// Host header of another site.
    WrongHost,
    /// Body of the wrong content type.
    WrongType,
    /// The path exists, not with this method.
    WrongMethod,
    /// Range outside the item.
    BadRange,
    /// A hash or signature does not match.
    NotVerified,
    /// What is named can't be had in the format asked for.
    NotAcceptable,
    /// Asked for from the cache only, and not held.
    NotCached,
    /// Codec or hash function of a CID that isn't read here.
    Unsupported,
    /// A part of a standard that isn't there.
    NotImplemented,
    /// Too many requests.
    Busy,
    /// Starting, stopping or switched off.
    Unavailable,
    /// A fault of the node's machine.
    Local,
}

impl ErrorCode {
    /// HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotHeld => StatusCode::GATEWAY_TIMEOUT,
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::QuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
            Self::Denied => StatusCode::GONE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRange => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::NotVerified => StatusCode::BAD_GATEWAY,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::NotCached => StatusCode::PRECONDITION_FAILED,
            Self::Unsupported => StatusCode::BAD_REQUEST,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Local => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Exit code of a command that failed with this.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotFound | Self::NotHeld | Self::NotCached | Self::Denied => 3,
            Self::Invalid | Self::BadRange | Self::Unsupported => 2,
            Self::NotVerified => 4,
            Self::Unavailable => 5,
            _ => 1,
        }
    }
}
