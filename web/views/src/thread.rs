//! A thread: the first post, and the tree of its replies.

use askama::Template;

use crate::amount;
use crate::data::{Post, Thread, Verdict};
use crate::frame::Frame;
use crate::markdown::{Markup, render};
use crate::media::Kind;
use crate::text::{address, excerpt, lang_tag, visible};

/// Replies nested deeper are shown at this level, with a link to what they answer.
const MAX_SHOWN_LEVEL: u32 = 10;

/// A thread, or a later part of a long one.
#[derive(Debug, Template)]
#[template(path = "thread.html")]
pub struct ThreadPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The thread.
    pub thread: &'a Thread,
    /// First post, unless this is a later part.
    pub first: Option<Reply<'a>>,
    /// Replies in reading order.
    pub replies: Vec<Reply<'a>>,
    /// Entry CID of the first post.
    pub root: &'a str,
    /// The signed-in person may moderate the board.
    pub can_moderate: bool,
}

/// A post in its place in the tree.
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    /// The post.
    pub post: &'a Post,
    /// Its body as HTML.
    pub markup: Markup,
    /// Posts below it on this page.
    pub below: u64,
    /// Elements that end after it.
    pub closes: u32,
    /// What it answers, where the tree doesn't show it.
    pub answers: Option<&'a str>,
}

impl<'a> ThreadPage<'a> {
    /// Lays out the tree, in one pass over the posts each way.
    #[must_use]
    pub fn new(frame: &'a Frame, thread: &'a Thread, can_moderate: bool) -> Self {
        let root = thread.posts.first().map_or("", |post| post.root.as_str());
        let (first, rest) = match thread.posts.split_first() {
            Some((first, rest)) if first.id == first.root => (Some(first), rest),
            _ => (None, thread.posts.as_slice()),
        };
        let replies = lay_out(rest);
        let first = first.map(|post| Reply {
            post,
            markup: render(&post.body),
            below: replies.len() as u64,
            closes: 0,
            answers: None,
        });
        Self {
            frame,
            thread,
            first,
            replies,
            root,
            can_moderate,
        }
    }

    /// Replies to new posts are taken.
    fn open(&self) -> bool {
        self.first.as_ref().is_none_or(|first| !first.post.locked)
    }

    /// The part after this one.
    fn next(&self) -> Option<String> {
        let next = self.thread.next.as_deref()?;
        Some(format!(
            "/t/{}?after={}",
            self.root,
            crate::text::query_value(next)
        ))
    }
}

/// Gives each reply its level (never more than one below the one before) and what ends after it.
fn lay_out(posts: &[Post]) -> Vec<Reply<'_>> {
    let mut levels = Vec::with_capacity(posts.len());
    let mut before = 0;
    for post in posts {
        before = post.level.clamp(1, MAX_SHOWN_LEVEL).min(before + 1);
        levels.push(before);
    }
    let mut below = vec![0; posts.len()];
    let mut open = [0u64; MAX_SHOWN_LEVEL as usize + 2];
    for (index, level) in levels.iter().enumerate().rev() {
        let level = *level as usize;
        below[index] = open[level + 1];
        open[level] += open[level + 1] + 1;
        open[level + 1] = 0;
    }
    let after = levels.iter().skip(1).copied().chain([1]);
    let places = levels.iter().zip(after).zip(below);
    posts
        .iter()
        .zip(places)
        .map(|(post, ((level, next), below))| Reply {
            post,
            markup: render(&post.body),
            below,
            closes: (level + 1).saturating_sub(next),
            answers: (post.level > *level)
                .then_some(post.parent.as_deref())
                .flatten(),
        })
        .collect()
}

impl Reply<'_> {
    /// Why the content is covered; none when it isn't.
    #[must_use]
    pub fn cover(&self) -> Option<String> {
        self.post.cover()
    }
}

impl Post {
    /// Title as it may be shown; the first words where there is none.
    #[must_use]
    pub fn shown_title(&self) -> String {
        match &self.title {
            Some(title) if !title.trim().is_empty() => visible(title).into_owned(),
            _ => {
                let words = excerpt(&self.body);
                if words.is_empty() {
                    "Untitled".to_owned()
                } else {
                    words
                }
            }
        }
    }

    /// Language for the element's attribute, if it is one.
    #[must_use]
    pub fn lang_tag(&self) -> &str {
        self.lang.as_deref().map_or("", lang_tag)
    }

    /// Link of a link post, if it may be followed.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        self.url.as_deref().and_then(address)
    }

    /// Why the content is covered; none when it isn't.
    #[must_use]
    pub fn cover(&self) -> Option<String> {
        match (&self.hidden, self.unpaid_price, self.nsfw) {
            (Some(reason), _, _) if reason.trim().is_empty() => {
                Some("Hidden by a moderator".to_owned())
            }
            (Some(reason), _, _) => Some(format!("Hidden by a moderator: {}", visible(reason))),
            (None, Some(price), _) if !self.mine => Some(format!(
                "Not paid yet: {} to post here",
                amount::sats(price)
            )),
            (None, _, true) => Some("Marked as sensitive".to_owned()),
            (None, _, false) => None,
        }
    }

    /// Shown as one line, until asked for.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.hidden.is_some() || self.unpaid_price.is_some()
    }

    /// What a reader has to know when this node doesn't fully vouch for it.
    #[must_use]
    pub fn verdict_words(&self) -> Option<&'static str> {
        match self.verdict {
            Verdict::Valid => None,
            Verdict::Pending => Some(
                "Not checked to the end: something this post refers to has not arrived here yet.",
            ),
            Verdict::Disputed => Some(
                "Disputed: its device signed two different entries in one place. It is shown, but its votes count nowhere.",
            ),
            Verdict::Void => {
                Some("Void: its right to post here was taken back, or it lost a fork.")
            }
        }
    }

    /// Word of the verdict, for the stylesheet.
    #[must_use]
    pub fn verdict_class(&self) -> &'static str {
        self.verdict.as_str()
    }

    /// `2 files`.
    #[must_use]
    pub fn media_words(&self) -> String {
        amount::count(self.media.len() as u64, "file", "files")
    }

    /// A few words for previews and lists.
    #[must_use]
    pub fn words(&self) -> String {
        excerpt(&self.body)
    }
}

impl Verdict {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Pending => "pending",
            Self::Disputed => "disputed",
            Self::Void => "void",
        }
    }
}
