//! ingest → announce: entries to the topics they belong on, and statements of what is held.

use std::{collections::BTreeMap, sync::Arc};

use gossip::HoldingOutcome;
use model::{EntryId, Holding, Item, SpaceId, limits};

use super::{fetch, publish};
use crate::{
    clock::now_ms,
    core::Core,
    holdings::{HeldPost, Holdings},
};

/// Gossips entries that were just stored.
pub async fn entries(core: &Core, ids: Vec<EntryId>) {
    match core.gossip.publish(ids.clone()).await {
        Ok(published) => {
            let peers = u32::try_from(published.neighbors).unwrap_or(u32::MAX);
            for id in ids {
                core.note_sent(id, peers);
            }
        }
        Err(error) => tracing::debug!(%error, "not announced"),
    }
}

/// States that a post is held in full, if it is: entry, payload and all of its media.
pub async fn post_held(core: &Arc<Core>, post: EntryId) {
    posts_held(core, &[post]).await;
}

/// As [`post_held`], for several at a time.
pub async fn posts_held(core: &Arc<Core>, posts: &[EntryId]) {
    let mut held = Vec::new();
    let mut must_flush = false;
    for post in posts {
        if Core::lock(&core.holdings).is_stated(post, now_ms()) {
            continue;
        }
        if let Some((facts, durable)) = held_in_full(core, *post).await {
            must_flush |= !durable;
            held.push((*post, facts));
        }
    }
    if must_flush {
        // Somebody may switch off because we hold it: it has to outlive a crash here.
        let flushed = core.store("bring entries to disk", |database| database.flush());
        if let Err(error) = flushed.await {
            tracing::warn!(%error, "what is held is not stated");
            return;
        }
    }
    state(core, held).await;
}

/// Signs and gossips that posts are held, those of a thread together.
async fn state(core: &Arc<Core>, held: Vec<(EntryId, HeldPost)>) {
    let time_ms = now_ms();
    let mut threads: BTreeMap<(SpaceId, EntryId), Vec<Vec<Item>>> = BTreeMap::new();
    for (post, held) in held {
        if Core::lock(&core.holdings).hold(post, held.clone(), time_ms) {
            let mut items = vec![Item::Post(post)];
            items.extend(held.blobs.iter().map(|blob| Item::Blob(*blob)));
            items.truncate(limits::HOLDING_ITEMS);
            let of_thread = threads.entry((held.space, held.root)).or_default();
            match of_thread.last_mut() {
                Some(last) if last.len() + items.len() <= limits::HOLDING_ITEMS => {
                    last.extend(items);
                }
                _ => of_thread.push(items),
            }
        }
    }
    let until_ms = Holdings::until_ms(time_ms);
    for ((space, root), lists) in threads {
        let mut statements = Vec::new();
        for items in lists {
            match Holding::sign(&core.endpoint_secret, items, time_ms, until_ms) {
                Ok(statement) => {
                    Core::lock(&core.holdings).note(Some(root), &statement, time_ms);
                    statements.push((Some(root), statement.bytes().to_vec()));
                }
                Err(error) => tracing::warn!(%root, %error, "cannot state what is held"),
            }
        }
        if let Err(error) = core.gossip.announce_holdings(space, statements).await {
            tracing::debug!(%error, "holding not announced");
        }
    }
}

/// What is held of a post, if that is all of it; and whether its entry is on disk for certain.
async fn held_in_full(core: &Arc<Core>, post: EntryId) -> Option<(HeldPost, bool)> {
    let found = core.store("read a post", move |database| {
        let reader = database.read()?;
        let source = reader.state(&post)?.map(|state| state.source);
        let found = reader.post(&post, None)?;
        Ok::<_, database::DatabaseError>(found.zip(source))
    });
    let (found, source) = found.await.ok()??;
    if found.withheld || found.erased {
        return None;
    }
    let media = publish::media_of(&found);
    let mut blobs = Vec::new();
    for medium in &media.media {
        for blob in std::iter::once(&medium.blob).chain(&medium.small) {
            let is_for_peers = core.torrents.publicity.is_for_peers(blob);
            if !is_for_peers || !fetch::is_held(core, *blob).await {
                return None;
            }
            blobs.push(*blob);
        }
    }
    let held = HeldPost {
        space: found.space,
        root: found.root,
        blobs,
    };
    Some((held, source == database::Source::Local))
}

/// Renews statements whose time is half over, for as long as they are still true.
pub async fn renew(core: &Arc<Core>) {
    let due = Core::lock(&core.holdings).due(now_ms());
    let mut still = Vec::new();
    for (post, _) in due {
        if held_in_full(core, post).await.is_some() {
            still.push(post);
        } else {
            Core::lock(&core.holdings).unhold(&post);
        }
    }
    posts_held(core, &still).await;
}

/// Takes a peer's statement; media that we want and it has are tried at once.
pub fn holding_received(core: &Core, root: Option<EntryId>, holding: &Holding) -> HoldingOutcome {
    let time_ms = now_ms();
    let fresh = Core::lock(&core.holdings).note(root, holding, time_ms);
    if fresh.is_empty() {
        return HoldingOutcome::Known;
    }
    let mut wanted = false;
    for item in &fresh {
        if let Item::Blob(blob) = item {
            wanted |= Core::lock(&core.wants).offered(blob, holding.endpoint(), time_ms);
        }
    }
    if wanted {
        core.wants_changed.notify_one();
    }
    HoldingOutcome::Fresh
}
