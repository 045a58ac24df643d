//! Reads blocks while payments are awaited, makes their proofs and publishes them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bitcoin::BlockHash;
use gateway::node::NodeError;
use model::EntryId;
use spv::{chain::HeaderChain, source::BlockError};
use tokio::{sync::broadcast::error::RecvError, time::sleep};

use super::{
    awaited::{Found, Offer, State},
    reading::Reading,
    run::{WARNING, tell_offers},
    scan::scan,
};
use crate::{clock::now_ms, core::Core, flow, service::rows};

/// After a block that nobody brought, and after a failure of this machine.
const AGAIN: Duration = Duration::from_secs(20);
/// Without anything new, a look all the same.
const IDLE: Duration = Duration::from_secs(600);

/// Runs until the node stops.
pub(super) async fn run(core: &Arc<Core>) {
    let Some(spv) = core.payments.spv() else {
        return;
    };
    let mut changes = spv.changes();
    loop {
        let pause = match round(core).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "awaited payments could not be looked for");
                AGAIN
            }
        };
        tokio::select! {
            change = changes.recv() => match change {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            () = core.payments.look.notified() => {}
            () = sleep(pause) => {}
        }
    }
}

/// Changes what is awaited by the chain as it is now.
async fn change<T: Send + 'static>(
    core: &Arc<Core>,
    act: &'static str,
    change: impl FnOnce(&mut State, &HeaderChain) -> T + Send + 'static,
) -> Result<Option<T>, NodeError> {
    let node = Arc::clone(core);
    let done = tokio::task::spawn_blocking(move || {
        let Some(spv) = node.payments.spv() else {
            return Ok(None);
        };
        let mut answer = None;
        let written = node.payments.awaited.change(&node.folder, |state| {
            let chain = spv.chain();
            if chain.has_minimum_work() {
                answer = Some(change(state, &chain));
            }
        });
        written.map(|()| answer)
    });
    done.await
        .map_err(|panic| NodeError::local(act, panic))?
        .map_err(|error| NodeError::local(act, error))
}

/// One look: steps back after a reorganisation, reads what is to be read, publishes what is proved.
async fn round(core: &Arc<Core>) -> Result<Duration, NodeError> {
    let lost = change(core, "follow the chain", |state, chain| {
        step_back(state, chain)
    })
    .await?;
    tell_offers(core, lost.unwrap_or_default()).await;
    let read = read(core).await;
    publish(core).await;
    read
}

/// Payments whose block is gone are looked for again.
fn step_back(state: &mut State, chain: &HeaderChain) -> BTreeSet<EntryId> {
    state.reading.follow(chain);
    let mut lost = BTreeSet::new();
    let network = chain.network();
    for (vote, offer) in &mut state.offers {
        if offer.network != network {
            continue;
        }
        let reading = &mut state.reading;
        offer.found.retain(|found| {
            let stands = chain.height_of(&found.block).is_some();
            if !stands {
                reading.look_again_from(found.height);
                lost.insert(*vote);
            }
            stands
        });
    }
    lost
}

/// What is to be read next, and until when nothing is.
enum Step {
    Block(u32, BlockHash),
    Nothing(Duration),
    Spent,
}

fn next(state: &mut State, chain: &HeaderChain, budget_bytes: u64) -> Step {
    let now_ms = now_ms();
    let network = chain.network();
    let looked_for = |offer: &&Offer| offer.network == network && offer.is_looked_for(now_ms);
    let since_ms = state.offers.values().filter(looked_for);
    let Some(since_ms) = since_ms.map(|offer| offer.offered_ms).min() else {
        return Step::Nothing(IDLE);
    };
    let Some((height, hash)) = state.reading.next(chain, since_ms) else {
        return Step::Nothing(IDLE);
    };
    if state.reading.is_spent(budget_bytes, now_ms) {
        return Step::Spent;
    }
    Step::Block(height, hash)
}

async fn read(core: &Arc<Core>) -> Result<Duration, NodeError> {
    let budget_bytes = core.config.payments.block_bytes_per_day;
    loop {
        let step = change(core, "read blocks", move |state, chain| {
            next(state, chain, budget_bytes)
        });
        let (height, hash) = match step.await? {
            None => return Ok(IDLE),
            Some(Step::Nothing(pause)) => {
                core.warn(WARNING, None);
                return Ok(pause);
            }
            Some(Step::Spent) => {
                let text = "payments are awaited, and today's budget of blocks is used up \
                            (payments.block_bytes_per_day): proofs wait until tomorrow";
                core.warn(WARNING, Some(text.to_owned()));
                return Ok(Duration::from_millis(Reading::rest_of_day_ms(now_ms())));
            }
            Some(Step::Block(height, hash)) => (height, hash),
        };
        if !take_block(core, height, hash).await? {
            return Ok(AGAIN);
        }
    }
}

