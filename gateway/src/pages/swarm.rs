//! Torrents, sources of a file, and how far it may travel.

use axum::{
    extract::{Path, State},
    response::Response,
};
use model::BlobId;
use serde::Deserialize;
use views::{
    chart::sources::Sources,
    torrents::{SourcesPage, TorrentsPage},
};

use super::{
    flash,
    form::read_publicity,
    page,
    visit::{Visit, safe_back},
};
use crate::{auth::CsrfForm, failure::Failure, gate::Gate};

/// `GET /torrents`.
pub(super) async fn torrents(mut visit: Visit) -> Result<Response, Failure> {
    visit.owner()?;
    let torrents = visit.node().torrents().await?;
    visit.frame.title = "Torrents".to_owned();
    visit.frame.noindex = true;
    page(&TorrentsPage {
        frame: &visit.frame,
        torrents: &torrents,
    })
}

/// `GET /sources/{cid}`: where the bytes of a file came from.
pub(super) async fn sources(
    mut visit: Visit,
    Path(cid): Path<String>,
) -> Result<Response, Failure> {
    let blob = blob_id(&cid)?;
    let shares = visit.node().shares(visit.viewer, blob).await?;
    visit.frame.title = "Where the bytes came from".to_owned();
    visit.frame.noindex = true;
    let blob = blob.to_string();
    page(&SourcesPage {
        frame: &visit.frame,
        s: Sources::new(&blob, &shares),
    })
}

/// How far a file may travel.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PublicityFields {
    blob: String,
    publicity: String,
    #[serde(default)]
    back: String,
}

/// `POST /publicity`.
pub(super) async fn publicity(
    State(gate): State<Gate>,
    form: CsrfForm<PublicityFields>,
) -> Result<Response, Failure> {
    let fields = form.fields;
    let blob = blob_id(&fields.blob)?;
    let chosen = read_publicity(&fields.publicity)?;
    let said = gate.node().set_publicity(blob, chosen).await?;
    let notice = match said.reason.trim() {
        "" => format!("Who may carry it: {}.", said.publicity.label()),
        reason => format!("Who may carry it: {}. {reason}", said.publicity.label()),
    };
    let otherwise = format!("/sources/{blob}");
    Ok(flash::redirect(
        safe_back(&fields.back, &otherwise),
        &[notice],
    ))
}

fn blob_id(text: &str) -> Result<BlobId, Failure> {
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(80).collect();
        Failure::invalid(format!(
            "`{shown}` is not a file's id ({error}); check that the whole address was copied"
        ))
    })
}
