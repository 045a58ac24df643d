//! `datt pay verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use gateway::api::types::{ProofBytes, ProofRequest};
use http::Method;
use model::EntryId;
use views::{
    amount::count,
    data::{PaymentBinding, PaymentState, ProofReport},
};

use super::{
    MEANING, handed,
    proof::{self, Judged},
};
use crate::{
    commands::{
        client::Client,
        failure::{CommandError, DONE, NOT_VERIFIED},
        outcome::Outcome,
        words::line,
    },
    config::Payments,
};

#[derive(Debug, Args)]
pub(in crate::commands) struct VerifyArgs {
    /// File with a proof (its bytes, base64 or hex; - for stdin), or a vote whose proofs the
    /// running node has
    #[arg(value_name = "FILE|VOTE")]
    proof: String,
    /// File with headers, instead of those in the data folder
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,
}

pub(super) async fn run(data: &Path, args: &VerifyArgs) -> Result<Outcome, CommandError> {
    let path = Path::new(&args.proof);
    match args.proof.parse::<EntryId>() {
        Ok(vote) if !path.exists() => of_vote(data, vote).await,
        _ => {
            let proof = proof::read(path)?;
            let judged = proof::judge(data, args.headers.as_deref(), &proof)?;
            let report = report(&judged);
            Ok(Outcome::new(describe(&report, Some(&judged)), &report))
        }
    }
}

fn report(judged: &Judged) -> ProofReport {
    let checked = &judged.checked;
    let confirmations = judged.confirmed.confirmations;
    let settled = Payments::default().settled_confirmations;
    ProofReport {
        state: if confirmations >= settled {
            PaymentState::Settled
        } else {
            PaymentState::Confirmed
        },
        why: None,
        network: checked.network.to_string(),
        vote: checked.vote.to_string(),
        key: data_encoding::HEXLOWER.encode(&checked.key),
        key_row: checked.key_row.to_string(),
        recipient: None,
        binding: if checked.is_batch {
            PaymentBinding::Batch
        } else {
            PaymentBinding::Address
        },
        sats: checked.sats,
        outpoint: checked.outpoint.to_string(),
        block: checked.block.to_string(),
        height: Some(judged.confirmed.height),
        confirmations,
    }
}

/// The proofs that the running node has of a vote, judged by the node.
async fn of_vote(data: &Path, vote: EntryId) -> Result<Outcome, CommandError> {
    let client = Client::of_folder(data)?;
    let proofs = handed::held(&client, vote).await?;
    let mut reports: Vec<ProofReport> = Vec::with_capacity(proofs.len());
    for ProofBytes { proof } in proofs {
        let request = ProofRequest { proof };
        let route = "/api/v1/payments/verify";
        reports.push(client.call(Method::POST, route, Some(&request)).await?);
    }
    let texts: Vec<_> = reports.iter().map(|one| describe(one, None)).collect();
    Ok(Outcome {
        exit_code: if reports.iter().all(is_proved) {
            DONE
        } else {
            NOT_VERIFIED
        },
        ..Outcome::new(texts.join("\n\n"), &reports)
    })
}

fn is_proved(report: &ProofReport) -> bool {
    matches!(
        report.state,
        PaymentState::Confirmed | PaymentState::Settled
    )
}

fn describe(report: &ProofReport, judged: Option<&Judged>) -> String {
    let mut lines = vec![headline(report)];
    lines.push(format!("vote     {}", report.vote));
    lines.push(format!("key      {}", report.key));
    lines.push(format!("key row  {}", report.key_row));
    if let Some(recipient) = &report.recipient {
        lines.push(format!("of       {recipient}"));
    }
    lines.push(format!(
        "output   {}, {}",
        report.outpoint,
        match report.binding {
            PaymentBinding::Address => "for this vote alone",
            PaymentBinding::Batch => "for a batch of votes",
        }
    ));
    lines.push(format!("block    {}", report.block));
    if let Some(judged) = judged {
        lines.push(format!(
            "headers  {}, up to height {}",
            report.network, judged.tip_height
        ));
    }
    if is_proved(report) {
        lines.push(MEANING.to_owned());
    }
    if report.recipient.is_none() {
        lines.push(
            "Whose key it is, it doesn't show: a node that holds the key row tells.".to_owned(),
        );
    }
    lines.join("\n")
}

fn headline(report: &ProofReport) -> String {
    let sats = count(report.sats, "sat", "sats");
    match (report.height, is_proved(report)) {
        (Some(height), true) => format!(
            "proved: {sats} on {}, at height {height}, {}",
            report.network,
            count(report.confirmations.into(), "confirmation", "confirmations")
        ),
        _ => format!(
            "NOT PROVED: {sats} on {}: {}",
            report.network,
            line(report.why.as_deref().unwrap_or(report.state.as_str()))
        ),
    }
}
