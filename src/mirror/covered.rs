//! What pins cover, blob by blob, and how much of it is here.

use std::{collections::BTreeMap, sync::Arc};

use blocks::BlobStatus;
use database::{DatabaseError, Reader, forum::Sort};
use gateway::{api::types::PinMedia, node::NodeError};
use model::{BlobId, EntryId};

use crate::{
    core::Core,
    flow::{fetch::PostMedia, publish},
    pins::{Promise, Target},
};

/// Threads of a space, and posts of a thread or an identity, that a pin is weighed by.
const THREADS: usize = 10_000;
const POSTS: usize = 10_000;
/// Rows read at a time.
const PAGE: usize = 500;

/// A post with media that a pin covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedPost {
    /// When it was posted, as its author says, Unix milliseconds.
    pub time_ms: u64,
    /// Its media.
    pub media: PostMedia,
}

/// A blob that a pin covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Which.
    pub blob: BlobId,
    /// A post that names it.
    pub post: Option<EntryId>,
    /// Its size, as far as that is known.
    pub size_bytes: u64,
    /// Bytes of it that are here.
    pub held_bytes: u64,
    /// All of it is here.
    pub is_held: bool,
    /// The pin's limit leaves room for it.
    pub is_promised: bool,
    /// Since when it should be here, Unix milliseconds.
    pub since_ms: u64,
}

/// Posts with media that a pin covers, in the order in which a limit is spent.
///
/// # Errors
/// When the store can't be read.
pub async fn posts(core: &Arc<Core>, target: Target) -> Result<Vec<PinnedPost>, NodeError> {
    core.store("read what is pinned", move |database| {
        let reader = database.read()?;
        match target {
            Target::Blob(_) => Ok(Vec::new()),
            Target::Thread(root) => posts_of(&reader, &[root]),
            Target::Space(space) => {
                let threads = reader.threads(Some(space), Sort::New, None, THREADS)?;
                let roots: Vec<EntryId> = threads.items.iter().map(|thread| thread.root).collect();
                posts_of(&reader, &roots)
            }
            Target::Identity(identity) => {
                let mut found = Vec::new();
                let (mut after, mut seen) = (None, 0);
                while seen < POSTS {
                    let page = reader.posts_by(&identity, after.as_deref(), PAGE)?;
                    seen += PAGE;
                    found.extend(page.items.iter().filter_map(with_media));
                    match page.next {
                        Some(next) => after = Some(next),
                        None => break,
                    }
                }
                Ok::<_, DatabaseError>(found)
            }
        }
    })
    .await
}

fn posts_of(reader: &Reader<'_>, roots: &[EntryId]) -> Result<Vec<PinnedPost>, DatabaseError> {
    let mut found = Vec::new();
    for root in roots {
        let posts = reader.posts(root, None, None, POSTS)?;
        found.extend(posts.items.iter().filter_map(with_media));
    }
    Ok(found)
}

fn with_media(post: &database::forum::Post) -> Option<PinnedPost> {
    (!post.media.is_empty()).then(|| PinnedPost {
        time_ms: post.time_ms,
        media: publish::media_of(post),
    })
}

