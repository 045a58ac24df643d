//! `datt space create|ls` and `datt join`.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use gateway::api::types::{JoinRequest, Joined, JoinedKind, NewSpace, Policy, SpaceCreated};
use http::Method;
use views::data::Board;

use super::{
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    words::{ago, author, line},
};
use crate::clock::now_ms;

#[derive(Debug, Subcommand)]
pub(super) enum SpaceCommand {
    /// Make a space
    Create(CreateArgs),
    /// List the spaces followed
    Ls,
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Title
    #[arg(long)]
    title: String,
    /// Description, markdown
    #[arg(long, default_value = "")]
    about: String,
    /// Rules, markdown
    #[arg(long, default_value = "")]
    rules: String,
    /// Language, as in en or pt-BR
    #[arg(long, default_value = "")]
    lang: String,
    /// Who may post
    #[arg(long, value_enum, default_value = "open")]
    policy: PolicyWord,
    /// Never announced: its id is the key to it. Nothing is encrypted
    #[arg(long)]
    unlisted: bool,
    /// What posting costs strangers, in sats, paid to your payment key
    #[arg(long, value_name = "SATS")]
    price_sats: Option<u64>,
    /// Schema text; without it the built-in forum
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyWord {
    Open,
    Approval,
    Members,
    Closed,
}

impl From<PolicyWord> for Policy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::Open => Self::Open,
            PolicyWord::Approval => Self::Approval,
            PolicyWord::Members => Self::Members,
            PolicyWord::Closed => Self::Closed,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct JoinArgs {
    /// Ticket, or the id of a space, thread or identity
    #[arg(value_name = "TICKET_OR_ID")]
    target: String,
}

pub(super) async fn run(client: &Client, command: SpaceCommand) -> Result<Outcome, CommandError> {
    match command {
        SpaceCommand::Create(args) => create(client, args).await,
        SpaceCommand::Ls => list(client).await,
    }
}

async fn create(client: &Client, args: CreateArgs) -> Result<Outcome, CommandError> {
    let schema = match args.schema {
        Some(path) => {
            Some(fs::read_to_string(&path).map_err(CommandError::io("read the schema", path))?)
        }
        None => None,
    };
    let space = NewSpace {
        title: args.title,
        about: args.about,
        rules: args.rules,
        lang: args.lang,
        policy: args.policy.into(),
        unlisted: args.unlisted,
        price_sats: args.price_sats,
        schema,
    };
    let made: SpaceCreated = client
        .call(Method::POST, "/api/v1/spaces", Some(&space))
        .await?;
    let text = format!("{}\nticket: {}", made.space, made.ticket);
    Ok(Outcome::new(text, &made))
}

async fn list(client: &Client) -> Result<Outcome, CommandError> {
    let boards: Vec<Board> = client.get("/api/v1/spaces").await?;
    let now_ms = now_ms();
    let lines: Vec<_> = boards
        .iter()
        .map(|board| {
            let last = board
                .last_ms
                .map_or_else(|| "empty".to_owned(), |then| ago(then, now_ms));
            format!(
                "{}  {}\n    {}, {} threads, {last}, by {}{}",
                board.space,
                line(&board.title),
                board.policy,
                board.threads,
                author(&board.owner),
                if board.unlisted { ", unlisted" } else { "" },
            )
        })
        .collect();
    let text = if lines.is_empty() {
        "no spaces yet: make one with `datt space create --title T`, or `datt join TICKET`"
            .to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Outcome::new(text, &boards))
}

pub(super) async fn join(client: &Client, args: JoinArgs) -> Result<Outcome, CommandError> {
    let request = JoinRequest {
        target: args.target,
    };
    let joined: Joined = client
        .call(Method::POST, "/api/v1/join", Some(&request))
        .await?;
    let id = &joined.id;
    let text = match joined.kind {
        JoinedKind::Space => format!("following space {id}"),
        JoinedKind::Thread => format!("following thread {id}"),
        JoinedKind::Identity => format!("following identity {id}"),
        JoinedKind::Node => format!(
            "connected to node {id}\nto follow a board of it, join a ticket from the board's page \
             or from `datt ticket --space ID` there"
        ),
    };
    Ok(Outcome::new(text, &joined))
}
