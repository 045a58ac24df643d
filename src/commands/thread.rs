//! `datt thread`: a thread as a readable tree.

use clap::Args;
use model::EntryId;
use views::data::{Media, Post, Thread, Verdict};

use super::{
    client::{Client, escape},
    failure::CommandError,
    outcome::Outcome,
    words::{ago, author, availability, clock, line, plain, size},
};
use crate::clock::now_ms;

/// Posts asked for at once.
const PAGE: u32 = 500;
/// Deeper replies are no further indented.
const DEEPEST: u32 = 12;

#[derive(Debug, Args)]
pub(super) struct ThreadArgs {
    /// First post, or any other of the thread
    cid: EntryId,
    /// At most so many posts
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
}

pub(super) async fn run(client: &Client, args: &ThreadArgs) -> Result<Outcome, CommandError> {
    let path = format!("/api/v1/threads/{}?limit={PAGE}", args.cid);
    let mut thread: Thread = client.get(&path).await?;
    while thread.posts.len() < args.limit {
        let Some(after) = thread.next.take() else {
            break;
        };
        let part: Thread = client
            .get(&format!("{path}&after={}", escape(&after)))
            .await?;
        if part.posts.is_empty() {
            break;
        }
        thread.posts.extend(part.posts);
        thread.next = part.next;
    }
    thread.posts.truncate(args.limit);
    Ok(Outcome::new(describe(&thread, now_ms()), &thread))
}

fn describe(thread: &Thread, now_ms: u64) -> String {
    let mut lines = vec![format!(
        "{}  {}",
        line(&thread.board.title),
        thread.board.space
    )];
    for post in &thread.posts {
        lines.push(String::new());
        describe_post(post, now_ms, &mut lines);
    }
    lines.push(String::new());
    let shown = thread.posts.len() as u64;
    if shown < thread.total {
        lines.push(format!("{shown} of {} posts", thread.total));
    }
    lines.push(format!("thread {}", availability(&thread.availability)));
    lines.join("\n")
}

fn describe_post(post: &Post, now_ms: u64, lines: &mut Vec<String>) {
    let indent = "  ".repeat(post.level.min(DEEPEST) as usize);
    if let Some(title) = &post.title {
        lines.push(format!("{indent}# {}", line(title)));
    }
    let edited = if post.edited_ms.is_some() {
        ", edited"
    } else {
        ""
    };
    lines.push(format!(
        "{indent}{}  {:+}  {}{edited}{}  {}",
        author(&post.author),
        post.score,
        ago(post.time_ms, now_ms),
        flags(post),
        post.id,
    ));
    if let Some(url) = &post.url {
        lines.push(format!("{indent}<{}>", line(url)));
    }
    if post.erased {
        lines.push(format!("{indent}(erased: only the header is held)"));
    } else if let Some(why) = &post.hidden {
        lines.push(format!("{indent}(hidden by a moderator: {})", line(why)));
    } else {
        for text in plain(&post.body).trim_end().lines() {
            lines.push(format!("{indent}{text}"));
        }
        for media in &post.media {
            lines.push(format!("{indent}{}", describe_media(media)));
        }
    }
}

fn flags(post: &Post) -> String {
    let verdict = match post.verdict {
        Verdict::Valid => None,
        Verdict::Pending => Some("pending"),
        Verdict::Disputed => Some("disputed"),
        Verdict::Void => Some("void"),
    };
    let words = [
        (post.nsfw, "nsfw"),
        (post.pinned, "pinned"),
        (post.locked, "locked"),
    ];
    words
        .into_iter()
        .filter_map(|(set, word)| set.then_some(word))
        .chain(verdict)
        .map(|word| format!(" [{word}]"))
        .collect()
}

fn describe_media(media: &Media) -> String {
    let mut facts = vec![line(&media.media_type), size(media.size_bytes)];
    if let (Some(width), Some(height)) = (media.width, media.height) {
        facts.push(format!("{width}×{height}"));
    }
    if let Some(duration_ms) = media.duration_ms {
        facts.push(clock(duration_ms));
    }
    let held = media.availability.held_bytes;
    if media.denied {
        facts.push("denied here".to_owned());
    } else if held < media.size_bytes {
        facts.push(format!("{} of it held here", size(held)));
    }
    facts.push(availability(&media.availability));
    format!(
        "[{}] {}  {}",
        line(&media.name),
        media.blob,
        facts.join(", ")
    )
}
