//! Media that this node wants and doesn't hold: what, why, and when to try again.

use std::collections::{BTreeMap, BTreeSet};

use blocks::{Keep, Lane};
use model::{BlobId, EndpointKey, EntryId, SpaceId};

/// Blobs wanted at once; what doesn't fit is found again by the next look over recent posts.
const WANTED: usize = 10_000;
/// Peers noted as likely sources of one blob.
const HINTS: usize = 8;
/// Further reasons to keep, and further posts that name it, noted of one blob.
const MORE: usize = 64;
/// Blobs that somebody watches while they come, and that are looked at until they are complete.
const WATCHED: usize = 100;
/// First pause after a failed attempt, milliseconds; it doubles up to the longest.
const FIRST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 10 * 60 * 1_000;

/// A blob that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Space of the post that names it.
    pub space: SpaceId,
    /// Thread of that post.
    pub root: EntryId,
    /// The post.
    pub post: EntryId,
    /// Why to keep it.
    pub keep: Keep,
    /// Further reasons: it may belong to several pins.
    pub keep_too: Vec<Keep>,
    /// Further posts that name it.
    pub posts_too: Vec<EntryId>,
    /// Thumbnails never wait for video.
    pub lane: Urgency,
    /// More than this is not fetched, whatever the post claims.
    pub max_bytes: u64,
    /// Peers that may have it.
    pub hints: Vec<EndpointKey>,
}

/// Order of fetching; thumbnails, captions and avatars come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Small things that pages show at once.
    Thumb,
    /// The media themselves.
    Bulk,
}

impl Urgency {
    /// The fetcher's lane.
    pub fn lane(self) -> Lane {
        match self {
            Self::Thumb => Lane::Thumbnail,
            Self::Bulk => Lane::Bulk,
        }
    }
}

#[derive(Debug)]
struct Waiting {
    want: Want,
    attempts: u32,
    next_ms: u64,
    running: bool,
}

/// The list of wants; pure, the clock is handed in.
#[derive(Debug, Default)]
pub struct Wants {
    waiting: BTreeMap<BlobId, Waiting>,
    watched: BTreeSet<BlobId>,
}

impl Wants {
    /// Wants a blob. False when the list is full.
    pub fn add(&mut self, blob: BlobId, want: Want, now_ms: u64) -> bool {
        if let Some(waiting) = self.waiting.get_mut(&blob) {
            waiting.want.lane = waiting.want.lane.min(want.lane);
            waiting.want.max_bytes = waiting.want.max_bytes.max(want.max_bytes);
            if waiting.want.keep != want.keep {
                add_more(&mut waiting.want.keep_too, want.keep);
            }
            if waiting.want.post != want.post {
                add_more(&mut waiting.want.posts_too, want.post);
            }
            for hint in want.hints {
                add_hint(&mut waiting.want.hints, hint);
            }
            waiting.next_ms = waiting.next_ms.min(now_ms);
            return true;
        }
        if self.waiting.len() >= WANTED {
            return false;
        }
        let waiting = Waiting {
            want,
            attempts: 0,
            next_ms: now_ms,
            running: false,
        };
        self.waiting.insert(blob, waiting);
        true
    }

    /// A peer says that it has a blob: if that is wanted, it is tried now.
    pub fn offered(&mut self, blob: &BlobId, peer: EndpointKey, now_ms: u64) -> bool {
        let Some(waiting) = self.waiting.get_mut(blob) else {
            return false;
        };
        add_hint(&mut waiting.want.hints, peer);
        waiting.next_ms = now_ms;
        true
    }

    /// A peer came up: everything may be tried with it.
    pub fn retry_all(&mut self, now_ms: u64) {
        for waiting in self.waiting.values_mut() {
            waiting.next_ms = waiting.next_ms.min(now_ms);
        }
    }

