//! Paid votes, their proofs, and the header chain that proofs are held against.

use axum::{Json, extract::State, http::StatusCode};
use bytes::Bytes;
use model::EntryId;
use views::data::{
    Batch, ChainStatus, PaidVote, PayChoice, PaymentKey, PaymentState, ProofReport, Received,
};

use super::{
    caller::{Caller, Owner},
    input::{Id, Sent},
    types::{
        BatchRequest, ErrorBody, NewPaymentKey, PayRequest, ProofBytes, ProofRequest, ProveRequest,
        Proved, TransactionRequest, Written,
    },
};
use crate::{
    failure::Failure,
    gate::Gate,
    node::{NodeError, Viewer},
    qr,
};

/// Largest proof, bytes: what the row's column takes.
const MAX_PROOF_BYTES: usize = 8192;
/// Largest transaction, bytes: what nodes of the network relay (400,000 weight units).
const MAX_TRANSACTION_BYTES: usize = 400_000;
/// Longest JSON body: the largest transaction in hex, and what surrounds it.
pub const MAX_BODY_BYTES: usize = MAX_TRANSACTION_BYTES * 2 + 1024;
/// All the sats there will ever be.
pub(crate) const MAX_SATS: u64 = 21_000_000 * 100_000_000;
/// Coins that a batch may spend.
const MAX_INPUTS: usize = 500;
/// Longest text of a small field: addresses, scripts, outpoints, keys.
const MAX_FIELD_BYTES: usize = 300;

/// A payment as the viewer may see it, with its QR code. Strangers are told of what was proved:
/// what is awaited is its payer's business.
pub(crate) fn shown(viewer: Viewer, mut paid: PaidVote) -> Option<PaidVote> {
    if viewer.is_owner() {
        paid.qr = paid.payment_link().and_then(qr::svg);
        return Some(paid);
    }
    if matches!(paid.state, PaymentState::Unpaid | PaymentState::Seen) {
        return None;
    }
    paid.address = None;
    paid.uri = None;
    paid.due_sats = 0;
    paid.qr = None;
    paid.warnings = Vec::new();
    Some(paid)
}

/// Who can be paid by a vote on a post.
#[utoipa::path(get, path = "/api/v1/votes/{cid}/pay", tag = "payments", security(("token" = [])),
    params(("cid" = String, Path, description = "Entry CID of the post")),
    responses((status = 200, description = "Its author, and the owner of its board", body = [PayChoice]),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Unknown", body = ErrorBody),
        (status = 503, description = "Payments are switched off", body = ErrorBody)))]
pub async fn choices(
    State(gate): State<Gate>,
    _: Owner,
    Id(post): Id<EntryId>,
) -> Result<Json<Vec<PayChoice>>, Failure> {
    Ok(Json(gate.node().pay_choices(post).await?))
}

/// Votes, and awaits a payment for the vote.
#[utoipa::path(put, path = "/api/v1/votes/{cid}/pay", tag = "payments", request_body = PayRequest,
    params(("cid" = String, Path, description = "Entry CID of the post")), security(("token" = [])),
    responses((status = 200, description = "Counted, and awaited; with the address once another node holds the vote", body = PaidVote),
        (status = 400, description = "No such direction or amount", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 409, description = "The recipient published no payment key", body = ErrorBody),
        (status = 503, description = "Payments are switched off", body = ErrorBody)))]
pub async fn pay(
    State(gate): State<Gate>,
    _: Owner,
    Id(post): Id<EntryId>,
    Sent(request): Sent<PayRequest>,
) -> Result<Json<PaidVote>, Failure> {
    check_pay(&request)?;
    owners(gate.node().pay_vote(post, request).await?)
}

/// Refuses what is no vote or no amount.
pub(crate) fn check_pay(request: &PayRequest) -> Result<(), Failure> {
    if !matches!(request.dir, -1 | 1) {
        return Err(Failure::invalid(format!(
            "a paid vote is -1 or 1, not {}",
            request.dir
        )));
    }
    if !(1..=MAX_SATS).contains(&request.sats) {
        return Err(Failure::invalid(format!(
            "a vote is paid with 1 to {MAX_SATS} sats, not {}",
            request.sats
        )));
    }
    Ok(())
}

