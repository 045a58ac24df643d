//! Path, query and JSON body of an API request, each refused in the API's own words.

use std::{fmt::Display, str::FromStr};

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{header, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::{api::types::ErrorCode, failure::Failure, gate::Gate};

/// Largest JSON body: a post of the longest text, fully escaped, with its media.
pub const MAX_JSON_BYTES: usize = 256 * 1024;

/// The `{cid}` of a path.
#[derive(Clone, Copy, Debug)]
pub struct Id<T>(pub T);

/// The query string.
#[derive(Clone, Debug)]
pub struct Asked<T>(pub T);

/// A JSON body with its content type.
#[derive(Clone, Debug)]
pub struct Sent<T>(pub T);

/// A JSON body that may be missing altogether.
#[derive(Clone, Debug)]
pub struct MaybeSent<T>(pub T);

impl<T> FromRequestParts<Gate> for Id<T>
where
    T: FromStr<Err: Display> + Send,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Failure> {
        let Path(text) = Path::<String>::from_request_parts(parts, gate)
            .await
            .map_err(|rejection| Failure::rejected(rejection.status(), &rejection.body_text()))?;
        text.parse().map(Self).map_err(|error| {
            let shown: String = text.chars().take(100).collect();
            Failure::invalid(format!("`{shown}` is no id for this request: {error}"))
        })
    }
}

impl<T: DeserializeOwned> FromRequestParts<Gate> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Gate) -> Result<Self, Failure> {
        Query::<T>::try_from_uri(&parts.uri)
            .map(|Query(query)| Self(query))
            .map_err(|rejection| Failure::rejected(rejection.status(), &rejection.body_text()))
    }
}

impl<T: DeserializeOwned> FromRequest<Gate> for Sent<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, gate: &Gate) -> Result<Self, Failure> {
        match Json::<T>::from_request(request, gate).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Failure::rejected(
                rejection.status(),
                &rejection.body_text(),
            )),
        }
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Gate> for MaybeSent<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, gate: &Gate) -> Result<Self, Failure> {
        let typed = request.headers().contains_key(header::CONTENT_TYPE);
        if typed {
            return Sent::from_request(request, gate)
                .await
                .map(|Sent(body)| Self(body));
        }
        let bytes = Bytes::from_request(request, gate)
            .await
            .map_err(|rejection| Failure::rejected(rejection.status(), &rejection.body_text()))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        Err(Failure::new(
            ErrorCode::WrongType,
            "send JSON with `Content-Type: application/json`",
        ))
    }
}
