//! Paid votes of the node in the tests of the pages.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures_lite::{StreamExt as _, stream};
use model::EntryId;
use views::data;

use super::fake_node::{FakeNode, absent, entry, owner, ready, space};
use crate::{
    api::types::*,
    node::{Items, Payments, Reply, Viewer},
};

/// An author whose name wants to be more.
fn payer() -> data::Author {
    data::Author {
        identity: owner().to_string(),
        name: Some("<b>Payer</b>".to_owned()),
        avatar: None,
    }
}

/// A paid vote on post 2; its vote is entry 6.
pub(super) fn paid_vote(state: data::PaymentState) -> data::PaidVote {
    data::PaidVote {
        vote: entry(6).to_string(),
        post: entry(2).to_string(),
        root: entry(1).to_string(),
        space: space().to_string(),
        voter: payer(),
        recipient: payer(),
        dir: 1,
        network: "regtest".to_owned(),
        sats: 2_100,
        state,
        confirmations: 2,
        settled_at: 6,
        address: Some("bcrt1pexample".to_owned()),
        uri: Some("bitcoin:bcrt1pexample?amount=0.000021".to_owned()),
        held_by: 1,
        warnings: vec!["its key <i>changed</i>".to_owned()],
        why: Some("because <script>x</script>".to_owned()),
        ..data::PaidVote::default()
    }
}

impl Payments for FakeNode {
    fn pay_choices(&self, _: EntryId) -> Reply<'_, Vec<data::PayChoice>> {
        ready(vec![
            data::PayChoice {
                recipient: payer(),
                has_key: true,
                ..data::PayChoice::default()
            },
            data::PayChoice {
                to: data::PayTo::Board,
                recipient: payer(),
                has_key: true,
                price_sats: Some(500),
                why: None,
            },
        ])
    }
    fn pay_vote(&self, _: EntryId, request: PayRequest) -> Reply<'_, data::PaidVote> {
        self.write(
            format!(
                "pay {} {} {} anyway={}",
                request.dir,
                request.sats,
                request.to.as_str(),
                request.anyway
            ),
            paid_vote(data::PaymentState::Unpaid),
        )
    }
    fn paid_vote(&self, viewer: Viewer, vote: EntryId) -> Reply<'_, data::PaidVote> {
        match (viewer, vote.as_bytes()[0]) {
            (Viewer::Owner, 6) => ready(paid_vote(data::PaymentState::Unpaid)),
            (_, 7) => ready(paid_vote(data::PaymentState::Confirmed)),
            _ => absent(),
        }
    }
    fn show_anyway(&self, vote: EntryId) -> Reply<'_, data::PaidVote> {
        self.write(
            format!("anyway {vote}"),
            paid_vote(data::PaymentState::Unpaid),
        )
    }
    fn post_payments(&self, _: Viewer, _: EntryId) -> Reply<'_, Vec<data::PaidVote>> {
        ready(vec![
            paid_vote(data::PaymentState::Settled),
            paid_vote(data::PaymentState::False),
        ])
    }
    fn awaited_payments(&self) -> Reply<'_, Vec<data::PaidVote>> {
        ready(vec![paid_vote(data::PaymentState::Unpaid)])
    }
    fn forget_payment(&self, vote: EntryId) -> Reply<'_, ()> {
        self.write(format!("forget {vote}"), ())
    }
    fn give_transaction(&self, transaction: String) -> Reply<'_, Vec<data::PaidVote>> {
        if transaction == "00" {
            return absent();
        }
        self.write(
            format!("transaction {transaction}"),
            vec![paid_vote(data::PaymentState::Seen)],
        )
    }
    fn verify_proof(&self, _: Viewer, _: Bytes) -> Reply<'_, data::ProofReport> {
        absent()
    }
    fn publish_proof(&self, _: Bytes) -> Reply<'_, Written> {
        absent()
    }
    fn prove_payment(&self, _: EntryId, _: ProveRequest) -> Reply<'_, Proved> {
        absent()
    }
    fn payment_keys(&self) -> Reply<'_, Vec<data::PaymentKey>> {
        absent()
    }
    fn proof(&self, _: Viewer, _: EntryId) -> Reply<'_, Vec<Bytes>> {
        absent()
    }
    fn batch(&self, request: BatchRequest) -> Reply<'_, data::Batch> {
        let batch = data::Batch {
            id: "ab".repeat(32),
            psbt: "cHNidP8=".to_owned(),
            outputs: vec![data::BatchOutput {
                address: Some("bcrt1pexample".to_owned()),
                script_hex: "51".to_owned(),
                sats: 2_100,
            }],
            votes: vec![entry(6).to_string()],
            total_sats: 2_100,
            left_out: vec![data::LeftOut {
                vote: entry(7).to_string(),
                why: "no key <b>here</b>".to_owned(),
            }],
        };
        self.write(format!("batch {:?}", request.max_votes), batch)
    }
    fn payment_key(&self) -> Reply<'_, Option<data::PaymentKey>> {
        ready(Some(data::PaymentKey {
            row: entry(8).to_string(),
            network: "regtest".to_owned(),
            key: "cd".repeat(32),
            address: None,
            time_ms: 1_000,
        }))
    }
    fn publish_payment_key(&self, new: NewPaymentKey) -> Reply<'_, Written> {
        let written = Written {
            id: entry(8).to_string(),
        };
        self.write(
            format!("key {} off={}", new.key.unwrap_or_default(), new.off),
            written,
        )
    }
    fn received(&self) -> Reply<'_, Vec<data::Received>> {
        ready(vec![data::Received {
            vote: entry(6).to_string(),
            outpoint: format!("{}:1", "ef".repeat(32)),
            sats: 2_100,
            state: data::PaymentState::Settled,
            ..data::Received::default()
        }])
    }
    fn chain_status(&self, _: Viewer) -> Reply<'_, data::ChainStatus> {
        ready(data::ChainStatus {
            network: "regtest".to_owned(),
            tip: Some(data::ChainTip {
                height: 123,
                hash: "00".repeat(32),
                time_s: 1_700_000_000,
                work: "f".repeat(64),
            }),
            peers: 2,
            source: "nakamoto".to_owned(),
            restarts: 1,
            last_error: Some("<i>no route</i>".to_owned()),
            has_minimum_work: true,
            settled_at: 6,
            awaited: None,
            warnings: vec!["behind by <b>three</b> hours".to_owned()],
        })
    }
    fn payment_changes(&self, _: Viewer, _: Option<EntryId>) -> Items<data::PaymentChanged> {
        stream::pending().boxed()
    }
}
