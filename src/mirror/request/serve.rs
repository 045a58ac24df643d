//! A request comes in: judged, noted, joined, kept.

use std::{collections::BTreeMap, sync::Arc};

use blocks::{BlobStatus, Keep, StoreError};
use database::DatabaseError;
use iroh::EndpointAddr;
use model::{
    EndpointKey, EntryId, PinAct, PinAsk, PinDemand, PinRequestError, PinTarget, SpaceId, Ticket,
};

use super::{
    grants::{Joined, Standing},
    keep, proof,
};
use crate::{
    clock::now_ms,
    core::Core,
    follows::KnownPeer,
    mirror::frame::{PinAnswer, PinRefusal, ProofEntry},
    pins::Target,
};

/// Answers a request.
pub async fn answer(
    core: &Arc<Core>,
    peer: EndpointKey,
    demand: &[u8],
    proof: &[ProofEntry],
) -> PinAnswer {
    match decide(core, peer, demand, proof).await {
        Ok(answer) => answer,
        Err(refusal) => {
            tracing::info!(peer = %peer.short(), %refusal, "a pin request is refused");
            PinAnswer::Refused(refusal)
        }
    }
}

async fn decide(
    core: &Arc<Core>,
    peer: EndpointKey,
    demand: &[u8],
    proof: &[ProofEntry],
) -> Result<PinAnswer, PinRefusal> {
    let demand = PinDemand::decode(demand).map_err(|error| match error {
        PinRequestError::Signature(_) => PinRefusal::Signature,
        PinRequestError::Malformed | PinRequestError::Time => PinRefusal::Unreadable,
    })?;
    let ask = demand.ask();
    let limits = core.config.pin_requests;
    let standing = standing(core, ask).await?;
    core.pin_requests.admit(ask, &standing, &limits)?;
    proof::check(ask.identity, ask.device, proof).map_err(|_| PinRefusal::Device)?;
    let way = match ask.act {
        PinAct::Pin { .. } => way(core, peer, ask).await?,
        PinAct::Unpin => None,
    };
    let noted = core
        .pin_requests
        .decide(&core.folder, ask, &standing, &limits);
    let answer = noted.map_err(|error| {
        tracing::warn!(%error, "a pin request can't be noted");
        PinRefusal::Fault
    })?;
    match answer {
        PinAnswer::Accepted { max_bytes, .. } => {
            tracing::info!(identity = %ask.identity, target = ?ask.target, max_bytes, "pinned for");
            follow(core, peer, ask, way).await;
        }
        PinAnswer::Released { .. } => {
            tracing::info!(identity = %ask.identity, target = ?ask.target, "no longer pinned for");
        }
        PinAnswer::Refused(refusal) => return Err(refusal),
    }
    // Entries and media come in their own time: the promise is made.
    core.pin_requests_changed.notify_one();
    Ok(answer)
}

async fn standing(core: &Arc<Core>, ask: &PinAsk) -> Result<Standing, PinRefusal> {
    let (own, requester) = (core.identity, ask.identity);
    let read = core.store("look a requester up", move |database| {
        let reader = database.read()?;
        let space = requester.space();
        let is_followed = reader.follows(&own)?.contains(&space);
        let is_blocked = reader.blocks(&own)?.contains(&space);
        Ok::<_, DatabaseError>((is_followed, is_blocked))
    });
    let (is_followed, is_blocked) = read.await.map_err(|_| PinRefusal::Fault)?;
    let room = room_bytes(core, super::target(ask.target)).await;
    Ok(Standing {
        own: core.network.id(),
        is_followed: is_followed || requester == own,
        is_blocked,
        room_bytes: room.map_err(|_| PinRefusal::Fault)?,
        now_ms: now_ms(),
    })
}

/// Bytes that the disk has for a target.
async fn room_bytes(core: &Arc<Core>, asked: Target) -> Result<u64, StoreError> {
    let mut owed: BTreeMap<Keep, u64> = BTreeMap::new();
    for grant in core.pin_requests.all() {
        let target = super::target(grant.target);
        if target != asked {
            // One pin serves all who asked for the same.
            let promised_bytes = owed.entry(Keep::pin(target.id())).or_default();
            *promised_bytes = grant.max_bytes.max(*promised_bytes);
        }
    }
    let of_asked = Keep::pin(asked.id());
    let mut held = Vec::new();
    for (blob, why) in core.blobs.kept().await? {
        if why
            .iter()
            .any(|keep| *keep == of_asked || owed.contains_key(keep))
        {
            let held_bytes = match core.blobs.status(blob).await? {
                BlobStatus::Complete { size_bytes } => size_bytes,
                BlobStatus::Partial { held_bytes, .. } => held_bytes,
                BlobStatus::Missing => 0,
            };
            held.push((why, held_bytes));
        }
    }
    let usage = core.blobs.quota().usage();
    let free_bytes = usage.max_bytes.saturating_sub(usage.total_bytes());
    Ok(room_left(free_bytes, owed, &of_asked, &held))
}

