//! Paid votes of the node made of plain maps.

use std::future::ready;

use bytes::Bytes;
use futures_lite::{StreamExt as _, stream};
use model::EntryId;
use views::data;

use super::fake::{Fake, absent};
use crate::{api::types::*, node::*};

fn paid(vote: EntryId, state: data::PaymentState) -> data::PaidVote {
    data::PaidVote {
        vote: vote.to_string(),
        sats: 2_100,
        state,
        address: Some("bcrt1pexample".to_owned()),
        uri: Some("bitcoin:bcrt1pexample?amount=0.000021".to_owned()),
        ..data::PaidVote::default()
    }
}

impl Payments for Fake {
    fn pay_choices(&self, _: EntryId) -> Reply<'_, Vec<data::PayChoice>> {
        Box::pin(ready(Ok(vec![data::PayChoice::default()])))
    }
    fn pay_vote(&self, post: EntryId, request: PayRequest) -> Reply<'_, data::PaidVote> {
        let what = format!(
            "pay {} {} {}",
            request.dir,
            request.sats,
            request.to.as_str()
        );
        self.note(what, paid(post, data::PaymentState::Unpaid))
    }
    fn paid_vote(&self, viewer: Viewer, vote: EntryId) -> Reply<'_, data::PaidVote> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        let state = if vote == EntryId::of(b"awaited") {
            data::PaymentState::Unpaid
        } else {
            data::PaymentState::Confirmed
        };
        Box::pin(ready(Ok(paid(vote, state))))
    }
    fn show_anyway(&self, vote: EntryId) -> Reply<'_, data::PaidVote> {
        self.note("anyway".to_owned(), paid(vote, data::PaymentState::Unpaid))
    }
    fn post_payments(&self, viewer: Viewer, post: EntryId) -> Reply<'_, Vec<data::PaidVote>> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(ready(Ok(vec![paid(post, data::PaymentState::Settled)])))
    }
    fn awaited_payments(&self) -> Reply<'_, Vec<data::PaidVote>> {
        Box::pin(ready(Ok(Vec::new())))
    }
    fn forget_payment(&self, _: EntryId) -> Reply<'_, ()> {
        self.note("forget".to_owned(), ())
    }
    fn give_transaction(&self, transaction: String) -> Reply<'_, Vec<data::PaidVote>> {
        self.note(format!("transaction of {}", transaction.len()), Vec::new())
    }
    fn verify_proof(&self, viewer: Viewer, proof: Bytes) -> Reply<'_, data::ProofReport> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(ready(Ok(data::ProofReport {
            sats: proof.len() as u64,
            ..data::ProofReport::default()
        })))
    }
    fn publish_proof(&self, proof: Bytes) -> Reply<'_, Written> {
        let written = Written {
            id: "an entry".to_owned(),
        };
        self.note(format!("proof of {}", proof.len()), written)
    }
    fn prove_payment(&self, _: EntryId, request: ProveRequest) -> Reply<'_, Proved> {
        let proved = Proved {
            network: "regtest".to_owned(),
            block: request.block.clone(),
            height: 7,
            payments: Vec::new(),
        };
        let what = format!("prove {} {}", request.block, request.unpublished);
        self.note(what, proved)
    }
    fn payment_keys(&self) -> Reply<'_, Vec<data::PaymentKey>> {
        Box::pin(ready(Ok(vec![data::PaymentKey::default()])))
    }
    fn proof(&self, viewer: Viewer, _: EntryId) -> Reply<'_, Vec<Bytes>> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(ready(Ok(vec![Bytes::from_static(b"de")])))
    }
    fn batch(&self, request: BatchRequest) -> Reply<'_, data::Batch> {
        let what = format!("batch {:?} {}", request.max_votes, request.inputs.len());
        self.note(what, data::Batch::default())
    }
    fn payment_key(&self) -> Reply<'_, Option<data::PaymentKey>> {
        Box::pin(ready(Ok(None)))
    }
    fn publish_payment_key(&self, new: NewPaymentKey) -> Reply<'_, Written> {
        let written = Written {
            id: "an entry".to_owned(),
        };
        self.note(format!("key {:?} off={}", new.key, new.off), written)
    }
    fn received(&self) -> Reply<'_, Vec<data::Received>> {
        absent()
    }
    fn chain_status(&self, viewer: Viewer) -> Reply<'_, data::ChainStatus> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        Box::pin(ready(Ok(data::ChainStatus {
            network: "regtest".to_owned(),
            last_error: Some("a fault".to_owned()),
            ..data::ChainStatus::default()
        })))
    }
    fn payment_changes(
        &self,
        viewer: Viewer,
        post: Option<EntryId>,
    ) -> Items<data::PaymentChanged> {
        *self.last_viewer.lock().unwrap() = Some(viewer);
        let post = post.map(|post| post.to_string()).unwrap_or_default();
        let change = |state| data::PaymentChanged {
            vote: "a vote".to_owned(),
            post: post.clone(),
            root: "a root".to_owned(),
            state,
            confirmations: 0,
        };
        stream::iter([
            Ok(change(data::PaymentState::Seen)),
            Ok(change(data::PaymentState::Confirmed)),
            Err(NodeError::Unavailable("the node stops".to_owned())),
        ])
        .boxed()
    }
}
