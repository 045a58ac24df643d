//! The event stream.

use std::sync::Arc;

use database::{Cursor, DatabaseError, EventKind, Reader};
use gateway::{
    api::types::EventQuery,
    node::{EventBatch, NodeError, Viewer},
};
use model::Ipld;
use views::data;

use super::authors::may_see;
use crate::core::Core;

/// Events after a cursor, as far as the viewer may see them.
pub async fn events(
    core: &Arc<Core>,
    viewer: Viewer,
    query: EventQuery,
    limit: usize,
) -> Result<EventBatch, NodeError> {
    let node = Arc::clone(core);
    let cursor = match &query.cursor {
        None => None,
        Some(text) => Some(text.parse::<Cursor>().map_err(|error| {
            NodeError::Invalid(format!("{text:?} is {error}; leave it out to begin now"))
        })?),
    };
    core.store("read events", move |database| {
        let reader = database.read()?;
        let Some(cursor) = cursor else {
            let next = reader.cursor()?.to_string();
            return Ok::<_, DatabaseError>(EventBatch {
                events: Vec::new(),
                next,
                reset: false,
            });
        };
        let page = reader.events_since(cursor, limit)?;
        let mut events = Vec::new();
        for event in page.events {
            let wanted = query.space.is_none_or(|space| space == event.space)
                && query.root.is_none_or(|root| event.root == Some(root))
                && may_see(&node, &reader, viewer, &event.space)?;
            if wanted {
                events.push(event_data(&reader, event)?);
            }
        }
        Ok(EventBatch {
            events,
            next: page.next.to_string(),
            reset: page.reset,
        })
    })
    .await
}

fn event_data(reader: &Reader<'_>, event: database::Event) -> Result<data::Event, DatabaseError> {
    let row = reader.row(&event.entry)?.unwrap_or_default();
    let about = ["on", "of", "parent", "vote"]
        .iter()
        .find_map(|column| match row.get(*column) {
            Some(Ipld::Link(cid)) => Some(cid.to_string()),
            _ => None,
        });
    let kind = match event.kind {
        EventKind::Insert => "insert",
        EventKind::Update => "update",
        EventKind::Void => "void",
        EventKind::Unvoid => "unvoid",
        EventKind::Purge => "purge",
        EventKind::Schema => "schema",
    };
    Ok(data::Event {
        cursor: event.cursor.to_string(),
        kind: kind.to_owned(),
        space: event.space.to_string(),
        root: event.root.map(|root| root.to_string()),
        table: event.table,
        row: event.entry.to_string(),
        cause: event.entry.to_string(),
        about,
    })
}
