//! pay: a vote that asks for a payment, and what follows once there is one.

mod batch;
mod key;
mod prove;

use std::{sync::Arc, time::Duration};

use bitcoin::{Transaction, consensus::deserialize};
use data_encoding::HEXLOWER_PERMISSIVE;
use database::DatabaseError;
use gateway::{
    api::types::{PayRequest, PinMedia, VoteRequest, Written},
    node::NodeError,
};
use gossip::Scope;
use model::{EntryId, IdentityId};
use spv::{Network, proof::PaymentProof};
use tokio::time::{Instant, timeout_at};
use views::data::{PayTo, PaymentState};

use super::sign;
use crate::{
    clock::now_ms,
    core::Core,
    data_folder::FolderError,
    payments::{
        self, Payments,
        awaited::Offer,
        facts::{KeyRow, KeyState},
        is_recent, own_row,
        proof::{Standing, View},
        proving_rows,
    },
    pins::{Promise, Target},
    service::{pinning, rows, writing},
};

pub use batch::plan;
pub use key::{own_key, own_keys, publish_key};
pub use prove::prove;

/// Most that can be asked for: all bitcoins there will ever be.
const MAX_SATS: u64 = 2_100_000_000_000_000;
/// How long the first answer waits for another node to hold the vote.
const HELD: Duration = Duration::from_secs(3);
/// How long an answer waits for peers of the chain to hand a transaction to.
const HANDED: Duration = Duration::from_secs(5);
/// Longest transaction that is read, hexadecimal digits.
const TRANSACTION_DIGITS: usize = 800_000;

/// The chain that this node's person pays on.
///
/// # Errors
/// When there is none.
pub fn network(payments: &Payments) -> Result<Network, NodeError> {
    payments.network.ok_or_else(|| {
        NodeError::Unavailable(
            "payments are switched off on this node: set payments.network in its configuration"
                .to_owned(),
        )
    })
}

/// Who is to be paid, and by which key.
struct Recipient {
    identity: IdentityId,
    key_row: EntryId,
    key: KeyRow,
}

/// Votes on a post, and awaits the payment: both are on disk when this returns.
///
/// # Errors
/// When nobody can be paid, or the vote can't be signed.
pub async fn vote(
    core: &Arc<Core>,
    post: EntryId,
    request: PayRequest,
) -> Result<EntryId, NodeError> {
    let network = network(&core.payments)?;
    if !matches!(request.dir, -1 | 1) {
        return Err(NodeError::Invalid("a paid vote is -1 or 1".to_owned()));
    }
    if !(1..=MAX_SATS).contains(&request.sats) {
        return Err(NodeError::Invalid(format!(
            "a payment is 1 to {MAX_SATS} sats, not {}",
            request.sats
        )));
    }
    let found = writing::held_post(core, post).await?;
    let recipient = recipient(core, &found, request.to, network).await?;
    let vote = own_vote(core, &found, request.dir).await?;
    let offer = Offer {
        post,
        root: found.root,
        space: found.space,
        to: request.to,
        recipient: recipient.identity,
        network,
        key: recipient.key.key,
        key_row: recipient.key_row,
        sats: request.sats,
        offered_ms: now_ms(),
        renewed_ms: 0,
        from_height: None,
        anyway: request.anyway,
        holders: Default::default(),
        seen: None,
        found: Vec::new(),
    };
    record(core, vote, offer).await?;
    keep(core, found.root).await?;
    core.payments.look.notify_one();
    wait_for_holder(core, vote, Scope::thread(found.space, found.root)).await;
    Ok(vote)
}

async fn recipient(
    core: &Arc<Core>,
    post: &database::forum::Post,
    to: PayTo,
    network: Network,
) -> Result<Recipient, NodeError> {
    let (author, space) = (post.author, post.space);
    let found = core.store("read the recipient's key", move |database| {
        let reader = database.read()?;
        let identity = match to {
            PayTo::Author => Some(author),
            PayTo::Board => reader.space(&space)?.map(|info| info.owner),
        };
        let Some(identity) = identity else {
            return Ok::<_, DatabaseError>(None);
        };
        let key = payments::current_key(&reader, &identity, network)?;
        Ok(Some((identity, key)))
    });
    let who = match to {
        PayTo::Author => "the author of this post",
        PayTo::Board => "the owner of this board",
    };
    let (identity, key) = found.await?.ok_or_else(|| {
        NodeError::Conflict("who owns this board is not known here yet: try later".to_owned())
    })?;
    let (key_row, key) = key.ok_or_else(|| {
        NodeError::Conflict(format!(
            "{who} has published no payment key for {network}, so nobody can pay them: they can \
             with `datt pay keys --publish KEY`; vote without a payment meanwhile"
        ))
    })?;
    Ok(Recipient {
        identity,
        key_row,
        key,
    })
}

