//! `GET /api/v1/payments/events`: how far payments get, as it happens.
//!
//! Nothing is resumed: a payment's state is read anew, and the events say when.

use std::convert::Infallible;

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{KeepAlive, Sse},
    },
};
use futures_lite::{StreamExt as _, stream};
use views::data::{PaymentChanged, PaymentState};

use super::{
    caller::Caller,
    input::Asked,
    progress::named,
    types::{ErrorBody, PaymentsQuery},
};
use crate::{failure::Failure, gate::Gate};

/// Subscribes to payments of votes on one post, or on all.
#[utoipa::path(get, path = "/api/v1/payments/events", tag = "payments", params(PaymentsQuery),
    responses((status = 200, description = "Events `payment` from now on; `error` is the last",
        body = PaymentChanged, content_type = "text/event-stream"),
        (status = 503, description = "Too many subscribers", body = ErrorBody)))]
pub async fn subscribe(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Asked(query): Asked<PaymentsQuery>,
) -> Result<Response, Failure> {
    let slot = gate.slots().event_stream()?;
    let changes = gate.node().payment_changes(viewer, query.post);
    let messages = stream::unfold((Some(changes), slot), move |(changes, slot)| async move {
        let mut changes = changes?;
        loop {
            match changes.next().await? {
                Ok(change) if viewer.is_owner() || is_public(change.state) => {
                    let message = Ok::<_, Infallible>(named("payment", &change));
                    return Some((message, (Some(changes), slot)));
                }
                Ok(_) => {}
                Err(error) => {
                    let message = Ok(named("error", &Failure::from(error).body()));
                    return Some((message, (None, slot)));
                }
            }
        }
    });
    let keep_alive = KeepAlive::new().interval(gate.settings().limits.keep_alive);
    Ok(Sse::new(messages).keep_alive(keep_alive).into_response())
}

/// What is awaited is its payer's business.
fn is_public(state: PaymentState) -> bool {
    !matches!(state, PaymentState::Unpaid | PaymentState::Seen)
}
