//! Media files: which element shows them, and who holds them.

use crate::amount;
use crate::chart::sources::Sources;
use crate::data::{Availability, Media};
use crate::text::visible;

/// Pictures up to this size are shown themselves; of larger ones the thumbnail.
const INLINE_PICTURE_BYTES: u64 = 1 << 20;

/// How a file is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In a video player.
    Video,
    /// In an audio player.
    Audio,
    /// As a picture.
    Picture,
    /// As a link.
    File,
}

impl Media {
    /// How it is shown: by the author's claim, which decides nothing but the element.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.media_type.split(';').next().unwrap_or("").trim() {
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/avif" => Kind::Picture,
            kind if kind.starts_with("video/") => Kind::Video,
            kind if kind.starts_with("audio/") => Kind::Audio,
            _ => Kind::File,
        }
    }

    /// Name as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.name.trim().is_empty() {
            "file".to_owned()
        } else {
            visible(&self.name).into_owned()
        }
    }

    /// Description as it may be shown.
    #[must_use]
    pub fn alt_text(&self) -> String {
        self.alt
            .as_deref()
            .map(|alt| visible(alt).into_owned())
            .unwrap_or_default()
    }

    /// Blob to show for a picture.
    #[must_use]
    pub fn picture(&self) -> &str {
        match &self.thumb {
            Some(thumb) if self.size_bytes > INLINE_PICTURE_BYTES => thumb,
            _ => &self.blob,
        }
    }

    /// All of it is held here.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.availability.is_held()
    }

    /// What the player may load before somebody presses play: of what isn't held, strangers
    /// cause nothing to be fetched, the owner no more than its length.
    #[must_use]
    pub fn preload(&self, signed_in: bool) -> &'static str {
        if signed_in || self.is_held() {
            "metadata"
        } else {
            "none"
        }
    }

    /// Where its bytes came from in the last minutes.
    #[must_use]
    pub fn sources(&self) -> Sources<'_> {
        Sources::new(&self.blob, &self.shares)
    }

    /// Size, playing time, dimensions.
    #[must_use]
    pub fn facts(&self) -> String {
        let mut facts = amount::bytes(self.size_bytes);
        if let Some(duration_ms) = self.duration_ms {
            facts.push_str(" · ");
            facts.push_str(&amount::playing_time(duration_ms));
        }
        if let (Some(width), Some(height)) = (self.width, self.height) {
            facts.push_str(&format!(" · {width}×{height}"));
        }
        facts
    }
}

impl Availability {
    /// All of it is held here.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.total_bytes > 0 && self.held_bytes >= self.total_bytes
    }

    /// Where it is, in words: `sent to 3 · held in full by 2 others`.
    #[must_use]
    pub fn words(&self) -> String {
        let sent = amount::count(u64::from(self.sent_to), "node", "nodes");
        let held = match self.held_by {
            0 => "held in full by no other node".to_owned(),
            1 => "held in full by 1 other node".to_owned(),
            n => format!("held in full by {n} other nodes"),
        };
        format!("Sent to {sent} · {held}")
    }

    /// Nobody else has it: the person should keep the node running.
    #[must_use]
    pub fn only_here(&self) -> bool {
        self.held_by == 0
    }

    /// What is held here while it isn't all: `12 MiB of 1 GiB here`.
    #[must_use]
    pub fn part_words(&self) -> Option<String> {
        if self.is_held() || self.total_bytes == 0 {
            return None;
        }
        Some(match self.held_bytes {
            0 => "not fetched yet".to_owned(),
            held => format!(
                "{} of {} here",
                amount::bytes(held),
                amount::bytes(self.total_bytes)
            ),
        })
    }
}