/// The own vote on a post that counts now, if it has this direction.
///
/// # Errors
/// When the store can't be read.
pub async fn standing_vote(
    core: &Arc<Core>,
    post: &database::forum::Post,
    dir: i8,
) -> Result<Option<EntryId>, NodeError> {
    let (me, space, id) = (core.identity, post.space, post.id);
    core.store("read the vote", move |database| {
        let reader = database.read()?;
        let Some(vote) = reader.counting(&space, "vote", &me, &rows::vote(id, dir))? else {
            return Ok(None);
        };
        let facts = payments::vote_facts(&reader, &vote)?;
        Ok::<_, DatabaseError>(facts.filter(|facts| facts.dir == dir).map(|_| vote))
    })
    .await
}

/// The own vote on a post in this direction: the one that counts now, else a new one. A new one in
/// its place would take back what was paid for it.
async fn own_vote(
    core: &Arc<Core>,
    post: &database::forum::Post,
    dir: i8,
) -> Result<EntryId, NodeError> {
    if let Some(vote) = standing_vote(core, post, dir).await? {
        return Ok(vote);
    }
    let (id, voted) = (post.id, VoteRequest { dir });
    let voted = writing::vote(core, id, voted).await?;
    voted
        .id
        .parse()
        .map_err(|error| NodeError::local("name the vote", error))
}

/// Writes the offer down.
async fn record(core: &Arc<Core>, vote: EntryId, offer: Offer) -> Result<(), NodeError> {
    let node = Arc::clone(core);
    let recorded = tokio::task::spawn_blocking(move || {
        let payments = &node.payments;
        payments.awaited.change(&node.folder, |state| {
            payments.view(|view| {
                // Headers that are far behind don't say from which block on it may be paid.
                let chain = match view {
                    View::Chain(chain) if is_recent(chain, now_ms()) => Some(*chain),
                    View::Chain(_) | View::None | View::Young(_) => None,
                };
                state.take(vote, offer, chain, now_ms())
            })
        })
    });
    recorded
        .await
        .map_err(|panic| NodeError::local("note the payment", panic))?
        .map_err(|error| NodeError::local("note the payment", error))?
        .map_err(|refusal| NodeError::Conflict(refusal.to_string()))
}

/// Pins the thread: the proof of a payment is worth as much as the vote that it is for.
async fn keep(core: &Arc<Core>, root: EntryId) -> Result<(), NodeError> {
    let target = Target::Thread(root);
    if core.pins.get(&target).is_some() {
        return Ok(());
    }
    let promise = Promise {
        media: PinMedia::None,
        max_bytes: None,
        since_ms: now_ms(),
        asked_by: None,
    };
    pinning::promise_to_keep(core, target, promise).await
}

/// Gives other nodes a moment to take the vote, so that the first answer can show the address.
async fn wait_for_holder(core: &Arc<Core>, vote: EntryId, scope: Scope) {
    let is_held = || {
        let offer = core.payments.awaited.offer(&vote);
        offer.is_none_or(|offer| offer.anyway || !offer.holders.is_empty())
    };
    let mut changes = core.payments.changes();
    if is_held() || !matches!(core.gossip.sync_now(scope).await, Ok(1..)) {
        return;
    }
    let deadline = Instant::now() + HELD;
    while !is_held() {
        // A lag is a change too; a node that stops needs no answer.
        if timeout_at(deadline, changes.recv()).await.is_err() {
            return;
        }
    }
}

/// Changes an own offer.
async fn change_offer(
    core: &Arc<Core>,
    vote: EntryId,
    act: &'static str,
    change: impl FnOnce(&mut std::collections::BTreeMap<EntryId, Offer>) + Send + 'static,
) -> Result<(), NodeError> {
    if core.payments.awaited.offer(&vote).is_none() {
        return Err(NodeError::NotFound(format!(
            "this node awaits no payment of the vote {vote}"
        )));
    }
    let node = Arc::clone(core);
    let changed = tokio::task::spawn_blocking(move || {
        let awaited = &node.payments.awaited;
        awaited.change(&node.folder, |state| change(&mut state.offers))
    });
    changed
        .await
        .map_err(|panic| NodeError::local(act, panic))?
        .map_err(|error| NodeError::local(act, error))
}

/// Shows the address though nobody else holds the vote, or a transaction was handed in that never
/// came into a block.
///
/// # Errors
/// When no payment of it is awaited.
pub async fn show_anyway(core: &Arc<Core>, vote: EntryId) -> Result<(), NodeError> {
    change_offer(core, vote, "note the choice", move |offers| {
        if let Some(offer) = offers.get_mut(&vote) {
            offer.anyway = true;
            offer.unsee();
        }
    })
    .await
}

/// Awaits a payment no longer; the vote stays.
///
/// # Errors
/// When none is awaited.
pub async fn forget(core: &Arc<Core>, vote: EntryId) -> Result<(), NodeError> {
    change_offer(core, vote, "forget the payment", move |offers| {
        offers.remove(&vote);
    })
    .await?;
    core.payments.look.notify_one();
    Ok(())
}

