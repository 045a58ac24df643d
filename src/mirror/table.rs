//! Posts with media that rules may match, in memory: read once from the entry store, then kept up
//! with its events.

use std::collections::{BTreeMap, BTreeSet};

use database::{DatabaseError, Reader, forum::Sort};
use model::{EntryId, IdentityId, SpaceId};

use super::rules::{Match, Rule};
use crate::flow::{fetch::Medium, publish};

/// Threads looked at; of more, the newest of each space count.
const THREADS: usize = 100_000;
/// Posts of a thread, and of an identity, that are looked at.
const POSTS: usize = 10_000;
/// Rows read at a time.
const PAGE: usize = 500;

/// Where posts are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Spaces that are followed as a whole: `all` and `popular` go by them.
    pub followed: BTreeSet<SpaceId>,
    /// Threads that are followed by themselves.
    pub threads: BTreeSet<EntryId>,
    /// Ids that rules name.
    pub named: BTreeSet<EntryId>,
    /// A rule takes everything that is followed.
    pub is_general: bool,
}

impl Scope {
    /// Of these rules.
    pub fn new(rules: &[Rule], followed: BTreeSet<SpaceId>, threads: BTreeSet<EntryId>) -> Self {
        let ids = rules.iter().filter_map(|rule| match rule.what {
            Match::Id(id) => Some(id),
            Match::Popular | Match::All => None,
        });
        let named: BTreeSet<EntryId> = ids.collect();
        Self {
            is_general: rules.iter().any(|rule| !matches!(rule.what, Match::Id(_))),
            followed,
            threads,
            named,
        }
    }

    /// The space, or the thread, is followed.
    pub fn is_followed(&self, space: &SpaceId, root: &EntryId) -> bool {
        self.followed.contains(space) || self.threads.contains(root)
    }

    fn covers(&self, root: &EntryId, thread: &Thread) -> bool {
        (self.is_general && self.is_followed(&thread.space, root))
            || self.named.contains(root)
            || self.named.contains(&thread.space.entry())
            || thread
                .posts
                .iter()
                .any(|post| self.named.contains(&post.author.entry()))
    }
}

/// A post with media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostFacts {
    /// Which.
    pub post: EntryId,
    /// By whom.
    pub author: IdentityId,
    /// When, as its author says, Unix milliseconds.
    pub time_ms: u64,
    /// Its media.
    pub media: Vec<Medium>,
}

/// A thread with media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its space.
    pub space: SpaceId,
    /// Its space's id is all that protects it.
    pub is_unlisted: bool,
    /// Its score.
    pub score: i64,
    /// Its last activity, Unix milliseconds.
    pub last_ms: u64,
    /// Its posts with media.
    pub posts: Vec<PostFacts>,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Where its posts are from.
    pub scope: Scope,
    /// By first post.
    pub threads: BTreeMap<EntryId, Thread>,
}

impl Table {
    /// Reads everything that is in scope.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn load(reader: &Reader<'_>, scope: Scope) -> Result<Self, DatabaseError> {
        let mut roots = BTreeSet::new();
        if scope.is_general {
            for space in &scope.followed {
                add_threads(reader, *space, &mut roots)?;
            }
            roots.extend(&scope.threads);
        }
        for id in &scope.named {
            let space = SpaceId::from(*id);
            match reader.space(&space)? {
                Some(info) => {
                    add_threads(reader, space, &mut roots)?;
                    if info.is_identity {
                        add_threads_of(reader, &IdentityId::from(*id), &mut roots)?;
                    }
                }
                None => {
                    roots.insert(*id);
                }
            }
        }
        let mut table = Self {
            scope,
            threads: BTreeMap::new(),
        };
        for root in roots {
            table.look_at(reader, root)?;
        }
        Ok(table)
    }

    /// Reads a thread again.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn look_at(&mut self, reader: &Reader<'_>, root: EntryId) -> Result<(), DatabaseError> {
        match read_thread(reader, root)? {
            Some(thread) if self.scope.covers(&root, &thread) => {
                self.threads.insert(root, thread);
            }
            _ => {
                self.threads.remove(&root);
            }
        }
        Ok(())
    }
}

fn add_threads(
    reader: &Reader<'_>,
    space: SpaceId,
    roots: &mut BTreeSet<EntryId>,
) -> Result<(), DatabaseError> {
    let mut after = None;
    while roots.len() < THREADS {
        let page = reader.threads(Some(space), Sort::New, after.as_deref(), PAGE)?;
        roots.extend(page.items.iter().map(|thread| thread.root));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(())
}

fn add_threads_of(
    reader: &Reader<'_>,
    identity: &IdentityId,
    roots: &mut BTreeSet<EntryId>,
) -> Result<(), DatabaseError> {
    let (mut after, mut seen) = (None, 0);
    while seen < POSTS {
        let page = reader.posts_by(identity, after.as_deref(), PAGE)?;
        seen += PAGE;
        roots.extend(page.items.iter().map(|post| post.root));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(())
}

/// A thread with its media; none for one without any, and for one that moderators hid.
fn read_thread(reader: &Reader<'_>, root: EntryId) -> Result<Option<Thread>, DatabaseError> {
    let Some(summary) = reader.thread(&root)?.filter(|thread| !thread.hidden) else {
        return Ok(None);
    };
    let mut posts = Vec::new();
    let (mut after, mut seen) = (None, 0);
    while seen < POSTS {
        let page = reader.posts(&root, None, after.as_deref(), PAGE)?;
        seen += PAGE;
        for post in &page.items {
            if post.hidden || post.erased || post.withheld || post.media.is_empty() {
                continue;
            }
            posts.push(PostFacts {
                post: post.id,
                author: post.author,
                time_ms: post.time_ms,
                media: publish::media_of(post).media,
            });
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if posts.is_empty() {
        return Ok(None);
    }
    let is_unlisted = reader
        .space(&summary.space)?
        .is_none_or(|info| info.unlisted);
    Ok(Some(Thread {
        space: summary.space,
        is_unlisted,
        score: summary.score,
        last_ms: summary.last_ms,
        posts,
    }))
}
