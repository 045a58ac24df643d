//! "How do I know?"

use axum::{extract::Path, response::Response};
use views::provenance::ProvenancePage;

use super::{
    page,
    visit::{Visit, entry_id},
};
use crate::failure::Failure;

/// `GET /e/{cid}`.
pub(super) async fn show(mut visit: Visit, Path(cid): Path<String>) -> Result<Response, Failure> {
    let provenance = visit.node().entry(visit.viewer, entry_id(&cid)?).await?;
    visit.frame.title = "How do I know?".to_owned();
    visit.frame.noindex = true;
    page(&ProvenancePage::new(&visit.frame, &provenance))
}
