//! Small forms about one post: a report, and a moderator's mark.

use askama::Template;

use crate::data::Post;
use crate::frame::Frame;

/// Reports a post to the board's moderators.
#[derive(Debug, Template)]
#[template(path = "report.html")]
pub struct ReportPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The post.
    pub post: &'a Post,
}

/// Hides, locks, pins or covers a post.
#[derive(Debug, Template)]
#[template(path = "mark.html")]
pub struct MarkPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The post.
    pub post: &'a Post,
}

/// A mark and how it stands.
struct Act {
    word: &'static str,
    does: &'static str,
    undoes: &'static str,
    set: bool,
}

impl MarkPage<'_> {
    fn acts(&self) -> [Act; 4] {
        [
            Act {
                word: "hide",
                does: "Hide it",
                undoes: "Show it again",
                set: self.post.hidden.is_some(),
            },
            Act {
                word: "lock",
                does: "Close it to replies",
                undoes: "Open it to replies",
                set: self.post.locked,
            },
            Act {
                word: "pin",
                does: "Keep it on top of the board",
                undoes: "Let it sink",
                set: self.post.pinned,
            },
            Act {
                word: "nsfw",
                does: "Cover it as sensitive",
                undoes: "Uncover it",
                set: self.post.nsfw,
            },
        ]
    }
}
