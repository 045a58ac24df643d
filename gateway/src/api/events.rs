//! `GET /api/v1/events`: what happens, resumable at exactly the event after a cursor.
//!
//! A subscriber has no buffer here: it reads on from the store by its cursor and waits for the
//! node's head to move. However slow it is, it misses nothing and costs one batch of memory.

use std::{collections::VecDeque, convert::Infallible};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event as Message, KeepAlive, Sse},
    },
};
use futures_lite::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::ToSchema;
use views::data::Event;

use super::{
    caller::Caller,
    input::Asked,
    progress::named,
    types::{ErrorBody, EventQuery},
};
use crate::{
    failure::Failure,
    gate::Gate,
    node::{EventBatch, NodeError, Viewer},
};

/// Events read from the store at once.
const BATCH: usize = 256;

/// Data of a `reset` event: what came before can't be resumed, read the state anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reset {
    /// Where the stream goes on.
    pub cursor: String,
}

/// Subscribes; `Last-Event-ID` or `cursor` resumes.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(EventQuery, ("last-event-id" = Option<String>, Header, description = "Resumes after it; overrides `cursor`")),
    responses((status = 200, description = "Events named by their kind, or `reset`; the id is the cursor",
        body = Event, content_type = "text/event-stream"),
        (status = 400, description = "Malformed cursor", body = ErrorBody),
        (status = 503, description = "Too many subscribers", body = ErrorBody)))]
pub async fn subscribe(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Asked(mut query): Asked<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some(last) = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
    {
        query.cursor = Some(last.to_owned());
    }
    let mut subscriber = Subscriber {
        _slot: gate.slots().event_stream()?,
        head: gate.node().event_head(),
        gate: gate.clone(),
        viewer,
        query,
        ready: VecDeque::new(),
    };
    // The first read is made here, so that a bad cursor is a plain error.
    let first = subscriber.read().await?;
    subscriber.queue(first, true);
    let messages = stream::unfold(subscriber, |mut subscriber| async {
        let message = subscriber.next().await?;
        Some((Ok::<_, Infallible>(message), subscriber))
    });
    let keep_alive = KeepAlive::new().interval(gate.settings().limits.keep_alive);
    Ok(Sse::new(messages).keep_alive(keep_alive).into_response())
}

struct Subscriber {
    _slot: OwnedSemaphorePermit,
    head: watch::Receiver<u64>,
    gate: Gate,
    viewer: Viewer,
    query: EventQuery,
    ready: VecDeque<Message>,
}

impl Subscriber {
    /// The next message; none when the node stops or its store fails.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            // Marked as seen before reading: what is committed meanwhile wakes us again.
            self.head.mark_unchanged();
            let before = self.query.cursor.clone();
            match self.read().await {
                Ok(batch) => self.queue(batch, false),
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends");
                    return None;
                }
            }
            if self.ready.is_empty() && self.query.cursor == before {
                self.head.changed().await.ok()?;
            }
        }
    }

    async fn read(&self) -> Result<EventBatch, NodeError> {
        self.gate
            .node()
            .events(self.viewer, self.query.clone(), BATCH)
            .await
    }

    fn queue(&mut self, batch: EventBatch, is_first: bool) {
        if batch.reset {
            let reset = Reset {
                cursor: batch.next.clone(),
            };
            self.ready.push_back(named("reset", &reset).id(&batch.next));
        }
        self.ready.extend(
            batch
                .events
                .iter()
                .map(|event| named(&event.kind, event).id(&event.cursor)),
        );
        let skipped = self.ready.is_empty() && self.query.cursor.as_ref() != Some(&batch.next);
        if is_first || skipped {
            // An id without data: the client remembers it and is not woken.
            self.ready
                .push_back(Message::default().id(&batch.next).comment("now"));
        }
        self.query.cursor = Some(batch.next);
    }
}
