//! The forum's views: derived from rows by the change, never by rescanning.

mod change;
pub(crate) mod column;
mod order;
mod read;

use model::{BlobId, EntryId, IdentityId, Row, SpaceId};
use serde::{Deserialize, Serialize};

use crate::record::{Num, Record, Shown};

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
    /// Claimed infohash, BitTorrent v1: its author put it into swarms.
    pub infohash: Option<[u8; 20]>,
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

/// Names of the tables that the views follow.
pub(crate) struct ForumTables {
    pub(crate) post: &'static str,
    pub(crate) vote: &'static str,
    pub(crate) revise: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) board: &'static str,
}

pub(crate) const FORUM_TABLES: ForumTables = ForumTables {
    post: "post",
    vote: "vote",
    revise: "revise",
    mark: "mark",
    board: "board",
};

pub(crate) const MARK_HIDE: u8 = 1;
pub(crate) const MARK_LOCK: u8 = 2;
pub(crate) const MARK_PIN: u8 = 4;
pub(crate) const MARK_NSFW: u8 = 8;

/// Characters of the body that stand for a title that isn't there.
const TITLE_CHARS: usize = 80;

/// What is kept about a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PostRecord {
    num: Num,
    author: IdentityId,
    parent: Option<EntryId>,
    shown: Shown,
    score: i64,
    edit: Option<Num>,
    /// The row that hides it.
    hide: Option<Num>,
    marks: u8,
    nsfw: bool,
}

impl PostRecord {
    fn new(num: Num, record: &Record) -> Self {
        Self {
            num,
            author: record.identity,
            parent: None,
            shown: Shown::Absent,
            score: 0,
            edit: None,
            hide: None,
            marks: 0,
            nsfw: false,
        }
    }
}

/// What is kept about a thread: all that a list shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThreadRecord {
    num: Num,
    pub(crate) space: SpaceId,
    author: IdentityId,
    title: String,
    url: Option<String>,
    pub(crate) time_ms: u64,
    last_ms: u64,
    pub(crate) score: i64,
    replies: u64,
    media: Option<Media>,
    pub(crate) marks: u8,
    nsfw: bool,
    pub(crate) shown: Shown,
    pub(crate) unlisted: bool,
}

impl ThreadRecord {
    fn new(num: Num, record: &Record, unlisted: bool) -> Self {
        Self {
            num,
            space: record.space,
            author: record.identity,
            title: String::new(),
            url: None,
            time_ms: record.time_ms,
            last_ms: record.time_ms,
            score: 0,
            replies: 0,
            media: None,
            marks: 0,
            nsfw: false,
            shown: Shown::Absent,
            unlisted,
        }
    }

    /// Takes over what the row of the first post says.
    fn describe(&mut self, row: &Row) {
        let body = || column::text(row, "body").unwrap_or_default();
        let words = || -> String { body().split_whitespace().collect::<Vec<_>>().join(" ") };
        self.title = column::owned(row, "title")
            .unwrap_or_else(|| words().chars().take(TITLE_CHARS).collect());
        self.url = column::owned(row, "url");
        self.media = column::media(row).into_iter().next();
        self.nsfw = column::flag(row, "nsfw");
    }
}

/// What is kept about a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BoardRecord {
    /// The row that describes it.
    row: Option<Num>,
    /// Threads listed.
    threads: u64,
}

/// The time in a key of the posts' tree.
pub(crate) fn time_in_post(key: &[u8]) -> Option<u64> {
    key.get(33..41)?.try_into().ok().map(u64::from_be_bytes)
}
