//! The node itself: status, tickets, joining, verification.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use gateway::{
    api::types::{JoinRequest, Joined, JoinedKind, TicketQuery, VerifyProgress},
    node::{Items, NodeError, Viewer},
};
use iroh::{EndpointAddr, EndpointId};
use model::{EndpointKey, EntryId, IdentityId, SpaceId, Ticket};
use tokio::sync::{mpsc, watch};
use views::data;

use super::{authors::may_see, blobs::driven};
use crate::{
    clock::now_ms,
    core::Core,
    follows::{FollowedSpace, KnownPeer},
};

/// Progress messages that a slow reader may be behind.
const PROGRESS: usize = 16;
/// Problems that one verification lists.
const PROBLEMS: usize = 1_000;
/// How long peers are asked for a space of which only the id is known.
const ASK: Duration = Duration::from_secs(8);
/// How long joining waits for the first that comes from a ticket's node.
const GREET: Duration = Duration::from_secs(3);
/// Pause between progress messages.
const PACE: Duration = Duration::from_millis(100);

/// The node's own state; a stranger gets it without peers and addresses.
pub async fn status(core: &Arc<Core>, viewer: Viewer) -> Result<data::Status, NodeError> {
    let counts = core
        .store("count entries", |database| database.counts())
        .await?;
    let owner = viewer.is_owner();
    let stats = core.gossip.stats();
    let known = stats.peers.iter().filter(|_| owner);
    let peers = known
        .map(|(key, peer)| data::Peer {
            id: key.to_string(),
            path: match &peer.path {
                gossip::net::Path::Direct(address) => address.to_string(),
                gossip::net::Path::Relay(url) => format!("relay {url}"),
                gossip::net::Path::Unknown => "not in use".to_owned(),
            },
            rtt_ms: peer.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            entries_in: peer.entries_in,
            entries_out: peer.entries_out,
            seen_ms: peer.seen_ms,
            connected: peer.up,
        })
        .collect();
    let ticket = core.network.ticket();
    let usage = core.blobs.quota().usage();
    let blobs = core
        .blobs
        .list()
        .await
        .map_err(|e| NodeError::local("list the blobs", e))?;
    let warnings = Core::lock(&core.warnings).values().cloned().collect();
    Ok(data::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        endpoint: core.network.id().to_string(),
        addresses: if owner {
            ticket.addresses.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        },
        identity: core.identity.to_string(),
        device: core.device.public().to_string(),
        offline: core.config.offline,
        uptime_ms: now_ms().saturating_sub(core.started_ms),
        connected: stats.peers.values().filter(|peer| peer.up).count() as u64,
        peers,
        topics: stats.topics as u64,
        spaces: core.follows.spaces().len() as u64,
        entries: counts.entries,
        pending: counts.pending,
        forks: counts.forks,
        blobs: blobs.len() as u64,
        pins: core.pins.all().len() as u64,
        used_bytes: usage.total_bytes(),
        max_bytes: usage.max_bytes,
        store: core.config.store.as_str().to_owned(),
        clock_skew_ms: *Core::lock(&core.clock_skew_ms),
        traffic: core.traffic.samples(),
        torrent_addr: core
            .torrents
            .swarm()
            .filter(|_| owner)
            .and_then(|swarm| Some(swarm.addr()?.to_string())),
        caps: if owner {
            caps(core)
        } else {
            data::Caps::default()
        },
        warnings: if owner { warnings } else { Vec::new() },
    })
}

fn caps(core: &Core) -> data::Caps {
    let caps = core.throttle.caps();
    data::Caps {
        max_out_bytes_per_s: caps.max_out_bytes_per_s,
        max_in_bytes_per_s: caps.max_in_bytes_per_s,
        max_month_bytes: caps.max_month_bytes,
        month_bytes: core.throttle.month_bytes(),
    }
}

/// How others reach this node, a space or a thread.
pub async fn ticket(
    core: &Arc<Core>,
    viewer: Viewer,
    query: TicketQuery,
) -> Result<String, NodeError> {
    let mut ticket = core.network.ticket();
    ticket.space = query.space;
    if let Some(root) = query.root {
        let space = core
            .store("find the thread", move |database| {
                database.read()?.space_of(&root)
            })
            .await?
            .ok_or_else(|| NodeError::NotFound(format!("the thread {root} is not held here")))?;
        ticket.space = Some(space);
        ticket.root = Some(root);
    }
    let node = Arc::clone(core);
    let visible = match ticket.space {
        None => true,
        Some(space) => {
            core.store("read the board", move |database| {
                may_see(&node, &database.read()?, viewer, &space)
            })
            .await?
        }
    };
    if !visible {
        return Err(NodeError::NotFound(
            "there is no such board here".to_owned(),
        ));
    }
    Ok(ticket.to_string())
}