    /// At most `limit` blobs whose time has come, most urgent first; they count as running.
    pub fn due(&mut self, now_ms: u64, limit: usize) -> Vec<(BlobId, Want)> {
        let mut due: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| !waiting.running && waiting.next_ms <= now_ms)
            .map(|(blob, waiting)| (waiting.want.lane, waiting.attempts, *blob))
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        due.into_iter()
            .filter_map(|(_, _, blob)| {
                let waiting = self.waiting.get_mut(&blob)?;
                waiting.running = true;
                Some((blob, waiting.want.clone()))
            })
            .collect()
    }

    /// When the next one is due, of those not running.
    pub fn next_ms(&self) -> Option<u64> {
        self.waiting
            .values()
            .filter(|waiting| !waiting.running)
            .map(|waiting| waiting.next_ms)
            .min()
    }

    /// It is held now, or nobody wants it any longer.
    pub fn remove(&mut self, blob: &BlobId) -> Option<Want> {
        self.waiting.remove(blob).map(|waiting| waiting.want)
    }

    /// Nothing is wanted for this reason any longer.
    pub fn release(&mut self, why: &Keep) {
        self.waiting.retain(|_, waiting| waiting.release(why));
    }

    /// One blob is no longer wanted for this reason.
    pub fn release_of(&mut self, blob: &BlobId, why: &Keep) {
        let is_wanted = self
            .waiting
            .get_mut(blob)
            .map(|waiting| waiting.release(why));
        if is_wanted == Some(false) {
            self.waiting.remove(blob);
        }
    }

    /// An attempt failed.
    pub fn failed(&mut self, blob: &BlobId, now_ms: u64) {
        if let Some(waiting) = self.waiting.get_mut(blob) {
            let pause_ms = FIRST_PAUSE_MS
                .saturating_mul(1 << waiting.attempts.min(20))
                .min(LONGEST_PAUSE_MS);
            waiting.attempts += 1;
            waiting.running = false;
            waiting.next_ms = now_ms.saturating_add(pause_ms);
        }
    }

    /// Somebody watches a blob that isn't held in full: it may become so by that.
    pub fn watch(&mut self, blob: BlobId) {
        if self.watched.len() < WATCHED {
            self.watched.insert(blob);
        }
    }

    /// Blobs that were watched, to be looked at.
    pub fn take_watched(&mut self) -> BTreeSet<BlobId> {
        std::mem::take(&mut self.watched)
    }

    /// Whether a blob is wanted for this reason.
    pub fn is_wanted_for(&self, blob: &BlobId, why: &Keep) -> bool {
        self.waiting.get(blob).is_some_and(|waiting| {
            let want = &waiting.want;
            want.keep == *why || want.keep_too.contains(why)
        })
    }

    /// How many are wanted.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Waiting {
    /// False when no reason is left.
    fn release(&mut self, why: &Keep) -> bool {
        let want = &mut self.want;
        want.keep_too.retain(|keep| keep != why);
        if want.keep != *why {
            return true;
        }
        want.keep = match want.keep_too.pop() {
            Some(keep) => keep,
            // Under way: it may stay for as long as there is room.
            None if self.running => Keep::Cache,
            None => return false,
        };
        true
    }
}

fn add_more<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MORE && !list.contains(&item) {
        list.push(item);
    }
}

