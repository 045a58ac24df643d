//! `datt pin`, `datt unpin`, `datt pins`.

use clap::{Args, ValueEnum};
use gateway::api::types::{PinMedia, PinRequest};
use http::Method;
use serde_json::json;
use views::data::Pin;

use super::{
    client::{Client, NOTHING, escape},
    failure::CommandError,
    outcome::Outcome,
    words::{ago, short, size},
};
use crate::clock::now_ms;
use crate::config::parse_size;

const ROUTE: &str = "/api/v1/pins";

#[derive(Debug, Args)]
pub(super) struct PinArgs {
    /// Thread, space, identity or blob
    cid: String,
    /// Which media to keep
    #[arg(long, value_enum, default_value = "all")]
    media: MediaWord,
    /// At most so much, as in 2GiB
    #[arg(long, value_name = "N", value_parser = parse_size)]
    max_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MediaWord {
    /// Entries only
    None,
    /// Thumbnails and captions
    Thumbs,
    /// All
    All,
}

#[derive(Debug, Args)]
pub(super) struct UnpinArgs {
    /// Thread, space, identity or blob
    cid: String,
}

pub(super) async fn pin(client: &Client, args: &PinArgs) -> Result<Outcome, CommandError> {
    let request = PinRequest {
        media: match args.media {
            MediaWord::None => PinMedia::None,
            MediaWord::Thumbs => PinMedia::Thumbs,
            MediaWord::All => PinMedia::All,
        },
        max_bytes: args.max_bytes,
    };
    let path = format!("{ROUTE}/{}", escape(&args.cid));
    let pin: Pin = client.call(Method::PUT, &path, Some(&request)).await?;
    Ok(Outcome::new(
        format!("pinned\n{}", describe(&pin, now_ms())),
        &pin,
    ))
}

pub(super) async fn unpin(client: &Client, args: &UnpinArgs) -> Result<Outcome, CommandError> {
    let path = format!("{ROUTE}/{}", escape(&args.cid));
    let _: serde_json::Value = client.call(Method::DELETE, &path, NOTHING).await?;
    Ok(Outcome::new(
        format!("unpinned {}", args.cid),
        &json!({ "unpinned": args.cid }),
    ))
}

pub(super) async fn list(client: &Client) -> Result<Outcome, CommandError> {
    let pins: Vec<Pin> = client.get(ROUTE).await?;
    let now_ms = now_ms();
    let lines: Vec<_> = pins.iter().map(|pin| describe(pin, now_ms)).collect();
    let text = if lines.is_empty() {
        "nothing is pinned".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Outcome::new(text, &pins))
}

fn describe(pin: &Pin, now_ms: u64) -> String {
    let limit = pin
        .max_bytes
        .map(|bytes| format!(", at most {}", size(bytes)))
        .unwrap_or_default();
    let missing = match pin.missing {
        0 => String::new(),
        count => {
            let since_ms = pin.missing_since_ms.unwrap_or(pin.since_ms);
            format!(", {count} blobs missing since {}", ago(since_ms, now_ms))
        }
    };
    let asked_by = pin
        .asked_by
        .as_deref()
        .map_or_else(String::new, |who| format!(", asked for by {}", short(who)));
    format!(
        "{}  {}, media {}{limit}, {} of {} held, {} promised{missing}, since {}{asked_by}",
        pin.id,
        pin.kind,
        pin.media,
        size(pin.held_bytes),
        size(pin.total_bytes),
        size(pin.promised_bytes),
        ago(pin.since_ms, now_ms),
    )
}
