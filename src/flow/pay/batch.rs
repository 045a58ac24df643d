//! One transaction for many unpaid votes.

use std::{str::FromStr, sync::Arc};

use bitcoin::{Address, OutPoint, ScriptBuf, Transaction};
use data_encoding::HEXLOWER;
use database::DatabaseError;
use gateway::{api::types::BatchRequest, node::NodeError};
use model::EntryId;
use spv::{Network, proof::batch::Batch};
use views::data;

use super::network;
use crate::{
    clock::now_ms,
    core::Core,
    payments::{
        self,
        awaited::{Offer, Planned, PlannedPayee},
        batch::{Coin, Funding, Gathered, Payee, Unpaid, gather, read_address, template},
        offering::Proved,
    },
};

/// Fee where nobody says which, sats for a virtual byte.
const FEE: u64 = 2;

/// Plans a transaction that pays the node's unpaid votes. Its commitment is on disk when this
/// returns, so that it is known again in a block.
///
/// # Errors
/// When there is nothing to pay, or the coins don't suffice.
pub async fn plan(core: &Arc<Core>, request: BatchRequest) -> Result<data::Batch, NodeError> {
    let network = network(&core.payments)?;
    let invalid = |error: &dyn std::fmt::Display| NodeError::Invalid(error.to_string());
    let funding = funding(network, &request)?;
    let (unpaid, mut left_out) = unpaid(core, network).await?;
    let max_votes = request.max_votes.map_or(usize::MAX, |most| most as usize);
    let gathered = gather(network, unpaid, max_votes);
    left_out.extend(gathered.left_out.iter().map(|(vote, why)| data::LeftOut {
        vote: vote.to_string(),
        why: why.to_string(),
    }));
    if gathered.recipients.is_empty() {
        return Err(NodeError::NotFound(match left_out.first() {
            Some(first) => format!("no vote can be paid now; of {}: {}", first.vote, first.why),
            None => "there is no unpaid vote: `datt vote POST up --pay SATS` makes one".to_owned(),
        }));
    }
    let batch = Batch::new(network, &gathered.recipients).map_err(|error| invalid(&error))?;
    let template = template(&batch, &funding).map_err(|error| invalid(&error))?;
    let id = HEXLOWER.encode(batch.commitment());
    remember(core, id.clone(), planned(network, &gathered)).await?;
    Ok(data::Batch {
        id,
        psbt: template.psbt.to_string(),
        outputs: outputs(network, &template.psbt.unsigned_tx),
        votes: gathered.votes().map(|vote| vote.to_string()).collect(),
        total_sats: batch.total_sats(),
        left_out,
    })
}

fn funding(network: Network, request: &BatchRequest) -> Result<Funding, NodeError> {
    let mut coins = Vec::with_capacity(request.inputs.len());
    for input in &request.inputs {
        let outpoint = OutPoint::from_str(&input.outpoint).map_err(|error| {
            NodeError::Invalid(format!("{:?} is no txid:vout: {error}", input.outpoint))
        })?;
        let script = ScriptBuf::from_hex(&input.script_hex).map_err(|error| {
            NodeError::Invalid(format!("the script of {outpoint} is no hex: {error}"))
        })?;
        coins.push(Coin {
            outpoint,
            sats: input.sats,
            script,
        });
    }
    let change = request.change_address.as_deref().map(|text| {
        let address = read_address(network, text);
        address.map_err(|why| {
            NodeError::Invalid(format!("the address {text:?} is none on {network}: {why}"))
        })
    });
    Ok(Funding {
        coins,
        change: change.transpose()?.map(|address| address.script_pubkey()),
        fee_sat_per_vb: request.fee_sat_per_vb.unwrap_or(FEE),
    })
}

/// Own votes with what is still to be paid for them, the oldest first; and those that aren't to be
/// paid.
async fn unpaid(
    core: &Arc<Core>,
    network: Network,
) -> Result<(Vec<Unpaid>, Vec<data::LeftOut>), NodeError> {
    let mut offers: Vec<_> = core.payments.awaited.with(|state| {
        let unpaid = state.offers.iter();
        let unpaid = unpaid.filter(|(_, one)| one.network == network && one.due_sats(0) > 0);
        unpaid.map(|(vote, offer)| (*vote, offer.clone())).collect()
    });
    offers.sort_by_key(|(vote, offer)| (offer.offered_ms, *vote));
    let node = Arc::clone(core);
    core.store("read the recipients' keys", move |database| {
        let reader = database.read()?;
        let (mut unpaid, mut left_out) = (Vec::new(), Vec::new());
        for (vote, offer) in offers {
            if reader.current(&vote)? != Some(vote) {
                left_out.push(left(
                    vote,
                    "you voted again on the same post: it would not count",
                ));
                continue;
            }
            if let Some(txid) = offer.seen.filter(|_| offer.is_underway()) {
                let why = format!(
                    "the transaction {txid} pays it and is in no block yet: should it never come, \
                     `datt pay status {vote} --anyway` asks for the payment anew"
                );
                left_out.push(left(vote, &why));
                continue;
            }
            let proved = offer.proved(&vote, &node.payments.index());
            let due_sats = offer.due_sats(proved.sats());
            if due_sats == 0 {
                left_out.push(left(vote, paid(&offer, &proved)));
                continue;
            }
            let key = payments::current_key(&reader, &offer.recipient, network)?;
            unpaid.push(Unpaid {
                vote,
                sats: due_sats,
                payee: key.map(|(key_row, key)| Payee {
                    key: key.key,
                    key_row,
                    address: key.address,
                }),
            });
        }
        Ok::<_, DatabaseError>((unpaid, left_out))
    })
    .await
}

/// Why nothing is due.
fn paid(offer: &Offer, proved: &Proved) -> &'static str {
    match offer.due_sats(proved.confirmed_sats) {
        0 => "it is paid",
        _ => {
            "it is paid, and others took the place of the block: the transaction is likely to \
             stand in another one soon"
        }
    }
}

fn left(vote: EntryId, why: &str) -> data::LeftOut {
    data::LeftOut {
        vote: vote.to_string(),
        why: why.to_owned(),
    }
}

fn planned(network: Network, gathered: &Gathered) -> Planned {
    let payees = gathered.recipients.iter().map(|one| PlannedPayee {
        script: one.script.clone(),
        key: one.key,
        key_row: one.key_row,
        votes: one.votes.clone(),
    });
    Planned {
        network,
        payees: payees.collect(),
        planned_ms: now_ms(),
    }
}

async fn remember(core: &Arc<Core>, id: String, planned: Planned) -> Result<(), NodeError> {
    let node = Arc::clone(core);
    let act = "note the batch";
    tokio::task::spawn_blocking(move || {
        let awaited = &node.payments.awaited;
        awaited.change(&node.folder, |state| state.plan(id, planned))
    })
    .await
    .map_err(|panic| NodeError::local(act, panic))?
    .map_err(|error| NodeError::local(act, error))?
    .map_err(|refusal| NodeError::Conflict(refusal.to_string()))
}

fn outputs(network: Network, transaction: &Transaction) -> Vec<data::BatchOutput> {
    let outputs = transaction.output.iter();
    let outputs = outputs.map(|output| data::BatchOutput {
        address: Address::from_script(&output.script_pubkey, network.kind())
            .ok()
            .map(|address| address.to_string()),
        script_hex: output.script_pubkey.to_hex_string(),
        sats: output.value.to_sat(),
    });
    outputs.collect()
}
