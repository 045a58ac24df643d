//! Long work as server-sent events: `progress`, ..., then `done` or `error`.

use std::convert::Infallible;

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_lite::{StreamExt, stream};
use serde::Serialize;

use super::types::{
    CarProgress, FetchProgress, ImportProgress, RetrieveProgress, TorrentProgress, VerifyProgress,
};
use crate::{failure::Failure, gate::Gate, node::Items};

/// A step of long work.
pub trait Step: Serialize + Send + 'static {
    /// Nothing follows.
    fn is_done(&self) -> bool;
}

impl Step for ImportProgress {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Album(_))
    }
}

impl Step for CarProgress {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl Step for FetchProgress {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

impl Step for RetrieveProgress {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl Step for TorrentProgress {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl Step for VerifyProgress {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// The steps as an event stream, with a place among the streams.
pub fn answer<T: Step>(gate: &Gate, steps: Items<T>) -> Result<Response, Failure> {
    let slot = gate.slots().event_stream()?;
    let events = stream::unfold((Some(steps), slot), |(steps, slot)| async move {
        let mut steps = steps?;
        let (event, is_last) = match steps.next().await? {
            Ok(step) => {
                let is_done = step.is_done();
                (
                    named(if is_done { "done" } else { "progress" }, &step),
                    is_done,
                )
            }
            Err(error) => (named("error", &Failure::from(error).body()), true),
        };
        Some((
            Ok::<_, Infallible>(event),
            ((!is_last).then_some(steps), slot),
        ))
    });
    let keep_alive = KeepAlive::new().interval(gate.settings().limits.keep_alive);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// An event with a JSON body.
pub fn named(name: &str, body: &impl Serialize) -> Event {
    let json = serde_json::to_string(body).expect("answers are plain data");
    Event::default().event(name).data(json)
}
