//! Reasons to keep a blob: named tags of the store. A blob without any is collected.

use model::{BlobId, EntryId};

/// Longest name of what is pinned, characters: a CID is far shorter.
const TARGET_CHARS: usize = 200;

/// Why a blob is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// A person pinned something that this blob belongs to: a thread, a space, or the blob itself.
    Pin {
        /// CID of what was pinned.
        target: String,
    },
    /// Media of a post that this node keeps, in the order of its links.
    Post {
        /// The post.
        entry: EntryId,
        /// Which link, thumbnails counted after the media.
        index: u16,
    },
    /// A rule of this mirror asks for it; goes when what is worth more needs the room.
    Mirror,
    /// Held because somebody looked at it or uploaded it; the first to go when room is needed.
    Cache,
    /// A fetch that isn't complete; goes like [`Keep::Cache`].
    Partial,
}

impl Keep {
    /// A pin of anything that has a CID.
    pub fn pin(target: impl ToString) -> Self {
        let mut target = target.to_string();
        target.retain(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        target.truncate(TARGET_CHARS);
        Self::Pin { target }
    }

    /// Whether the blob may be evicted when this is the only kind of reason left.
    pub fn is_evictable(&self) -> bool {
        matches!(self, Self::Cache | Self::Partial)
    }

    /// Whether a person promised to keep it: then what rules ask for makes room too.
    pub fn is_promise(&self) -> bool {
        matches!(self, Self::Pin { .. } | Self::Post { .. })
    }

    /// The name of the tag.
    pub(crate) fn tag(&self, blob: BlobId) -> String {
        match self {
            Self::Pin { target } => format!("pin/{target}/{blob}"),
            Self::Post { entry, index } => format!("post/{entry}/{index}"),
            Self::Mirror => format!("mirror/{blob}"),
            Self::Cache => format!("cache/{blob}"),
            Self::Partial => format!("partial/{blob}"),
        }
    }

    /// What a tag of that name says; `None` for names that nobody here gives.
    pub(crate) fn from_tag(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('/')?;
        match kind {
            "pin" => Some(Self::Pin {
                target: rest.split_once('/')?.0.to_owned(),
            }),
            "post" => {
                let (entry, index) = rest.split_once('/')?;
                Some(Self::Post {
                    entry: entry.parse().ok()?,
                    index: index.parse().ok()?,
                })
            }
            "mirror" => Some(Self::Mirror),
            "cache" => Some(Self::Cache),
            "partial" => Some(Self::Partial),
            _ => None,
        }
    }

    /// Prefix of the tags of a whole pin or post.
    pub(crate) fn prefix(&self) -> Option<String> {
        match self {
            Self::Pin { target } => Some(format!("pin/{target}/")),
            Self::Post { entry, .. } => Some(format!("post/{entry}/")),
            Self::Mirror | Self::Cache | Self::Partial => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tags_say_what_they_keep() {
        let blob = BlobId::of(b"blob");
        let entry = EntryId::of(b"entry");
        for keep in [
            Keep::pin(entry),
            Keep::Post { entry, index: 3 },
            Keep::Mirror,
            Keep::Cache,
            Keep::Partial,
        ] {
            assert_eq!(Keep::from_tag(&keep.tag(blob)), Some(keep));
        }
        assert_eq!(Keep::from_tag("auto-2026"), None);
    }

    #[test]
    fn a_pin_name_can_not_leave_its_place() {
        assert_eq!(Keep::pin("a/../b"), Keep::pin("ab"));
    }
}