/// Fetches a block and notes what it pays. False when it wasn't to be had.
async fn take_block(core: &Arc<Core>, height: u32, hash: BlockHash) -> Result<bool, NodeError> {
    let Some(spv) = core.payments.spv() else {
        return Ok(false);
    };
    let block = match spv.block(hash).await {
        Ok(block) => block,
        // The chain moved on: the next look reads the block that stands there now.
        Err(BlockError::Unknown(_)) => return Ok(false),
        Err(error) => {
            tracing::warn!(%hash, %error, "a block is missing, awaited payments can't be found");
            let text = format!(
                "payments are awaited, and block {hash} is not to be had: {error}; \
                 see that payments.peers can be reached"
            );
            core.warn(WARNING, Some(text));
            return Ok(false);
        }
    };
    let noted = change(core, "note payments", move |state, chain| {
        let wanted = state.wanted(chain.network(), |_| true);
        let size_bytes = block.total_size() as u64;
        let mut votes = BTreeSet::new();
        for payment in scan(state, &wanted, &block, height) {
            match payment {
                Ok((vote, found)) => {
                    let offer = state.offers.get_mut(&vote);
                    if offer.is_some_and(|offer| offer.note(found)) {
                        votes.insert(vote);
                    }
                }
                Err(error) => {
                    tracing::warn!(%hash, %error, "an awaited payment can't be proved");
                }
            }
        }
        state.reading.read(height, hash, size_bytes, now_ms());
        votes
    });
    tell_offers(core, noted.await?.unwrap_or_default()).await;
    Ok(true)
}

/// A payment whose proof is due.
struct Due {
    vote: EntryId,
    offer: Offer,
    found: Found,
}

/// Publishes the proofs of payments that are deep enough.
async fn publish(core: &Arc<Core>) {
    for due in due(core) {
        let vote = due.vote;
        // One that can't be published holds up none of the others.
        if let Err(error) = publish_one(core, due).await {
            tracing::warn!(%vote, %error, "the proof of a payment is not published");
        }
    }
}

async fn publish_one(core: &Arc<Core>, due: Due) -> Result<(), NodeError> {
    let Due { vote, offer, found } = due;
    let outpoint = found.outpoint;
    let known = core.payments.index().proved_by(&vote, &outpoint).copied();
    let row = match (known, &found.proof) {
        // Of this node or of another.
        (Some(row), _) => row,
        (None, Some(proof)) => {
            let row = rows::payment(vote, proof);
            flow::sign::write(core, offer.space, Some(offer.root), "payment", row).await?
        }
        (None, None) => {
            // Proofs aren't kept over restarts: the block makes it again.
            if take_block(core, found.height, found.block).await? {
                core.payments.look.notify_one();
            }
            return Ok(());
        }
    };
    tracing::info!(%vote, %row, "a payment is proved");
    change(core, "note a proof", move |state, _| {
        let offer = state.offers.get_mut(&vote);
        let found = offer.into_iter().flat_map(|offer| &mut offer.found);
        for found in found.filter(|one| one.outpoint == outpoint) {
            found.row = Some(row);
        }
    })
    .await?;
    Ok(())
}

fn due(core: &Core) -> Vec<Due> {
    let least = core.config.payments.publish_confirmations;
    let Some(spv) = core.payments.spv() else {
        return Vec::new();
    };
    let is_deep = |found: &Found| {
        let chain = spv.chain();
        let tip = chain.tip().height;
        let height = chain.height_of(&found.block);
        height.is_some_and(|height| tip.saturating_sub(height) + 1 >= least)
    };
    core.payments.awaited.with(|state| {
        let mut due = Vec::new();
        for (vote, offer) in &state.offers {
            let found = offer.found.iter().filter(|found| found.row.is_none());
            due.extend(found.filter(|found| is_deep(found)).map(|found| Due {
                vote: *vote,
                offer: offer.clone(),
                found: found.clone(),
            }));
        }
        due
    })
}