fn owners(paid: PaidVote) -> Result<Json<PaidVote>, Failure> {
    shown(Viewer::Owner, paid).map(Json).ok_or_else(unknown)
}

fn unknown() -> Failure {
    NodeError::NotFound("no payment of this vote is known here".to_owned()).into()
}

/// How far the payment of a vote got.
#[utoipa::path(get, path = "/api/v1/payments/{cid}", tag = "payments",
    params(("cid" = String, Path, description = "Entry CID of the vote")),
    responses((status = 200, description = "What is proved; the owner is told of awaited ones too", body = PaidVote),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn one(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(vote): Id<EntryId>,
) -> Result<Json<PaidVote>, Failure> {
    let paid = gate.node().paid_vote(viewer, vote).await?;
    shown(viewer, paid).map(Json).ok_or_else(unknown)
}

/// Shows the address of an awaited payment though no other node holds the vote yet.
#[utoipa::path(put, path = "/api/v1/payments/{cid}/anyway", tag = "payments", security(("token" = [])),
    params(("cid" = String, Path, description = "Entry CID of the vote")),
    responses((status = 200, description = "With its address", body = PaidVote),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Not awaited here", body = ErrorBody)))]
pub async fn anyway(
    State(gate): State<Gate>,
    _: Owner,
    Id(vote): Id<EntryId>,
) -> Result<Json<PaidVote>, Failure> {
    owners(gate.node().show_anyway(vote).await?)
}

/// The paid votes on a post.
#[utoipa::path(get, path = "/api/v1/posts/{cid}/payments", tag = "payments",
    params(("cid" = String, Path, description = "Entry CID of the post")),
    responses((status = 200, description = "The highest first", body = [PaidVote]),
        (status = 404, description = "Unknown", body = ErrorBody)))]
pub async fn of_post(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(post): Id<EntryId>,
) -> Result<Json<Vec<PaidVote>>, Failure> {
    let paid = gate.node().post_payments(viewer, post).await?;
    Ok(Json(all_shown(viewer, paid)))
}

/// Lists are without QR codes.
pub(crate) fn all_shown(viewer: Viewer, paid: Vec<PaidVote>) -> Vec<PaidVote> {
    let shown = paid.into_iter().filter_map(|one| shown(viewer, one));
    shown.map(|one| PaidVote { qr: None, ..one }).collect()
}

/// The owner's own paid votes.
#[utoipa::path(get, path = "/api/v1/payments", tag = "payments", security(("token" = [])),
    responses((status = 200, description = "The newest first", body = [PaidVote]),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn list(State(gate): State<Gate>, _: Owner) -> Result<Json<Vec<PaidVote>>, Failure> {
    let paid = gate.node().awaited_payments().await?;
    Ok(Json(all_shown(Viewer::Owner, paid)))
}

/// Awaits a payment no longer; the vote stays.
#[utoipa::path(delete, path = "/api/v1/payments/{cid}", tag = "payments", security(("token" = [])),
    params(("cid" = String, Path, description = "Entry CID of the vote")),
    responses((status = 204, description = "Forgotten"),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Not awaited here", body = ErrorBody)))]
pub async fn forget(
    State(gate): State<Gate>,
    _: Owner,
    Id(vote): Id<EntryId>,
) -> Result<StatusCode, Failure> {
    gate.node().forget_payment(vote).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a signed transaction: the payments that it matches are `seen`, and it goes to the network.
#[utoipa::path(post, path = "/api/v1/payments/transactions", tag = "payments",
    request_body = TransactionRequest, security(("token" = [])),
    responses((status = 200, description = "The payments that it matches", body = [PaidVote]),
        (status = 400, description = "No transaction in hex", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "It pays no vote that is awaited here", body = ErrorBody),
        (status = 413, description = "Larger than what the network relays", body = ErrorBody)))]
pub async fn transaction(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<TransactionRequest>,
) -> Result<Json<Vec<PaidVote>>, Failure> {
    let hex = check_transaction(&request.transaction)?;
    let paid = gate.node().give_transaction(hex).await?;
    Ok(Json(all_shown(Viewer::Owner, paid)))
}

/// A transaction in hex, without blanks.
pub(crate) fn check_transaction(text: &str) -> Result<String, Failure> {
    let hex = text.trim();
    if hex.len() > MAX_TRANSACTION_BYTES * 2 {
        return Err(NodeError::TooLarge {
            what: "the transaction".to_owned(),
            size_bytes: (hex.len() / 2) as u64,
            limit_bytes: MAX_TRANSACTION_BYTES as u64,
        }
        .into());
    }
    let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex.is_empty() || !hex.len().is_multiple_of(2) || !is_hex {
        return Err(Failure::invalid(
            "a transaction is a row of hexadecimal digits; export it from the wallet as raw hex",
        ));
    }
    Ok(hex.to_owned())
}

/// Says what a proof proves, against this node's header chain.
#[utoipa::path(post, path = "/api/v1/payments/verify", tag = "payments", request_body = ProofRequest,
    security(("token" = [])),
    responses((status = 200, description = "What it proves, or why nothing", body = ProofReport),
        (status = 400, description = "These bytes are no proof", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 413, description = "Over the limit of a proof", body = ErrorBody)))]
