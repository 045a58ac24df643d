//! Promises to others, carried out: pins that name who asked, and what is followed for them.

use std::{sync::Arc, time::Duration};

use gateway::{
    api::types::{JoinRequest, Joined as JoinedNow, JoinedKind, Written},
    node::NodeError,
};
use iroh::EndpointAddr;
use model::{EndpointKey, EntryId, IdentityId, PinTarget, SpaceId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    grants::{Grant, Joined},
    pin_target, target,
};
use crate::{
    clock::now_ms,
    core::Core,
    data_folder::FolderError,
    pins::{Promise, Target},
    service::{admin, pinning, writing},
};

/// How often it is looked for promises that are over.
const LOOK: Duration = Duration::from_secs(15);

/// Ends promises in time until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let work = async {
        reconcile(&core).await;
        loop {
            tokio::select! {
                () = core.pin_requests_changed.notified() => reconcile(&core).await,
                () = sleep(LOOK) => {}
            }
            match core.pin_requests.take_over(&core.folder, now_ms()) {
                Ok(over) => {
                    for grant in over {
                        apply(&core, grant.target, None).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "promises that are over stay"),
            }
            leave(&core).await;
            super::ask::renew_statements(&core).await;
        }
    };
    cancel.run_until_cancelled(work).await;
}

/// Pins what promises say, and unpins what none says any longer: a crash may have come between.
async fn reconcile(core: &Arc<Core>) {
    let promised: Vec<Grant> = core.pin_requests.all();
    for (pin, promise) in core.pins.all() {
        let is_promised = promised.iter().any(|grant| target(grant.target) == pin);
        if promise.asked_by.is_some() && !is_promised {
            unpin(core, pin).await;
        }
    }
    for grant in promised {
        apply(core, grant.target, None).await;
    }
}

/// Brings the pin of a target in line with the promises about it.
pub async fn apply(core: &Arc<Core>, asked: PinTarget, peer: Option<EndpointKey>) {
    let pin = target(asked);
    let before = core.pins.get(&pin);
    if before.is_some_and(|promise| promise.asked_by.is_none()) {
        // The node's own person keeps it, without a limit or with one of his.
        return;
    }
    let grants = core.pin_requests.of(asked);
    let Some(promise) = promise(&grants) else {
        if before.is_some() {
            unpin(core, pin).await;
        }
        return;
    };
    // Asked once more, it is looked over once more: something may have been lost.
    let must_look = before != Some(promise) || peer.is_some();
    if must_look && let Err(error) = pinning::promise_to_keep(core, pin, promise).await {
        tracing::warn!(pin = %pin.id(), %error, "what was asked for can't be pinned");
    }
    if let (Target::Blob(blob), Some(peer)) = (pin, peer) {
        Core::lock(&core.wants).offered(&blob, peer, now_ms());
        core.wants_changed.notify_one();
    }
}

/// One pin for all who asked for it: who asked first is named.
fn promise(grants: &[Grant]) -> Option<Promise> {
    let first = grants.iter().min_by_key(|grant| grant.since_ms)?;
    let widest = grants
        .iter()
        .max_by_key(|grant| (grant.media as u8, grant.max_bytes))?;
    Some(Promise {
        media: widest.media,
        max_bytes: grants.iter().map(|grant| grant.max_bytes).max(),
        since_ms: first.since_ms,
        asked_by: Some(first.identity),
    })
}

async fn unpin(core: &Arc<Core>, pin: Target) {
    if let Err(error) = pinning::unpin(core, pin.id()).await {
        tracing::warn!(pin = %pin.id(), %error, "a pin that was asked for can't be taken back");
    }
}

/// The node's person keeps something no longer, whoever asked for it.
///
/// # Errors
/// When it isn't pinned, or a list can't be written.
pub async fn unpin_by_person(core: &Arc<Core>, id: String) -> Result<(), NodeError> {
    if let Ok(pin) = pinning::target(core, &id).await {
        let dropped = core.pin_requests.drop_target(&core.folder, pin_target(pin));
        let dropped =
            dropped.map_err(|error| NodeError::local("forget who asked for it", error))?;
        for grant in &dropped {
            apply(core, grant.target, None).await;
        }
        leave(core).await;
        if !dropped.is_empty() && core.pins.get(&pin).is_none() {
            return Ok(());
        }
    }
    pinning::unpin(core, id).await
}

/// The node's person follows something; it is no longer followed for others.
///
/// # Errors
/// When nothing of that name can be followed, or a list can't be written.
pub async fn join_by_person(
    core: &Arc<Core>,
    request: JoinRequest,
) -> Result<JoinedNow, NodeError> {
    let joined = admin::join(core, request).await?;
    let Ok(id) = joined.id.parse::<EntryId>() else {
        return Ok(joined);
    };
    let way = match joined.kind {
        JoinedKind::Thread => {
            let space = core.follows.threads().get(&id).copied();
            space.map(|space| Joined::Thread(id, space))
        }
        JoinedKind::Space => Some(Joined::Space(SpaceId::from(id))),
        JoinedKind::Identity => Some(Joined::Identity(IdentityId::from(id))),
        JoinedKind::Node => None,
    };
    if let Some(way) = way {
        own(core, way).await?;
    }
    Ok(joined)
}

