//! The node's own page.

use axum::response::Response;
use views::node::NodePage;

use super::{page, visit::Visit};
use crate::{api::types::TicketQuery, failure::Failure};

/// `GET /node`.
pub(super) async fn show(mut visit: Visit) -> Result<Response, Failure> {
    let status = visit.node().status(visit.viewer).await?;
    let pins = if visit.viewer.is_owner() {
        visit.node().pins().await?
    } else {
        Vec::new()
    };
    let ticket = visit
        .node()
        .ticket(visit.viewer, TicketQuery::default())
        .await
        .ok();
    visit.frame.title = "This node".to_owned();
    page(&NodePage {
        frame: &visit.frame,
        status: &status,
        pins: &pins,
        ticket: ticket.as_deref(),
    })
}
