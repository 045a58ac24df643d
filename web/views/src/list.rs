//! Lists of threads: what front page and board page share.

use crate::data::{BoardLink, Page, Sort, ThreadSummary};
use crate::text::{host_of, is_safe_link, query_value, visible};

impl Sort {
    /// All orders, as the tabs show them.
    pub const ALL: [Self; 4] = [Self::Hot, Self::New, Self::Top, Self::Sats];

    /// Word in addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::New => "new",
            Self::Top => "top",
            Self::Sats => "sats",
        }
    }

    /// Word on the tab.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Hot => "Hot",
            Self::New => "New",
            Self::Top => "Top",
            Self::Sats => "Sats",
        }
    }
}

/// A list of threads under its tabs.
#[derive(Clone, Copy, Debug)]
pub struct ThreadList<'a> {
    /// Path of the page, without its query.
    pub path: &'a str,
    /// The order shown.
    pub sort: Sort,
    /// This part of the list.
    pub threads: &'a Page<ThreadSummary>,
    /// This part doesn't begin at the top.
    pub continued: bool,
    /// Each line names its board.
    pub boards: bool,
}

impl ThreadList<'_> {
    /// Address of the list in another order.
    #[must_use]
    pub fn sorted(&self, sort: &Sort) -> String {
        match sort {
            Sort::Hot => self.path.to_owned(),
            other => format!("{}?sort={}", self.path, other.as_str()),
        }
    }

    /// Whether this is the order shown.
    #[must_use]
    pub fn is_sorted(&self, sort: &Sort) -> bool {
        self.sort == *sort
    }

    /// Address of the next part.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        let next = self.threads.next.as_deref()?;
        Some(format!(
            "{}?sort={}&after={}",
            self.path,
            self.sort.as_str(),
            query_value(next)
        ))
    }
}

impl BoardLink {
    /// Title as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        visible(&self.title).into_owned()
    }
}

impl ThreadSummary {
    /// Title as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let title = visible(&self.title);
        if title.trim().is_empty() {
            "Untitled".to_owned()
        } else {
            title.into_owned()
        }
    }

    /// Host of a link post.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.url
            .as_deref()
            .filter(|url| is_safe_link(url))
            .map(host_of)
    }

    /// What its first media file is, in one word; empty when there is none.
    #[must_use]
    pub fn media_word(&self) -> &'static str {
        let kind = self.media_type.as_deref().unwrap_or("");
        match kind.split('/').next() {
            Some("video") => "video",
            Some("audio") => "audio",
            Some("image") => "image",
            Some("") | None => "",
            Some(_) => "file",
        }
    }

    /// Others have answered since it was posted.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.replies > 0 && self.last_ms > self.time_ms
    }
}