/// Of free bytes: what is held for the same pin is there already, what other pins were promised
/// and don't hold yet is taken.
fn room_left(
    free_bytes: u64,
    mut owed: BTreeMap<Keep, u64>,
    of_asked: &Keep,
    held: &[(Vec<Keep>, u64)],
) -> u64 {
    let mut asked_bytes = 0_u64;
    for (why, held_bytes) in held {
        for keep in why {
            if let Some(owed_bytes) = owed.get_mut(keep) {
                *owed_bytes = owed_bytes.saturating_sub(*held_bytes);
            }
        }
        if why.contains(of_asked) {
            asked_bytes = asked_bytes.saturating_add(*held_bytes);
        }
    }
    let room_bytes = free_bytes.saturating_add(asked_bytes);
    owed.into_values().fold(room_bytes, u64::saturating_sub)
}

/// What has to be followed so that the target comes here; none for a blob.
async fn way(
    core: &Arc<Core>,
    peer: EndpointKey,
    ask: &PinAsk,
) -> Result<Option<Joined>, PinRefusal> {
    // Only the one who asks is believed about where he is: no other is connected to for him.
    let ticket = ask
        .ticket
        .as_deref()
        .and_then(|text| text.parse::<Ticket>().ok());
    let ticket = ticket.filter(|ticket| ticket.endpoint == peer);
    match ask.target {
        PinTarget::Blob(blob) if core.is_denied(blob) => Err(PinRefusal::Denied),
        PinTarget::Blob(_) => Ok(None),
        PinTarget::Identity(identity) => Ok(Some(Joined::Identity(identity))),
        PinTarget::Space(space) => {
            let told = ticket.is_some_and(|ticket| ticket.space == Some(space));
            if told || is_known(core, space.entry()).await? {
                Ok(Some(Joined::Space(space)))
            } else {
                Err(PinRefusal::Unknown)
            }
        }
        PinTarget::Thread(root) => {
            let told = ticket.filter(|ticket| ticket.root == Some(root));
            let held = core.store("find a thread's space", move |database| {
                database.read()?.space_of(&root)
            });
            let held: Option<SpaceId> = held.await.map_err(|_| PinRefusal::Fault)?;
            let space = held.or_else(|| told.and_then(|ticket| ticket.space));
            space
                .map(|space| Some(Joined::Thread(root, space)))
                .ok_or(PinRefusal::Unknown)
        }
    }
}

async fn is_known(core: &Arc<Core>, entry: EntryId) -> Result<bool, PinRefusal> {
    let held = core.store("look an entry up", move |database| database.has(&entry));
    held.await.map_err(|_| PinRefusal::Fault)
}

/// Learns where the requester is, and follows what leads to the target.
async fn follow(core: &Arc<Core>, peer: EndpointKey, ask: &PinAsk, way: Option<Joined>) {
    let ticket = ask
        .ticket
        .as_deref()
        .and_then(|text| text.parse::<Ticket>().ok());
    let ticket = ticket.filter(|ticket| ticket.endpoint == peer);
    let known = KnownPeer {
        addresses: ticket
            .iter()
            .flat_map(|ticket| ticket.addresses.clone())
            .collect(),
        relays: ticket
            .iter()
            .flat_map(|ticket| ticket.relays.clone())
            .collect(),
        seen_ms: now_ms(),
    };
    let address = core.network.learn(&peer, &known).await;
    if !known.addresses.is_empty()
        && let Err(error) = core.follows.remember_peers(&core.folder, [(peer, known)])
    {
        tracing::warn!(%error, "a requester's address is forgotten at the next start");
    }
    let bootstrap: Vec<EndpointAddr> = address.into_iter().collect();
    for address in &bootstrap {
        // The driver only ends when the node stops.
        let _ = core.gossip.add_peer(address.clone()).await;
    }
    if let Some(way) = way {
        let _turn = core.pin_requests.turn().await;
        if keep::join(core, way, bootstrap).await
            && let Err(error) =
                core.pin_requests
                    .set_joined(&core.folder, ask.identity, ask.target, way)
        {
            tracing::warn!(%error, "what was followed for a request stays followed");
        }
    }
    keep::apply(core, ask.target, Some(peer)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_were_promised_and_lack_is_not_promised_again() {
        let [asked, full, open] = ["asked", "full", "open"].map(Keep::pin);
        let owed = BTreeMap::from([(full.clone(), 30), (open.clone(), 50)]);
        let room = |held: &[(Vec<Keep>, u64)]| room_left(100, owed.clone(), &asked, held);
        assert_eq!(room(&[]), 20);
        assert_eq!(room(&[(vec![full.clone(), Keep::Cache], 30)]), 50);
        // One blob may be held for several.
        assert_eq!(room(&[(vec![full, open.clone()], 30)]), 80);
        assert_eq!(room(&[(vec![asked.clone()], 10), (vec![open], 60)]), 80);
        let much = BTreeMap::from([(Keep::Cache, u64::MAX)]);
        assert_eq!(room_left(100, much, &asked, &[]), 0);
    }
}
