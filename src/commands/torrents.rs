//! `datt torrents` and `datt publicity`: what goes into swarms, and how far files may travel.

use clap::{Args, Subcommand};
use gateway::api::types::{PublicityAnswer, PublicityRequest};
use http::Method;
use model::BlobId;
use serde_json::json;
use views::{
    amount::count,
    data::{Claim, Publicity, Torrent},
};

use super::{
    client::{Client, NOTHING, escape},
    failure::CommandError,
    outcome::Outcome,
    words::{line, size},
};

const ROUTE: &str = "/api/v1/torrents";

#[derive(Debug, Args)]
pub(super) struct TorrentsArgs {
    #[command(subcommand)]
    command: Option<TorrentsCommand>,
}

#[derive(Debug, Subcommand)]
enum TorrentsCommand {
    /// Stop seeding an album or a torrent of others; its bytes stay
    Rm {
        /// Its infohash
        infohash: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct PublicityArgs {
    /// Blob CID
    #[arg(value_name = "CID")]
    blob: BlobId,
    /// gateway (this node's web server only), peers (other nodes too) or swarm (BitTorrent too);
    /// without it, says how it is
    #[arg(value_name = "PUBLICITY", value_parser = parse_publicity)]
    publicity: Option<Publicity>,
}

pub(super) fn parse_publicity(text: &str) -> Result<Publicity, String> {
    text.parse()
        .map_err(|_| "write gateway, peers or swarm".to_owned())
}

pub(super) async fn run(client: &Client, args: &TorrentsArgs) -> Result<Outcome, CommandError> {
    match &args.command {
        None => list(client).await,
        Some(TorrentsCommand::Rm { infohash }) => forget(client, infohash).await,
    }
}

async fn forget(client: &Client, infohash: &str) -> Result<Outcome, CommandError> {
    let path = format!("{ROUTE}/{}", escape(infohash));
    let _: serde_json::Value = client.call(Method::DELETE, &path, NOTHING).await?;
    let text = format!(
        "{} is no longer seeded; its bytes stay on this node",
        line(infohash)
    );
    Ok(Outcome::new(text, &json!({"infohash": infohash})))
}

async fn list(client: &Client) -> Result<Outcome, CommandError> {
    let torrents: Vec<Torrent> = client.get(ROUTE).await?;
    if torrents.is_empty() {
        return Ok(Outcome::new("No torrents.".to_owned(), &torrents));
    }
    let lines: Vec<String> = torrents.iter().map(one).collect();
    Ok(Outcome::new(lines.join("\n"), &torrents))
}

fn one(torrent: &Torrent) -> String {
    let state = match torrent {
        Torrent {
            is_paused: true, ..
        } => "paused".to_owned(),
        Torrent { is_live: true, .. } => count(torrent.peers, "peer", "peers"),
        _ => "comes in when asked for".to_owned(),
    };
    let claim = match torrent.claim {
        Claim::Verified => "",
        Claim::Unchecked => "  not checked",
        Claim::False => "  FALSE CLAIM",
    };
    format!(
        "{}  {}  {}  sent {}  received {}{claim}  {}\n  {}",
        torrent.infohash,
        size(torrent.size_bytes),
        state,
        size(torrent.sent_bytes),
        size(torrent.received_bytes),
        line(&torrent.name),
        torrent.magnet
    )
}

/// Says or changes how far a blob may travel.
pub(super) async fn publicity(
    client: &Client,
    args: &PublicityArgs,
) -> Result<Outcome, CommandError> {
    let route = format!("/api/v1/blobs/{}/publicity", args.blob);
    let answer: PublicityAnswer = match args.publicity {
        None => client.get(&route).await?,
        Some(publicity) => {
            let request = PublicityRequest { publicity };
            client.call(Method::PUT, &route, Some(&request)).await?
        }
    };
    let text = format!("{}: {}", answer.publicity.as_str(), answer.reason);
    Ok(Outcome::new(text, &json!(answer)))
}
