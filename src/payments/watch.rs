//! Reads blocks while payments are awaited, makes their proofs and publishes them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bitcoin::{Block, BlockHash, OutPoint, Transaction, consensus::encode::deserialize_hex};
use database::DatabaseError;
use gateway::node::NodeError;
use model::{EntryId, SpaceId};
use spv::{
    chain::HeaderChain,
    source::{BlockError, Spv},
};
use tokio::{
    sync::{broadcast::error::RecvError, oneshot},
    time::{Instant, sleep, timeout},
};

use super::{
    awaited::{Found, Offer, State},
    proof::Worth,
    reading::Reading,
    run::{WARNING, tell_offers},
    scan::scan,
};
use crate::{clock::now_ms, core::Core, flow, service::rows};

/// After a block that nobody brought, and after a failure of this machine.
const AGAIN: Duration = Duration::from_secs(20);
/// Without anything new, a look all the same.
const IDLE: Duration = Duration::from_secs(600);
/// Transactions that no block has are announced again after so long: the light client hands them on
/// for an hour.
const ANNOUNCED: Duration = Duration::from_secs(3_000);
/// Blocks after which it is written down how far they were read.
const SAVED: u32 = 16;

/// Runs until the node stops; begins once the rows are read, so as to know which it published.
pub(super) async fn run(core: &Arc<Core>, rows_read: oneshot::Receiver<()>) {
    let Some(spv) = core.payments.spv() else {
        return;
    };
    let mut changes = spv.changes();
    if rows_read.await.is_err() {
        return;
    }
    let mut announced: Option<Instant> = None;
    loop {
        if announced.is_none_or(|at| at.elapsed() >= ANNOUNCED) {
            announced = announce(core, spv).await.then(Instant::now);
        }
        let longest = announced.map_or(AGAIN, |_| IDLE);
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
            () = sleep(pause.min(longest)) => {}
        }
    }
}

/// Hands the network what was handed in, as long as no block has it: the node may have stopped
/// before anybody took it. False when the light client took not all of them.
async fn announce(core: &Core, spv: &Spv) -> bool {
    let mut is_all = true;
    for text in core.payments.awaited.state().unmined() {
        let transaction: Transaction = match deserialize_hex(text) {
            Ok(transaction) => transaction,
            Err(error) => {
                tracing::error!(%error, "a transaction in payments.json is none");
                continue;
            }
        };
        let txid = transaction.compute_txid();
        // On the light client's list at once; who takes it is of no matter here.
        match timeout(Duration::ZERO, spv.submit(transaction)).await {
            Ok(Err(error)) => {
                tracing::debug!(%txid, %error, "a transaction is not announced yet");
                is_all = false;
            }
            Ok(Ok(_)) | Err(_) => tracing::debug!(%txid, "a transaction is announced again"),
        }
    }
    is_all
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
        node.payments.awaited.change(&node.folder, |state| {
            let chain = spv.chain();
            chain.has_minimum_work().then(|| change(state, &chain))
        })
    });
    done.await
        .map_err(|panic| NodeError::local(act, panic))?
        .map_err(|error| NodeError::local(act, error))
}

/// One look: steps back after a reorganisation, reads what is to be read, publishes what is proved.
async fn round(core: &Arc<Core>) -> Result<Duration, NodeError> {
    let settled = core.payments.settled;
    let lost = change(core, "follow the chain", move |state, chain| {
        state.settle_heights(chain, now_ms());
        let lost = step_back(state, chain);
        let tip = chain.tip().height;
        state.drop_given(|height| tip.saturating_sub(height) + 1 >= settled);
        lost
    })
    .await?;
    tell_offers(core, lost.unwrap_or_default()).await;
    let read = read(core).await;
    publish(core).await;
    read
}

