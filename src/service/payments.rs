//! Paid votes, as the gateway asks for them.

use std::future::ready;

use bytes::Bytes;
use futures_lite::{StreamExt as _, stream};
use gateway::{
    api::types::{BatchRequest, NewPaymentKey, PayRequest, Written},
    node::{Items, NodeError, Payments, Reply, Viewer},
};
use model::EntryId;
use views::data;

use super::Service;

fn off() -> NodeError {
    NodeError::Unavailable(
        "payments are switched off on this node: set payments.network in its configuration"
            .to_owned(),
    )
}

fn refuse<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(ready(Err(off())))
}

impl Payments for Service {
    fn pay_choices(&self, _post: EntryId) -> Reply<'_, Vec<data::PayChoice>> {
        refuse()
    }

    fn pay_vote(&self, _post: EntryId, _request: PayRequest) -> Reply<'_, data::PaidVote> {
        refuse()
    }

    fn paid_vote(&self, _viewer: Viewer, _vote: EntryId) -> Reply<'_, data::PaidVote> {
        refuse()
    }

    fn show_anyway(&self, _vote: EntryId) -> Reply<'_, data::PaidVote> {
        refuse()
    }

    fn post_payments(&self, _viewer: Viewer, _post: EntryId) -> Reply<'_, Vec<data::PaidVote>> {
        refuse()
    }

    fn awaited_payments(&self) -> Reply<'_, Vec<data::PaidVote>> {
        refuse()
    }

    fn forget_payment(&self, _vote: EntryId) -> Reply<'_, ()> {
        refuse()
    }

    fn give_transaction(&self, _transaction: String) -> Reply<'_, Vec<data::PaidVote>> {
        refuse()
    }

    fn verify_proof(&self, _viewer: Viewer, _proof: Bytes) -> Reply<'_, data::ProofReport> {
        refuse()
    }

    fn publish_proof(&self, _proof: Bytes) -> Reply<'_, Written> {
        refuse()
    }

    fn proof(&self, _viewer: Viewer, _vote: EntryId) -> Reply<'_, Vec<Bytes>> {
        refuse()
    }

    fn batch(&self, _request: BatchRequest) -> Reply<'_, data::Batch> {
        refuse()
    }

    fn payment_key(&self) -> Reply<'_, Option<data::PaymentKey>> {
        refuse()
    }

    fn publish_payment_key(&self, _new: NewPaymentKey) -> Reply<'_, Written> {
        refuse()
    }

    fn received(&self) -> Reply<'_, Vec<data::Received>> {
        refuse()
    }

    fn chain_status(&self, _viewer: Viewer) -> Reply<'_, data::ChainStatus> {
        Box::pin(ready(Ok(data::ChainStatus {
            network: "none".to_owned(),
            ..data::ChainStatus::default()
        })))
    }

    fn payment_changes(
        &self,
        _viewer: Viewer,
        _post: Option<EntryId>,
    ) -> Items<data::PaymentChanged> {
        stream::pending().boxed()
    }
}
