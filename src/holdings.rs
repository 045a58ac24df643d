//! Who holds what in full: the book of statements, the statements themselves by thread (to hand
//! them on), and what this node itself has stated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use blocks::HoldingsBook;
use model::{BlobId, EndpointKey, EntryId, Holding, Item, SpaceId, limits};

/// Threads whose statements are kept to be handed on.
const THREADS: usize = 4_096;
/// Statements kept of one thread.
const PER_THREAD: usize = 64;
/// Posts that this node has stated and renews.
const OWN_POSTS: usize = 10_000;
/// Life of an own statement; renewed when half of it is over.
const LIFE_MS: u64 = limits::HOLDING_LIFE_MS / 2;

/// A post that this node holds in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPost {
    /// Its space.
    pub space: SpaceId,
    /// Its thread.
    pub root: EntryId,
    /// Blobs of its media.
    pub blobs: Vec<BlobId>,
}

/// A statement as it is handed on.
#[derive(Debug)]
struct Statement {
    endpoint: EndpointKey,
    until_ms: u64,
    bytes: Vec<u8>,
}

/// Everything about holdings; pure, the clock is handed in.
#[derive(Debug, Default)]
pub struct Holdings {
    book: HoldingsBook,
    by_thread: BTreeMap<EntryId, VecDeque<Statement>>,
    own: BTreeMap<EntryId, (HeldPost, u64)>,
}

impl Holdings {
    /// Notes a statement about a thread. Empty when it says nothing new.
    pub fn note(&mut self, root: Option<EntryId>, holding: &Holding, now_ms: u64) -> Vec<Item> {
        let fresh = self.book.note(holding, now_ms, limits::FUTURE_HOLD_MS);
        let live = holding.until_ms() > now_ms;
        if let Some(root) = root.filter(|_| live) {
            if self.by_thread.len() >= THREADS && !self.by_thread.contains_key(&root) {
                self.forget_oldest_thread();
            }
            let statements = self.by_thread.entry(root).or_default();
            if !statements.iter().any(|s| s.bytes == holding.bytes()) {
                if statements.len() == PER_THREAD {
                    statements.pop_back();
                }
                statements.push_front(Statement {
                    endpoint: holding.endpoint(),
                    until_ms: holding.until_ms(),
                    bytes: holding.bytes().to_vec(),
                });
            }
        }
        fresh
    }

    /// Live statements about a thread: a node's own first, then the newest.
    pub fn statements(
        &self,
        root: &EntryId,
        own: EndpointKey,
        limit: usize,
        now_ms: u64,
    ) -> Vec<Vec<u8>> {
        let all = self.by_thread.get(root).into_iter().flatten();
        let mut live: Vec<&Statement> = all.filter(|s| s.until_ms > now_ms).collect();
        live.sort_by_key(|s| s.endpoint != own);
        let first = live.into_iter().take(limit);
        first.map(|s| s.bytes.clone()).collect()
    }

    /// The thread of which nothing was stated for longest makes room.
    fn forget_oldest_thread(&mut self) {
        let newest = |statements: &VecDeque<Statement>| {
            statements.front().map_or(0, |newest| newest.until_ms)
        };
        let oldest = self.by_thread.iter().min_by_key(|(_, of)| newest(of));
        if let Some(oldest) = oldest.map(|(root, _)| *root) {
            self.by_thread.remove(&oldest);
        }
    }

    /// Endpoints that hold an item in full.
    pub fn held_by(&self, item: Item, now_ms: u64) -> BTreeSet<EndpointKey> {
        self.book.held_by(item, now_ms)
    }

    /// How many others hold an item in full.
    pub fn count(&self, item: Item, own: EndpointKey, now_ms: u64) -> u32 {
        u32::try_from(self.book.count(item, own, now_ms)).unwrap_or(u32::MAX)
    }

    /// How many blobs an endpoint says it holds.
    pub fn blobs_of(&self, endpoint: &EndpointKey) -> u64 {
        self.book.blobs_of(endpoint)
    }

    /// Spaces of the posts with this blob that this node stated to hold.
    pub fn spaces_of(&self, blob: &BlobId) -> BTreeSet<SpaceId> {
        let own = self.own.values();
        let posts = own.filter(|(held, _)| held.blobs.contains(blob));
        posts.map(|(held, _)| held.space).collect()
    }

