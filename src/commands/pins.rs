//! `datt pin`, `datt unpin`, `datt pins`.

use clap::{Args, ValueEnum};
use gateway::api::types::{MirrorAnswer, MirrorPin, PinMedia, PinRequest};
use http::Method;
use model::SpaceId;
use serde_json::json;
use views::data::Pin;

use super::{
    client::{Client, NOTHING, escape},
    failure::{CommandError, FAILED},
    outcome::Outcome,
    words::{ago, line, short, size},
};
use crate::clock::now_ms;
use crate::config::{parse_age, parse_size};

const ROUTE: &str = "/api/v1/pins";
const ASKED: &str = "/api/v1/mirror/requests";

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
    /// Ask this mirror to keep it: its ticket, endpoint id, or the URL of its gateway
    #[arg(long, value_name = "MIRROR")]
    at: Option<String>,
    /// Ask for so long only, as in 30d
    #[arg(long, value_name = "AGE", value_parser = parse_age, requires = "at")]
    until: Option<u64>,
    /// Tell the mirror the id of the unlisted board that the thread is on
    #[arg(long, value_name = "SPACE", requires = "at")]
    space: Option<SpaceId>,
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
    /// Ask this mirror to keep it no longer
    #[arg(long, value_name = "MIRROR")]
    at: Option<String>,
}

pub(super) async fn pin(client: &Client, args: &PinArgs) -> Result<Outcome, CommandError> {
    let media = match args.media {
        MediaWord::None => PinMedia::None,
        MediaWord::Thumbs => PinMedia::Thumbs,
        MediaWord::All => PinMedia::All,
    };
    if let Some(mirror) = &args.at {
        return ask(client, mirror, media, args).await;
    }
    let request = PinRequest {
        media,
        max_bytes: args.max_bytes,
    };
    let path = format!("{ROUTE}/{}", escape(&args.cid));
    let pin: Pin = client.call(Method::PUT, &path, Some(&request)).await?;
    Ok(Outcome::new(
        format!("pinned\n{}", describe(&pin, now_ms())),
        &pin,
    ))
}

/// Asks a mirror; a refusal is a failure of the command, with the mirror's reason.
async fn ask(
    client: &Client,
    mirror: &str,
    media: PinMedia,
    args: &PinArgs,
) -> Result<Outcome, CommandError> {
    let request = MirrorPin {
        mirror: mirror.to_owned(),
        id: args.cid.clone(),
        media,
        max_bytes: args.max_bytes,
        until_ms: args.until.map(|age_ms| now_ms().saturating_add(age_ms)),
        space: args.space,
    };
    let answer: MirrorAnswer = client.call(Method::POST, ASKED, Some(&request)).await?;
    let text = if answer.accepted {
        format!(
            "{} keeps {}, at most {}; {} are left for you there",
            answer.mirror,
            args.cid,
            size(answer.max_bytes),
            size(answer.left_bytes)
        )
    } else {
        format!(
            "{} refuses {}: {}",
            answer.mirror,
            args.cid,
            line(&answer.reason)
        )
    };
    let mut outcome = Outcome::new(text, &answer);
    if !answer.accepted {
        outcome.exit_code = FAILED;
    }
    Ok(outcome)
}

async fn take_back(client: &Client, mirror: &str, cid: &str) -> Result<Outcome, CommandError> {
    let path = format!("{ASKED}?mirror={}&id={}", escape(mirror), escape(cid));
    let answer: MirrorAnswer = client.call(Method::DELETE, &path, NOTHING).await?;
    let text = format!("{}, {cid}: {}", answer.mirror, line(&answer.reason));
    Ok(Outcome::new(text, &answer))
}

pub(super) async fn unpin(client: &Client, args: &UnpinArgs) -> Result<Outcome, CommandError> {
    if let Some(mirror) = &args.at {
        return take_back(client, mirror, &args.cid).await;
    }
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
