//! `datt status` and `datt ticket`.

use std::time::Duration;

use clap::Args;
use gateway::api::types::TicketAnswer;
use indicatif::HumanDuration;
use model::{EntryId, SpaceId};
use views::data::Status;

use super::{
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    words::{ago, line, size},
};
use crate::clock::now_ms;

#[derive(Debug, Args)]
pub(super) struct TicketArgs {
    /// Leading to this space
    #[arg(long, value_name = "ID")]
    space: Option<SpaceId>,
    /// Leading to this thread
    #[arg(long, value_name = "CID", conflicts_with = "space")]
    root: Option<EntryId>,
}

pub(super) async fn ticket(client: &Client, args: TicketArgs) -> Result<Outcome, CommandError> {
    let query = match (args.space, args.root) {
        (Some(space), _) => format!("?space={space}"),
        (None, Some(root)) => format!("?root={root}"),
        (None, None) => String::new(),
    };
    let answer: TicketAnswer = client.get(&format!("/api/v1/ticket{query}")).await?;
    Ok(Outcome::new(answer.ticket.clone(), &answer))
}

pub(super) async fn run(client: &Client) -> Result<Outcome, CommandError> {
    let status: Status = client.get("/api/v1/status").await?;
    Ok(Outcome::new(describe(&status, now_ms()), &status))
}

fn describe(status: &Status, now_ms: u64) -> String {
    let mut lines = vec![
        format!(
            "datt {}, up {}{}",
            status.version,
            HumanDuration(Duration::from_millis(status.uptime_ms)),
            if status.offline { ", offline" } else { "" },
        ),
        format!("endpoint  {}", status.endpoint),
        format!("identity  {}", status.identity),
        format!("device    {}", status.device),
        format!("addresses {}", status.addresses.join(", ")),
        format!(
            "entries   {}, {} pending, {} forks, in {} spaces ({})",
            status.entries, status.pending, status.forks, status.spaces, status.store,
        ),
        format!("blobs     {}, {} pins", status.blobs, status.pins),
        format!(
            "disk      {} of {}",
            size(status.used_bytes),
            size(status.max_bytes)
        ),
        format!("topics    {}", status.topics),
    ];
    if let Some(addr) = &status.torrent_addr {
        lines.push(format!("torrents  peers reach this node at {addr}"));
    }
    if let Some(skew_ms) = status.clock_skew_ms {
        lines.push(format!("clock     {skew_ms} ms off the peers' median"));
    }
    let connected = status.connected;
    lines.push(format!(
        "peers     {connected} connected, {} known",
        status.peers.len()
    ));
    for peer in &status.peers {
        let state = if peer.connected {
            peer.rtt_ms
                .map_or_else(|| "connected".to_owned(), |rtt| format!("{rtt:.1} ms"))
        } else {
            format!("seen {}", ago(peer.seen_ms, now_ms))
        };
        lines.push(format!(
            "  {}  {}  {state}, {} entries in, {} out",
            peer.id,
            line(&peer.path),
            peer.entries_in,
            peer.entries_out
        ));
    }
    lines.extend(
        status
            .warnings
            .iter()
            .map(|warning| format!("warning: {}", line(warning))),
    );
    lines.join("\n")
}
