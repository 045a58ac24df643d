//! fetch → verify: media by policy. Thumbnails never wait for video; what is large waits until
//! someone asks or pins.

use std::{sync::Arc, time::Duration};

use blocks::{BlobStatus, FetchError, FetchOptions, Keep, PeerReport, QuotaError};
use model::{BlobId, EndpointKey, EntryId, SpaceId};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use torrent::InfoHash;

use super::{announce, mend::Mending};
use crate::{
    clock::now_ms,
    core::Core,
    wants::{Urgency, Want},
};

/// Fetches at once; the fetcher's lanes bound each kind further.
const AT_ONCE: usize = 16;
/// Thumbnails, captions and avatars above this are not fetched unasked.
const THUMB_BYTES: u64 = 2 << 20;
/// Even with nothing due, the list is looked at this often: clocks jump.
const LOOK: Duration = Duration::from_secs(30);
/// Bound of one attempt; what was verified stays, and the next attempt goes on from there.
const ATTEMPT: Duration = Duration::from_secs(600);

/// A medium of a post as far as fetching needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// The bytes.
    pub blob: BlobId,
    /// Size as the author claims it.
    pub size_bytes: u64,
    /// Thumbnail and captions.
    pub small: Vec<BlobId>,
}

/// A post whose media this node may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostMedia {
    /// Its space.
    pub space: SpaceId,
    /// Its thread.
    pub root: EntryId,
    /// The post.
    pub post: EntryId,
    /// Its media.
    pub media: Vec<Medium>,
}

/// How much of a post's media is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Largest medium to fetch; 0 for none.
    pub max_bytes: u64,
    /// Thumbnails and captions too.
    pub thumbs: bool,
    /// Why they are kept.
    pub keep: Keep,
}

/// Puts what the policy asks for, and isn't held, on the list.
pub async fn want(core: &Arc<Core>, post: &PostMedia, policy: &Policy, hint: Option<EndpointKey>) {
    let mut added = false;
    for medium in &post.media {
        let small = medium.small.iter().filter(|_| policy.thumbs);
        let small = small.map(|blob| (*blob, Urgency::Thumb, THUMB_BYTES));
        let fits = policy.max_bytes > 0 && medium.size_bytes <= policy.max_bytes;
        let large = fits.then_some((medium.blob, Urgency::Bulk, policy.max_bytes));
        for (blob, lane, max_bytes) in small.chain(large) {
            if core.is_denied(blob) {
                continue;
            }
            if let Ok(BlobStatus::Complete { size_bytes }) = core.blobs.status(blob).await {
                // Its author may have claimed less.
                if size_bytes <= max_bytes {
                    keep_too(core, blob, &policy.keep).await;
                }
                continue;
            }
            let want = Want {
                space: post.space,
                root: post.root,
                post: post.post,
                keep: policy.keep.clone(),
                keep_too: Vec::new(),
                posts_too: Vec::new(),
                lane,
                max_bytes,
                hints: hint.into_iter().collect(),
            };
            added |= Core::lock(&core.wants).add(blob, want, now_ms());
        }
    }
    if added {
        core.wants_changed.notify_one();
    }
}

async fn keep_too(core: &Core, blob: BlobId, keep: &Keep) {
    if let Err(error) = core.blobs.keep(blob, keep).await {
        tracing::warn!(%blob, %error, "cannot note why a blob is kept");
    }
}

/// Whether all of a blob is here.
pub async fn is_held(core: &Core, blob: BlobId) -> bool {
    matches!(
        core.blobs.status(blob).await,
        Ok(BlobStatus::Complete { .. })
    )
}

/// Works off the list until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let mut running = JoinSet::new();
    let mut damage = core.blobs.damage();
    let mut mending = Mending::default();
    loop {
        let room = AT_ONCE.saturating_sub(running.len());
        for (blob, want) in Core::lock(&core.wants).due(now_ms(), room) {
            let core = Arc::clone(&core);
            running.spawn(async move { attempt(&core, blob, want).await });
        }
        let next_ms = Core::lock(&core.wants).next_ms();
        let pause = match next_ms {
            Some(next_ms) if running.len() < AT_ONCE => {
                Duration::from_millis(next_ms.saturating_sub(now_ms())).min(LOOK)
            }
            _ => LOOK,
        };
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = running.join_next() => {}
            () = core.wants_changed.notified() => {}
            Ok(damaged) = damage.recv() => mending.found(&core, damaged),
            ended = mending.ended() => mending.note(&core, ended),
            () = sleep(pause) => mending.forget_mended(&core).await,
        }
    }
    running.shutdown().await;
}

