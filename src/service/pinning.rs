//! Promises to keep: made, listed, taken back.

use std::sync::Arc;

use blocks::{BlobStatus, Keep, dag::parse_cid};
use gateway::{
    api::types::{PinMedia, PinRequest},
    node::NodeError,
};
use model::{BlobId, EndpointKey, EntryId, IdentityId, SpaceId};
use views::data;

use super::blobs::ADDED;
use crate::{
    clock::now_ms,
    core::Core,
    flow::{
        self,
        fetch::{Policy, PostMedia},
    },
    mirror::covered::{self, Sum},
    pins::{Promise, Target},
    wants::{Urgency, Want},
};

/// All pins with what is held of each.
pub async fn pins(core: &Arc<Core>) -> Result<Vec<data::Pin>, NodeError> {
    let mut pins = Vec::new();
    for (target, promise) in core.pins.all() {
        pins.push(pin_data(core, target, promise).await?);
    }
    let dags = core.blobs.dags().await;
    let dags = dags.map_err(|error| NodeError::local("list the DAGs", error))?;
    pins.extend(dags.into_iter().map(|dag| data::Pin {
        id: dag.root.to_string(),
        kind: "dag".to_owned(),
        media: PinMedia::All.as_str().to_owned(),
        max_bytes: None,
        held_bytes: dag.bytes,
        total_bytes: dag.bytes,
        since_ms: dag.at_ms,
        promised_bytes: dag.bytes,
        missing: 0,
        missing_since_ms: None,
        asked_by: None,
    }));
    Ok(pins)
}

async fn pin_data(
    core: &Arc<Core>,
    target: Target,
    promise: Promise,
) -> Result<data::Pin, NodeError> {
    let sum = Sum::of(&covered::covered(core, target, promise).await?);
    Ok(data::Pin {
        id: target.id(),
        kind: target.kind().to_owned(),
        media: promise.media.as_str().to_owned(),
        max_bytes: promise.max_bytes,
        held_bytes: sum.held_bytes,
        total_bytes: sum.total_bytes,
        since_ms: promise.since_ms,
        promised_bytes: sum.promised_bytes,
        missing: sum.missing,
        missing_since_ms: sum.missing_since_ms,
        asked_by: promise.asked_by.map(|identity| identity.to_string()),
    })
}

/// What a CID in a request stands for.
///
/// # Errors
/// When it is none, or nothing that is known here.
pub async fn target(core: &Arc<Core>, id: &str) -> Result<Target, NodeError> {
    if let Ok(blob) = id.parse::<BlobId>() {
        return Ok(Target::Blob(blob));
    }
    if let Some(file) = file_of(core, id).await? {
        return Ok(Target::Blob(file));
    }
    let entry: EntryId = id.parse().map_err(|error| {
        NodeError::Invalid(format!(
            "{id:?} is neither a blob nor an entry CID: {error}"
        ))
    })?;
    let found = core.store("look the CID up", move |database| {
        let reader = database.read()?;
        let space = SpaceId::from(entry);
        if let Some(info) = reader.space(&space)? {
            return Ok::<_, database::DatabaseError>(Some(match info.is_identity {
                true => Target::Identity(IdentityId::from(entry)),
                false => Target::Space(space),
            }));
        }
        let held = reader.entry(&entry)?;
        Ok(held.map(|held| Target::Thread(held.header().root.unwrap_or(entry))))
    });
    found.await?.ok_or_else(|| {
        NodeError::NotFound(format!(
            "{id} is not known here; `datt join` a ticket that leads to it, then pin it"
        ))
    })
}

/// The blob whose IPFS name this is.
async fn file_of(core: &Core, id: &str) -> Result<Option<BlobId>, NodeError> {
    let Some(cid) = parse_cid(id) else {
        return Ok(None);
    };
    let file = core.blobs.file(&cid).await;
    let file = file.map_err(|error| NodeError::local("look a file up", error))?;
    Ok(file.map(|file| file.blob))
}