fn add_hint(hints: &mut Vec<EndpointKey>, peer: EndpointKey) {
    hints.retain(|known| *known != peer);
    hints.insert(0, peer);
    hints.truncate(HINTS);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn want(lane: Urgency) -> Want {
        Want {
            space: SpaceId::of(b"s"),
            root: EntryId::of(b"r"),
            post: EntryId::of(b"p"),
            keep: Keep::Cache,
            keep_too: Vec::new(),
            posts_too: Vec::new(),
            lane,
            max_bytes: 1,
            hints: Vec::new(),
        }
    }

    #[test]
    fn thumbnails_come_first_and_nothing_runs_twice() {
        let mut wants = Wants::default();
        let (video, thumb) = (BlobId::of(b"video"), BlobId::of(b"thumb"));
        assert!(wants.add(video, want(Urgency::Bulk), 0));
        assert!(wants.add(thumb, want(Urgency::Thumb), 0));
        let due: Vec<_> = wants.due(0, 1).into_iter().map(|(blob, _)| blob).collect();
        assert_eq!(due, [thumb]);
        let due: Vec<_> = wants.due(0, 9).into_iter().map(|(blob, _)| blob).collect();
        assert_eq!(due, [video]);
        assert!(wants.due(0, 9).is_empty());
    }

    #[test]
    fn failures_back_off_and_an_offer_ends_the_pause() {
        let mut wants = Wants::default();
        let blob = BlobId::of(b"b");
        wants.add(blob, want(Urgency::Bulk), 0);
        let mut now_ms = 0;
        let mut pauses = Vec::new();
        for _ in 0..14 {
            assert_eq!(wants.due(now_ms, 1).len(), 1);
            wants.failed(&blob, now_ms);
            let next_ms = wants.next_ms().unwrap();
            pauses.push(next_ms - now_ms);
            now_ms = next_ms;
        }
        assert_eq!(&pauses[..3], [1_000, 2_000, 4_000]);
        assert_eq!(pauses[13], LONGEST_PAUSE_MS);
        let peer = EndpointKey::from_bytes([1; 32]);
        wants.due(now_ms, 1);
        wants.failed(&blob, now_ms);
        assert!(wants.due(now_ms, 1).is_empty());
        assert!(wants.offered(&blob, peer, now_ms));
        assert_eq!(wants.due(now_ms, 1)[0].1.hints, [peer]);
    }

    #[test]
    fn a_blob_is_wanted_for_each_of_its_reasons_until_that_is_released() {
        let mut wants = Wants::default();
        let blob = BlobId::of(b"b");
        let pins = ["one", "two"].map(Keep::pin);
        for keep in pins.clone() {
            let want = Want {
                keep,
                ..want(Urgency::Bulk)
            };
            wants.add(blob, want, 0);
        }
        let reasons = |wants: &Wants| pins.clone().map(|keep| wants.is_wanted_for(&blob, &keep));
        assert_eq!(reasons(&wants), [true, true]);
        wants.release(&pins[0]);
        assert_eq!(reasons(&wants), [false, true]);
        assert!(!wants.is_wanted_for(&BlobId::of(b"c"), &pins[1]));
    }

    #[test]
    fn every_reason_and_every_post_is_remembered() {
        let mut wants = Wants::default();
        let blob = BlobId::of(b"b");
        let pinned = |target: &str, post: &[u8]| Want {
            keep: Keep::pin(target),
            post: EntryId::of(post),
            ..want(Urgency::Bulk)
        };
        wants.add(blob, want(Urgency::Bulk), 0);
        wants.add(blob, pinned("a", b"p"), 0);
        wants.add(blob, pinned("b", b"q"), 0);
        wants.release(&Keep::Cache);
        wants.release(&Keep::pin("b"));
        wants.due(0, 1);
        wants.release(&Keep::pin("a"));
        let left = wants.remove(&blob).unwrap();
        assert_eq!((left.keep, left.keep_too), (Keep::Cache, vec![]));
        assert_eq!(left.posts_too, [EntryId::of(b"q")]);
        wants.add(blob, pinned("a", b"p"), 0);
        wants.release(&Keep::pin("a"));
        assert!(wants.is_empty());
    }

    #[test]
    fn one_blob_is_released_without_the_others() {
        let mut wants = Wants::default();
        let (one, two) = (BlobId::of(b"1"), BlobId::of(b"2"));
        for blob in [one, two] {
            let mirrored = Want {
                keep: Keep::Mirror,
                ..want(Urgency::Bulk)
            };
            wants.add(blob, mirrored, 0);
        }
        wants.add(two, want(Urgency::Bulk), 0);
        wants.release_of(&one, &Keep::Mirror);
        wants.release_of(&two, &Keep::Mirror);
        assert_eq!(wants.len(), 1, "the other is wanted for the cache too");
        assert_eq!(wants.remove(&two).unwrap().keep, Keep::Cache);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut wants = Wants::default();
        for n in 0..WANTED {
            assert!(wants.add(BlobId::of(&n.to_be_bytes()), want(Urgency::Bulk), 0));
        }
        assert!(!wants.add(BlobId::of(b"more"), want(Urgency::Thumb), 0));
        assert_eq!(wants.len(), WANTED);
    }
}
