//! For whom the API answers: the bearer of the token, a signed-in browser (reading only), or anybody.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use crate::{api::types::ErrorCode, failure::Failure, gate::Gate, node::Viewer};

/// Who reads. A wrong token is refused rather than taken for a stranger.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub Viewer);

/// The bearer of the API token; everybody else is refused with 401.
#[derive(Clone, Copy, Debug)]
pub struct Owner;

impl FromRequestParts<Gate> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Failure> {
        match gate.auth().bearer(&parts.headers) {
            Some(true) => Ok(Self(Viewer::Owner)),
            Some(false) => Err(wrong_token()),
            None if gate.auth().session(&parts.headers).is_some() => Ok(Self(Viewer::Owner)),
            None => Ok(Self(Viewer::Stranger)),
        }
    }
}

impl FromRequestParts<Gate> for Owner {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Failure> {
        check_owner(gate, &parts.headers)
    }
}

fn check_owner(gate: &Gate, headers: &HeaderMap) -> Result<Owner, Failure> {
    match gate.auth().bearer(headers) {
        Some(true) => Ok(Owner),
        Some(false) => Err(wrong_token()),
        None => Err(Failure::new(
            ErrorCode::Unauthorized,
            "this needs the node's token: send `Authorization: Bearer TOKEN` with the content of \
             the file `api-token` in the node's data folder",
        )),
    }
}

fn wrong_token() -> Failure {
    Failure::new(
        ErrorCode::Unauthorized,
        "the bearer token is not this node's; read it again from the file `api-token` in the data \
         folder of the node that answers here",
    )
}
