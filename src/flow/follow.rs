//! peer fetches: what arrives on followed boards, and the media that policy asks for.

use std::{sync::Arc, time::Duration};

use blocks::Keep;
use database::forum::{self, Sort};
use gateway::api::types::PinMedia;
use gossip::net::Event;
use iroh::{EndpointAddr, EndpointId};
use model::{EndpointKey, EntryId, SpaceId};
use tokio::{sync::broadcast, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    announce,
    fetch::{self, Medium, Policy, PostMedia},
    publish, seed,
};
use crate::{
    clock::now_ms,
    core::{Arrival, Core},
    follows::KnownPeer,
    mirror::{
        covered::{self, Covered, Sum},
        request::keep,
    },
    pins::{Promise, Target},
    service::pinning,
    upkeep,
};

/// Threads and posts of each that a look over recent media goes through.
const RECENT_THREADS: usize = 200;
const RECENT_POSTS: usize = 200;
/// Arrivals looked at in one go.
const AT_ONCE: usize = 64;
/// Largest picture of a person or a board that is fetched unasked.
const PICTURE_BYTES: u64 = 2 << 20;

/// Runs until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let mut events = core.gossip.subscribe();
    let Some(mut arrivals) = core.take_arrivals() else {
        return;
    };
    meet_known_peers(&core).await;
    name_peers(&core).await;
    if let Some(mdns) = core.network.mdns.clone() {
        let core = Arc::clone(&core);
        tokio::select! {
            () = cancel.cancelled() => return,
            () = async { look_again(&core).await } => {}
        }
        let local = meet_local_peers(Arc::clone(&core), mdns);
        tokio::select! {
            () = cancel.cancelled() => {}
            () = local => {}
            () = work(&core, &mut events, &mut arrivals) => {}
        }
        return;
    }
    tokio::select! {
        () = cancel.cancelled() => {}
        () = async {
            look_again(&core).await;
            work(&core, &mut events, &mut arrivals).await;
        } => {}
    }
}

