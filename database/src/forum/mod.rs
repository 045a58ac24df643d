//! The forum's views: derived from rows by the change, never by rescanning.

use model::{BlobId, EntryId, IdentityId, SpaceId};
use serde::{Deserialize, Serialize};

/// Order of a list of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Score against age.
    Hot,
    /// Newest first.
    New,
    /// Highest score first.
    Top,
}

/// Part of a long list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// This part.
    pub items: Vec<T>,
    /// Opaque cursor of the next part; none at the end.
    pub next: Option<String>,
}

/// A board: a space that follows the forum's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its space.
    pub space: SpaceId,
    /// Who made it.
    pub owner: IdentityId,
    /// Its id is the capability: never announced.
    pub unlisted: bool,
    /// When it was made.
    pub time_ms: u64,
    /// Title; none while the board row isn't held.
    pub title: Option<String>,
    /// Description.
    pub about: String,
    /// Rules.
    pub rules: String,
    /// Icon.
    pub icon: Option<BlobId>,
    /// Language.
    pub lang: String,
    /// `open`, `approval`, `members` or `closed`.
    pub policy: String,
    /// Where it can be reached.
    pub homes: Vec<String>,
    /// What a vote costs.
    pub price_sats: Option<i64>,
    /// Threads held.
    pub threads: u64,
    /// Time of the newest post.
    pub last_ms: Option<u64>,
}

/// A media record of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// The file.
    pub blob: BlobId,
    /// Claimed size.
    pub size_bytes: u64,
    /// Claimed media type.
    pub media_type: String,
    /// File name.
    pub name: String,
    /// Description.
    pub alt: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Playing time.
    pub duration_ms: Option<u64>,
    /// Thumbnail.
    pub thumb: Option<BlobId>,
    /// Waveform.
    pub wave: Option<BlobId>,
    /// Captions.
    pub captions: Vec<BlobId>,
}

/// What a list of threads shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSummary {
    /// First post.
    pub root: EntryId,
    /// Board.
    pub space: SpaceId,
    /// Who wrote it.
    pub author: IdentityId,
    /// Title, or the first words of the body.
    pub title: String,
    /// Link.
    pub url: Option<String>,
    /// Time of the first post.
    pub time_ms: u64,
    /// Time of the newest post.
    pub last_ms: u64,
    /// Score of the first post.
    pub score: i64,
    /// Replies that count.
    pub replies: u64,
    /// First media file.
    pub media: Option<Media>,
    /// Covered until asked for.
    pub nsfw: bool,
    /// On top of its board.
    pub pinned: bool,
    /// Closed to replies.
    pub locked: bool,
    /// Hidden by a moderator; not in lists.
    pub hidden: bool,
    /// From a fork on.
    pub disputed: bool,
    /// The first post's content isn't held.
    pub withheld: bool,
}

/// A post as it stands now: edits, marks and votes applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its id.
    pub id: EntryId,
    /// Board.
    pub space: SpaceId,
    /// First post of the thread.
    pub root: EntryId,
    /// What it answers; none for a first post.
    pub parent: Option<EntryId>,
    /// Who wrote it.
    pub author: IdentityId,
    /// When, by the author's clock.
    pub time_ms: u64,
    /// Time of the newest edit.
    pub edited_ms: Option<u64>,
    /// Title.
    pub title: Option<String>,
    /// Link.
    pub url: Option<String>,
    /// Body, newest edit.
    pub body: String,
    /// Media.
    pub media: Vec<Media>,
    /// Language.
    pub lang: Option<String>,
    /// Covered until asked for: by its author or a moderator.
    pub nsfw: bool,
    /// Sum of valid votes.
    pub score: i64,
    /// Vote of the identity that looks: -1, 0 or 1.
    pub vote: i8,
    /// From a fork on: shown with a banner, counted nowhere.
    pub disputed: bool,
    /// Header only.
    pub withheld: bool,
    /// Header only, because the content was erased here.
    pub erased: bool,
    /// Hidden by a moderator.
    pub hidden: bool,
    /// The moderator's words.
    pub hidden_why: Option<String>,
    /// No replies after it.
    pub locked: bool,
    /// On top of its board.
    pub pinned: bool,
}

/// What an identity says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Name.
    pub name: Option<String>,
    /// About.
    pub about: String,
    /// Avatar.
    pub avatar: Option<BlobId>,
    /// Where it can be reached.
    pub homes: Vec<String>,
    /// Language.
    pub lang: Option<String>,
    /// Posts held.
    pub posts: u64,
}

/// A device that an identity named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its key.
    pub key: model::DeviceKey,
    /// Its name.
    pub name: String,
    /// Row that names it.
    pub row: EntryId,
    /// When it was named.
    pub time_ms: u64,
}
