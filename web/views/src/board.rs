//! A board's own page.

use askama::Template;

use crate::amount;
use crate::data::{Board, Sort};
use crate::frame::Frame;
use crate::list::ThreadList;
use crate::markdown::{Markup, render};
use crate::text::lang_tag;

/// A board with its description, rules and threads.
#[derive(Debug, Template)]
#[template(path = "board.html")]
pub struct BoardPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// The board.
    pub board: &'a Board,
    /// Its threads.
    pub list: ThreadList<'a>,
    /// Ticket that leads another node here.
    pub ticket: Option<&'a str>,
}

impl BoardPage<'_> {
    fn about(&self) -> Markup {
        render(&self.board.about)
    }

    fn lang(&self) -> &str {
        lang_tag(&self.board.lang)
    }

    fn rules(&self) -> Markup {
        render(&self.board.rules)
    }
}
