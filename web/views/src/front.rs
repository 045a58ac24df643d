//! The front page.

use askama::Template;

use crate::amount;
use crate::data::{Board, Sort};
use crate::frame::Frame;
use crate::list::ThreadList;
use crate::text::visible;

/// The front page: boards, and the threads of all of them.
#[derive(Debug, Template)]
#[template(path = "front.html")]
pub struct FrontPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// Boards followed.
    pub boards: &'a [Board],
    /// Threads.
    pub list: ThreadList<'a>,
}

impl Board {
    /// Title as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        visible(&self.title).into_owned()
    }

    /// What its policy means, in a sentence; nothing for open boards.
    #[must_use]
    pub fn policy_words(&self) -> &'static str {
        match self.policy.as_str() {
            "approval" => "Posts are shown here once a moderator approved them.",
            "members" => "Only members' posts are shown here.",
            "closed" => "Closed for now: new posts are not shown or fetched.",
            _ => "",
        }
    }
}