/// Reads a transaction as wallets export it.
fn read_transaction(text: &str) -> Result<Transaction, NodeError> {
    let text = text.trim();
    if text.len() > TRANSACTION_DIGITS {
        return Err(NodeError::TooLarge {
            what: "the transaction".to_owned(),
            size_bytes: text.len() as u64 / 2,
            limit_bytes: TRANSACTION_DIGITS as u64 / 2,
        });
    }
    let bytes = HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .map_err(|error| {
            NodeError::Invalid(format!("the transaction is not hexadecimal: {error}"))
        })?;
    deserialize(&bytes).map_err(|error| {
        NodeError::Invalid(format!(
            "these bytes are no transaction: {error}; give the signed one, not its template"
        ))
    })
}

/// A transaction that pays awaited votes: they are `seen`, and it is handed to the network. The
/// second answer says why that wasn't done.
///
/// # Errors
/// When it pays none of them.
pub async fn give(
    core: &Arc<Core>,
    transaction: &str,
) -> Result<(Vec<EntryId>, Option<String>), NodeError> {
    let network = network(&core.payments)?;
    let transaction = read_transaction(transaction)?;
    let node = Arc::clone(core);
    let (txid, given) = (transaction.compute_txid(), transaction.clone());
    let noted = tokio::task::spawn_blocking(move || {
        let awaited = &node.payments.awaited;
        let state = awaited.state();
        let wanted = awaited.wanted(&state, network, |_| true);
        let votes = match state.paid_by(&wanted, &given) {
            Ok(votes) => votes,
            Err(misfit) => return Ok(Err(NodeError::Invalid(misfit.to_string()))),
        };
        if votes.is_empty() {
            return Ok(Err(NodeError::NotFound(format!(
                "the transaction {txid} pays none of the votes that this node awaits payments of"
            ))));
        }
        let seen = awaited.change(&node.folder, |state| state.see(&votes, &given, now_ms()))?;
        let refused = seen.map_err(|refusal| NodeError::Conflict(refusal.to_string()));
        Ok::<_, FolderError>(refused.map(|()| votes))
    });
    let noted = noted
        .await
        .map_err(|panic| NodeError::local("note the transaction", panic))?;
    let votes = noted.map_err(|error| NodeError::local("note the transaction", error))??;
    let votes: Vec<EntryId> = votes.into_iter().collect();
    payments::tell_offers(core, votes.iter().copied().collect()).await;
    core.payments.look.notify_one();
    let refusal = hand_on(core, transaction).await;
    Ok((votes, refusal))
}

/// Hands a transaction to the network; why not, if it wasn't.
async fn hand_on(core: &Arc<Core>, transaction: Transaction) -> Option<String> {
    let not = |why: &dyn std::fmt::Display| {
        Some(format!(
            "the transaction was not handed to the network from here: {why}; have the wallet \
             broadcast it"
        ))
    };
    let Some(spv) = core.payments.spv() else {
        return not(&"the light client does not run");
    };
    match timeout_at(Instant::now() + HANDED, spv.submit(transaction)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => not(&error),
        Err(_) => not(&"no peer was there yet; it is announced to those that come"),
    }
}

/// Publishes a proof as a row, unless a row proves the same already.
///
/// # Errors
/// When it proves nothing by the headers held here.
pub async fn publish_proof(core: &Arc<Core>, bytes: &[u8]) -> Result<Written, NodeError> {
    let proof = PaymentProof::decode(bytes)
        .map_err(|error| NodeError::Invalid(format!("these bytes are no proof: {error}")))?;
    let refuse = |error: &dyn std::fmt::Display| NodeError::NotVerified(error.to_string());
    let checked = proof.check().map_err(|error| refuse(&error))?;
    let (vote, outpoint) = (checked.vote, checked.outpoint);
    let read = core.store("read the vote", move |database| {
        let reader = database.read()?;
        let Some(facts) = payments::vote_facts(&reader, &vote)? else {
            return Ok(None);
        };
        let key = payments::key_state(&reader, &checked.key_row)?;
        Ok::<_, DatabaseError>(Some((facts, key, checked)))
    });
    let (facts, key, checked) = read.await?.ok_or_else(|| {
        NodeError::NotFound(format!(
            "the vote {vote} that it is for is not held here: join its board first"
        ))
    })?;
    if key == KeyState::Absent {
        return Err(refuse(&format!(
            "whose key was paid can't be told: the row {} is not held here; follow the recipient",
            checked.key_row
        )));
    }
    let mut standing = Standing::new(vote, &facts, Ok(checked), &key);
    core.payments.view(|view| standing.judge(view));
    let (state, why) = standing.told(core.payments.settled);
    if !matches!(state, PaymentState::Confirmed | PaymentState::Settled) {
        return Err(refuse(&why.unwrap_or_default()));
    }
    // Others may take back what they published: who pays or is paid publishes it, too.
    let parties = [Some(facts.voter), Some(facts.author), facts.owner];
    let known = match parties.contains(&Some(core.identity)) {
        true => own_row(core, vote, outpoint).await?,
        false => proving_rows(core, vote, outpoint).first().copied(),
    };
    let row = match known {
        Some(row) => row,
        None => {
            let row = rows::payment(vote, bytes);
            sign::write(core, facts.space, Some(facts.root), "payment", row).await?
        }
    };
    Ok(Written {
        id: row.to_string(),
    })
}
