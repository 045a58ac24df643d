//! `datt pay` and paid votes: what is asked for, how far it got, and what proves it.

mod batch;
mod handed;
mod keys;
pub(super) mod proof;
mod prove;
mod qr;
mod status;
mod verify;

use std::path::Path;

use clap::{Args, Subcommand};
use gateway::api::types::PayRequest;
use http::Method;
use model::EntryId;
use views::{
    amount::count,
    data::{PaidVote, PayTo, PaymentState},
};

use super::{
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    words::{author, line},
};

/// Said wherever a proof is called one.
const MEANING: &str = "A proof shows that money moved to this key for this vote, not that it was \
                       spent: who pays oneself loses the fee only.";

#[derive(Debug, Subcommand)]
pub(super) enum PayCommand {
    /// How far the payments of votes got
    Status(status::StatusArgs),
    /// One transaction for many unpaid votes
    Batch(batch::BatchArgs),
    /// Descriptors that spend what was received; publishes the key that is paid to
    Keys(keys::KeysArgs),
    /// Check a proof against the headers here: a file needs no running node
    Verify(verify::VerifyArgs),
    /// Prove what a block paid a vote by its address, whoever paid, and publish that
    Prove(prove::ProveArgs),
    /// The proofs that the node has of a vote, to hand on
    Proof(handed::ProofArgs),
    /// Publish a proof on its board: anybody may
    Publish(handed::PublishArgs),
    /// Await the payment of a vote no longer; the vote stays
    Forget {
        /// Vote
        vote: EntryId,
    },
}

pub(super) async fn run(data: &Path, command: PayCommand) -> Result<Outcome, CommandError> {
    let client = || Client::of_folder(data);
    match command {
        PayCommand::Status(args) => {
            let transaction = args.transaction()?;
            status::run(&client()?, &args, transaction).await
        }
        PayCommand::Batch(args) => batch::run(&client()?, &args).await,
        PayCommand::Keys(args) => {
            args.check()?;
            keys::run(&client()?, &args).await
        }
        PayCommand::Verify(args) => verify::run(data, &args).await,
        PayCommand::Prove(args) => prove::run(&client()?, &args).await,
        PayCommand::Proof(args) => handed::proofs(&client()?, &args).await,
        PayCommand::Publish(args) => {
            let proof = args.proof()?;
            handed::publish(&client()?, proof).await
        }
        PayCommand::Forget { vote } => status::forget(&client()?, vote).await,
    }
}

/// What `datt vote` takes for a vote that is paid for.
#[derive(Debug, Args)]
pub(super) struct OfferArgs {
    /// Pay for the vote: shows where to pay to, and tells how far the payment got
    #[arg(long, value_name = "SATS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) pay: Option<u64>,
    /// Whom: author (of the post) or board (its owner)
    #[arg(
        long,
        value_name = "author|board",
        default_value = "author",
        requires = "pay",
        value_parser = parse_to
    )]
    to: PayTo,
    /// Show the address though no other node holds the vote yet
    #[arg(long, requires = "pay")]
    anyway: bool,
    /// Show no address: `datt pay batch` pays it with others
    #[arg(long, requires = "pay", conflicts_with = "anyway")]
    later: bool,
}

fn parse_to(text: &str) -> Result<PayTo, String> {
    text.parse()
        .map_err(|_| "a vote is paid to author or board".to_owned())
}

/// Votes, and asks where the vote is paid.
pub(super) async fn vote(
    client: &Client,
    post: EntryId,
    dir: i8,
    sats: u64,
    offer: &OfferArgs,
) -> Result<Outcome, CommandError> {
    let request = PayRequest {
        dir,
        sats,
        to: offer.to,
        anyway: offer.anyway,
    };
    let path = format!("/api/v1/votes/{post}/pay");
    let paid: PaidVote = client.call(Method::PUT, &path, Some(&request)).await?;
    let text = if offer.later {
        format!("{}\npay it with others: datt pay batch", summary(&paid))
    } else {
        describe(&paid)
    };
    Ok(Outcome::new(text, &paid))
}

/// A paid vote with all there is to know, and where to pay while it is unpaid.
fn describe(paid: &PaidVote) -> String {
    let mut lines = vec![summary(paid)];
    // What was handed in, or stood in a block, may still come: not to be paid twice.
    let may_be_sent = matches!(paid.state, PaymentState::Seen | PaymentState::Disconnected);
    if paid.due_sats > 0 && !may_be_sent {
        if paid.state != PaymentState::Unpaid {
            let due = count(paid.due_sats, "sat", "sats");
            lines.push(format!("{due} of what was asked for are still to be paid"));
        }
        match &paid.uri {
            Some(uri) => {
                lines.extend(
                    paid.address
                        .iter()
                        .map(|to| format!("pay to  {}", line(to))),
                );
                lines.push(line(uri));
                lines.extend(qr::code(uri));
            }
            None if paid.state == PaymentState::Unpaid => lines.push(unshown(paid)),
            // A warning says why.
            None => {}
        }
    }
    lines.join("\n")
}

fn unshown(paid: &PaidVote) -> String {
    format!(
        "no address is shown before another node holds the vote, so that no payment is lost with \
         this one: ask again with `datt pay status {}`, or with --anyway too",
        paid.vote
    )
}

/// The same without an address.
fn summary(paid: &PaidVote) -> String {
    let mut lines = vec![
        paid.vote.clone(),
        format!(
            "{} on {} to {}, {}",
            count(paid.sats, "sat", "sats"),
            paid.network,
            author(&paid.recipient),
            match paid.to {
                PayTo::Author => "the post's author",
                PayTo::Board => "the board's owner",
            }
        ),
        how_far(paid),
    ];
    lines.extend(paid.txid.iter().map(|txid| format!("transaction {txid}")));
    if paid.superseded {
        lines.push("the voter voted again: shown, not counted".to_owned());
    }
    if paid.to_self && paid.state != PaymentState::Unpaid {
        lines.push("the voter is the recipient: it cost the fee only".to_owned());
    }
    lines.extend(
        paid.warnings
            .iter()
            .map(|warning| format!("warning: {}", line(warning))),
    );
    lines.join("\n")
}

/// How far a payment got, in words.
fn how_far(paid: &PaidVote) -> String {
    let deep = || count(paid.confirmations.into(), "confirmation", "confirmations");
    let state = match paid.state {
        PaymentState::Unchecked => "not checked here".to_owned(),
        PaymentState::Unpaid => "unpaid".to_owned(),
        PaymentState::Seen => "seen, in no block yet".to_owned(),
        PaymentState::Confirmed => format!("{}, settled at {}", deep(), paid.settled_at),
        PaymentState::Settled => format!("settled, {}", deep()),
        PaymentState::Disconnected => "its block is not on the chain".to_owned(),
        PaymentState::False => "FALSE PROOF".to_owned(),
    };
    match &paid.why {
        Some(why) => format!("{state}: {}", line(why)),
        None => state,
    }
}

#[cfg(test)]
mod tests;