/// The node's person follows an identity, or no longer.
///
/// # Errors
/// When it is his own, or a list can't be written.
pub async fn follow_by_person(
    core: &Arc<Core>,
    identity: IdentityId,
    on: bool,
) -> Result<Written, NodeError> {
    let written = writing::follow(core, identity, on).await?;
    if on {
        own(core, Joined::Identity(identity)).await?;
    }
    Ok(written)
}

/// The node's person follows something: it stays when promises about it end.
///
/// # Errors
/// When a list can't be written.
pub async fn own(core: &Arc<Core>, way: Joined) -> Result<(), NodeError> {
    let _turn = core.pin_requests.turn().await;
    let noted = core.pin_requests.own(&core.folder, way);
    noted.map_err(|error| NodeError::local("note what is followed", error))?;
    if !is_followed(core, way) {
        // The last promise about it ended just now.
        join(core, way, Vec::new()).await;
    }
    Ok(())
}

/// Whether a thread is here only because others asked for it, or for its space.
pub fn is_for_others(core: &Core, space: SpaceId, root: EntryId) -> bool {
    let joined = core.pin_requests.joined();
    let is_own = core.follows.threads().contains_key(&root)
        && !joined.contains(&Joined::Thread(root, space));
    let is_of_space = joined.contains(&Joined::Space(space))
        || joined.contains(&Joined::Identity(IdentityId::from(space.entry())));
    joined.contains(&Joined::Thread(root, space)) || is_of_space && !is_own
}

/// What was followed for promises that are no more is followed no longer.
async fn leave(core: &Arc<Core>) {
    for joined in core.pin_requests.left() {
        let _turn = core.pin_requests.turn().await;
        // It may have been promised again, or joined by the node's person.
        if !core.pin_requests.left().contains(&joined) {
            continue;
        }
        let left = match unfollow(core, joined).await {
            Ok(()) => core.pin_requests.forget_left(&core.folder, joined),
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            tracing::warn!(%error, "what was followed for a request stays followed");
        }
    }
}

async fn unfollow(core: &Arc<Core>, joined: Joined) -> Result<(), FolderError> {
    let mut stay = Vec::new();
    let (space, follow) = match joined {
        Joined::Thread(root, space) => {
            core.follows.unfollow_thread(&core.folder, &root)?;
            (None, gossip::Follow::Thread { space, root })
        }
        Joined::Space(space) => {
            stay.extend(core.follows.threads());
            stay.retain(|(_, of)| *of == space);
            core.follows.unfollow_space(&core.folder, &space)?;
            for (root, space) in &stay {
                core.follows.follow_thread(&core.folder, *root, *space)?;
            }
            (Some(space), gossip::Follow::Space(space))
        }
        Joined::Identity(identity) => {
            let space = identity.space();
            core.follows
                .follow_identity(&core.folder, identity, false)?;
            (Some(space), gossip::Follow::Space(space))
        }
    };
    if space.is_none_or(|space| !is_needed(core, space)) {
        // The driver only ends when the node stops.
        let _ = core.gossip.unfollow(follow).await;
    }
    Ok(())
}

/// Whether a space is followed whole for some other reason.
fn is_needed(core: &Core, space: SpaceId) -> bool {
    let identity = IdentityId::from(space.entry());
    is_followed(core, Joined::Space(space))
        || is_followed(core, Joined::Identity(identity))
        || core.pins.get(&Target::Identity(identity)).is_some()
}

fn is_followed(core: &Core, way: Joined) -> bool {
    match way {
        Joined::Thread(root, _) => core.follows.threads().contains_key(&root),
        Joined::Space(space) => {
            let how = core.follows.space(&space);
            space == core.identity.space() || how.is_some_and(|how| !how.threads_only)
        }
        Joined::Identity(identity) => {
            identity == core.identity || core.follows.identities().contains(&identity)
        }
    }
}

/// Follows what leads to a target; false when it was followed before.
pub(super) async fn join(core: &Arc<Core>, way: Joined, from: Vec<EndpointAddr>) -> bool {
    let is_before = match way {
        Joined::Thread(_, space) => {
            let whole = Joined::Space(space);
            let is_own = is_followed(core, whole) && !core.pin_requests.joined().contains(&whole);
            is_own || is_followed(core, way)
        }
        Joined::Space(_) | Joined::Identity(_) => is_followed(core, way),
    };
    let failed = match way {
        Joined::Thread(root, space) => admin::follow_thread(core, space, root, from).await.err(),
        Joined::Space(space) => admin::follow_space(core, space, from).await.err(),
        Joined::Identity(identity) => {
            let noted = core.follows.follow_identity(&core.folder, identity, true);
            // The driver only ends when the node stops.
            let _ = core.gossip.follow_space(identity.space(), from).await;
            let failed = |error| NodeError::local("follow the identity", error);
            noted.err().map(failed)
        }
    };
    if let Some(error) = failed {
        tracing::warn!(%error, "what was asked for can't be followed");
    }
    !is_before
}
