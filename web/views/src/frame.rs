//! What surrounds every page: head, navigation, the signed-in person, messages.

use crate::data::Author;
use crate::emblem::Emblem;
use crate::text::{short_id, visible};
use crate::when::When;

/// Colours, as the person chose them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// From the value of the cookie; anything unknown is [`Theme::Auto`].
    #[must_use]
    pub fn from_cookie(value: &str) -> Self {
        match value {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Auto,
        }
    }

    /// Value for cookie, form and stylesheet.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The signed-in person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Who.
    pub author: Author,
    /// Token that every form carries.
    pub csrf: String,
}

/// What other places show when they link here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// A sentence or two.
    pub description: String,
    /// Path of a picture, as `/ipfs/CID`.
    pub image: Option<String>,
    /// `article`, `profile` or `website`.
    pub kind: &'static str,
}

/// The node in a few words, for the navigation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeChip {
    /// Peers connected now.
    pub peers: u64,
    /// Nothing leaves the machine.
    pub offline: bool,
    /// It follows a chain that payments can be proved on.
    pub pays: bool,
}

/// The frame of a page.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Title of the page.
    pub title: String,
    /// Signed-in person.
    pub viewer: Option<Viewer>,
    /// Colours.
    pub theme: Theme,
    /// Path and query of this page: forms lead back to it.
    pub path: String,
    /// Scheme and host of this gateway, without a slash at the end.
    pub base: String,
    /// Time of the request by this node's clock.
    pub now_ms: u64,
    /// Version of stylesheet and script, part of their addresses.
    pub assets: String,
    /// The node in a few words; none for strangers.
    pub chip: Option<NodeChip>,
    /// Messages about what was just done.
    pub notices: Vec<String>,
    /// For links from elsewhere.
    pub preview: Option<Preview>,
    /// Path of the page's Atom feed.
    pub feed: Option<String>,
    /// Nobody looked whether somebody is signed in: the page offers nothing that depends on it.
    pub unknown_viewer: bool,
    /// Page that search engines shall leave alone.
    pub noindex: bool,
}

impl Frame {
    /// CSRF token of the signed-in person, or nothing.
    #[must_use]
    pub fn csrf(&self) -> &str {
        self.viewer.as_ref().map_or("", |v| v.csrf.as_str())
    }

    /// Whether somebody is signed in.
    #[must_use]
    pub fn signed_in(&self) -> bool {
        self.viewer.is_some()
    }

    /// Whether votes can be paid for here.
    #[must_use]
    pub fn pays(&self) -> bool {
        self.chip.is_some_and(|chip| chip.pays)
    }

    /// Relative time.
    #[must_use]
    pub fn age(&self, ms: &u64) -> When {
        When::relative(*ms, self.now_ms)
    }

    /// Exact and relative time.
    #[must_use]
    pub fn exact(&self, ms: &u64) -> When {
        When::exact(*ms, self.now_ms)
    }

    /// Whether the page is this one, for the navigation.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        self.path.split('?').next() == Some(path)
    }
}

impl Author {
    /// Name to show: the given one, else the shortened id.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.name {
            Some(name) if !name.trim().is_empty() => visible(name).into_owned(),
            _ => short_id(&self.identity),
        }
    }

    /// Picture computed from the id.
    #[must_use]
    pub fn emblem(&self) -> Emblem {
        Emblem::of(&self.identity)
    }
}
