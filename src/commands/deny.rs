//! `datt deny`: refuses content on this node, or takes that back.

use cid::Cid;
use clap::Args;
use gateway::api::types::{Denied, DenyRequest};
use http::Method;

use super::{
    client::{Client, NOTHING},
    failure::CommandError,
    outcome::Outcome,
};

const ROUTE: &str = "/api/v1/denylist";

#[derive(Debug, Args)]
pub(super) struct DenyArgs {
    /// What to refuse, under all names of the same bytes; without it, what is refused is listed
    #[arg(value_name = "CID", value_parser = parse_cid)]
    cid: Option<Cid>,
    /// Why; who asks for it is told
    #[arg(long, value_name = "TEXT", requires = "cid", conflicts_with = "undo")]
    reason: Option<String>,
    /// Allow it again, whichever list it is on; its bytes must be fetched or added again
    #[arg(long, requires = "cid")]
    undo: bool,
}

fn parse_cid(text: &str) -> Result<Cid, String> {
    let text = text.strip_prefix("/ipfs/").unwrap_or(text);
    blocks::dag::parse_cid(text).ok_or_else(|| "not a CID".to_owned())
}

pub(super) async fn run(client: &Client, args: &DenyArgs) -> Result<Outcome, CommandError> {
    let Some(cid) = args.cid else {
        let denied: Denied = client.get(ROUTE).await?;
        return Ok(Outcome::new(listed(&denied), &denied));
    };
    let (denied, text): (Denied, String) = if args.undo {
        let route = format!("{ROUTE}/{cid}");
        let denied = client.call(Method::DELETE, &route, NOTHING).await?;
        (denied, format!("{cid} is allowed again"))
    } else {
        let request = DenyRequest {
            cid: cid.to_string(),
            reason: args.reason.clone(),
        };
        let denied = client.call(Method::POST, ROUTE, Some(&request)).await?;
        (
            denied,
            format!("{cid} is refused; what was held of it is removed"),
        )
    };
    Ok(Outcome::new(text, &denied))
}

fn listed(denied: &Denied) -> String {
    let mut lines: Vec<String> = denied
        .own
        .iter()
        .map(|one| format!("{}  {}", one.cid, one.reason))
        .collect();
    for list in &denied.lists {
        lines.push(format!("{}: {} rules", list.file, list.rules));
        lines.extend(list.problem.clone());
    }
    if lines.is_empty() {
        return "nothing is refused; `datt deny CID --reason TEXT` does that".to_owned();
    }
    lines.join("\n")
}
