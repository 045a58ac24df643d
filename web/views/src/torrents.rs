//! Torrents, and the names of files in swarms.

use askama::Template;

use crate::amount;
use crate::chart::sources::Sources;
use crate::data::{Claim, Torrent, TorrentName};
use crate::frame::Frame;

/// What this node seeds, offers or downloads.
#[derive(Debug, Template)]
#[template(path = "torrents.html")]
pub struct TorrentsPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// Torrents.
    pub torrents: &'a [Torrent],
}

/// Where the bytes of one file came from.
#[derive(Debug, Template)]
#[template(path = "sources_page.html")]
pub struct SourcesPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// Its sources.
    pub s: Sources<'a>,
}

impl TorrentsPage<'_> {
    fn title(&self) -> String {
        amount::count(self.torrents.len() as u64, "torrent", "torrents")
    }

    fn live(&self) -> usize {
        self.torrents.iter().filter(|one| one.is_live).count()
    }

    fn peers(&self) -> String {
        let peers = self.torrents.iter().map(|one| one.peers);
        amount::count(peers.fold(0, u64::saturating_add), "peer", "peers")
    }
}

impl Torrent {
    fn state_words(&self) -> String {
        match (self.is_paused, self.is_live) {
            (true, _) => "Paused".to_owned(),
            (false, false) => "Idle: comes in when asked for".to_owned(),
            (false, true) => amount::count(self.peers, "peer", "peers"),
        }
    }

    fn magnet_link(&self) -> Option<&str> {
        magnet(&self.magnet)
    }
}

impl TorrentName {
    /// Magnet link, if it is one.
    #[must_use]
    pub fn magnet_link(&self) -> Option<&str> {
        magnet(&self.magnet)
    }

    /// It names other bytes.
    #[must_use]
    pub fn is_false(&self) -> bool {
        self.claim == Claim::False
    }

    /// Class of its tag.
    #[must_use]
    pub fn claim_class(&self) -> &'static str {
        self.claim.class()
    }

    /// Words of its tag.
    #[must_use]
    pub fn claim_tag(&self) -> &'static str {
        self.claim.tag()
    }

    /// What became of the claim, in a sentence.
    #[must_use]
    pub fn claim_words(&self) -> &'static str {
        match self.claim {
            Claim::Verified => "This node computed it from the bytes.",
            Claim::Unchecked => "The author says so; it is checked when all bytes are here.",
            Claim::False => "The author's infohash is not that of these bytes.",
        }
    }
}

impl Claim {
    /// Class of its tag.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Verified => "kind",
            Self::Unchecked => "",
            Self::False => "warn",
        }
    }

    /// Words of its tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unchecked => "not checked yet",
            Self::False => "false",
        }
    }
}

fn magnet(link: &str) -> Option<&str> {
    Some(link).filter(|link| link.starts_with("magnet:?"))
}