pub async fn verify(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<ProofRequest>,
) -> Result<Json<ProofReport>, Failure> {
    let proof = check_proof(request)?;
    Ok(Json(gate.node().verify_proof(Viewer::Owner, proof).await?))
}

/// Publishes a proof as a row, whoever paid.
#[utoipa::path(post, path = "/api/v1/payments/proofs", tag = "payments", request_body = ProofRequest,
    security(("token" = [])),
    responses((status = 200, description = "Signed, on disk, on its way to peers", body = Written),
        (status = 400, description = "These bytes are no proof", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "Its vote is not held here", body = ErrorBody),
        (status = 413, description = "Over the limit of a proof", body = ErrorBody),
        (status = 422, description = "It proves nothing", body = ErrorBody)))]
pub async fn publish(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<ProofRequest>,
) -> Result<Json<Written>, Failure> {
    let proof = check_proof(request)?;
    Ok(Json(gate.node().publish_proof(proof).await?))
}

/// Proves what a block paid a vote, whoever paid.
#[utoipa::path(post, path = "/api/v1/payments/{cid}/prove", tag = "payments",
    request_body = ProveRequest, security(("token" = [])),
    params(("cid" = String, Path, description = "Entry CID of the vote")),
    responses((status = 200, description = "The payments and their proofs", body = Proved),
        (status = 400, description = "Neither a hash nor a height", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "No such vote, key or block here, or nothing there pays it",
            body = ErrorBody),
        (status = 503, description = "No header chain, or no block to be had", body = ErrorBody)))]
pub async fn prove(
    State(gate): State<Gate>,
    _: Owner,
    Id(vote): Id<EntryId>,
    Sent(request): Sent<ProveRequest>,
) -> Result<Json<Proved>, Failure> {
    check_field("a block", Some(&request.block))?;
    Ok(Json(gate.node().prove_payment(vote, request).await?))
}

fn check_proof(request: ProofRequest) -> Result<Bytes, Failure> {
    let size = request.proof.len();
    if size > MAX_PROOF_BYTES {
        return Err(NodeError::TooLarge {
            what: "the proof".to_owned(),
            size_bytes: size as u64,
            limit_bytes: MAX_PROOF_BYTES as u64,
        }
        .into());
    }
    Ok(Bytes::from(request.proof))
}

/// The proofs held of a vote's payments.
#[utoipa::path(get, path = "/api/v1/payments/{cid}/proof", tag = "payments",
    params(("cid" = String, Path, description = "Entry CID of the vote")),
    responses((status = 200, description = "Proofs", body = [ProofBytes]),
        (status = 404, description = "None is held", body = ErrorBody)))]
pub async fn proofs(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
    Id(vote): Id<EntryId>,
) -> Result<Json<Vec<ProofBytes>>, Failure> {
    let proofs = gate.node().proof(viewer, vote).await?.into_iter();
    let proofs = proofs.map(|proof| ProofBytes {
        proof: proof.to_vec(),
    });
    Ok(Json(proofs.collect()))
}

/// Gathers unpaid votes into one transaction, for a wallet to fund and sign.
#[utoipa::path(post, path = "/api/v1/payments/batches", tag = "payments", request_body = BatchRequest,
    security(("token" = [])),
    responses((status = 200, description = "The template, and its outputs", body = Batch),
        (status = 400, description = "A field over its limit", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody),
        (status = 404, description = "No vote is unpaid", body = ErrorBody)))]