    /// Strikes out what a liar said.
    pub fn forget(&mut self, endpoint: EndpointKey) {
        self.book.forget_endpoint(endpoint);
    }

    /// Whether this node stated that it holds a post, and that needs no renewal yet.
    pub fn is_stated(&self, post: &EntryId, now_ms: u64) -> bool {
        self.own
            .get(post)
            .is_some_and(|(_, until_ms)| *until_ms > now_ms + LIFE_MS / 2)
    }

    /// This node holds a post in full. False when that was stated and needs no renewal yet.
    pub fn hold(&mut self, post: EntryId, held: HeldPost, now_ms: u64) -> bool {
        if self.is_stated(&post, now_ms) {
            return false;
        }
        if self.own.len() >= OWN_POSTS && !self.own.contains_key(&post) {
            let oldest = self.own.iter().min_by_key(|(_, (_, until_ms))| *until_ms);
            if let Some(oldest) = oldest.map(|(post, _)| *post) {
                self.own.remove(&oldest);
            }
        }
        self.own.insert(post, (held, now_ms + LIFE_MS));
        true
    }

    /// More posts may be stated without giving up others.
    pub fn has_room(&self) -> bool {
        self.own.len() < OWN_POSTS - OWN_POSTS / 10
    }

    /// Posts whose statement is half over.
    pub fn due(&self, now_ms: u64) -> Vec<(EntryId, HeldPost)> {
        let due = self
            .own
            .iter()
            .filter(|(_, (_, until_ms))| *until_ms <= now_ms + LIFE_MS / 2);
        due.map(|(post, (held, _))| (*post, held.clone())).collect()
    }

    /// This node no longer holds a post in full.
    pub fn unhold(&mut self, post: &EntryId) {
        self.own.remove(post);
    }

    /// When a statement made now ends.
    pub fn until_ms(now_ms: u64) -> u64 {
        now_ms + LIFE_MS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::SecretKey;

    use super::*;

    fn held() -> HeldPost {
        HeldPost {
            space: SpaceId::of(b"s"),
            root: EntryId::of(b"r"),
            blobs: Vec::new(),
        }
    }

    #[test]
    fn own_statements_are_renewed_at_half_time() {
        let mut holdings = Holdings::default();
        let post = EntryId::of(b"p");
        assert!(holdings.hold(post, held(), 0));
        assert!(!holdings.hold(post, held(), 1));
        assert!(holdings.due(LIFE_MS / 2 - 1).is_empty());
        assert_eq!(holdings.due(LIFE_MS / 2).len(), 1);
        assert!(holdings.hold(post, held(), LIFE_MS / 2));
        assert!(holdings.due(LIFE_MS / 2 + 1).is_empty());
        holdings.unhold(&post);
        assert!(holdings.due(u64::MAX / 2).is_empty());
    }

    #[test]
    fn statements_are_handed_on_while_they_live() {
        let mut holdings = Holdings::default();
        let secret = SecretKey::from_bytes(&[1; 32]);
        let (root, post) = (EntryId::of(b"r"), EntryId::of(b"p"));
        let said = Holding::sign(&secret, vec![Item::Post(post)], 0, 100).unwrap();
        assert_eq!(holdings.note(Some(root), &said, 1), [Item::Post(post)]);
        assert!(holdings.note(Some(root), &said, 1).is_empty());
        let other = SecretKey::from_bytes(&[2; 32]);
        let later = Holding::sign(&other, vec![Item::Post(post)], 1, 100).unwrap();
        holdings.note(Some(root), &later, 1);
        let handed_on = |own: &Holding, limit, now_ms| {
            holdings.statements(&root, own.endpoint(), limit, now_ms)
        };
        let (said_bytes, later_bytes) = (said.bytes().to_vec(), later.bytes().to_vec());
        assert_eq!(
            handed_on(&said, 9, 50),
            [said_bytes.clone(), later_bytes.clone()]
        );
        assert_eq!(handed_on(&said, 1, 50), [said_bytes]);
        assert_eq!(handed_on(&later, 1, 50), [later_bytes]);
        assert!(handed_on(&said, 9, 100).is_empty());
        assert_eq!(holdings.count(Item::Post(post), said.endpoint(), 50), 1);
    }
}
