//! The chain that proofs are held against, and proofs that people bring.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use database::DatabaseError;
use gateway::node::{NodeError, Viewer};
use spv::{
    Network,
    proof::{Binding, Checked, PaymentProof},
};
use views::data::{self, PaymentBinding, PaymentState};

use super::super::authors::may_see;
use crate::{
    clock::now_ms,
    core::Core,
    payments::{
        self,
        facts::{KeyState, VoteFacts},
        proof::{Place, Standing, View, owner_of},
    },
};

/// A tip older than this is behind, seconds: blocks come every ten minutes.
const OLD_S: u64 = 3 * 60 * 60;

/// What the node's chain is and does.
pub(super) fn status(core: &Core, viewer: Viewer) -> data::ChainStatus {
    let payments = &core.payments;
    let Some(network) = payments.network else {
        return data::ChainStatus {
            network: "none".to_owned(),
            settled_at: payments.settled,
            ..data::ChainStatus::default()
        };
    };
    let mut shown = data::ChainStatus {
        network: network.name().to_owned(),
        settled_at: payments.settled,
        awaited: viewer.is_owner().then(|| awaited(core)),
        ..data::ChainStatus::default()
    };
    let Some(spv) = payments.spv() else {
        let failure = core.payments.failure();
        shown.warnings.push(match &failure {
            Some(_) => "the header chain could not be opened: payments are not checked".to_owned(),
            None => "the header chain is being opened".to_owned(),
        });
        shown.last_error = failure.filter(|_| viewer.is_owner());
        return shown;
    };
    let status = spv.status();
    shown.tip = Some(data::ChainTip {
        height: status.tip.height,
        hash: status.tip.hash.to_string(),
        time_s: status.tip.time_s,
        work: HEXLOWER.encode(&status.tip.work.to_be_bytes()),
    });
    shown.peers = status.peers;
    shown.source = status.source.unwrap_or("import").to_owned();
    shown.restarts = status.restarts;
    shown.last_error = status.last_error.clone().filter(|_| viewer.is_owner());
    shown.has_minimum_work = status.has_minimum_work;
    shown.warnings = warnings(network, &status);
    shown
}

fn awaited(core: &Core) -> u32 {
    let unpaid = core.payments.awaited.with(|state| {
        let offers = state.offers.values();
        offers.filter(|offer| offer.found.is_empty()).count()
    });
    u32::try_from(unpaid).unwrap_or(u32::MAX)
}

fn warnings(network: Network, status: &spv::source::Status) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut say = |text: &str| warnings.push(text.to_owned());
    if !status.has_minimum_work {
        say(
            "headers are still being fetched: until they have the work that the true chain is \
             known to have, no payment is called true",
        );
    }
    match status.source {
        None => say(
            "no peers of this network are asked: headers come by `datt chain headers --import \
             FILE` only, and no blocks",
        ),
        Some(_) if status.peers == 0 => say("no peer of this network is connected"),
        Some(_) => {}
    }
    let is_real = network != Network::Regtest;
    if is_real && u64::from(status.tip.time_s) + OLD_S < now_ms() / 1_000 {
        say("the newest block held is hours old: confirmations may be more than shown here");
    }
    if network == Network::Signet {
        say(
            "signet's blocks are signed, and headers don't show the signature: what is proved here \
             is only as good as the peers",
        );
    }
    warnings
}

/// What a proof says, and whether it is so.
pub(super) async fn verify(
    core: &Arc<Core>,
    viewer: Viewer,
    bytes: &[u8],
) -> Result<data::ProofReport, NodeError> {
    let proof = PaymentProof::decode(bytes)
        .map_err(|error| NodeError::Invalid(format!("these bytes are no proof: {error}")))?;
    let mut report = claimed(&proof);
    let checked = match proof.check() {
        Ok(checked) => checked,
        Err(error) => {
            report.state = PaymentState::False;
            report.why = Some(error.to_string());
            return Ok(report);
        }
    };
    report.sats = checked.sats;
    report.outpoint = checked.outpoint.to_string();
    let (vote, key_row) = (checked.vote, checked.key_row);
    let node = Arc::clone(core);
    let (facts, key) = core
        .store("read the vote", move |database| {
            let reader = database.read()?;
            let facts = match payments::vote_facts(&reader, &vote)? {
                Some(facts) if may_see(&node, &reader, viewer, &facts.space)? => Some(facts),
                _ => None,
            };
            Ok::<_, DatabaseError>((facts, payments::key_state(&reader, &key_row)?))
        })
        .await?;
    judge(core, &mut report, checked, facts, &key);
    Ok(report)
}

fn claimed(proof: &PaymentProof) -> data::ProofReport {
    data::ProofReport {
        network: proof.network.name().to_owned(),
        vote: proof.vote.to_string(),
        key: HEXLOWER.encode(&proof.key),
        key_row: proof.key_row.to_string(),
        binding: match proof.binding {
            Binding::Address => PaymentBinding::Address,
            Binding::Batch(_) => PaymentBinding::Batch,
        },
        block: proof.block.to_string(),
        ..data::ProofReport::default()
    }
}

/// By the rows and headers held here. Where the vote isn't held, by the headers alone.
fn judge(
    core: &Core,
    report: &mut data::ProofReport,
    checked: Checked,
    facts: Option<VoteFacts>,
    key: &KeyState,
) {
    let settled = core.payments.settled;
    // Who is named was paid: by the very key, and script, that they publish.
    if let Ok(Ok(owner)) = owner_of(&checked, key) {
        report.recipient = Some(owner.to_string());
    }
    let mut standing = match &facts {
        Some(facts) => Standing::new(checked.vote, facts, Ok(checked.clone()), key),
        None => Standing::alone(checked.clone(), key),
    };
    core.payments.view(|view| {
        standing.judge(view);
        if let View::Chain(chain) | View::Young(chain) = view
            && let Some(height) = chain.height_of(&checked.block)
        {
            report.height = Some(height);
        }
    });
    report_on(report, &standing, settled);
}

fn report_on(report: &mut data::ProofReport, standing: &Standing, settled: u32) {
    (report.state, report.why) = standing.told(settled);
    if let Standing::Sound(sound) = standing
        && let Place::Confirmed { confirmations, .. } = sound.place
    {
        report.confirmations = confirmations;
        // Whose key it is doesn't change what was paid to it: why that isn't known is still said.
        report.state = if confirmations >= settled {
            PaymentState::Settled
        } else {
            PaymentState::Confirmed
        };
    }
}
