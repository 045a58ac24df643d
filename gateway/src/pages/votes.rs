//! Buttons: votes, pins, follows. One small form each, answered with 303 to where it was pressed.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    flash,
    visit::{entry_id, identity_id, safe_back, wants_json},
};
use crate::{
    api::types::{PinMedia, PinRequest, VoteRequest},
    auth::CsrfForm,
    failure::Failure,
    gate::Gate,
};

/// A vote: the button's name says which way, its value on what; or `on` and `dir` in fields.
#[derive(Debug, Default, Deserialize)]
pub(super) struct VoteFields {
    up: Option<String>,
    down: Option<String>,
    clear: Option<String>,
    on: Option<String>,
    dir: Option<i8>,
    #[serde(default)]
    back: String,
}

impl VoteFields {
    fn choice(&self) -> Result<(&str, i8), Failure> {
        let named = [(&self.up, 1), (&self.down, -1), (&self.clear, 0)];
        if let Some((on, dir)) = named
            .into_iter()
            .find_map(|(on, dir)| Some((on.as_deref()?, dir)))
        {
            return Ok((on, dir));
        }
        match (&self.on, self.dir) {
            (Some(on), Some(dir @ -1..=1)) => Ok((on, dir)),
            (Some(_), Some(dir)) => {
                Err(Failure::invalid(format!("a vote is -1, 0 or 1, not {dir}")))
            }
            _ => Err(Failure::invalid(
                "the form names no post to vote on; reload the page and try again",
            )),
        }
    }
}

/// `POST /vote`.
pub(super) async fn vote(
    State(gate): State<Gate>,
    headers: HeaderMap,
    form: CsrfForm<VoteFields>,
) -> Result<Response, Failure> {
    let (on, dir) = form.fields.choice()?;
    let post = entry_id(on)?;
    let voted = gate.node().vote(post, VoteRequest { dir }).await?;
    if wants_json(&headers) {
        return Ok(Json(voted).into_response());
    }
    let otherwise = format!("/p/{post}");
    let back = safe_back(&form.fields.back, &otherwise);
    let back = back.split('#').next().unwrap_or(back);
    Ok(Redirect::to(&format!("{back}#{post}")).into_response())
}

/// A pin or its end.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PinFields {
    pin: Option<String>,
    unpin: Option<String>,
    #[serde(default)]
    media: PinMedia,
    #[serde(default)]
    back: String,
}

/// `POST /pin`.
pub(super) async fn pin(
    State(gate): State<Gate>,
    form: CsrfForm<PinFields>,
) -> Result<Response, Failure> {
    let fields = form.fields;
    let back = safe_back(&fields.back, "/node#pins");
    let notice = match (&fields.pin, &fields.unpin) {
        (Some(id), _) => {
            let request = PinRequest {
                media: fields.media,
                max_bytes: None,
            };
            let pin = gate.node().pin(id.trim().to_owned(), request).await?;
            format!(
                "Pinned: this node keeps the {} until you unpin it.",
                pin.kind
            )
        }
        (None, Some(id)) => {
            gate.node().unpin(id.trim().to_owned()).await?;
            "Unpinned: this node may drop it when it needs the space.".to_owned()
        }
        (None, None) => {
            return Err(Failure::invalid(
                "the form names nothing to pin; reload the page and try again",
            ));
        }
    };
    Ok(flash::redirect(back, &[notice]))
}

/// A follow or its end.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FollowFields {
    follow: Option<String>,
    unfollow: Option<String>,
    #[serde(default)]
    back: String,
}

/// `POST /follow`.
pub(super) async fn follow(
    State(gate): State<Gate>,
    form: CsrfForm<FollowFields>,
) -> Result<Response, Failure> {
    let fields = form.fields;
    let (id, on) = match (&fields.follow, &fields.unfollow) {
        (Some(id), _) => (id, true),
        (None, Some(id)) => (id, false),
        (None, None) => {
            return Err(Failure::invalid(
                "the form names nobody to follow; reload the page and try again",
            ));
        }
    };
    let identity = identity_id(id)?;
    gate.node().follow(identity, on).await?;
    let otherwise = format!("/@{identity}");
    Ok(Redirect::to(safe_back(&fields.back, &otherwise)).into_response())
}
