//! Paid votes, as the gateway asks for them.

mod chain;
mod ranked;
mod shown;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::ready,
    sync::Arc,
};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use database::DatabaseError;
use futures_lite::{StreamExt as _, stream};
use gateway::{
    api::types::{BatchRequest, NewPaymentKey, PayRequest, ProveRequest, Proved, Written},
    node::{Items, NodeError, Payments, Reply, Viewer},
};
use model::{EntryId, Ipld};
use tokio::sync::broadcast::Receiver;
use views::data::{self, PayTo, PaymentBinding, PaymentState};

use super::{
    Service,
    authors::{Authors, may_see, unknown},
};
use crate::{
    core::Core,
    flow::pay,
    payments::{
        self, Changed,
        facts::KeyRow,
        proof::{Place, Standing, Worth},
        published::RECEIVED,
    },
};
use shown::Shown;

pub(super) use ranked::{Price, fill_posts, page, paid_in, price_of, unpaid_price};

/// Paid votes of one answer.
const VOTES: usize = 1_000;

impl Payments for Service {
    fn pay_choices(&self, post: EntryId) -> Reply<'_, Vec<data::PayChoice>> {
        Box::pin(choices(&self.core, post))
    }

    fn pay_vote(&self, post: EntryId, request: PayRequest) -> Reply<'_, data::PaidVote> {
        Box::pin(async move {
            let vote = pay::vote(&self.core, post, request).await?;
            one(&self.core, Viewer::Owner, vote).await
        })
    }

    fn paid_vote(&self, viewer: Viewer, vote: EntryId) -> Reply<'_, data::PaidVote> {
        Box::pin(one(&self.core, viewer, vote))
    }

    fn show_anyway(&self, vote: EntryId) -> Reply<'_, data::PaidVote> {
        Box::pin(async move {
            pay::show_anyway(&self.core, vote).await?;
            one(&self.core, Viewer::Owner, vote).await
        })
    }

    fn post_payments(&self, viewer: Viewer, post: EntryId) -> Reply<'_, Vec<data::PaidVote>> {
        Box::pin(on_post(&self.core, viewer, post))
    }

    fn awaited_payments(&self) -> Reply<'_, Vec<data::PaidVote>> {
        Box::pin(own(&self.core))
    }

    fn forget_payment(&self, vote: EntryId) -> Reply<'_, ()> {
        Box::pin(pay::forget(&self.core, vote))
    }

    fn give_transaction(&self, transaction: String) -> Reply<'_, Vec<data::PaidVote>> {
        Box::pin(async move {
            let (votes, not_handed) = pay::give(&self.core, &transaction).await?;
            let mut shown = several(&self.core, Viewer::Owner, votes).await?;
            for vote in &mut shown {
                vote.warnings.extend(not_handed.clone());
            }
            Ok(shown)
        })
    }

    fn verify_proof(&self, viewer: Viewer, proof: Bytes) -> Reply<'_, data::ProofReport> {
        Box::pin(async move { chain::verify(&self.core, viewer, &proof).await })
    }

    fn publish_proof(&self, proof: Bytes) -> Reply<'_, Written> {
        Box::pin(async move { pay::publish_proof(&self.core, &proof).await })
    }

    fn prove_payment(&self, vote: EntryId, request: ProveRequest) -> Reply<'_, Proved> {
        Box::pin(pay::prove(&self.core, vote, request))
    }

    fn payment_keys(&self) -> Reply<'_, Vec<data::PaymentKey>> {
        Box::pin(async move {
            let keys = pay::own_keys(&self.core).await?.into_iter();
            Ok(keys
                .map(|one| shown_key(one.row, one.key, one.time_ms))
                .collect())
        })
    }

    fn proof(&self, viewer: Viewer, vote: EntryId) -> Reply<'_, Vec<Bytes>> {
        Box::pin(proofs(&self.core, viewer, vote))
    }

    fn batch(&self, request: BatchRequest) -> Reply<'_, data::Batch> {
        Box::pin(pay::plan(&self.core, request))
    }

    fn payment_key(&self) -> Reply<'_, Option<data::PaymentKey>> {
        Box::pin(own_key(&self.core))
    }

    fn publish_payment_key(&self, new: NewPaymentKey) -> Reply<'_, Written> {
        Box::pin(pay::publish_key(&self.core, new))
    }

    fn received(&self) -> Reply<'_, Vec<data::Received>> {
        Box::pin(ready(Ok(received(&self.core))))
    }

    fn chain_status(&self, viewer: Viewer) -> Reply<'_, data::ChainStatus> {
        Box::pin(async move { Ok(chain::status(&self.core, viewer)) })
    }

    fn payment_changes(
        &self,
        viewer: Viewer,
        post: Option<EntryId>,
    ) -> Items<data::PaymentChanged> {
        let follower = Follower {
            core: Arc::clone(&self.core),
            viewer,
            post,
            changes: self.core.payments.changes(),
        };
        stream::unfold(follower, |mut follower| async {
            let next = follower.next().await?;
            Some((next, follower))
        })
        .boxed()
    }
}

