//! The operator's dashboard.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use views::operator::OperatorPage;

use super::{flash, page, visit::Visit};
use crate::{
    api::types::AuditRequest, auth::CsrfForm, failure::Failure, gate::Gate, node::NodeError,
};

/// `GET /operator`.
pub(super) async fn show(mut visit: Visit) -> Result<Response, Failure> {
    visit.owner()?;
    let node = visit.node();
    let status = node.status(visit.viewer).await?;
    let mirror = node.mirror().await;
    // A part that is switched off leaves its place empty.
    let torrents = node.torrents().await.unwrap_or_default();
    let audits = node.audits().await.unwrap_or_default();
    let mirror_problem = mirror.as_ref().err().map(NodeError::to_string);
    visit.frame.title = "Operator".to_owned();
    visit.frame.noindex = true;
    page(&OperatorPage {
        frame: &visit.frame,
        status: &status,
        mirror: mirror.as_ref().ok(),
        mirror_problem: mirror_problem.as_deref().unwrap_or_default(),
        torrents: &torrents,
        audits: &audits,
    })
}

/// The form has nothing but its token.
#[derive(Debug, Default, Deserialize)]
pub(super) struct NoFields {}

/// `POST /operator/audit`: challenges all mirrors.
pub(super) async fn audit(
    State(gate): State<Gate>,
    _: CsrfForm<NoFields>,
) -> Result<Response, Failure> {
    let rows = gate.node().audit(AuditRequest::default()).await?;
    let sum =
        |of: fn(&views::data::AuditRow) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
    let notice = match rows.len() {
        0 => "No mirror is known that could be challenged.".to_owned(),
        1 => format!(
            "The mirror answered {} of {} challenges.",
            sum(|row| row.answered),
            sum(|row| row.asked)
        ),
        mirrors => format!(
            "{mirrors} mirrors answered {} of {} challenges.",
            sum(|row| row.answered),
            sum(|row| row.asked)
        ),
    };
    Ok(flash::redirect("/operator#audits", &[notice]))
}
