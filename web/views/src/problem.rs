//! Something failed: what, why, and what to do.

use askama::Template;

use crate::frame::Frame;

/// A page for a request that failed.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct ProblemPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// HTTP status.
    pub status: u16,
    /// What failed, why, and what to do.
    pub message: &'a str,
    /// Ways on, one sentence each.
    pub ways: &'a [&'a str],
    /// Signing in would help.
    pub sign_in: bool,
}