/// Payments whose block is gone are looked for again.
pub(super) fn step_back(state: &mut State, chain: &HeaderChain) -> BTreeSet<EntryId> {
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
                // It may be mined again: until the person says otherwise nobody pays it twice.
                offer.seen.get_or_insert(found.outpoint.txid);
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

fn next(core: &Core) -> Option<Step> {
    let spv = core.payments.spv()?;
    let now_ms = now_ms();
    let awaited = &core.payments.awaited;
    let state = awaited.state();
    let budget_bytes = core.config.payments.block_bytes_per_day;
    let chain = spv.chain();
    if !chain.has_minimum_work() {
        return None;
    }
    let network = chain.network();
    let is_read_for = |offer: &Offer| {
        let is_placed = offer.network == network && offer.from_height.is_some();
        is_placed && offer.is_looked_for(now_ms)
    };
    if !state.offers.values().any(is_read_for) {
        return Some(Step::Nothing(IDLE));
    }
    if !state.reading.stands_on(&chain) {
        // Blocks that were read are gone: the next round steps back first.
        return Some(Step::Nothing(Duration::ZERO));
    }
    let Some((height, hash)) = state.reading.next(&chain) else {
        return Some(Step::Nothing(IDLE));
    };
    Some(match state.reading.is_spent(budget_bytes, now_ms) {
        true => Step::Spent,
        false => Step::Block(height, hash),
    })
}

async fn read(core: &Arc<Core>) -> Result<Duration, NodeError> {
    let mut count = 0;
    let done = loop {
        let (height, hash) = match next(core) {
            None => break Ok(IDLE),
            Some(Step::Nothing(pause)) => {
                core.warn(WARNING, None);
                break Ok(pause);
            }
            Some(Step::Spent) => {
                warn_spent(core);
                break Ok(Duration::from_millis(Reading::rest_of_day_ms(now_ms())));
            }
            Some(Step::Block(height, hash)) => (height, hash),
        };
        match take_block(core, height, hash).await {
            Ok(true) => {}
            Ok(false) => break Ok(AGAIN),
            Err(error) => break Err(error),
        }
        count += 1;
        if count % SAVED == 0 {
            save(core).await?;
        }
    };
    if count > 0 {
        save(core).await?;
    }
    done
}

fn warn_spent(core: &Core) {
    let text = "payments are awaited, and today's budget of blocks is used up \
                (payments.block_bytes_per_day): proofs wait until tomorrow";
    core.warn(WARNING, Some(text.to_owned()));
}

/// Writes down how far blocks were read.
async fn save(core: &Arc<Core>) -> Result<(), NodeError> {
    let saved = change(core, "note how far blocks were read", |_, _| ());
    saved.await.map(drop)
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
    let size_bytes = block.total_size() as u64;
    let payments = tokio::task::spawn_blocking({
        let node = Arc::clone(core);
        move || payments_in(&node, &block, height)
    });
    let payments = payments
        .await
        .map_err(|panic| NodeError::local("look for payments in a block", panic))?;
    if !payments.is_empty() {
        let noted = change(core, "note payments", move |state, _| {
            note(state, &hash, payments)
        });
        tell_offers(core, noted.await?.unwrap_or_default()).await;
    }
    // What the block pays is on disk: it is not read again.
    let awaited = &core.payments.awaited;
    awaited.pass(|reading| reading.read(height, hash, size_bytes, now_ms()));
    Ok(true)
}

/// What a block pays that is awaited.
fn payments_in(core: &Core, block: &Block, height: u32) -> Vec<(EntryId, Found)> {
    let Some(network) = core.payments.network else {
        return Vec::new();
    };
    let (hash, now_ms) = (block.block_hash(), now_ms());
    let awaited = &core.payments.awaited;
    let state = awaited.state();
    let wanted = awaited.wanted(&state, network, |offer| {
        offer.is_looked_for(now_ms) || offer.needs_proof_of(&hash)
    });
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut payments = Vec::new();
    for payment in scan(&state, &wanted, block, height) {
        match payment {
            Ok(payment) => payments.push(payment),
            Err(error) => tracing::warn!(%hash, %error, "an awaited payment can't be proved"),
        }
    }
    payments
}

/// Notes what a block pays. The votes that stand otherwise then.
fn note(
    state: &mut State,
    block: &BlockHash,
    payments: Vec<(EntryId, Found)>,
) -> BTreeSet<EntryId> {
    let mut votes = BTreeSet::new();
    for (vote, found) in payments {
        if found.block == *block
            && let Some(offer) = state.offers.get_mut(&vote)
            && offer.note(found)
        {
            votes.insert(vote);
        }
    }
    votes
}

/// A payment whose proof is due.
struct Due {
    vote: EntryId,
    space: SpaceId,
    root: EntryId,
    found: Found,
}

/// A payment, and the own row that proves it.
type Proved = (EntryId, OutPoint, EntryId);

/// Publishes the proofs of payments that are deep enough.
async fn publish(core: &Arc<Core>) {
    let mut proved = Vec::new();
    let mut unmade = BTreeSet::new();
    for due in due(core) {
        let (vote, block) = (due.vote, (due.found.height, due.found.block));
        // One that can't be published holds up none of the others.
        match publish_one(core, due).await {
            Ok(Some(row)) => proved.push(row),
            Ok(None) => {
                unmade.insert(block);
            }
            Err(error) => {
                tracing::warn!(%vote, %error, "the proof of a payment is not published");
            }
        }
    }
    if !proved.is_empty() {
        note_proved(core, proved).await;
    }
    for (height, hash) in unmade {
        if let Err(error) = make_again(core, height, hash).await {
            tracing::warn!(%hash, %error, "the proof of a payment is not made again");
        }
    }
}

/// The own row that proves a payment; none where the proof has to be made again.
async fn publish_one(core: &Arc<Core>, due: Due) -> Result<Option<Proved>, NodeError> {
    let Due { vote, found, .. } = due;
    let row = match (own_row(core, vote, found.outpoint).await?, &found.proof) {
        (Some(row), _) => row,
        (None, Some(proof)) => {
            let row = rows::payment(vote, proof);
            flow::sign::write(core, due.space, Some(due.root), "payment", row).await?
        }
        (None, None) => return Ok(None),
    };
    tracing::info!(%vote, %row, "a payment is proved");
    Ok(Some((vote, found.outpoint, row)))
}

/// Everybody's rows that prove a payment, on the chain as it is.
pub(crate) fn proving_rows(core: &Core, vote: EntryId, outpoint: OutPoint) -> Vec<EntryId> {
    let index = core.payments.index();
    let proofs = index.proofs_of(&vote).filter(|(_, proof)| {
        proof.standing.worth() == Worth::Confirmed && proof.standing.outpoint() == Some(outpoint)
    });
    proofs.map(|(row, _)| *row).collect()
}

/// The row of the node's person that proves a payment. Those of others may be taken back by them.
pub(crate) async fn own_row(
    core: &Arc<Core>,
    vote: EntryId,
    outpoint: OutPoint,
) -> Result<Option<EntryId>, NodeError> {
    let rows = proving_rows(core, vote, outpoint);
    if rows.is_empty() {
        return Ok(None);
    }
    let me = core.identity;
    core.store("read who published a proof", move |database| {
        let reader = database.read()?;
        for row in rows {
            if reader
                .state(&row)?
                .is_some_and(|state| state.identity == me)
            {
                return Ok(Some(row));
            }
        }
        Ok::<_, DatabaseError>(None)
    })
    .await
}

/// All at once: the list is written once, however many a batch pays.
async fn note_proved(core: &Arc<Core>, proved: Vec<Proved>) {
    let noted = change(core, "note proofs", move |state, _| {
        for (vote, outpoint, row) in proved {
            let offer = state.offers.get_mut(&vote);
            let found = offer.into_iter().flat_map(|offer| &mut offer.found);
            for found in found.filter(|one| one.outpoint == outpoint) {
                found.row = Some(row);
            }
        }
    });
    if let Err(error) = noted.await {
        // They are found among the rows the next time.
        tracing::warn!(%error, "it is not noted which payments are proved");
    }
}

/// Proofs aren't kept over restarts: their block makes them again. Once, and within the budget.
async fn make_again(core: &Arc<Core>, height: u32, hash: BlockHash) -> Result<(), NodeError> {
    let budget_bytes = core.config.payments.block_bytes_per_day;
    let reading = &core.payments.awaited.state().reading;
    if reading.is_spent(budget_bytes, now_ms()) {
        warn_spent(core);
        return Ok(());
    }
    if !take_block(core, height, hash).await? {
        return Ok(());
    }
    let made = change(core, "note proofs", move |state, _| {
        let mut is_any = false;
        let found = state.offers.values_mut().flat_map(|offer| &mut offer.found);
        for found in found.filter(|one| one.block == hash && one.row.is_none()) {
            found.is_unprovable = found.proof.is_none();
            is_any |= found.proof.is_some();
        }
        is_any
    });
    if made.await? == Some(true) {
        core.payments.look.notify_one();
    } else {
        tracing::warn!(%hash, "a payment's block doesn't give its proof any more");
    }
    Ok(())
}

fn due(core: &Core) -> Vec<Due> {
    let least = core.config.payments.publish_confirmations;
    let Some(spv) = core.payments.spv() else {
        return Vec::new();
    };
    let state = core.payments.awaited.state();
    let chain = spv.chain();
    let tip = chain.tip().height;
    let is_due = |found: &&Found| {
        let height = chain.height_of(&found.block);
        found.row.is_none()
            && !found.is_unprovable
            && height.is_some_and(|height| tip.saturating_sub(height) + 1 >= least)
    };
    let mut due = Vec::new();
    for (vote, offer) in &state.offers {
        due.extend(offer.found.iter().filter(is_due).map(|found| Due {
            vote: *vote,
            space: offer.space,
            root: offer.root,
            found: found.clone(),
        }));
    }
    due
}
