//! `datt pay prove`: what a block paid a vote, whoever paid it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use gateway::api::types::{ProveRequest, Proved, ProvedPayment};
use http::Method;
use model::EntryId;
use views::amount::count;

use super::MEANING;
use crate::commands::{client::Client, failure::CommandError, outcome::Outcome, words::line};

#[derive(Debug, Args)]
pub(in crate::commands) struct ProveArgs {
    /// Vote
    vote: EntryId,
    /// The block that holds the payment, as a wallet or an explorer names it
    #[arg(long, value_name = "HASH|HEIGHT", value_parser = parse_block)]
    block: String,
    /// Write the proof there, as bytes, and publish nothing; further ones to FILE.2 and so on
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn parse_block(text: &str) -> Result<String, String> {
    let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash || text.parse::<u32>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("a block is its hash of 64 hexadecimal digits, or its height".to_owned())
}

pub(super) async fn run(client: &Client, args: &ProveArgs) -> Result<Outcome, CommandError> {
    let request = ProveRequest {
        block: args.block.clone(),
        unpublished: args.out.is_some(),
    };
    let path = format!("/api/v1/payments/{}/prove", args.vote);
    let proved: Proved = client.call(Method::POST, &path, Some(&request)).await?;
    let mut lines = Vec::new();
    for (place, payment) in proved.payments.iter().enumerate() {
        let kept = match (&args.out, &payment.row) {
            (Some(path), _) => write(path, place, payment)?,
            (None, Some(row)) => format!("published by {}", line(row)),
            (None, None) => "not published".to_owned(),
        };
        lines.push(format!(
            "{}  {} on {} to {}, {}\n  {kept}",
            line(&payment.outpoint),
            count(payment.sats, "sat", "sats"),
            line(&proved.network),
            line(&payment.recipient),
            count(
                payment.confirmations.into(),
                "confirmation",
                "confirmations"
            ),
        ));
    }
    lines.push(MEANING.to_owned());
    Ok(Outcome::new(lines.join("\n"), &proved))
}

/// Writes a proof to the file that was named, or beside it.
fn write(path: &Path, place: usize, payment: &ProvedPayment) -> Result<String, CommandError> {
    let path = match place {
        0 => path.to_owned(),
        _ => {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}", place + 1));
            PathBuf::from(name)
        }
    };
    fs::write(&path, &payment.proof).map_err(CommandError::io("write", &path))?;
    Ok(format!(
        "{} bytes in {}",
        payment.proof.len(),
        path.display()
    ))
}
