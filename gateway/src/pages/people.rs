//! Pages of people, and how to sign in.

use axum::{
    extract::{Path, Query},
    response::Response,
};
use serde::Deserialize;
use views::{frame::Preview, profile::ProfilePage, signin::SignInPage, text::excerpt};

use super::{
    page,
    visit::{Visit, identity_id},
};
use crate::{
    api::types::{ErrorCode, PageQuery},
    failure::Failure,
};

/// Posts on one page of a profile.
const POSTS_SHOWN: u32 = 30;

/// The query of a profile's address.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PartQuery {
    after: Option<String>,
}

/// `GET /@{identity}`.
pub(super) async fn show(
    mut visit: Visit,
    Path(person): Path<String>,
    Query(query): Query<PartQuery>,
) -> Result<Response, Failure> {
    let Some(identity) = person.strip_prefix('@') else {
        return Err(Failure::new(
            ErrorCode::NotFound,
            format!("there is no page `/{person}` here"),
        ));
    };
    let ask = PageQuery {
        after: query.after,
        limit: Some(POSTS_SHOWN),
    };
    let profile = visit
        .node()
        .profile(visit.viewer, identity_id(identity)?, ask)
        .await?;
    visit.frame.title = profile.author.shown();
    visit.frame.preview = Some(Preview {
        description: excerpt(&profile.about),
        image: profile
            .author
            .avatar
            .as_ref()
            .map(|avatar| format!("/ipfs/{avatar}")),
        kind: "profile",
    });
    page(&ProfilePage {
        frame: &visit.frame,
        profile: &profile,
    })
}

/// `GET /signin`.
pub(super) async fn sign_in(mut visit: Visit) -> Result<Response, Failure> {
    visit.frame.title = "Sign in".to_owned();
    visit.frame.noindex = true;
    page(&SignInPage {
        frame: &visit.frame,
    })
}