async fn work(
    core: &Arc<Core>,
    events: &mut broadcast::Receiver<Event>,
    arrivals: &mut tokio::sync::mpsc::Receiver<Arrival>,
) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = arrivals.recv_many(&mut batch, AT_ONCE) => {
                let mut posts = Vec::new();
                for arrival in batch.drain(..) {
                    posts.extend(arrived(core, arrival).await);
                }
                announce::posts_held(core, &posts).await;
            }
            () = core.look_again.notified() => {
                // Whatever floods in right now should be in before it is looked through.
                sleep(Duration::from_secs(1)).await;
                look_again(core).await;
            }
            event = events.recv() => match event {
                Ok(event) => exchange_event(core, event),
                Err(broadcast::error::RecvError::Lagged(_)) => core.look_again.notify_one(),
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

fn exchange_event(core: &Arc<Core>, event: Event) {
    match event {
        Event::PeerUp(peer) => {
            tracing::info!(peer = %peer.short(), "peer up");
            upkeep::retry_wants(core);
            core.mirror.say_again();
        }
        Event::PeerDown(peer) => tracing::info!(peer = %peer.short(), "peer down"),
        Event::Banned { peer, reason } => {
            tracing::warn!(peer = %peer.short(), reason, "peer banned");
            Core::lock(&core.holdings).forget(peer);
            core.metrics.add(gateway::metrics::NodeCounter::Liars, 1);
        }
        Event::ClockDiffers { by_ms, .. } => upkeep::note_clock(core, by_ms),
        Event::NewEntries { .. } | Event::HoldingReceived(_) | Event::Synced { .. } => {}
    }
}

/// Tells the exchange again who was named when spaces were joined.
async fn name_peers(core: &Arc<Core>) {
    for (space, keys) in core.follows.named() {
        let ids = keys.iter().map(|key| key.as_bytes());
        let peers: Vec<EndpointAddr> = ids
            .filter_map(|id| EndpointId::from_bytes(id).ok())
            .map(EndpointAddr::new)
            .collect();
        // The driver only ends when the node stops.
        let whole = core
            .follows
            .space(&space)
            .is_some_and(|how| !how.threads_only);
        if whole {
            let _ = core.gossip.follow_space(space, peers.clone()).await;
        }
        for (root, of) in core.follows.threads() {
            if of == space {
                let _ = core.gossip.follow_thread(space, root, peers.clone()).await;
            }
        }
    }
}

/// Connects to the configured peers and to those remembered.
async fn meet_known_peers(core: &Arc<Core>) {
    let mut peers: Vec<(EndpointKey, KnownPeer)> = core.follows.peers().into_iter().collect();
    peers.extend(core.config.peers.iter().map(|ticket| {
        let peer = KnownPeer {
            addresses: ticket.addresses.clone(),
            relays: ticket.relays.clone(),
            seen_ms: now_ms(),
        };
        (ticket.endpoint, peer)
    }));
    for (key, peer) in peers {
        if key == core.network.id() {
            continue;
        }
        if let Some(address) = core.network.learn(&key, &peer).await {
            // The driver only ends when the node stops.
            let _ = core.gossip.add_peer(address).await;
        }
    }
}

async fn meet_local_peers(core: Arc<Core>, mdns: iroh_mdns_address_lookup::MdnsAddressLookup) {
    use futures_lite::StreamExt;
    use iroh_mdns_address_lookup::DiscoveryEvent;
    let mut found = mdns.subscribe().await;
    while let Some(event) = found.next().await {
        if let DiscoveryEvent::Discovered { endpoint_info, .. } = event {
            let address = endpoint_info.into_endpoint_addr();
            tracing::debug!(peer = %address.id.fmt_short(), "found on the local network");
            let _ = core.gossip.add_peer(address).await;
        }
    }
    std::future::pending().await
}

/// Gives the post that may be held in full now.
async fn arrived(core: &Arc<Core>, arrival: Arrival) -> Option<EntryId> {
    match arrival.table.as_str() {
        "post" => {
            let id = arrival.entry;
            let found = core.store("read a post", move |database| {
                database.read()?.post(&id, None)
            });
            let post = found.await.ok()??;
            consider(core, &post, arrival.peer).await;
            Some(id)
        }
        _ => {
            picture(core, arrival).await;
            None
        }
    }
}

/// Wants what policy and pins ask for of a post.
async fn consider(core: &Arc<Core>, post: &forum::Post, peer: Option<EndpointKey>) {
    if post.media.is_empty() {
        return;
    }
    let media = publish::media_of(post);
    seed::note_post(core, post, core.is_unlisted(&post.space));
    // What is followed for others only goes by what they were promised.
    if !post.hidden && !keep::is_for_others(core, post.space, post.root) {
        fetch::want(core, &media, &publish::auto_policy(core), peer).await;
    }
    for (target, promise) in core.pins.all() {
        let covers = match target {
            Target::Thread(root) => root == post.root,
            Target::Space(space) => space == post.space,
            Target::Identity(identity) => identity == post.author && !core.is_unlisted(&post.space),
            Target::Blob(_) => false,
        };
        if covers {
            let mut policy = pin_policy(core, &target, promise).await;
            pinning::want_of_post(core, &media, &mut policy, promise, peer).await;
        }
    }
}

/// What a pin asks for: what its byte limit leaves, beyond what is on the list for it.
pub async fn pin_policy(core: &Arc<Core>, target: &Target, promise: Promise) -> Policy {
    let keep = Keep::pin(target.id());
    let left = match promise.max_bytes {
        None => u64::MAX,
        Some(max_bytes) => {
            let covered = covered::covered(core, *target, promise).await;
            let spent_bytes = covered.map_or(max_bytes, |all| {
                let wants = Core::lock(&core.wants);
                // What is on the list is spent before it has come.
                let is_coming = |one: &&Covered| wants.is_wanted_for(&one.blob, &keep);
                let coming = all.iter().filter(|one| !one.is_held).filter(is_coming);
                let lacking = coming.map(|one| one.size_bytes.saturating_sub(one.held_bytes));
                lacking.fold(Sum::of(&all).held_bytes, u64::saturating_add)
            });
            max_bytes.saturating_sub(spent_bytes)
        }
    };
    Policy {
        max_bytes: if promise.media == PinMedia::All {
            left
        } else {
            0
        },
        thumbs: promise.media != PinMedia::None,
        keep,
    }
}

/// Avatars and icons are small and shown everywhere.
async fn picture(core: &Arc<Core>, arrival: Arrival) {
    let entry = arrival.entry;
    let found = core.store("read a profile", move |database| {
        let reader = database.read()?;
        let space = reader.entry(&entry)?.and_then(|entry| entry.header().space);
        let row = reader.row(&entry)?;
        Ok::<_, database::DatabaseError>(space.zip(row))
    });
    let Ok(Some((space, row))) = found.await else {
        return;
    };
    let blob = ["avatar", "icon"]
        .iter()
        .find_map(|column| match row.get(*column) {
            Some(model::Ipld::Link(cid)) => model::BlobId::try_from(cid).ok(),
            _ => None,
        });
    let Some(blob) = blob else { return };
    let media = PostMedia {
        space,
        root: entry,
        post: entry,
        media: vec![Medium {
            blob,
            size_bytes: 0,
            small: Vec::new(),
        }],
    };
    let policy = Policy {
        max_bytes: PICTURE_BYTES,
        thumbs: false,
        keep: Keep::Cache,
    };
    fetch::want(core, &media, &policy, arrival.peer).await;
}

/// Goes through the newest threads and everything pinned: after a start, and when too much came
/// at once to follow piece by piece.
async fn look_again(core: &Arc<Core>) {
    let mut roots: Vec<EntryId> = Vec::new();
    for (target, promise) in core.pins.all() {
        match target {
            Target::Thread(root) => roots.push(root),
            Target::Space(space) => roots.extend(recent_threads(core, Some(space)).await),
            Target::Identity(identity) => {
                roots.extend(recent_threads(core, Some(identity.space())).await);
            }
            Target::Blob(_) => {}
        }
        // A promise outlives the list of what is wanted, which is kept in memory only.
        if let Err(error) = pinning::want_pinned(core, target, promise).await {
            tracing::warn!(pin = %target.id(), %error, "cannot look over what is pinned");
        }
    }
    roots.extend(recent_threads(core, None).await);
    roots.sort_unstable();
    roots.dedup();
    for root in roots {
        let posts = core.store("read a thread", move |database| {
            database.read()?.posts(&root, None, None, RECENT_POSTS)
        });
        let Ok(posts) = posts.await else { continue };
        for post in &posts.items {
            consider(core, post, None).await;
        }
        let posts: Vec<EntryId> = posts.items.iter().map(|post| post.id).collect();
        announce::posts_held(core, &posts).await;
    }
}

async fn recent_threads(core: &Arc<Core>, space: Option<SpaceId>) -> Vec<EntryId> {
    let threads = core.store("list threads", move |database| {
        database
            .read()?
            .threads(space, Sort::New, None, RECENT_THREADS)
    });
    match threads.await {
        Ok(page) => page.items.into_iter().map(|thread| thread.root).collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot look over recent threads");
            Vec::new()
        }
    }
}
