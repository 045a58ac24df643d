//! Paying for votes, how far payments got, and the chain that proves them.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use views::{
    amount,
    chain::ChainPage,
    data::{PaidVote, PayTo},
    payments::{BatchPage, PayDraft, PayPage, PaymentPage, PaymentsPage, PostPaymentsPage},
    text::{sentence, visible},
};

use super::{
    flash, page,
    visit::{Visit, entry_id},
};
use crate::{
    api::{
        payments::{all_shown, chain_of, check_key, check_pay, check_transaction, shown},
        types::{BatchRequest, NewPaymentKey, PayRequest},
    },
    auth::CsrfForm,
    failure::Failure,
    gate::Gate,
    node::{NodeError, Viewer},
};

/// What the dialog starts with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PayFields {
    #[serde(default)]
    sats: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    dir: String,
}

impl PayFields {
    fn draft(&self) -> PayDraft<'_> {
        PayDraft {
            sats: &self.sats,
            to: self.to.parse().ok(),
            is_down: self.dir == "-1",
        }
    }

    fn request(&self) -> Result<PayRequest, Failure> {
        let sats = self.sats.trim().parse().map_err(|_| {
            Failure::invalid("the amount is a whole number of sats, without separators")
        })?;
        let to = match self.to.as_str() {
            "" => PayTo::Author,
            word => word
                .parse()
                .map_err(|_| Failure::invalid("a vote is paid to `author` or to `board`"))?,
        };
        let request = PayRequest {
            dir: if self.dir == "-1" { -1 } else { 1 },
            sats,
            to,
            anyway: false,
        };
        check_pay(&request)?;
        Ok(request)
    }
}

/// `GET /pay/{post}`: how much, and to whom.
pub(super) async fn ask(
    visit: Visit,
    Path(cid): Path<String>,
    Query(fields): Query<PayFields>,
) -> Result<Response, Failure> {
    dialog(visit, &cid, &fields, None).await
}

/// `POST /pay/{post}`: votes, and leads to how to pay.
pub(super) async fn pay(
    visit: Visit,
    Path(cid): Path<String>,
    form: CsrfForm<PayFields>,
) -> Result<Response, Failure> {
    let post = entry_id(&cid)?;
    let asked = match form.fields.request() {
        Ok(request) => match visit.node().pay_vote(post, request).await {
            Ok(paid) => Ok(paid),
            Err(error) => Err(Failure::from(error)),
        },
        Err(failure) => Err(failure),
    };
    match asked {
        Ok(paid) => {
            Ok(Redirect::to(&format!("/payment/{}", entry_id(&paid.vote)?)).into_response())
        }
        // What was typed stays, with the reason above it.
        Err(failure) => {
            let status = failure.status();
            let shown = dialog(visit, &cid, &form.fields, Some(&failure.message)).await?;
            Ok((status, shown).into_response())
        }
    }
}

async fn dialog(
    mut visit: Visit,
    cid: &str,
    fields: &PayFields,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    visit.owner()?;
    let id = entry_id(cid)?;
    let post = visit.node().post(visit.viewer, id).await?;
    let choices = if visit.frame.pays() {
        visit.node().pay_choices(id).await?
    } else {
        Vec::new()
    };
    visit.frame.title = "Pay for a vote".to_owned();
    visit.frame.noindex = true;
    page(&PayPage {
        frame: &visit.frame,
        post: &post,
        choices: &choices,
        draft: fields.draft(),
        problem,
    })
}

/// `GET /payment/{vote}`: how to pay, and how far it got.
pub(super) async fn show(mut visit: Visit, Path(cid): Path<String>) -> Result<Response, Failure> {
    let vote = entry_id(&cid)?;
    let paid = visit.node().paid_vote(visit.viewer, vote).await?;
    let paid = shown(visit.viewer, paid)
        .ok_or_else(|| NodeError::NotFound("no payment of this vote is known here".to_owned()))?;
    let post = match entry_id(&paid.post) {
        Ok(post) => visit.node().post(visit.viewer, post).await.ok(),
        Err(_) => None,
    };
    visit.frame.title = "Payment of a vote".to_owned();
    visit.frame.noindex = true;
    page(&PaymentPage {
        frame: &visit.frame,
        paid: &paid,
        post: post.as_ref(),
    })
}

