//! Promises to others, carried out: pins that name who asked, and what is followed for them.

use std::{sync::Arc, time::Duration};

use gateway::node::NodeError;
use iroh::EndpointAddr;
use model::{EndpointKey, EntryId, PinTarget, SpaceId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    grants::{Grant, Joined},
    pin_target, target,
};
use crate::{
    clock::now_ms,
    core::Core,
    pins::{Promise, Target},
    service::{admin, pinning},
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
                        end(&core, &grant).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "promises that are over stay"),
            }
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
            end(core, grant).await;
        }
        if !dropped.is_empty() && core.pins.get(&pin).is_none() {
            return Ok(());
        }
    }
    pinning::unpin(core, id).await
}

/// Whether a thread is here only because others asked for it, or for its space.
pub fn is_for_others(core: &Core, space: SpaceId, root: EntryId) -> bool {
    let joined = core.pin_requests.joined();
    joined.contains(&Joined::Space(space))
        || joined.contains(&Joined::Thread(root, space))
        || joined
            .iter()
            .any(|one| matches!(one, Joined::Identity(of) if of.space() == space))
}

/// A promise is no more: what was followed for it alone is followed no longer.
pub async fn end(core: &Arc<Core>, grant: &Grant) {
    apply(core, grant.target, None).await;
    let Some(joined) = grant.joined else { return };
    if core.pin_requests.joined().contains(&joined) {
        return;
    }
    let (left, follow) = match joined {
        Joined::Thread(root, space) => (
            core.follows.unfollow_thread(&core.folder, &root),
            gossip::Follow::Thread { space, root },
        ),
        Joined::Space(space) => (
            core.follows.unfollow_space(&core.folder, &space),
            gossip::Follow::Space(space),
        ),
        Joined::Identity(identity) => (
            core.follows.follow_identity(&core.folder, identity, false),
            gossip::Follow::Space(identity.space()),
        ),
    };
    if let Err(error) = left {
        tracing::warn!(%error, "what was followed for a request stays followed");
    }
    // The driver only ends when the node stops.
    let _ = core.gossip.unfollow(follow).await;
}

/// Follows what leads to a target; false when it was followed before.
pub(super) async fn join(core: &Arc<Core>, way: Joined, from: Vec<EndpointAddr>) -> bool {
    let whole = |space| {
        core.follows
            .space(space)
            .is_some_and(|how| !how.threads_only)
    };
    let (is_followed, joined) = match way {
        Joined::Thread(root, space) => (
            whole(&space) || core.follows.threads().contains_key(&root),
            admin::follow_thread(core, space, root, from).await.err(),
        ),
        Joined::Space(space) => (
            whole(&space),
            admin::follow_space(core, space, from).await.err(),
        ),
        Joined::Identity(identity) => {
            let is_followed = core.follows.identities().contains(&identity);
            let noted = core.follows.follow_identity(&core.folder, identity, true);
            // The driver only ends when the node stops.
            let _ = core.gossip.follow_space(identity.space(), from).await;
            let failed = |error| NodeError::local("follow the identity", error);
            (is_followed, noted.err().map(failed))
        }
    };
    if let Some(error) = joined {
        tracing::warn!(%error, "what was asked for can't be followed");
    }
    !is_followed
}