/// Paid votes by their ids; those that the viewer may not know are left out.
async fn several(
    core: &Arc<Core>,
    viewer: Viewer,
    votes: Vec<EntryId>,
) -> Result<Vec<data::PaidVote>, NodeError> {
    let node = Arc::clone(core);
    core.store("read paid votes", move |database| {
        let reader = database.read()?;
        let mut shown = Shown::new(&node, &reader, viewer);
        let mut found = Vec::with_capacity(votes.len());
        for vote in votes {
            found.extend(shown.vote(&vote)?);
        }
        Ok::<_, DatabaseError>(found)
    })
    .await
}

async fn one(core: &Arc<Core>, viewer: Viewer, vote: EntryId) -> Result<data::PaidVote, NodeError> {
    let found = several(core, viewer, vec![vote]).await?;
    found.into_iter().next().ok_or_else(|| {
        NodeError::NotFound(format!(
            "nothing is known here of a payment of the vote {vote}"
        ))
    })
}

async fn on_post(
    core: &Arc<Core>,
    viewer: Viewer,
    post: EntryId,
) -> Result<Vec<data::PaidVote>, NodeError> {
    let best = core.payments.index().best_on(&post, VOTES);
    let mut votes: BTreeSet<EntryId> = best.into_iter().collect();
    if viewer.is_owner() {
        votes.extend(core.payments.awaited.with(|state| {
            let offers = state.offers.iter();
            let on_post = offers.filter(|(_, offer)| offer.post == post);
            on_post.map(|(vote, _)| *vote).collect::<Vec<_>>()
        }));
    }
    let mut shown = several(core, viewer, votes.into_iter().collect()).await?;
    shown.sort_by_key(|vote| std::cmp::Reverse((vote.counted_sats, vote.sats, vote.time_ms)));
    shown.truncate(VOTES);
    Ok(shown)
}

async fn own(core: &Arc<Core>) -> Result<Vec<data::PaidVote>, NodeError> {
    let mut offers: Vec<(u64, EntryId)> = core.payments.awaited.with(|state| {
        let offers = state.offers.iter();
        offers
            .map(|(vote, offer)| (offer.offered_ms, *vote))
            .collect()
    });
    offers.sort_by_key(|offer| std::cmp::Reverse(*offer));
    let votes = offers.into_iter().take(VOTES).map(|(_, vote)| vote);
    several(core, Viewer::Owner, votes.collect()).await
}

async fn choices(core: &Arc<Core>, post: EntryId) -> Result<Vec<data::PayChoice>, NodeError> {
    let network = pay::network(&core.payments)?;
    let found = core.store("read whom to pay", move |database| {
        let reader = database.read()?;
        let Some(found) = reader.post(&post, None)? else {
            return Ok(None);
        };
        let board = reader.board(&found.space)?;
        let price = board.as_ref().and_then(|board| board.price_sats);
        let owner = board.map(|board| (PayTo::Board, board.owner));
        let mut authors = Authors::new(&reader);
        let mut choices = Vec::new();
        for (to, identity) in [Some((PayTo::Author, found.author)), owner]
            .into_iter()
            .flatten()
        {
            let has_key = payments::current_key(&reader, &identity, network)?.is_some();
            let price = price.and_then(|sats| u64::try_from(sats).ok());
            choices.push(data::PayChoice {
                to,
                recipient: authors.of(&identity)?,
                has_key,
                price_sats: price.filter(|_| to == PayTo::Board),
                why: (!has_key).then(|| format!("has published no payment key for {network}")),
            });
        }
        Ok::<_, DatabaseError>(Some(choices))
    });
    found.await?.ok_or_else(|| unknown("post", post))
}

/// The bytes of the proofs of a vote, as their rows hold them.
async fn proofs(core: &Arc<Core>, viewer: Viewer, vote: EntryId) -> Result<Vec<Bytes>, NodeError> {
    let node = Arc::clone(core);
    let found = core.store("read proofs", move |database| {
        let (rows, space) = {
            let index = node.payments.index();
            let rows: Vec<EntryId> = index.proofs_of(&vote).map(|(row, _)| *row).collect();
            (rows, index.facts(&vote).map(|facts| facts.space))
        };
        let reader = database.read()?;
        let mut proofs = Vec::new();
        match space {
            Some(space) if may_see(&node, &reader, viewer, &space)? => {}
            _ => return Ok::<_, DatabaseError>(proofs),
        }
        for row in rows {
            let row = reader.row(&row)?;
            if let Some(Ipld::Bytes(bytes)) = row.and_then(|mut row| row.remove("proof")) {
                proofs.push(Bytes::from(bytes));
            }
        }
        Ok(proofs)
    });
    let found = found.await?;
    if found.is_empty() {
        return Err(NodeError::NotFound(format!(
            "no proof of a payment of the vote {vote} is held here"
        )));
    }
    Ok(found)
}

