//! A board's own page.

use askama::Template;

use crate::amount;
use crate::data::{Board, Sort};
use crate::frame::Frame;
use crate::list::ThreadList;
use crate::markdown::{Markup, render};

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

    fn rules(&self) -> Markup {
        render(&self.board.rules)
    }
}