pub async fn batch(
    State(gate): State<Gate>,
    _: Owner,
    Sent(request): Sent<BatchRequest>,
) -> Result<Json<Batch>, Failure> {
    if request.inputs.len() > MAX_INPUTS {
        return Err(Failure::invalid(format!(
            "a batch spends at most {MAX_INPUTS} coins, not {}",
            request.inputs.len()
        )));
    }
    for input in &request.inputs {
        check_field("an outpoint", Some(&input.outpoint))?;
        check_field("a script", Some(&input.script_hex))?;
    }
    check_field("the address of the change", request.change_address.as_ref())?;
    Ok(Json(gate.node().batch(request).await?))
}

fn check_field(what: &str, text: Option<&String>) -> Result<(), Failure> {
    match text {
        Some(text) if text.len() > MAX_FIELD_BYTES => Err(Failure::invalid(format!(
            "{what} has at most {MAX_FIELD_BYTES} characters"
        ))),
        _ => Ok(()),
    }
}

/// The owner's own payment key.
#[utoipa::path(get, path = "/api/v1/payments/key", tag = "payments", security(("token" = [])),
    responses((status = 200, description = "The key; null where none is published", body = Option<PaymentKey>),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn key(State(gate): State<Gate>, _: Owner) -> Result<Json<Option<PaymentKey>>, Failure> {
    Ok(Json(gate.node().payment_key().await?))
}

/// Every payment key that the owner ever published.
#[utoipa::path(get, path = "/api/v1/payments/keys", tag = "payments", security(("token" = [])),
    responses((status = 200, description = "The newest first", body = [PaymentKey]),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn keys(State(gate): State<Gate>, _: Owner) -> Result<Json<Vec<PaymentKey>>, Failure> {
    Ok(Json(gate.node().payment_keys().await?))
}

/// Publishes the owner's payment key, or turns it off. The node keeps no secret.
#[utoipa::path(put, path = "/api/v1/payments/key", tag = "payments", request_body = NewPaymentKey,
    security(("token" = [])),
    responses((status = 200, description = "Signed, on disk, on its way to peers", body = Written),
        (status = 400, description = "No public key, or no network", body = ErrorBody),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn set_key(
    State(gate): State<Gate>,
    _: Owner,
    Sent(new): Sent<NewPaymentKey>,
) -> Result<Json<Written>, Failure> {
    check_key(&new)?;
    Ok(Json(gate.node().publish_payment_key(new).await?))
}

/// Refuses what can't be a key; whether it is a point of the curve the node says.
pub(crate) fn check_key(new: &NewPaymentKey) -> Result<(), Failure> {
    let key = new.key.as_deref().unwrap_or_default();
    let is_key = matches!(key.len(), 64 | 66) && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_left_out = new.off && key.is_empty();
    if !is_key && !is_left_out {
        return Err(Failure::invalid(
            "a payment key is a public key in hex: 64 digits (x-only), or 66 (compressed)",
        ));
    }
    check_field("the network", new.network.as_ref())?;
    check_field("the address", new.address.as_ref())
}

/// What the owner received, and what spends it.
#[utoipa::path(get, path = "/api/v1/payments/received", tag = "payments", security(("token" = [])),
    responses((status = 200, description = "The newest first", body = [Received]),
        (status = 401, description = "Wrong or no token", body = ErrorBody)))]
pub async fn received(State(gate): State<Gate>, _: Owner) -> Result<Json<Vec<Received>>, Failure> {
    Ok(Json(gate.node().received().await?))
}

/// The header chain that proofs are held against.
#[utoipa::path(get, path = "/api/v1/chain", tag = "payments",
    responses((status = 200, description = "Network, tip, peers", body = ChainStatus)))]
pub async fn chain(
    State(gate): State<Gate>,
    Caller(viewer): Caller,
) -> Result<Json<ChainStatus>, Failure> {
    Ok(Json(chain_of(&gate, viewer).await?))
}

/// The chain as the viewer may see it.
pub(crate) async fn chain_of(gate: &Gate, viewer: Viewer) -> Result<ChainStatus, NodeError> {
    let mut chain = gate.node().chain_status(viewer).await?;
    if !viewer.is_owner() {
        chain.last_error = None;
        chain.awaited = None;
    }
    Ok(chain)
}
