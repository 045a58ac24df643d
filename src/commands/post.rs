//! `datt post` and `datt vote`.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use gateway::api::types::{MediaRef, NamedMedia, NewPost, Published, VoteRequest, Voted};
use http::Method;
use model::{EntryId, SpaceId};
use views::data::Publicity;

use super::{
    add::import,
    client::Client,
    failure::CommandError,
    outcome::Outcome,
    pay::{self, OfferArgs},
    torrents::parse_publicity,
    words::{added, availability, line},
};

/// Text longer than this can't be a post's body: reading stdin stops there.
const BODY_BYTES: u64 = model::limits::TEXT_BYTES as u64;

#[derive(Debug, Args)]
pub(super) struct PostArgs {
    /// Space of a new thread
    #[arg(long, value_name = "ID", required_unless_present = "reply_to")]
    space: Option<SpaceId>,
    /// Post to answer
    #[arg(long, value_name = "CID", conflicts_with = "space")]
    reply_to: Option<EntryId>,
    /// Title of a new thread
    #[arg(long)]
    title: Option<String>,
    /// Link
    #[arg(long)]
    url: Option<String>,
    /// Language, as in en or pt-BR
    #[arg(long)]
    lang: Option<String>,
    /// Covered until asked for
    #[arg(long)]
    nsfw: bool,
    /// File to publish with it; may be given several times
    #[arg(long, value_name = "FILE")]
    media: Vec<PathBuf>,
    /// Description of a file for those who can't see or hear it; one for each --media, in order
    #[arg(long, value_name = "TEXT")]
    alt: Vec<String>,
    /// How far its files may travel: gateway (this node's web server only), peers (other nodes too)
    /// or swarm (BitTorrent too); without it, as the configuration says
    #[arg(long, value_name = "PUBLICITY", value_parser = parse_publicity)]
    publicity: Option<Publicity>,
    /// Body, markdown; - reads it from stdin
    #[arg(value_name = "TEXT|-", allow_hyphen_values = true)]
    text: String,
}

#[derive(Debug, Args)]
pub(super) struct VoteArgs {
    /// Post
    cid: EntryId,
    /// Which way
    #[arg(value_enum)]
    way: Way,
    #[command(flatten)]
    offer: OfferArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Up,
    Down,
    Clear,
}

impl Way {
    fn dir(self) -> i8 {
        match self {
            Self::Up => 1,
            Self::Down => -1,
            Self::Clear => 0,
        }
    }
}

impl VoteArgs {
    /// What clap can't check.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if self.offer.pay.is_some() && self.way.dir() == 0 {
            return Err(CommandError::Usage(
                "a vote that is taken back can't be paid for: leave --pay out".to_owned(),
            ));
        }
        Ok(())
    }
}

impl PostArgs {
    /// What clap can't check.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if self.alt.len() > self.media.len() {
            return Err(CommandError::Usage(
                "there are more --alt than --media; give one --alt for each --media, in order"
                    .to_owned(),
            ));
        }
        if self.media.len() > model::limits::MEDIA_LINKS {
            return Err(CommandError::Usage(format!(
                "a post takes at most {} files; put the others into a reply",
                model::limits::MEDIA_LINKS
            )));
        }
        Ok(())
    }
}

fn body(text: String) -> Result<String, CommandError> {
    if text != "-" {
        return Ok(text);
    }
    let mut body = String::new();
    let read = io::stdin().take(BODY_BYTES + 1).read_to_string(&mut body);
    let read = read.map_err(CommandError::io("read the text from", "stdin"))?;
    if read as u64 > BODY_BYTES {
        return Err(CommandError::Usage(format!(
            "the text has more than {BODY_BYTES} bytes; publish it as a file with --media"
        )));
    }
    Ok(body)
}

pub(super) async fn run(client: &Client, args: PostArgs) -> Result<Outcome, CommandError> {
    let body = body(args.text)?;
    let mut alts = args.alt.into_iter();
    let mut media = Vec::new();
    let mut lines = Vec::new();
    for path in &args.media {
        let blob = import(client, path).await?;
        lines.push(added(&blob));
        media.push(MediaRef::Named(NamedMedia {
            blob: blob.blob.parse().map_err(|error| CommandError::Answer {
                request: "POST /api/v1/blobs/path".to_owned(),
                reason: format!("{error}"),
            })?,
            name: Some(blob.name),
            alt: alts.next().filter(|alt| !alt.is_empty()),
            publicity: args.publicity,
        }));
    }
    let post = NewPost {
        space: args.space,
        reply_to: args.reply_to,
        title: args.title,
        url: args.url,
        body,
        media,
        lang: args.lang,
        nsfw: args.nsfw,
    };
    let published: Published = client
        .call(Method::POST, "/api/v1/posts", Some(&post))
        .await?;
    lines.insert(0, published.id.clone());
    lines.push(availability(&published.availability));
    lines.extend(
        published
            .warnings
            .iter()
            .map(|warning| format!("warning: {}", line(warning))),
    );
    Ok(Outcome::new(lines.join("\n"), &published))
}

pub(super) async fn vote(client: &Client, args: &VoteArgs) -> Result<Outcome, CommandError> {
    let dir = args.way.dir();
    if let Some(sats) = args.offer.pay {
        return pay::vote(client, args.cid, dir, sats, &args.offer).await;
    }
    let vote = VoteRequest { dir };
    let path = format!("/api/v1/votes/{}", args.cid);
    let voted: Voted = client.call(Method::PUT, &path, Some(&vote)).await?;
    let text = format!("{}\nscore {}", voted.id, voted.score);
    Ok(Outcome::new(text, &voted))
}
