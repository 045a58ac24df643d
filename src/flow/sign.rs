//! import → sign → ingest: a row of this node's own identity, by the same gate as a stranger's.

use std::sync::Arc;

use database::{
    Durability, Incoming, Outcome,
    authoring::{Draft, PrepareError},
};
use gateway::node::NodeError;
use model::{Entry, EntryId, Payload, Row, SpaceId, limits};

use super::{announce, ingest};
use crate::{clock::now_ms, core::Core, identity::salt};

/// Signs and stores a row; when this returns it is on disk.
///
/// # Errors
/// When the row breaks the schema, the author may not write it, or the store fails.
pub async fn write(
    core: &Arc<Core>,
    space: SpaceId,
    root: Option<EntryId>,
    table: &'static str,
    row: Row,
) -> Result<EntryId, NodeError> {
    let worker = Arc::clone(core);
    let id = tokio::task::spawn_blocking(move || {
        // Held by the thread that signs: a caller who goes away halfway must not let the next one
        // take the same place in the feed.
        let _one_at_a_time = worker.signing.blocking_lock();
        let (id, report) = sign(&worker, space, root, table, row)?;
        ingest::settled(&worker, &report, None);
        Ok::<_, NodeError>(id)
    })
    .await
    .map_err(|panic| NodeError::local("sign the entry", panic))??;
    announce::entries(core, vec![id]).await;
    Ok(id)
}

fn sign(
    core: &Core,
    space: SpaceId,
    root: Option<EntryId>,
    table: &'static str,
    row: Row,
) -> Result<(EntryId, database::IngestReport), NodeError> {
    let time_ms = now_ms();
    let plan = {
        let reader = core
            .database
            .read()
            .map_err(|error| NodeError::local("read the store", error))?;
        let draft = Draft {
            identity: core.identity,
            device: core.device.public(),
            space,
            root,
            table,
            row: &row,
            expires_ms: None,
        };
        reader.prepare(&draft, time_ms).map_err(prepare_error)?
    };
    let salt = salt().map_err(|error| NodeError::local("draw random bytes", error))?;
    let payload = Payload::new(salt, row).map_err(|error| match error {
        model::PayloadError::TooLong { found } => NodeError::TooLarge {
            what: "the post".to_owned(),
            size_bytes: found as u64,
            limit_bytes: limits::PAYLOAD_BYTES as u64,
        },
        error => NodeError::Invalid(error.to_string()),
    })?;
    let entry = Entry::sign(plan.header(&payload), &core.device)
        .map_err(|error| NodeError::local("sign the entry", error))?;
    let id = entry.id();
    let incoming = Incoming::local(entry, payload)
        .map_err(|error| NodeError::local("sign the entry", error))?;
    let report = core
        .database
        .ingest(vec![incoming], time_ms, Durability::Durable)
        .map_err(|error| NodeError::local("store the entry", error))?;
    match report.outcomes.first() {
        Some((_, Outcome::Valid | Outcome::Duplicate(_))) => Ok((id, report)),
        other => Err(no_effect(core, other.map(|(_, outcome)| outcome))),
    }
}

/// Why an entry of this node's own does not count.
fn no_effect(core: &Core, outcome: Option<&Outcome>) -> NodeError {
    let why = match outcome {
        Some(Outcome::Invalid(reason)) => {
            return NodeError::Invalid(format!("the entry was not accepted: {reason}"));
        }
        Some(Outcome::Refused(_)) => {
            return NodeError::Busy {
                what: "a byte budget is used up: this identity's on this board \
                       (budgets.author_bytes), or the whole board's (budgets.board_bytes)"
                    .to_owned(),
                retry_after_s: 3600,
            };
        }
        Some(Outcome::Disputed) => {
            "this device's feed is forked: two nodes use the same device key; stop one of them, the \
             posts after the fork are shown as disputed"
                .to_owned()
        }
        Some(Outcome::Pending { .. }) => format!(
            "the entry is stored, but does not count yet: something it rests on is not held here, \
             such as the grant of this node's device key ({}); was device.key replaced? Restore it \
             from a backup",
            core.device.public()
        ),
        Some(Outcome::Held { .. }) => {
            "the entry is stored, but does not count yet: it is dated too far ahead of this clock"
                .to_owned()
        }
        _ => "the entry is stored, but does not count: this device's right to write here has ended"
            .to_owned(),
    };
    NodeError::Conflict(why)
}

fn prepare_error(error: PrepareError) -> NodeError {
    match error {
        PrepareError::Database(error) => NodeError::local("read the store", error),
        PrepareError::Space(_) | PrepareError::NotHeld(_) => NodeError::NotFound(error.to_string()),
        PrepareError::Clock { .. } | PrepareError::Forked(_) => {
            NodeError::Conflict(error.to_string())
        }
        PrepareError::Table(_) | PrepareError::Row(_) | PrepareError::Parents => {
            NodeError::Invalid(error.to_string())
        }
    }
}
