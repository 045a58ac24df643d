//! Atom feeds (RFC 4287) of the front page and of boards.

use askama::Template;

use crate::amount;
use crate::data::ThreadSummary;
use crate::when::rfc3339;

/// A feed of threads, newest first.
#[derive(Debug, Template)]
#[template(path = "feed.xml", escape = "html")]
pub struct Feed<'a> {
    /// Title.
    pub title: &'a str,
    /// Scheme and host of this gateway.
    pub base: &'a str,
    /// Path of the page that the feed follows.
    pub path: &'a str,
    /// Path of the feed itself.
    pub feed_path: &'a str,
    /// Threads.
    pub threads: &'a [ThreadSummary],
    /// Time for an empty feed.
    pub now_ms: u64,
}

impl Feed<'_> {
    fn updated(&self) -> String {
        rfc3339(
            self.threads
                .iter()
                .map(|t| t.last_ms)
                .max()
                .unwrap_or(self.now_ms),
        )
    }

    fn time(&self, ms: &u64) -> String {
        rfc3339(*ms)
    }

    fn replies(&self, thread: &ThreadSummary) -> String {
        amount::count(thread.replies, "reply", "replies")
    }
}
