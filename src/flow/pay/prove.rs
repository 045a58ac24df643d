//! prove: payments of a vote that a block holds, whoever made them.
//!
//! The payer's node proves what it awaited. What it did not, its recipient or anybody else proves
//! here: an address follows from key and vote, so that a block says by itself what paid it. A batch
//! is known to its payer only.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bitcoin::{Block, BlockHash, ScriptBuf};
use database::DatabaseError;
use gateway::{
    api::types::{ProveRequest, Proved, ProvedPayment},
    node::NodeError,
};
use model::EntryId;
use spv::{
    Network,
    proof::{Binding, Claim, PaymentProof, ProveError, address_script, commitments},
    source::{BlockError, Spv},
};
use tokio::time::timeout;
use views::data::PaymentState;

use super::{network, publish_proof};
use crate::{
    core::Core,
    payments::{
        self,
        facts::{KeyState, VoteFacts},
        proof::{Place, Standing},
        published::{Published, keys_ever},
    },
};

/// How long an answer waits for the block.
const FETCHED: Duration = Duration::from_secs(15);
/// Payments of a vote that are proved from one block: of more, the highest.
const PAYMENTS: usize = 16;

/// Proves what a block paid a vote by its address, and publishes the proofs unless told not to.
///
/// # Errors
/// When the vote, a key of its recipients or the block isn't known here, or nothing there pays it.
pub async fn prove(
    core: &Arc<Core>,
    vote: EntryId,
    request: ProveRequest,
) -> Result<Proved, NodeError> {
    let network = network(&core.payments)?;
    let spv = chain(core, network)?;
    let (facts, keys) = payable(core, vote, network).await?;
    let (height, hash) = place(spv, &request.block)?;
    let block = fetch(spv, hash).await?;
    let published = keys.clone();
    let made = tokio::task::spawn_blocking(move || scan(&block, vote, &published)).await;
    let made = made.map_err(|panic| NodeError::local("look through the block", panic))?;
    let proofs = paying(made, vote, hash, keys.len())?;
    let mut proved = Proved {
        network: network.name().to_owned(),
        block: hash.to_string(),
        height,
        payments: Vec::new(),
    };
    for proof in proofs {
        let mut shown = judge(core, vote, &facts, &keys, &proof)?;
        if !request.unpublished {
            shown.row = Some(publish_proof(core, &shown.proof).await?.id);
        }
        proved.payments.push(shown);
    }
    Ok(proved)
}

/// The light client, where it has enough headers to judge by.
fn chain(core: &Core, network: Network) -> Result<&Spv, NodeError> {
    let spv = core.payments.spv().ok_or_else(|| {
        NodeError::Unavailable(format!(
            "the header chain of {network} is not open: see `datt chain status`"
        ))
    })?;
    if !spv.chain().has_minimum_work() {
        return Err(NodeError::Unavailable(format!(
            "this node is still fetching the block headers of {network}: prove it once they are \
             there, see `datt chain status`"
        )));
    }
    Ok(spv)
}

/// The vote, and every key by which it may have been paid.
async fn payable(
    core: &Arc<Core>,
    vote: EntryId,
    network: Network,
) -> Result<(VoteFacts, Vec<Published>), NodeError> {
    let read = core.store("read the vote", move |database| {
        let reader = database.read()?;
        let Some(facts) = payments::vote_facts(&reader, &vote)? else {
            return Ok(None);
        };
        let recipients: BTreeSet<_> = [facts.author].into_iter().chain(facts.owner).collect();
        let mut keys = Vec::new();
        for recipient in recipients {
            keys.extend(keys_ever(&reader, &recipient)?);
        }
        keys.retain(|one| one.key.network == network);
        Ok::<_, DatabaseError>(Some((facts, keys)))
    });
    let (facts, keys) = read.await?.ok_or_else(|| {
        NodeError::NotFound(format!(
            "the vote {vote} is not held here: join its board first"
        ))
    })?;
    if keys.is_empty() {
        return Err(NodeError::NotFound(format!(
            "no payment key for {network} is held here, neither of the post's author nor of the \
             board's owner: follow them, so that what they published comes here"
        )));
    }
    Ok((facts, keys))
}

/// Height and hash of a block that is named by either.
fn place(spv: &Spv, text: &str) -> Result<(u32, BlockHash), NodeError> {
    let chain = spv.chain();
    let text = text.trim();
    if let Ok(height) = text.parse::<u32>() {
        let hash = chain.hash(height);
        return hash.map(|hash| (height, hash)).ok_or_else(|| {
            NodeError::NotFound(format!(
                "there is no block {height} here: the header chain ends at {}",
                chain.tip().height
            ))
        });
    }
    let hash: BlockHash = text.parse().map_err(|_| {
        NodeError::Invalid(
            "a block is named by its height, or by its hash of 64 hexadecimal digits".to_owned(),
        )
    })?;
    let height = chain.height_of(&hash).ok_or_else(|| {
        NodeError::NotFound(format!(
            "the block {hash} is not on the chain with the most work, as far as it is known here: \
             it ends at {}",
            chain.tip().height
        ))
    })?;
    Ok((height, hash))
}