/// Follows what a ticket or an id leads to.
pub async fn join(core: &Arc<Core>, request: JoinRequest) -> Result<Joined, NodeError> {
    let text = request.target.trim();
    if text.starts_with("datt") {
        let ticket: Ticket = text
            .parse()
            .map_err(|error| NodeError::Invalid(format!("not a ticket: {error}")))?;
        return join_ticket(core, ticket).await;
    }
    let id: EntryId = text.parse().map_err(|error| {
        NodeError::Invalid(format!("{text:?} is neither a ticket nor an id: {error}"))
    })?;
    let found = core.store("look the id up", move |database| {
        let reader = database.read()?;
        if let Some(info) = reader.space(&SpaceId::from(id))? {
            return Ok::<_, database::DatabaseError>(Some((info.space, None, info.is_identity)));
        }
        let root = reader
            .entry(&id)?
            .and_then(|entry| entry.header().root)
            .unwrap_or(id);
        Ok(reader
            .space_of(&root)?
            .map(|space| (space, Some(root), false)))
    });
    match found.await? {
        Some((_, None, true)) => {
            super::writing::follow(core, IdentityId::from(id), true).await?;
            Ok(Joined {
                kind: JoinedKind::Identity,
                id: id.to_string(),
            })
        }
        Some((space, Some(root), _)) => follow_thread(core, space, root, Vec::new()).await,
        // Not known yet: the peers that are connected are asked for a space of that name.
        Some((space, None, false)) => follow_space(core, space, Vec::new()).await,
        None => follow_unknown(core, SpaceId::from(id)).await,
    }
}

/// A space named by its id alone: followed if a connected peer knows it.
async fn follow_unknown(core: &Arc<Core>, space: SpaceId) -> Result<Joined, NodeError> {
    let joined = follow_space(core, space, connected(core)).await?;
    if arrives(core, space.entry(), ASK).await? {
        return Ok(joined);
    }
    core.follows
        .unfollow_space(&core.folder, &space)
        .map_err(|error| NodeError::local("forget the space", error))?;
    let _ = core.gossip.unfollow(gossip::Follow::Space(space)).await;
    Err(NodeError::NotFound(format!(
        "no connected peer knows a space {space}; join it by a ticket, or connect to a node that \
         holds it first"
    )))
}

/// Waits until this entry is here.
async fn arrives(core: &Arc<Core>, entry: EntryId, within: Duration) -> Result<bool, NodeError> {
    let deadline = tokio::time::Instant::now() + within;
    let mut events = core.events.subscribe();
    loop {
        let held = core.store("look for what was joined", move |database| {
            database.has(&entry)
        });
        if held.await? {
            return Ok(true);
        }
        match tokio::time::timeout_at(deadline, events.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(false),
        }
    }
}

async fn join_ticket(core: &Arc<Core>, ticket: Ticket) -> Result<Joined, NodeError> {
    if ticket.endpoint == core.network.id() {
        return Err(NodeError::Invalid(
            "this is this node's own ticket".to_owned(),
        ));
    }
    let peer = KnownPeer {
        addresses: ticket.addresses,
        relays: ticket.relays,
        seen_ms: now_ms(),
    };
    let address = core
        .network
        .learn(&ticket.endpoint, &peer)
        .await
        .ok_or_else(|| {
            NodeError::Invalid("the ticket names an endpoint that can't exist".to_owned())
        })?;
    core.follows
        .remember_peers(&core.folder, [(ticket.endpoint, peer)])
        .map_err(|error| NodeError::local("remember the peer", error))?;
    // The driver only ends when the node stops.
    let _ = core.gossip.add_peer(address.clone()).await;
    match (ticket.space, ticket.root) {
        // A page that opens right after this should find what was joined.
        (Some(space), Some(root)) => {
            let joined = follow_thread(core, space, root, vec![address]).await?;
            arrives(core, root, GREET).await?;
            Ok(joined)
        }
        (Some(space), None) => {
            let joined = follow_space(core, space, vec![address]).await?;
            arrives(core, space.entry(), GREET).await?;
            Ok(joined)
        }
        (None, _) => Ok(Joined {
            kind: JoinedKind::Node,
            id: ticket.endpoint.to_string(),
        }),
    }
}

/// Peers that are up, to be asked for what a person names by its id alone.
pub(super) fn connected(core: &Core) -> Vec<EndpointAddr> {
    let stats = core.gossip.stats();
    let up = stats.peers.iter().filter(|(_, peer)| peer.up);
    up.filter_map(|(key, _)| EndpointId::from_bytes(key.as_bytes()).ok())
        .map(EndpointAddr::new)
        .collect()
}

fn keys(peers: &[EndpointAddr]) -> impl Iterator<Item = EndpointKey> + '_ {
    let key = |peer: &EndpointAddr| EndpointKey::from_bytes(*peer.id.as_bytes());
    peers.iter().map(key)
}

