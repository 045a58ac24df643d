//! Mirrors, as the gateway asks for them.

use std::{future::ready, sync::Arc};

use gateway::{
    api::types::{AuditRequest, MirrorAnswer, MirrorPin, MirrorUnpin},
    node::{Mirrors, NodeError, Reply},
};
use views::data;

use super::{Service, pinning};
use crate::{
    clock::now_ms,
    core::Core,
    mirror::{
        audit::{Tally, Wanted, round},
        request::{self, ask},
        status,
    },
    pins::Target,
};

impl Mirrors for Service {
    fn mirror(&self) -> Reply<'_, data::MirrorStatus> {
        Box::pin(status::status(&self.core))
    }

    fn audit(&self, request: AuditRequest) -> Reply<'_, Vec<data::AuditRow>> {
        Box::pin(audit(&self.core, request))
    }

    fn audits(&self) -> Reply<'_, Vec<data::AuditRow>> {
        let tallies = self.core.audits.tallies();
        Box::pin(ready(Ok(rows(&self.core, tallies))))
    }

    fn pins_asked(&self) -> Reply<'_, Vec<data::PinAsked>> {
        Box::pin(ready(Ok(pins_asked(&self.core))))
    }

    fn ask_mirror(&self, request: MirrorPin) -> Reply<'_, MirrorAnswer> {
        Box::pin(ask::ask(&self.core, request))
    }

    fn release_mirror(&self, request: MirrorUnpin) -> Reply<'_, MirrorAnswer> {
        Box::pin(ask::release(&self.core, request))
    }
}

async fn audit(core: &Arc<Core>, request: AuditRequest) -> Result<Vec<data::AuditRow>, NodeError> {
    let mut wanted = Wanted {
        each: request.challenges,
        ..Wanted::default()
    };
    if let Some(mirror) = &request.mirror {
        wanted.mirror = Some(ask::resolve(core, mirror).await?.0);
    }
    if let Some(id) = request.id.or(request.space) {
        match pinning::target(core, &id).await? {
            Target::Blob(blob) => wanted.blob = Some(blob),
            Target::Thread(root) => wanted.about = Some(root),
            Target::Space(space) => wanted.about = Some(space.entry()),
            Target::Identity(identity) => wanted.about = Some(identity.entry()),
        }
    }
    let round = round(core, &wanted).await?;
    let mut rows = rows(core, core.audits.sum_up(&round.results));
    rows.extend(round.busy.iter().map(|mirror| data::AuditRow {
        mirror: mirror.to_string(),
        auditor: core.network.id().to_string(),
        at_ms: now_ms(),
        deadline_ms: core.config.audit.deadline_ms,
        problem: Some("it asks to be asked later".to_owned()),
        ..data::AuditRow::default()
    }));
    Ok(rows)
}

fn rows(core: &Core, tallies: Vec<Tally>) -> Vec<data::AuditRow> {
    let auditor = core.network.id().to_string();
    let row = |tally: Tally| data::AuditRow {
        mirror: tally.mirror.to_string(),
        auditor: auditor.clone(),
        at_ms: tally.at_ms,
        space: tally.space.map(|space| space.to_string()),
        id: Some(tally.about),
        asked: tally.asked,
        answered: tally.answered,
        late: tally.late,
        wrong: tally.wrong,
        unanswered: tally.unanswered,
        within_ms: tally.within_ms,
        deadline_ms: tally.deadline_ms.into(),
        problem: None,
        failure: tally
            .failure
            .map(|(outcome, at_ms)| (outcome.to_string(), at_ms)),
        is_counted: tally.is_counted,
        records: tally.records,
    };
    tallies.into_iter().map(row).collect()
}

fn pins_asked(core: &Core) -> Vec<data::PinAsked> {
    let ours = core.asked.all().into_iter().map(|asked| {
        let target = request::target(asked.target);
        data::PinAsked {
            id: target.id(),
            kind: target.kind().to_owned(),
            media: asked.media.as_str().to_owned(),
            with: asked.mirror.to_string(),
            is_ours: true,
            accepted: asked.accepted,
            reason: asked.reason,
            max_bytes: asked.max_bytes,
            asked_ms: asked.asked_ms,
            until_ms: asked.until_ms,
        }
    });
    let of_others = core.pin_requests.all().into_iter().map(|grant| {
        let target = request::target(grant.target);
        data::PinAsked {
            id: target.id(),
            kind: target.kind().to_owned(),
            media: grant.media.as_str().to_owned(),
            with: grant.identity.to_string(),
            is_ours: false,
            accepted: true,
            reason: String::new(),
            max_bytes: grant.max_bytes,
            asked_ms: grant.since_ms,
            until_ms: grant.until_ms,
        }
    });
    ours.chain(of_others).collect()
}