async fn own_key(core: &Arc<Core>) -> Result<Option<data::PaymentKey>, NodeError> {
    let network = pay::network(&core.payments)?;
    let found = pay::own_key(core, network).await?;
    Ok(found.map(|(row, key, time_ms)| shown_key(row, key, time_ms)))
}

fn shown_key(row: EntryId, key: KeyRow, time_ms: u64) -> data::PaymentKey {
    data::PaymentKey {
        row: row.to_string(),
        network: key.network.name().to_owned(),
        key: HEXLOWER.encode(&key.key),
        address: key.address,
        time_ms,
    }
}

/// What the node's person was paid, the newest first.
fn received(core: &Core) -> Vec<data::Received> {
    let me = core.identity;
    let settled = core.payments.settled;
    let index = core.payments.index();
    let mut found = BTreeMap::<_, (Worth, _, _, _, _)>::new();
    for (vote, facts) in index.votes() {
        for (_, proof) in index.proofs_of(vote) {
            let Standing::Sound(sound) = &proof.standing else {
                continue;
            };
            // What cites a block that nobody knows is anybody's invention.
            let is_mine = sound.payee.is_ok_and(|(_, payee)| payee == me);
            if !is_mine || sound.place == Place::Unknown {
                continue;
            }
            let key = (sound.checked.outpoint, *vote);
            let worth = sound.worth();
            let known = found.get(&key);
            if known.is_none_or(|(known, ..)| *known < worth) {
                let (state, _) = proof.standing.told(settled);
                let checked = sound.checked.clone();
                found.insert(key, (worth, facts.time_ms, state, *vote, checked));
            }
        }
    }
    drop(index);
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|(_, time_ms, ..)| std::cmp::Reverse(*time_ms));
    let found = found.into_iter().take(RECEIVED);
    let found = found.map(|(_, _, state, vote, checked)| {
        let tweak = spv::proof::tweak(checked.network, &checked.key, &vote).ok();
        let tweak = tweak.filter(|_| !checked.is_batch);
        data::Received {
            vote: vote.to_string(),
            outpoint: checked.outpoint.to_string(),
            sats: checked.sats,
            network: checked.network.name().to_owned(),
            key: HEXLOWER.encode(&checked.key),
            tweak_hex: tweak.map(|tweak| HEXLOWER.encode(&tweak.to_be_bytes())),
            script_hex: checked.script.to_hex_string(),
            binding: match checked.is_batch {
                true => PaymentBinding::Batch,
                false => PaymentBinding::Address,
            },
            state,
        }
    });
    found.collect()
}

/// Who follows changes.
struct Follower {
    core: Arc<Core>,
    viewer: Viewer,
    post: Option<EntryId>,
    changes: Receiver<Changed>,
}

impl Follower {
    /// The next change that the viewer may know; none when some were missed.
    async fn next(&mut self) -> Option<Result<data::PaymentChanged, NodeError>> {
        loop {
            let changed = self.changes.recv().await.ok()?;
            if self.post.is_some_and(|post| post != changed.facts.post) {
                continue;
            }
            match self.shown(changed).await {
                Ok(None) => {}
                Ok(Some(shown)) => return Some(Ok(shown)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    async fn shown(&self, changed: Changed) -> Result<Option<data::PaymentChanged>, NodeError> {
        let is_owner = self.viewer.is_owner();
        if changed.sum.is_none() && !is_owner {
            return Ok(None);
        }
        let (node, viewer) = (Arc::clone(&self.core), self.viewer);
        self.core
            .store("tell of a payment", move |database| {
                let reader = database.read()?;
                if !may_see(&node, &reader, viewer, &changed.facts.space)? {
                    return Ok(None);
                }
                let shown = Shown::new(&node, &reader, viewer).vote(&changed.vote)?;
                let shown = shown.map(|shown| (shown.state, shown.confirmations));
                let (state, confirmations) = shown.unwrap_or((PaymentState::Unpaid, 0));
                Ok::<_, DatabaseError>(Some(data::PaymentChanged {
                    vote: changed.vote.to_string(),
                    post: changed.facts.post.to_string(),
                    root: changed.facts.root.to_string(),
                    state,
                    confirmations,
                }))
            })
            .await
    }
}
