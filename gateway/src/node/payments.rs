//! What the gateway asks of the node about paid votes.

use bytes::Bytes;
use model::EntryId;
use views::data;

use super::{Items, Reply, Viewer};
use crate::api::types::{BatchRequest, NewPaymentKey, PayRequest, ProveRequest, Proved, Written};

/// Paid votes and the header chain that their proofs are held against.
///
/// Strangers are told of payments that were proved, never of awaited ones.
pub trait Payments: Send + Sync + 'static {
    /// `GET /api/v1/votes/{post}/pay`: who can be paid by a vote on this post.
    fn pay_choices(&self, post: EntryId) -> Reply<'_, Vec<data::PayChoice>>;

    /// `PUT /api/v1/votes/{post}/pay`: votes, and awaits the payment. The address is in the answer
    /// once another node holds the vote, or with `anyway`.
    fn pay_vote(&self, post: EntryId, request: PayRequest) -> Reply<'_, data::PaidVote>;

    /// `GET /api/v1/payments/{vote}`.
    fn paid_vote(&self, viewer: Viewer, vote: EntryId) -> Reply<'_, data::PaidVote>;

    /// `PUT /api/v1/payments/{vote}/anyway`: shows the address though nobody else holds the vote.
    fn show_anyway(&self, vote: EntryId) -> Reply<'_, data::PaidVote>;

    /// `GET /api/v1/posts/{post}/payments`: the highest first, bounded.
    fn post_payments(&self, viewer: Viewer, post: EntryId) -> Reply<'_, Vec<data::PaidVote>>;

    /// `GET /api/v1/payments`: the owner's own paid votes, the newest first.
    fn awaited_payments(&self) -> Reply<'_, Vec<data::PaidVote>>;

    /// `DELETE /api/v1/payments/{vote}`: awaits it no longer; the vote stays.
    fn forget_payment(&self, vote: EntryId) -> Reply<'_, ()>;

    /// `POST /api/v1/payments/transactions`: a signed transaction in hex. The payments that it
    /// matches are `seen`, and it is handed to the network.
    fn give_transaction(&self, transaction: String) -> Reply<'_, Vec<data::PaidVote>>;

    /// `POST /api/v1/payments/verify`. A proof that proves nothing is an answer, not an error;
    /// bytes that are no proof are [`super::NodeError::Invalid`].
    fn verify_proof(&self, viewer: Viewer, proof: Bytes) -> Reply<'_, data::ProofReport>;

    /// `POST /api/v1/payments/proofs`: publishes it as a row. One that proves nothing is
    /// [`super::NodeError::NotVerified`].
    fn publish_proof(&self, proof: Bytes) -> Reply<'_, Written>;

    /// `POST /api/v1/payments/{vote}/prove`: looks in a block for outputs that pay the vote by its
    /// address, makes their proofs, and publishes them unless told not to. Whoever paid: so that
    /// recipients and bystanders can prove what the payer's node didn't.
    fn prove_payment(&self, vote: EntryId, request: ProveRequest) -> Reply<'_, Proved>;

    /// `GET /api/v1/payments/{vote}/proof`: the proofs held of a vote.
    fn proof(&self, viewer: Viewer, vote: EntryId) -> Reply<'_, Vec<Bytes>>;

    /// `POST /api/v1/payments/batches`.
    fn batch(&self, request: BatchRequest) -> Reply<'_, data::Batch>;

    /// `GET /api/v1/payments/key`: the owner's own, where one is published and not off.
    fn payment_key(&self) -> Reply<'_, Option<data::PaymentKey>>;

    /// `GET /api/v1/payments/keys`: every key that the owner ever published, the newest first.
    fn payment_keys(&self) -> Reply<'_, Vec<data::PaymentKey>>;

    /// `PUT /api/v1/payments/key`.
    fn publish_payment_key(&self, new: NewPaymentKey) -> Reply<'_, Written>;

    /// `GET /api/v1/payments/received`: the newest first.
    fn received(&self) -> Reply<'_, Vec<data::Received>>;

    /// `GET /api/v1/chain`.
    fn chain_status(&self, viewer: Viewer) -> Reply<'_, data::ChainStatus>;

    /// `GET /api/v1/payments/events`: changes from now on, of one post or of all. Strangers are told
    /// of proved payments only. An end means that some may have been missed: read anew.
    fn payment_changes(&self, viewer: Viewer, post: Option<EntryId>)
    -> Items<data::PaymentChanged>;
}