async fn attempt(core: &Arc<Core>, blob: BlobId, want: Want) {
    let providers = core.providers(&blob, Some(want.post), &want.hints, now_ms());
    if providers.is_empty() && !core.has_other_sources(&blob) {
        Core::lock(&core.wants).failed(&blob, now_ms());
        return;
    }
    let options = FetchOptions {
        lane: want.lane.lane(),
        max_bytes: want.max_bytes,
        keep: want.keep.clone(),
        ..FetchOptions::default()
    };
    let progress = blocks::unwatched();
    match timeout(
        ATTEMPT,
        core.fetcher.fetch(blob, providers, &options, &progress),
    )
    .await
    {
        Ok(Ok(fetched)) => {
            note_faults(core, &fetched.faults);
            held(core, blob).await;
            // Still there if the store could not say that it is complete.
            Core::lock(&core.wants).failed(&blob, now_ms());
            forget_old_pin(core, blob, &want.keep).await;
        }
        Ok(Err(error)) => {
            note_error(core, blob, &error);
            tracing::debug!(%blob, %error, "media not fetched");
            make_way(core, &want.keep, &error).await;
            give_up_or_wait(core, &blob, &error);
        }
        Err(_) => Core::lock(&core.wants).failed(&blob, now_ms()),
    }
}

/// The pin may have been taken back while the bytes came.
async fn forget_old_pin(core: &Core, blob: BlobId, keep: &Keep) {
    let pins = core.pins.all();
    let stands = pins.iter().any(|(pin, _)| Keep::pin(pin.id()) == *keep);
    if matches!(keep, Keep::Pin { .. })
        && !stands
        && let Err(error) = core.blobs.release(blob, keep).await
    {
        tracing::warn!(%blob, %error, "cannot take a pin back");
    }
}

/// What a person promised to keep comes before what rules ask for: the next attempt has room.
async fn make_way(core: &Core, keep: &Keep, error: &FetchError) {
    if let FetchError::Quota(QuotaError::Exceeded { wanted_bytes, .. }) = error
        && keep.is_promise()
        && let Err(error) = core.blobs.make_way(*wanted_bytes).await
    {
        tracing::warn!(%error, "cannot make room for what is pinned");
    }
}

fn give_up_or_wait(core: &Core, blob: &BlobId, error: &FetchError) {
    let mut wants = Core::lock(&core.wants);
    match error {
        // It will not become smaller, nor be allowed by waiting.
        FetchError::TooLarge { .. } | FetchError::Denied(_) => {
            wants.remove(blob);
        }
        FetchError::Quota(error) => {
            core.warn("quota", Some(format!("media are not fetched: {error}")));
            wants.failed(blob, now_ms());
        }
        _ => wants.failed(blob, now_ms()),
    }
}

/// A blob is complete now: all who wanted it keep it, and the posts it completes are stated.
pub async fn held(core: &Arc<Core>, blob: BlobId) {
    if !is_held(core, blob).await {
        // Only a part was fetched: who wants it whole goes on waiting.
        return;
    }
    core.naming.ask(blob);
    let Some(want) = Core::lock(&core.wants).remove(&blob) else {
        // Fetched because a person asked: which posts it completes is looked up, once.
        let item = model::Item::Blob(blob);
        let stated = Core::lock(&core.holdings).held_by(item, now_ms());
        if !stated.contains(&core.network.id()) {
            core.look_again.notify_one();
        }
        return;
    };
    // Reasons may have been added while the bytes came.
    for keep in std::iter::once(&want.keep).chain(&want.keep_too) {
        keep_too(core, blob, keep).await;
    }
    for post in std::iter::once(want.post).chain(want.posts_too) {
        announce::post_held(core, post).await;
    }
}

/// Blobs that became complete because somebody watched them to the end.
pub async fn look_at_watched(core: &Arc<Core>) {
    let watched = Core::lock(&core.wants).take_watched();
    for blob in watched {
        match core.blobs.status(blob).await {
            Ok(BlobStatus::Complete { .. }) => held(core, blob).await,
            Ok(BlobStatus::Partial { .. }) => Core::lock(&core.wants).watch(blob),
            Ok(BlobStatus::Missing) | Err(_) => {}
        }
    }
}

/// Remembers what a fetch that failed says of others: liars, and a claim that turned out to be false.
pub fn note_error(core: &Core, blob: BlobId, error: &FetchError) {
    note_faults(core, error.faults());
    let FetchError::NotThatBlob { torrents, .. } = error else {
        return;
    };
    // Each piece was the torrent's: no peer can make a true claim look false.
    for infohash in torrents.iter().copied().map(InfoHash::from_bytes) {
        tracing::warn!(%blob, %infohash, "the torrent of this name has other bytes: the claim is false");
        let noted = core
            .torrents
            .shelf
            .note_false(&core.folder, blob, &infohash);
        if let Err(error) = noted {
            tracing::warn!(%blob, %error, "cannot note a false claim");
        }
    }
}

/// Remembers liars; bad luck is forgotten.
pub fn note_faults(core: &Core, faults: &[PeerReport]) {
    for report in faults.iter().filter(|report| report.fault.is_lie()) {
        tracing::warn!(source = %report.source, fault = %report.fault, "a source sent wrong bytes");
        if let Some(peer) = report.peer {
            Core::lock(&core.holdings).forget(EndpointKey::from_bytes(*peer.as_bytes()));
        }
        core.metrics.add(gateway::metrics::NodeCounter::Liars, 1);
    }
}
