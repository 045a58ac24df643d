//! What rules ask for, blob by blob. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use blocks::{
    retain::{Bounds, Candidate},
    stored_bytes,
};
use gateway::api::types::PinMedia;
use model::{BlobId, EndpointKey, EntryId, SpaceId};

use super::{
    rules::{Facts, Rule, first_match},
    table::Table,
};

/// What a thumbnail or a caption counts as until its size is known, bytes.
const SMALL_BYTES: u64 = 64 * 1024;
/// Larger ones are not fetched, bytes.
pub const SMALL_MAX_BYTES: u64 = 2 << 20;
/// Posts remembered that name a blob.
const POSTS: usize = 8;

/// A blob that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first of the rules that match posts with it.
    pub rule: usize,
    /// Best score of a thread with it.
    pub score: i64,
    /// Its last activity, Unix milliseconds.
    pub last_ms: u64,
    /// Space and thread of the post that it counts by.
    pub space: SpaceId,
    /// See `space`.
    pub root: EntryId,
    /// Posts that name it, that one first.
    pub posts: Vec<EntryId>,
    /// When the oldest of them was posted, Unix milliseconds.
    pub time_ms: u64,
    /// Its size as authors claim it; none for thumbnails and captions.
    pub claimed_bytes: Option<u64>,
}

/// The bounds of a rule, as retention knows them.
pub fn bounds(rule: &Rule) -> Bounds {
    Bounds {
        max_bytes: rule.max_bytes,
        replicas: rule.replicas,
        is_by_score: rule.is_by_score(),
    }
}

/// All blobs that rules ask for.
pub fn find(table: &Table, rules: &[Rule], now_ms: u64) -> BTreeMap<BlobId, Found> {
    let mut all: BTreeMap<BlobId, Found> = BTreeMap::new();
    for (root, thread) in &table.threads {
        for post in &thread.posts {
            let facts = Facts {
                space: thread.space,
                root: *root,
                author: post.author,
                is_followed: table.scope.is_followed(&thread.space, root),
                is_unlisted: thread.is_unlisted,
                score: thread.score,
                last_ms: thread.last_ms,
            };
            let Some(rule) = first_match(rules, &facts, now_ms) else {
                continue;
            };
            let found = |claimed_bytes| Found {
                rule,
                score: thread.score,
                last_ms: thread.last_ms,
                space: thread.space,
                root: *root,
                posts: vec![post.post],
                time_ms: post.time_ms,
                claimed_bytes,
            };
            for medium in &post.media {
                if rules[rule].media == PinMedia::All {
                    note(&mut all, medium.blob, found(Some(medium.size_bytes)));
                }
                if rules[rule].media != PinMedia::None {
                    for small in &medium.small {
                        note(&mut all, *small, found(None));
                    }
                }
            }
        }
    }
    all
}

fn note(all: &mut BTreeMap<BlobId, Found>, blob: BlobId, found: Found) {
    let Some(known) = all.get_mut(&blob) else {
        all.insert(blob, found);
        return;
    };
    let worth = |found: &Found| (found.rule, Reverse(found.score), Reverse(found.last_ms));
    let (mut best, other) = if worth(&found) < worth(known) {
        (found, known.clone())
    } else {
        (known.clone(), found)
    };
    best.time_ms = best.time_ms.min(other.time_ms);
    best.claimed_bytes = best.claimed_bytes.max(other.claimed_bytes);
    for post in other.posts {
        if best.posts.len() < POSTS && !best.posts.contains(&post) {
            best.posts.push(post);
        }
    }
    *known = best;
}

/// What is known of a blob besides its posts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its size, when all of it is held.
    pub held_bytes: Option<u64>,
    /// A person promised to keep it.
    pub is_pinned: bool,
    /// Who else says that he holds it.
    pub others: BTreeSet<EndpointKey>,
}

impl Found {
    /// Its size, as far as that is known.
    pub fn size_bytes(&self, held_bytes: Option<u64>) -> u64 {
        held_bytes.or(self.claimed_bytes).unwrap_or(SMALL_BYTES)
    }

    /// As retention knows it.
    pub fn candidate(&self, blob: BlobId, known: Known) -> Candidate {
        Candidate {
            blob,
            bytes: stored_bytes(self.size_bytes(known.held_bytes)),
            rule: self.rule,
            space: self.space,
            score: self.score,
            last_ms: self.last_ms,
            others: known.others,
            is_held: known.held_bytes.is_some(),
            is_pinned: known.is_pinned,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::IdentityId;

    use super::*;
    use crate::{
        config::MirrorRule,
        flow::fetch::Medium,
        mirror::{
            rules,
            table::{PostFacts, Thread},
        },
    };

    fn rule(what: &str, media: PinMedia) -> MirrorRule {
        MirrorRule {
            what: what.to_owned(),
            media,
            max_bytes: 0,
            min_score: None,
            max_age: None,
            replicas: 0,
        }
    }

    fn thread(space: &[u8], score: i64, posts: Vec<PostFacts>) -> Thread {
        Thread {
            space: SpaceId::of(space),
            is_unlisted: false,
            score,
            last_ms: 100,
            posts,
        }
    }

    fn post(name: &[u8], time_ms: u64, blob: &[u8]) -> PostFacts {
        PostFacts {
            post: EntryId::of(name),
            author: IdentityId::of(b"author"),
            time_ms,
            media: vec![Medium {
                blob: BlobId::of(blob),
                size_bytes: 1_000_000,
                small: vec![BlobId::of(b"thumb")],
            }],
        }
    }

    #[test]
    fn a_blob_of_several_posts_goes_by_the_best_of_them() {
        let mut table = Table::default();
        table.scope.followed = [SpaceId::of(b"s"), SpaceId::of(b"t")].into();
        let (one, two) = (EntryId::of(b"one"), EntryId::of(b"two"));
        let first = thread(b"s", 2, vec![post(b"p", 50, b"film")]);
        let second = thread(b"t", 9, vec![post(b"q", 70, b"film")]);
        table.threads.insert(one, first);
        table.threads.insert(two, second);
        let rules = rules::read(&[rule("popular", PinMedia::All)]).unwrap();
        let found = find(&table, &rules, 100);
        let film = &found[&BlobId::of(b"film")];
        assert_eq!((film.score, film.root, film.time_ms), (9, two, 50));
        assert_eq!(film.posts, [EntryId::of(b"q"), EntryId::of(b"p")]);
        let thumb = &found[&BlobId::of(b"thumb")];
        assert_eq!(thumb.size_bytes(None), SMALL_BYTES);
        assert_eq!(thumb.size_bytes(Some(5)), 5);
    }

    #[test]
    fn the_first_rule_says_which_media() {
        let mut table = Table::default();
        table.scope.followed = [SpaceId::of(b"s")].into();
        let of = thread(b"s", 0, vec![post(b"p", 0, b"film")]);
        table.threads.insert(EntryId::of(b"one"), of);
        let space = SpaceId::of(b"s").to_string();
        let count = |media| {
            let rules = [rule(&space, media), rule("all", PinMedia::All)];
            find(&table, &rules::read(&rules).unwrap(), 0).len()
        };
        assert_eq!(count(PinMedia::None), 0);
        assert_eq!(count(PinMedia::Thumbs), 1);
        assert_eq!(count(PinMedia::All), 2);
    }
}