/// Follows a space, whole; `bootstrap` are peers that hold it.
///
/// # Errors
/// When the list can't be written.
pub async fn follow_space(
    core: &Arc<Core>,
    space: SpaceId,
    bootstrap: Vec<EndpointAddr>,
) -> Result<Joined, NodeError> {
    let unlisted = core
        .store("read the board", move |database| {
            database.read()?.space(&space)
        })
        .await?
        .is_some_and(|info| info.unlisted);
    let how = FollowedSpace {
        unlisted,
        threads_only: false,
    };
    core.follows
        .follow_space(&core.folder, space, how)
        .and_then(|()| {
            core.follows
                .name_peers(&core.folder, space, keys(&bootstrap))
        })
        .map_err(|error| NodeError::local("follow the space", error))?;
    let _ = core.gossip.follow_space(space, bootstrap).await;
    Ok(Joined {
        kind: JoinedKind::Space,
        id: space.to_string(),
    })
}

/// Follows a thread; `bootstrap` are peers that hold it.
///
/// # Errors
/// When the list can't be written.
pub async fn follow_thread(
    core: &Arc<Core>,
    space: SpaceId,
    root: EntryId,
    bootstrap: Vec<EndpointAddr>,
) -> Result<Joined, NodeError> {
    core.follows
        .follow_thread(&core.folder, root, space)
        .and_then(|()| {
            core.follows
                .name_peers(&core.folder, space, keys(&bootstrap))
        })
        .map_err(|error| NodeError::local("follow the thread", error))?;
    let _ = core.gossip.follow_thread(space, root, bootstrap).await;
    Ok(Joined {
        kind: JoinedKind::Thread,
        id: root.to_string(),
    })
}

/// Checks everything held: entries and indexes, then blobs.
pub fn verify(core: Arc<Core>) -> Items<VerifyProgress> {
    let (sender, receiver) = mpsc::channel(PROGRESS);
    let work = async move {
        let last = match checked(&core, &sender).await {
            Ok(mut problems) => {
                problems.truncate(PROBLEMS);
                Ok(VerifyProgress::Done {
                    ok: problems.is_empty(),
                    problems,
                })
            }
            Err(error) => Err(error),
        };
        // The reader may have gone.
        let _ = sender.send(last).await;
    };
    driven(receiver, work)
}

type Sender = mpsc::Sender<Result<VerifyProgress, NodeError>>;

async fn checked(core: &Arc<Core>, sender: &Sender) -> Result<Vec<String>, NodeError> {
    let mut problems = check_entries(core, sender).await?;
    let (blobs, damages) = check_blobs(core, sender).await?;
    problems.extend(damages);
    let entries = core
        .store("count entries", |database| database.counts())
        .await?
        .entries;
    // Small folders are through before the first pause: what was checked in all is always said.
    let _ = sender
        .send(Ok(VerifyProgress::Progress {
            checked: entries + blobs,
            total: entries + blobs,
            stage: "everything".to_owned(),
        }))
        .await;
    Ok(problems)
}

async fn check_entries(core: &Arc<Core>, sender: &Sender) -> Result<Vec<String>, NodeError> {
    let (progress, mut latest) = watch::channel(None);
    let database = Arc::clone(&core.database);
    let checking = tokio::task::spawn_blocking(move || {
        database.verify(now_ms(), &mut |at| {
            // Who asked may have gone, and writers wait for a part of this.
            match progress.send(Some(at)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
    });
    tokio::pin!(checking);
    let found = loop {
        tokio::select! {
            done = &mut checking => break done,
            () = tokio::time::sleep(PACE) => {
                let Some(at) = *latest.borrow_and_update() else { continue };
                let stage = match at.stage {
                    database::Stage::Entries => "entries",
                    database::Stage::Rebuild | database::Stage::Compare => "indexes",
                };
                let _ = sender.try_send(Ok(VerifyProgress::Progress {
                    checked: at.checked,
                    total: at.total,
                    stage: stage.to_owned(),
                }));
            }
        }
    };
    let found = found
        .map_err(|panic| NodeError::local("verify the entries", panic))?
        .map_err(|error| NodeError::local("verify the entries", error))?;
    Ok(found.iter().map(ToString::to_string).collect())
}

/// How many blobs were checked, and what is wrong with them.
async fn check_blobs(core: &Arc<Core>, sender: &Sender) -> Result<(u64, Vec<String>), NodeError> {
    let (progress, mut latest) = watch::channel(blocks::VerifyProgress::default());
    let checking = core.blobs.verify(&progress);
    tokio::pin!(checking);
    let damages = loop {
        tokio::select! {
            done = &mut checking => break done,
            () = tokio::time::sleep(PACE) => {
                let at = *latest.borrow_and_update();
                let _ = sender.try_send(Ok(VerifyProgress::Progress {
                    checked: at.blobs,
                    total: at.total_blobs,
                    stage: "blobs".to_owned(),
                }));
            }
        }
    };
    let damages = damages.map_err(|error| NodeError::local("verify the blobs", error))?;
    let words = damages.iter().map(|damage| {
        format!(
            "the bytes of {} are damaged: {}; fetch it again",
            damage.subject, damage.what
        )
    });
    Ok((latest.borrow().blobs, words.collect()))
}
