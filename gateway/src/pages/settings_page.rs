//! Settings: profile, boards, joining, look.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Multipart, State},
    http::{HeaderValue, header},
    response::Response,
};
use serde::Deserialize;
use views::{frame::Theme, settings::SettingsPage};

use super::{
    flash,
    form::Posted,
    page,
    visit::{Known, Visit, identity_id, safe_back},
};
use crate::{
    api::payments::MAX_SATS,
    api::types::{JoinRequest, JoinedKind, NewSpace, PageQuery, Policy, ProfileEdit},
    auth::CsrfForm,
    failure::Failure,
    gate::Gate,
};

/// `GET /settings`.
pub(super) async fn show(mut visit: Visit) -> Result<Response, Failure> {
    visit.owner()?;
    let status = visit.node().status(visit.viewer).await?;
    let ask = PageQuery {
        after: None,
        limit: Some(1),
    };
    let profile = visit
        .node()
        .profile(visit.viewer, identity_id(&status.identity)?, ask)
        .await?;
    // The rest of the page stands without what payments say.
    let key = visit.node().payment_key().await.ok().flatten();
    let chain = visit.node().chain_status(visit.viewer).await;
    visit.frame.title = "Settings".to_owned();
    visit.frame.noindex = true;
    page(&SettingsPage {
        frame: &visit.frame,
        profile: &profile,
        status: &status,
        key: key.as_ref(),
        chain: &chain.unwrap_or_default(),
    })
}

/// `POST /settings`: the owner's profile.
pub(super) async fn save_profile(
    visit: Visit,
    Extension(known): Extension<Arc<Known>>,
    multipart: Multipart,
) -> Result<Response, Failure> {
    let posted = Posted::read(&visit, multipart).await?;
    if let Some(failure) = posted.refused {
        return Err(failure);
    }
    let avatar = posted
        .filled("avatar")
        .map(|blob| blob.parse())
        .transpose()
        .map_err(|error| {
            Failure::invalid(format!(
                "the picture was not imported as a file ({error}); choose it again"
            ))
        })?;
    let edit = ProfileEdit {
        name: posted
            .has("name")
            .then(|| posted.text("name").trim().to_owned()),
        about: posted
            .has("about")
            .then(|| posted.text("about").trim().to_owned()),
        avatar,
        homes: None,
    };
    visit.node().set_profile(edit).await?;
    known.forget();
    Ok(flash::redirect("/settings", &["Profile saved.".to_owned()]))
}

/// `POST /space/new`.
pub(super) async fn create_board(visit: Visit, multipart: Multipart) -> Result<Response, Failure> {
    let posted = Posted::read(&visit, multipart).await?;
    let Some(title) = posted.filled("title") else {
        return Err(Failure::invalid("a board needs a title"));
    };
    let board = NewSpace {
        title,
        about: posted.filled("about").unwrap_or_default(),
        rules: posted.filled("rules").unwrap_or_default(),
        lang: posted.filled("lang").unwrap_or_default(),
        policy: policy(posted.text("policy"))?,
        unlisted: posted.has("unlisted"),
        price_sats: price(posted.text("price_sats").trim())?,
        schema: None,
    };
    let created = visit.node().create_space(board).await?;
    let notice = "The board is there. Give its ticket to others, so that their nodes keep it too."
        .to_owned();
    Ok(flash::redirect(&format!("/s/{}", created.space), &[notice]))
}

fn price(sats: &str) -> Result<Option<u64>, Failure> {
    if sats.is_empty() {
        return Ok(None);
    }
    let sats = sats
        .parse()
        .ok()
        .filter(|sats| (1..=MAX_SATS).contains(sats));
    sats.map(Some).ok_or_else(|| {
        Failure::invalid("the price is a whole number of sats, or left out for none")
    })
}

fn policy(word: &str) -> Result<Policy, Failure> {
    match word {
        "" | "open" => Ok(Policy::Open),
        "approval" => Ok(Policy::Approval),
        "members" => Ok(Policy::Members),
        "closed" => Ok(Policy::Closed),
        other => Err(Failure::invalid(format!(
            "`{other}` is no policy; it is open, approval, members or closed"
        ))),
    }
}

/// What to join.
#[derive(Debug, Deserialize)]
pub(super) struct JoinFields {
    target: String,
}

/// `POST /join`.
pub(super) async fn join(
    State(gate): State<Gate>,
    form: CsrfForm<JoinFields>,
) -> Result<Response, Failure> {
    let target = form.fields.target.trim().to_owned();
    let joined = gate.node().join(JoinRequest { target }).await?;
    let (path, notice) = match joined.kind {
        JoinedKind::Space => (
            format!("/s/{}", joined.id),
            "You follow this board now; its threads arrive as peers deliver them.",
        ),
        JoinedKind::Thread => (
            format!("/t/{}", joined.id),
            "This node keeps this thread now.",
        ),
        JoinedKind::Identity => (format!("/@{}", joined.id), "You follow this person now."),
        JoinedKind::Node => (
            "/node".to_owned(),
            "Connected. To follow a board of that node, join a ticket from the board's page there.",
        ),
    };
    Ok(flash::redirect(&path, &[notice.to_owned()]))
}

/// Colours.
#[derive(Debug, Deserialize)]
pub(super) struct ThemeFields {
    theme: String,
    #[serde(default)]
    back: String,
}

/// How long the choice of colours is remembered: a year.
const THEME_LIFETIME_S: u32 = 365 * 24 * 3600;

/// `POST /theme`: the cookie is readable by the page's script, which changes it too.
pub(super) async fn theme(form: CsrfForm<ThemeFields>) -> Result<Response, Failure> {
    let theme = Theme::from_cookie(&form.fields.theme);
    let mut response = flash::redirect(safe_back(&form.fields.back, "/settings"), &[]);
    let cookie = format!(
        "theme={}; Path=/; Max-Age={THEME_LIFETIME_S}; SameSite=Lax",
        theme.as_str()
    );
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}