/// Promises to keep something, and fetches what is missing of it.
pub async fn pin(
    core: &Arc<Core>,
    id: String,
    request: PinRequest,
) -> Result<data::Pin, NodeError> {
    let target = target(core, &id).await?;
    let promise = Promise {
        media: request.media,
        max_bytes: request.max_bytes,
        since_ms: now_ms(),
        asked_by: None,
    };
    promise_to_keep(core, target, promise).await?;
    pin_data(core, target, promise).await
}

/// Notes a promise, and fetches what is missing of it.
pub async fn promise_to_keep(
    core: &Arc<Core>,
    target: Target,
    promise: Promise,
) -> Result<(), NodeError> {
    core.pins
        .set(&core.folder, target, promise)
        .map_err(|error| NodeError::local("note the pin", error))?;
    if let Target::Identity(identity) = target {
        // The driver only ends when the node stops.
        let _ = core
            .gossip
            .follow_space(identity.space(), super::admin::connected(core))
            .await;
    }
    want_pinned(core, target, promise).await?;
    core.mirror.look.notify_one();
    Ok(())
}

/// Puts everything that a pin covers on the list, as far as its byte limit reaches.
pub async fn want_pinned(
    core: &Arc<Core>,
    target: Target,
    promise: Promise,
) -> Result<(), NodeError> {
    if let Target::Blob(blob) = target {
        return keep_blob(core, blob, promise).await;
    }
    let mut policy = flow::follow::pin_policy(core, &target, promise).await;
    for post in covered::posts(core, target).await? {
        want_of_post(core, &post.media, &mut policy, promise, None).await;
    }
    Ok(())
}

/// Puts what a pin covers of a post on the list. Under a limit none may be larger than its author
/// claims, and what is put on the list is spent before it has come.
pub async fn want_of_post(
    core: &Arc<Core>,
    post: &PostMedia,
    policy: &mut Policy,
    promise: Promise,
    hint: Option<EndpointKey>,
) {
    if promise.max_bytes.is_none() {
        return flow::fetch::want(core, post, policy, hint).await;
    }
    for medium in &post.media {
        let (blob, claimed_bytes) = (medium.blob, medium.size_bytes);
        let fits = claimed_bytes <= policy.max_bytes;
        let is_spent = flow::fetch::is_held(core, blob).await
            || Core::lock(&core.wants).is_wanted_for(&blob, &policy.keep);
        let of_one = Policy {
            max_bytes: if fits { claimed_bytes.max(1) } else { 0 },
            ..policy.clone()
        };
        let one = PostMedia {
            media: vec![medium.clone()],
            ..*post
        };
        flow::fetch::want(core, &one, &of_one, hint).await;
        if fits && !is_spent {
            policy.max_bytes -= claimed_bytes;
        }
    }
}

async fn keep_blob(core: &Arc<Core>, blob: BlobId, promise: Promise) -> Result<(), NodeError> {
    let keep = Keep::pin(blob);
    let status = core.blobs.status(blob).await;
    let status = status.map_err(|error| NodeError::local("look the blob up", error))?;
    if !may_keep(status, promise.max_bytes) {
        tracing::info!(%blob, "larger than its pin allows: not kept");
        // It may be kept for a promise that allowed more.
        return core
            .blobs
            .release(blob, &keep)
            .await
            .map_err(|error| NodeError::local("release the blob", error));
    }
    let is_held = matches!(status, BlobStatus::Complete { .. });
    if is_held || promise.max_bytes.is_none() {
        core.blobs
            .keep(blob, &keep)
            .await
            .map_err(|error| NodeError::local("pin the blob", error))?;
    }
    if !is_held {
        let nowhere = EntryId::from_bytes(*blob.as_bytes());
        let want = Want {
            space: core.identity.space(),
            root: nowhere,
            post: nowhere,
            keep,
            keep_too: Vec::new(),
            posts_too: Vec::new(),
            lane: Urgency::Bulk,
            max_bytes: promise.max_bytes.unwrap_or(u64::MAX),
            hints: Vec::new(),
        };
        Core::lock(&core.wants).add(blob, want, now_ms());
        core.wants_changed.notify_one();
    }
    Ok(())
}

