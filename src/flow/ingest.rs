//! ingest → index: what follows from entries that were stored, own and strangers' alike.

use std::sync::Arc;

use database::{EventKind, IngestReport, Outcome};
use gateway::metrics::NodeCounter;
use model::EndpointKey;

use crate::{
    clock::now_ms,
    core::{Arrival, Core},
};

/// Tells everybody who waits for it: event streams, the fetch policy, metrics. Never blocks.
pub fn settled(core: &Core, report: &IngestReport, peer: Option<EndpointKey>) {
    if let Some(last) = report.events.last() {
        core.events.send_if_modified(|head| {
            let moved = last.cursor.seq > *head;
            *head = (*head).max(last.cursor.seq);
            moved
        });
    }
    let (mut accepted, mut refused) = (0, 0);
    for (_, outcome) in &report.outcomes {
        match outcome {
            Outcome::Invalid(_) | Outcome::Refused(_) => refused += 1,
            Outcome::Duplicate(_) => {}
            _ => accepted += 1,
        }
    }
    core.metrics.add(NodeCounter::Ingested, accepted);
    core.metrics.add(NodeCounter::Refused, refused);
    for event in &report.events {
        let counts = matches!(
            event.kind,
            EventKind::Insert | EventKind::Update | EventKind::Unvoid
        );
        if counts && matches!(event.table.as_str(), "post" | "profile" | "board") {
            let arrival = Arrival {
                entry: event.entry,
                table: event.table.clone(),
                peer,
            };
            if core.arrivals.try_send(arrival).is_err() {
                // Too many at once: the media of recent threads are looked through afterwards.
                core.look_again.notify_one();
            }
        }
    }
    for fork in &report.forks {
        tracing::warn!(device = %fork.device.short(), seq = fork.seq, "a feed is forked");
        if fork.device == core.device.public() {
            let text = "two nodes sign with this device's key: the feed is forked and what follows \
                        the fork is disputed; stop the other node";
            core.warn("fork", Some(text.to_owned()));
        }
    }
}

/// Lets entries from the future count once the clock has come there.
pub async fn release_held(core: &Arc<Core>) {
    let report = core
        .store("release held entries", |database| database.tick(now_ms()))
        .await;
    match report {
        Ok(report) => settled(core, &report, None),
        Err(error) => tracing::warn!(%error, "cannot look at held entries"),
    }
}
