//! `datt pay status`.

use std::{
    io::{self, Read},
    time::Duration,
};

use bitcoin::{Transaction, consensus::encode::deserialize_hex};
use clap::Args;
use gateway::api::types::TransactionRequest;
use http::Method;
use model::EntryId;
use tokio::time::sleep;
use views::{
    amount::count,
    data::{PaidVote, PaymentChanged, PaymentState},
};

use super::{describe, how_far};
use crate::commands::{
    client::{Client, NOTHING},
    failure::CommandError,
    outcome::Outcome,
    words::author,
};

/// Longest transaction that is read, hex digits: nodes pass on 400 kB at most.
const TRANSACTION_DIGITS: u64 = 800_000;
/// Pause before the node is asked again, when its stream of events ended.
const PAUSE: Duration = Duration::from_secs(1);
/// First characters of a PSBT in base64, BIP174.
const PSBT_HEAD: &str = "cHNidP8";

#[derive(Debug, Args)]
pub(in crate::commands) struct StatusArgs {
    /// Vote; without it all votes that this node pays for
    vote: Option<EntryId>,
    /// Stay, and tell each step until the payment is settled
    #[arg(long, requires = "vote")]
    watch: bool,
    /// Show the address though no other node holds the vote yet
    #[arg(long, requires = "vote", conflicts_with = "tx")]
    anyway: bool,
    /// Hand in the signed transaction that pays, in hex; - reads it from stdin
    #[arg(long, value_name = "HEX|-", conflicts_with = "watch")]
    tx: Option<String>,
}

impl StatusArgs {
    /// The transaction to hand in, if it is one.
    pub(super) fn transaction(&self) -> Result<Option<String>, CommandError> {
        let Some(text) = &self.tx else {
            return Ok(None);
        };
        let text = match text.as_str() {
            "-" => read_stdin()?,
            text => text.to_owned(),
        };
        signed(&text).map(Some)
    }
}

fn read_stdin() -> Result<String, CommandError> {
    let mut text = String::new();
    let read = io::stdin()
        .take(TRANSACTION_DIGITS + 2)
        .read_to_string(&mut text);
    read.map_err(CommandError::io("read the transaction from", "stdin"))?;
    Ok(text)
}

/// The digits of a signed transaction.
fn signed(text: &str) -> Result<String, CommandError> {
    let text = text.trim();
    let refuse = |reason: String| Err(CommandError::Usage(reason));
    if text.starts_with(PSBT_HEAD) {
        return refuse(
            "this is a template (PSBT): have the wallet sign and finalize it, and give the \
             transaction that comes out, in hex"
                .to_owned(),
        );
    }
    if text.len() as u64 > TRANSACTION_DIGITS {
        return refuse("no transaction of more than 400 kB is passed on".to_owned());
    }
    let transaction: Transaction = match deserialize_hex(text) {
        Ok(transaction) => transaction,
        Err(error) => return refuse(format!("this is no transaction in hex: {error}")),
    };
    let is_signed =
        |input: &bitcoin::TxIn| !input.script_sig.is_empty() || !input.witness.is_empty();
    if !transaction.input.iter().any(is_signed) {
        return refuse("the transaction isn't signed yet".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) async fn run(
    client: &Client,
    args: &StatusArgs,
    transaction: Option<String>,
) -> Result<Outcome, CommandError> {
    if let Some(transaction) = transaction {
        return hand_in(client, transaction).await;
    }
    if let (Some(vote), true) = (args.vote, args.anyway) {
        let path = format!("/api/v1/payments/{vote}/anyway");
        let _: PaidVote = client.call(Method::PUT, &path, NOTHING).await?;
    }
    match args.vote {
        Some(vote) if args.watch => watch(client, vote).await,
        Some(vote) => {
            let paid = one(client, vote).await?;
            Ok(Outcome::new(describe(&paid), &paid))
        }
        None => all(client).await,
    }
}

/// Awaits a payment no longer.
pub(super) async fn forget(client: &Client, vote: EntryId) -> Result<Outcome, CommandError> {
    let path = format!("/api/v1/payments/{vote}");
    let _: serde_json::Value = client.call(Method::DELETE, &path, NOTHING).await?;
    let text = format!("the payment of {vote} is awaited no longer; the vote stays");
    Ok(Outcome::new(text, &serde_json::json!({ "vote": vote })))
}

async fn one(client: &Client, vote: EntryId) -> Result<PaidVote, CommandError> {
    client.get(&format!("/api/v1/payments/{vote}")).await
}

async fn all(client: &Client) -> Result<Outcome, CommandError> {
    let paid: Vec<PaidVote> = client.get("/api/v1/payments").await?;
    let text = if paid.is_empty() {
        "No paid votes.".to_owned()
    } else {
        rows(&paid)
    };
    Ok(Outcome::new(text, &paid))
}

fn rows(paid: &[PaidVote]) -> String {
    let lines: Vec<_> = paid.iter().map(row).collect();
    lines.join("\n")
}

fn row(paid: &PaidVote) -> String {
    format!(
        "{}  {}  {}  to {}",
        paid.vote,
        count(paid.sats, "sat", "sats"),
        how_far(paid),
        author(&paid.recipient)
    )
}

async fn hand_in(client: &Client, transaction: String) -> Result<Outcome, CommandError> {
    let request = TransactionRequest { transaction };
    let route = "/api/v1/payments/transactions";
    let paid: Vec<PaidVote> = client.call(Method::POST, route, Some(&request)).await?;
    Ok(Outcome::new(rows(&paid), &paid))
}

/// Tells each step on stderr until nothing more is to come.
async fn watch(client: &Client, vote: EntryId) -> Result<Outcome, CommandError> {
    loop {
        // Asked for before the first look, so that no step is lost between.
        let mut events = client
            .follow::<PaymentChanged>("/api/v1/payments/events")
            .await?;
        let mut paid = one(client, vote).await?;
        eprintln!("{}", how_far(&paid));
        loop {
            if matches!(paid.state, PaymentState::Settled | PaymentState::False) {
                return Ok(Outcome::new(describe(&paid), &paid));
            }
            // An end means that steps may have been missed.
            let Some(event) = events.next().await? else {
                sleep(PAUSE).await;
                break;
            };
            if event.vote == paid.vote {
                paid = one(client, vote).await?;
                eprintln!("{}", how_far(&paid));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_signed_transactions_are_handed_in() {
        let unsigned = "0200000001000000000000000000000000000000000000000000000000000000000000000\
                        00000000000ffffffff01e803000000000000016a00000000";
        for (text, reason) in [
            ("", "no transaction in hex"),
            ("00", "no transaction in hex"),
            ("zz", "no transaction in hex"),
            (unsigned, "isn't signed"),
            (&unsigned[..40], "no transaction in hex"),
            (&format!("{unsigned}00"), "no transaction in hex"),
            ("cHNidP8BAAA=", "finalize"),
        ] {
            let error = signed(text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
        let script = unsigned.replacen("00ffffffff", "0151ffffffff", 1);
        assert_eq!(signed(&format!(" {script}\n")).unwrap(), script);
    }
}