/// Whether a limit allows a blob, as far as its size is proven.
fn may_keep(status: BlobStatus, max_bytes: Option<u64>) -> bool {
    let size_bytes = match status {
        BlobStatus::Complete { size_bytes } => Some(size_bytes),
        BlobStatus::Partial { total_bytes, .. } => total_bytes,
        BlobStatus::Missing => None,
    };
    max_bytes.is_none_or(|max_bytes| size_bytes.is_none_or(|size_bytes| size_bytes <= max_bytes))
}

/// Takes a promise back; the bytes go when nothing else asks for them.
pub async fn unpin(core: &Arc<Core>, id: String) -> Result<(), NodeError> {
    // A thread may have been pinned by the CID of any of its posts.
    let asked = id;
    let id = match target(core, &asked).await {
        Ok(target) => target.id(),
        Err(_) => asked.clone(),
    };
    let removed = core
        .pins
        .remove(&core.folder, &id)
        .map_err(|error| NodeError::local("take the pin back", error))?;
    let added = match id.parse() {
        Ok(blob) => release_added(core, blob).await?,
        Err(_) => false,
    };
    // The root of a file's DAG leads to its blob: both may be kept.
    let dag = match parse_cid(&asked) {
        Some(root) => core.blobs.remove_dag(&root).await,
        None => Ok(false),
    };
    let dag = dag.map_err(|error| NodeError::local("remove the DAG", error))?;
    if removed.is_none() && !added && !dag {
        return Err(NodeError::NotFound(format!(
            "{id} is not pinned; `datt pins` lists what is"
        )));
    }
    if let Some((Target::Identity(identity), _)) = removed
        && !core.follows.identities().contains(&identity)
        && identity != core.identity
    {
        let feed = gossip::Follow::Space(identity.space());
        // The driver only ends when the node stops.
        let _ = core.gossip.unfollow(feed).await;
    }
    Core::lock(&core.wants).release(&Keep::pin(&id));
    core.blobs
        .release_all(&Keep::pin(&id))
        .await
        .map_err(|error| NodeError::local("release the pinned blobs", error))?;
    core.blobs
        .collect()
        .await
        .map_err(|error| NodeError::local("collect what nobody keeps", error))
}

/// A file that was only added, or uploaded and never posted, is kept like a pin until it is unpinned.
async fn release_added(core: &Arc<Core>, blob: BlobId) -> Result<bool, NodeError> {
    let failed = |error| NodeError::local("release the added file", error);
    let added = Keep::pin(ADDED);
    let kept = core.blobs.kept().await.map_err(failed)?;
    if !kept.get(&blob).is_some_and(|why| why.contains(&added)) {
        return Ok(false);
    }
    core.blobs.release(blob, &added).await.map_err(failed)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_for_the_size_that_is_proven() {
        let whole = |size_bytes| BlobStatus::Complete { size_bytes };
        let part = |total_bytes| BlobStatus::Partial {
            held_bytes: 5,
            total_bytes,
        };
        let table = [
            (whole(11), Some(10), false),
            (whole(10), Some(10), true),
            (whole(11), None, true),
            (part(Some(11)), Some(10), false),
            (part(Some(10)), Some(10), true),
            (part(None), Some(10), true),
            (BlobStatus::Missing, Some(0), true),
        ];
        for (status, max_bytes, expected) in table {
            let allowed = may_keep(status, max_bytes);
            assert_eq!(allowed, expected, "{status:?} {max_bytes:?}");
        }
    }
}
