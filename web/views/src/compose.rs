//! The composer: a new thread, a reply or an edit, with everything a post can have.

use askama::Template;

use crate::data::{Board, Post, Publicity};
use crate::frame::Frame;
use crate::markdown::{Markup, render};

/// Rows for files in the form; more go in a second post or through the program.
const FILE_ROWS: usize = 16;
/// Rows that are open from the start.
const OPEN_FILE_ROWS: usize = 2;

/// What is being written.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A new thread on one of these boards.
    Thread {
        /// Boards to choose from.
        boards: &'a [Board],
        /// Space id of the chosen one.
        chosen: &'a str,
    },
    /// A reply to this post.
    Reply(&'a Post),
    /// An edit of one's own post.
    Edit(&'a Post),
}

/// A file that is already imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Blob CID.
    pub blob: String,
    /// Name.
    pub name: String,
    /// Description.
    pub alt: String,
    /// How far it may travel; none: as the configuration says.
    pub publicity: Option<Publicity>,
}

/// What the form holds: nothing typed is lost when a post is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Title.
    pub title: String,
    /// Link.
    pub url: String,
    /// Body, markdown.
    pub body: String,
    /// BCP 47 language tag.
    pub lang: String,
    /// Covered until asked for.
    pub nsfw: bool,
    /// Files.
    pub media: Vec<Attached>,
}

/// The composer.
#[derive(Debug, Template)]
#[template(path = "compose.html")]
pub struct ComposePage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// What is being written.
    pub target: Target<'a>,
    /// What the form holds.
    pub draft: &'a Draft,
    /// Why it was not posted.
    pub problem: Option<&'a str>,
    /// Shows how the body will look.
    pub preview: bool,
}

impl Attached {
    fn is_chosen(&self, choice: &Publicity) -> bool {
        self.publicity.as_ref() == Some(choice)
    }
}

impl ComposePage<'_> {
    fn action(&self) -> &'static str {
        match self.target {
            Target::Edit(_) => "/edit",
            Target::Thread { .. } | Target::Reply(_) => "/post",
        }
    }

    fn boards(&self) -> &[Board] {
        match self.target {
            Target::Thread { boards, .. } => boards,
            _ => &[],
        }
    }

    fn is_chosen(&self, board: &Board) -> bool {
        matches!(self.target, Target::Thread { chosen, .. } if chosen == board.space)
    }

    fn answered(&self) -> Option<&Post> {
        match self.target {
            Target::Reply(post) => Some(post),
            _ => None,
        }
    }

    fn edited(&self) -> Option<&Post> {
        match self.target {
            Target::Edit(post) => Some(post),
            _ => None,
        }
    }

    fn is_thread(&self) -> bool {
        matches!(self.target, Target::Thread { .. })
    }

    fn rendered(&self) -> Markup {
        render(&self.draft.body)
    }

    fn open_rows(&self) -> std::ops::Range<usize> {
        0..self.free_rows().min(OPEN_FILE_ROWS)
    }

    fn more_rows(&self) -> std::ops::Range<usize> {
        OPEN_FILE_ROWS..self.free_rows().max(OPEN_FILE_ROWS)
    }

    fn free_rows(&self) -> usize {
        FILE_ROWS.saturating_sub(self.draft.media.len())
    }
}
