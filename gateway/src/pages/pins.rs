//! What is pinned here, and asking mirrors.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use views::{amount, pins::PinsPage, text::visible};

use super::{flash, page, visit::Visit};
use crate::{
    api::types::{MirrorAnswer, MirrorPin, MirrorUnpin, PinMedia},
    auth::CsrfForm,
    failure::Failure,
    gate::Gate,
};

const MIB: u64 = 1 << 20;

/// `GET /pins`.
pub(super) async fn show(mut visit: Visit) -> Result<Response, Failure> {
    visit.owner()?;
    let node = visit.node();
    let pins = node.pins().await?;
    // The list of pins stands without what mirrors say.
    let mirror = node.mirror().await.ok();
    let asked = node.pins_asked().await.unwrap_or_default();
    visit.frame.title = "Pins".to_owned();
    visit.frame.noindex = true;
    page(&PinsPage {
        frame: &visit.frame,
        pins: &pins,
        mirror: mirror.as_ref(),
        asked: &asked,
    })
}

/// What a mirror is asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AskFields {
    mirror: String,
    id: String,
    #[serde(default)]
    media: PinMedia,
    #[serde(default)]
    max_mib: String,
}

/// `POST /pins/ask`.
pub(super) async fn ask(
    State(gate): State<Gate>,
    form: CsrfForm<AskFields>,
) -> Result<Response, Failure> {
    let fields = form.fields;
    let request = MirrorPin {
        mirror: fields.mirror.trim().to_owned(),
        id: fields.id.trim().to_owned(),
        media: fields.media,
        max_bytes: limit(fields.max_mib.trim())?,
        until_ms: None,
        space: None,
    };
    let answer = gate.node().ask_mirror(request).await?;
    Ok(flash::redirect("/pins#asked", &[said(&answer)]))
}

fn limit(mebibytes: &str) -> Result<Option<u64>, Failure> {
    if mebibytes.is_empty() {
        return Ok(None);
    }
    let bytes = mebibytes.parse::<u64>().ok();
    let bytes = bytes.and_then(|number| number.checked_mul(MIB));
    bytes.filter(|bytes| *bytes > 0).map(Some).ok_or_else(|| {
        Failure::invalid("the limit is a whole number of MiB, or left out for no limit")
    })
}

fn said(answer: &MirrorAnswer) -> String {
    let reason = match visible(answer.reason.trim()) {
        reason if reason.is_empty() => String::new(),
        reason => format!(": {reason}"),
    };
    if answer.accepted {
        let bytes = amount::bytes(answer.max_bytes);
        format!("The mirror promised it, up to {bytes}{reason}.")
    } else {
        format!("The mirror refused{reason}.")
    }
}

/// What is taken back.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReleaseFields {
    mirror: String,
    id: String,
}

/// `POST /pins/release`.
pub(super) async fn release(
    State(gate): State<Gate>,
    form: CsrfForm<ReleaseFields>,
) -> Result<Response, Failure> {
    let request = MirrorUnpin {
        mirror: form.fields.mirror,
        id: form.fields.id,
    };
    gate.node().release_mirror(request).await?;
    let notice = "Taken back: the mirror may drop it.".to_owned();
    Ok(flash::redirect("/pins#asked", &[notice]))
}