/// The form has nothing but its token.
#[derive(Debug, Default, Deserialize)]
pub(super) struct NoFields {}

/// `POST /payment/{vote}/anyway`: shows the address though nobody else holds the vote.
pub(super) async fn anyway(
    State(gate): State<Gate>,
    Path(cid): Path<String>,
    _: CsrfForm<NoFields>,
) -> Result<Response, Failure> {
    let vote = entry_id(&cid)?;
    gate.node().show_anyway(vote).await?;
    Ok(Redirect::to(&format!("/payment/{vote}")).into_response())
}

/// `POST /payment/{vote}/forget`: awaits it no longer.
pub(super) async fn forget(
    State(gate): State<Gate>,
    Path(cid): Path<String>,
    _: CsrfForm<NoFields>,
) -> Result<Response, Failure> {
    gate.node().forget_payment(entry_id(&cid)?).await?;
    let notice = "Its payment is awaited no longer. The vote stays.".to_owned();
    Ok(flash::redirect("/payments", &[notice]))
}

/// A transaction.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TransactionFields {
    transaction: String,
}

/// `POST /payment/{vote}/transaction`: hands in what a wallet signed.
pub(super) async fn transaction(
    State(gate): State<Gate>,
    Path(cid): Path<String>,
    form: CsrfForm<TransactionFields>,
) -> Result<Response, Failure> {
    let vote = entry_id(&cid)?;
    let hex = check_transaction(&form.fields.transaction)?;
    let paid = match gate.node().give_transaction(hex).await {
        // It pays nothing that is awaited: the page that asked for it says so.
        Err(NodeError::NotFound(why)) => {
            let notice = sentence(&visible(&why));
            return Ok(flash::redirect(&format!("/payment/{vote}"), &[notice]));
        }
        answer => answer?,
    };
    let mut notices = vec![matched(&vote.to_string(), &paid)];
    // What is not said on the page itself: why the network did not take it.
    let known = gate.node().paid_vote(Viewer::Owner, vote).await;
    let known = known.map(|paid| paid.warnings).unwrap_or_default();
    let own = paid.into_iter().find(|one| one.vote == vote.to_string());
    let fresh = own.into_iter().flat_map(|one| one.warnings);
    notices.extend(
        fresh
            .filter(|warning| !known.contains(warning))
            .map(|warning| sentence(&visible(&warning))),
    );
    Ok(flash::redirect(&format!("/payment/{vote}"), &notices))
}

fn matched(vote: &str, paid: &[PaidVote]) -> String {
    let others = paid.iter().filter(|one| one.vote != vote).count() as u64;
    match (paid.len() as u64 - others, others) {
        (0, 0) => "This transaction pays none of your votes: its outputs go elsewhere.".to_owned(),
        (0, _) => format!(
            "This transaction does not pay this vote, but {} of yours.",
            amount::count(others, "other", "others")
        ),
        (_, 0) => "Seen: it pays this vote. A block has to confirm it.".to_owned(),
        _ => format!(
            "Seen: it pays this vote and {} of yours. A block has to confirm it.",
            amount::count(others, "other", "others")
        ),
    }
}

/// `GET /payments/{post}`: every paid vote on a post.
pub(super) async fn of_post(
    mut visit: Visit,
    Path(cid): Path<String>,
) -> Result<Response, Failure> {
    let id = entry_id(&cid)?;
    let post = visit.node().post(visit.viewer, id).await?;
    let payments = visit.node().post_payments(visit.viewer, id).await?;
    let payments = all_shown(visit.viewer, payments);
    visit.frame.title = "Payments of a post".to_owned();
    visit.frame.noindex = true;
    page(&PostPaymentsPage {
        frame: &visit.frame,
        post: &post,
        payments: &payments,
    })
}