/// Every blob that a pin covers.
///
/// # Errors
/// When the entry store can't be read.
pub async fn covered(
    core: &Arc<Core>,
    target: Target,
    promise: Promise,
) -> Result<Vec<Covered>, NodeError> {
    let mut found = Vec::new();
    if let Target::Blob(blob) = target {
        found.push((blob, None, 0, promise.since_ms));
    }
    for post in posts(core, target).await? {
        // Before it was posted nobody could have it; an author's clock may be ahead.
        let since_ms = post.time_ms.clamp(
            promise.since_ms,
            crate::clock::now_ms().max(promise.since_ms),
        );
        for medium in &post.media.media {
            let of_post = Some(post.media.post);
            if promise.media == PinMedia::All {
                found.push((medium.blob, of_post, medium.size_bytes, since_ms));
            }
            if promise.media != PinMedia::None {
                let small = medium.small.iter();
                found.extend(small.map(|blob| (*blob, of_post, 0, since_ms)));
            }
        }
    }
    let mut seen = BTreeMap::new();
    let mut covered: Vec<Covered> = Vec::new();
    for (blob, post, claimed_bytes, since_ms) in found {
        if let Some(at) = seen.get(&blob) {
            let known: &mut Covered = &mut covered[*at];
            known.since_ms = known.since_ms.min(since_ms);
            continue;
        }
        let (held_bytes, size_bytes, is_held) = match core.blobs.status(blob).await {
            Ok(BlobStatus::Complete { size_bytes }) => (size_bytes, size_bytes, true),
            Ok(BlobStatus::Partial {
                held_bytes,
                total_bytes,
            }) => (held_bytes, total_bytes.unwrap_or(claimed_bytes), false),
            _ => (0, claimed_bytes, false),
        };
        seen.insert(blob, covered.len());
        covered.push(Covered {
            blob,
            post,
            size_bytes,
            held_bytes,
            is_held,
            is_promised: false,
            since_ms,
        });
    }
    spend(&mut covered, promise.max_bytes);
    Ok(covered)
}

/// What is here counts first, then what is still to come as far as the limit reaches.
fn spend(covered: &mut [Covered], max_bytes: Option<u64>) {
    let mut left = max_bytes.unwrap_or(u64::MAX);
    for one in covered.iter_mut() {
        left = left.saturating_sub(one.held_bytes);
        one.is_promised = one.is_held;
    }
    for one in covered.iter_mut().filter(|one| !one.is_held) {
        let lacking_bytes = one.size_bytes.saturating_sub(one.held_bytes);
        if lacking_bytes <= left {
            left -= lacking_bytes;
            one.is_promised = true;
        }
    }
}

/// Sums over what a pin covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Bytes of everything.
    pub total_bytes: u64,
    /// Bytes that its limit leaves room for.
    pub promised_bytes: u64,
    /// Bytes that are here.
    pub held_bytes: u64,
    /// Blobs that are promised and not here in full.
    pub missing: u64,
    /// Since when the first of them is, Unix milliseconds.
    pub missing_since_ms: Option<u64>,
}

impl Sum {
    /// Of what a pin covers.
    pub fn of(covered: &[Covered]) -> Self {
        let mut sum = Self::default();
        for one in covered {
            sum.total_bytes = sum.total_bytes.saturating_add(one.size_bytes);
            sum.held_bytes = sum.held_bytes.saturating_add(one.held_bytes);
            if one.is_promised {
                sum.promised_bytes = sum.promised_bytes.saturating_add(one.size_bytes);
            }
            if one.is_promised && !one.is_held {
                sum.missing += 1;
                let since_ms = sum.missing_since_ms.unwrap_or(one.since_ms);
                sum.missing_since_ms = Some(since_ms.min(one.since_ms));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(n: u8, size_bytes: u64, is_held: bool) -> Covered {
        Covered {
            blob: BlobId::of(&[n]),
            post: None,
            size_bytes,
            held_bytes: if is_held { size_bytes } else { 0 },
            is_held,
            is_promised: false,
            since_ms: u64::from(n),
        }
    }

    #[test]
    fn a_limit_is_spent_on_what_is_here_then_on_what_fits() {
        let mut all = [blob(1, 50, false), blob(2, 60, true), blob(3, 40, false)];
        spend(&mut all, Some(105));
        assert_eq!(all.clone().map(|one| one.is_promised), [false, true, true]);
        let sum = Sum::of(&all);
        assert_eq!(
            (sum.total_bytes, sum.promised_bytes, sum.held_bytes),
            (150, 100, 60)
        );
        assert_eq!((sum.missing, sum.missing_since_ms), (1, Some(3)));
        spend(&mut all, None);
        assert_eq!(Sum::of(&all).promised_bytes, 150);
    }
}