async fn fetch(spv: &Spv, hash: BlockHash) -> Result<Block, NodeError> {
    let fetched = timeout(FETCHED, spv.block(hash)).await;
    let late = || NodeError::NotHeld {
        what: format!("the block {hash}"),
        ways: vec!["ask again; see that payments.peers can be reached".to_owned()],
    };
    fetched.map_err(|_| late())?.map_err(|error| match error {
        BlockError::Unknown(_) => NodeError::Conflict(format!(
            "the block {hash} was replaced just now: look where the payment is mined next"
        )),
        BlockError::Deadline { .. } => late(),
        error => NodeError::Unavailable(format!("the block {hash} is not to be had: {error}")),
    })
}

/// Proofs of all outputs of a block that pay a vote by its address, by any of these keys.
fn scan(block: &Block, vote: EntryId, keys: &[Published]) -> Vec<Result<PaymentProof, ProveError>> {
    let mut scripts = BTreeMap::<ScriptBuf, &Published>::new();
    for one in keys {
        if let Ok(script) = address_script(one.key.network, &one.key.key, &vote) {
            // The newest row of several with the same key.
            scripts.entry(script).or_insert(one);
        }
    }
    let mut found = Vec::new();
    // The first transaction makes new coins: it pays nobody.
    for (index, transaction) in block.txdata.iter().enumerate().skip(1) {
        let paid = (0..).zip(&transaction.output).filter_map(|(vout, output)| {
            let published = scripts.get(&output.script_pubkey)?;
            Some((output.value, vout, *published))
        });
        let mut paid = paid.peekable();
        if paid.peek().is_some() && commitments(transaction).is_empty() {
            found.extend(paid.map(|(value, vout, published)| (value, index, vout, published)));
        }
    }
    found.sort_by_key(|(value, ..)| std::cmp::Reverse(*value));
    found.truncate(PAYMENTS);
    let proofs = found.into_iter().map(|(_, index, vout, published)| {
        let claim = Claim {
            network: published.key.network,
            vote,
            key: published.key.key,
            key_row: published.row,
            vout,
            binding: Binding::Address,
        };
        spv::proof::prove(block, index, claim)
    });
    proofs.collect()
}

/// The proofs that could be made, if any.
fn paying(
    made: Vec<Result<PaymentProof, ProveError>>,
    vote: EntryId,
    block: BlockHash,
    keys: usize,
) -> Result<Vec<PaymentProof>, NodeError> {
    let mut proofs = Vec::new();
    let mut refusal = None;
    for one in made {
        match one {
            Ok(proof) => proofs.push(proof),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        _ if !proofs.is_empty() => Ok(proofs),
        Some(error) => Err(NodeError::NotVerified(format!(
            "the block {block} pays the vote {vote}, and that can't be proved: {error}"
        ))),
        None => Err(NodeError::NotFound(format!(
            "nothing in the block {block} pays the vote {vote} by its address, by any of the {keys} \
             keys that its recipients published; a payment in a batch is proved by its payer's \
             node only"
        ))),
    }
}

/// What a proof shows, by the rows and headers held here.
fn judge(
    core: &Core,
    vote: EntryId,
    facts: &VoteFacts,
    keys: &[Published],
    proof: &PaymentProof,
) -> Result<ProvedPayment, NodeError> {
    let refuse = |why: String| NodeError::NotVerified(why);
    let checked = proof.check().map_err(|error| refuse(error.to_string()))?;
    let published = keys.iter().find(|one| one.row == checked.key_row);
    let key = published.map_or(KeyState::Absent, |one| KeyState::Key(one.key.clone()));
    let mut standing = Standing::new(vote, facts, Ok(checked.clone()), &key);
    core.payments.view(|view| standing.judge(view));
    let (state, why) = standing.told(core.payments.settled);
    let (PaymentState::Confirmed | PaymentState::Settled, Standing::Sound(sound)) =
        (state, &standing)
    else {
        return Err(refuse(why.unwrap_or_default()));
    };
    let Place::Confirmed { confirmations, .. } = sound.place else {
        return Err(refuse(why.unwrap_or_default()));
    };
    Ok(ProvedPayment {
        outpoint: checked.outpoint.to_string(),
        sats: checked.sats,
        recipient: published.map_or_else(String::new, |one| one.key.identity.to_string()),
        key_row: checked.key_row.to_string(),
        confirmations,
        proof: proof.encode(),
        row: None,
    })
}

#[cfg(test)]
mod tests;