/// `GET /payments`: the owner's own.
pub(super) async fn list(mut visit: Visit) -> Result<Response, Failure> {
    visit.owner()?;
    let node = visit.node();
    let chain = node.chain_status(visit.viewer).await?;
    // With payments switched off, the page says so, and has nothing to list.
    let payments = switched_off_is_empty(node.awaited_payments().await)?;
    let received = switched_off_is_empty(node.received().await)?;
    let key = node.payment_key().await.ok().flatten();
    visit.frame.title = "Payments".to_owned();
    visit.frame.noindex = true;
    page(&PaymentsPage {
        frame: &visit.frame,
        payments: &payments,
        received: &received,
        key: key.as_ref(),
        chain: &chain,
    })
}

fn switched_off_is_empty<T>(answer: Result<Vec<T>, NodeError>) -> Result<Vec<T>, Failure> {
    match answer {
        Err(NodeError::Unavailable(_)) => Ok(Vec::new()),
        answer => Ok(answer?),
    }
}

/// How many votes a batch shall pay.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BatchFields {
    #[serde(default)]
    max_votes: String,
}

/// `POST /payments/batch`: the template is the answer, since no address names it.
pub(super) async fn batch(
    mut visit: Visit,
    form: CsrfForm<BatchFields>,
) -> Result<Response, Failure> {
    let max_votes = match form.fields.max_votes.trim() {
        "" => None,
        number => Some(number.parse().map_err(|_| {
            Failure::invalid("the number of votes is a whole number, or left out for all")
        })?),
    };
    let request = BatchRequest {
        max_votes,
        ..BatchRequest::default()
    };
    let batch = visit.node().batch(request).await?;
    visit.frame.title = "A batch of payments".to_owned();
    visit.frame.noindex = true;
    page(&BatchPage {
        frame: &visit.frame,
        batch: &batch,
    })
}

/// The payment key of the settings.
#[derive(Debug, Default, Deserialize)]
pub(super) struct KeyFields {
    #[serde(default)]
    key: String,
    #[serde(default)]
    address: String,
    off: Option<String>,
}

/// `POST /settings/payment-key`: publishes it, or turns it off.
pub(super) async fn set_key(
    State(gate): State<Gate>,
    form: CsrfForm<KeyFields>,
) -> Result<Response, Failure> {
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let off = form.fields.off.is_some();
    let new = if off {
        NewPaymentKey {
            off,
            ..NewPaymentKey::default()
        }
    } else {
        NewPaymentKey {
            key: filled(&form.fields.key),
            address: filled(&form.fields.address),
            ..NewPaymentKey::default()
        }
    };
    check_key(&new)?;
    gate.node().publish_payment_key(new).await?;
    let notice = if off {
        "Your payment key is off: no new payments are offered to it. What was paid stays yours."
    } else {
        "Your payment key is published. Votes on what you write can be paid to it."
    };
    Ok(flash::redirect("/settings#payments", &[notice.to_owned()]))
}

/// `GET /chain`.
pub(super) async fn chain(mut visit: Visit) -> Result<Response, Failure> {
    let chain = chain_of(&visit.gate, visit.viewer).await?;
    visit.frame.title = "Chain".to_owned();
    page(&ChainPage {
        frame: &visit.frame,
        chain: &chain,
    })
}

#[cfg(test)]
mod tests {
    use views::data::PaymentState;

    use super::*;

    #[test]
    fn a_transaction_that_pays_something_else_is_told() {
        let paid = |votes: &[&str]| -> Vec<PaidVote> {
            let paid = votes.iter().map(|vote| PaidVote {
                vote: (*vote).to_owned(),
                state: PaymentState::Seen,
                ..PaidVote::default()
            });
            paid.collect()
        };
        for (votes, words) in [
            (&[][..], "none of your votes"),
            (&["b"], "does not pay this vote, but 1 other of yours"),
            (&["a"], "it pays this vote."),
            (&["a", "b", "c"], "this vote and 2 others of yours"),
        ] {
            assert!(matched("a", &paid(votes)).contains(words), "{votes:?}");
        }
    }
}
