//! Reports, and moderators' marks.

use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use views::moderate::{MarkPage, ReportPage};

use super::{
    flash, page,
    visit::{Visit, entry_id},
};
use crate::{
    api::types::{MarkAct, MarkRequest},
    auth::CsrfForm,
    failure::Failure,
    gate::Gate,
};

/// Which post a form is about.
#[derive(Debug, Deserialize)]
pub(super) struct OnQuery {
    #[serde(default)]
    on: String,
}

/// `GET /report?on=`.
pub(super) async fn report_form(
    mut visit: Visit,
    Query(query): Query<OnQuery>,
) -> Result<Response, Failure> {
    visit.owner()?;
    let post = visit
        .node()
        .post(visit.viewer, entry_id(&query.on)?)
        .await?;
    visit.frame.title = "Report".to_owned();
    page(&ReportPage {
        frame: &visit.frame,
        post: &post,
    })
}

/// `GET /mark?on=`.
pub(super) async fn mark_form(
    mut visit: Visit,
    Query(query): Query<OnQuery>,
) -> Result<Response, Failure> {
    visit.owner()?;
    let post = visit
        .node()
        .post(visit.viewer, entry_id(&query.on)?)
        .await?;
    visit.frame.title = "Moderate".to_owned();
    page(&MarkPage {
        frame: &visit.frame,
        post: &post,
    })
}

/// A report.
#[derive(Debug, Deserialize)]
pub(super) struct ReportFields {
    on: String,
    why: String,
}

/// `POST /report`.
pub(super) async fn report(
    State(gate): State<Gate>,
    form: CsrfForm<ReportFields>,
) -> Result<Response, Failure> {
    let post = entry_id(&form.fields.on)?;
    gate.node().report(post, form.fields.why).await?;
    Ok(flash::redirect(
        &format!("/p/{post}"),
        &["Reported to the moderators of the board.".to_owned()],
    ))
}

/// A mark (`act`) or its end (`undo`).
#[derive(Debug, Deserialize)]
pub(super) struct MarkFields {
    on: String,
    act: Option<MarkAct>,
    undo: Option<MarkAct>,
    #[serde(default)]
    why: String,
}

/// `POST /mark`.
pub(super) async fn mark(
    State(gate): State<Gate>,
    form: CsrfForm<MarkFields>,
) -> Result<Response, Failure> {
    let fields = form.fields;
    let post = entry_id(&fields.on)?;
    let (act, off) = match (fields.act, fields.undo) {
        (Some(act), _) => (act, false),
        (None, Some(act)) => (act, true),
        (None, None) => {
            return Err(Failure::invalid(
                "the form names no mark; go back and choose one",
            ));
        }
    };
    let why = Some(fields.why.trim().to_owned()).filter(|why| !why.is_empty());
    gate.node()
        .mark(post, MarkRequest { act, off, why })
        .await?;
    Ok(flash::redirect(
        &format!("/p/{post}"),
        &["Marked.".to_owned()],
    ))
}
