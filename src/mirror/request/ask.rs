//! Asking a mirror.

use std::{sync::Arc, time::Duration};

use database::DatabaseError;
use gateway::{
    api::types::{MirrorAnswer, MirrorPin, MirrorUnpin, PinMedia, TicketAnswer},
    node::NodeError,
};
use iroh::{EndpointAddr, EndpointId};
use model::{
    EndpointKey, Holding, Item, PinAct, PinAsk, PinDemand, PinTarget, SpaceId, Ticket, limits,
};
use reqwest::Method;

use super::{AskedPin, pin_target, scope};
use crate::{
    clock::now_ms,
    core::Core,
    flow::{
        announce,
        retrieve::{Http, Link},
    },
    follows::KnownPeer,
    mirror::{
        challenge::Heard,
        covered::{self, Sum},
        exchange::Line,
        frame::{Answer, PinAnswer, ProofEntry, Question},
    },
    pins::{Promise, Target},
    service::pinning,
};

/// Longest wait for the answer of a mirror.
const ANSWER: Duration = Duration::from_secs(20);
/// Longest wait for its gateway, and longest answer of that.
const GATEWAY: Duration = Duration::from_secs(15);
const GATEWAY_BYTES: usize = 16 * 1024;
/// A thread is asked for with room for what will be answered.
const THREAD_MIN_BYTES: u64 = 16 << 20;
/// A statement counts as due when it ends within this, milliseconds.
const STATEMENT_DUE_MS: u64 = limits::HOLDING_LIFE_MS / 4;
/// How often a mirror is asked whether it holds what it promised, milliseconds.
const POLL_MIN_MS: u64 = 5_000;
const POLL_MAX_MS: u64 = 5 * 60 * 1_000;

/// Asks a mirror to keep something, and notes its answer.
///
/// # Errors
/// When the mirror can't be found or asked. A refusal is an answer.
pub async fn ask(core: &Arc<Core>, request: MirrorPin) -> Result<MirrorAnswer, NodeError> {
    let pin = pinning::target(core, &request.id).await?;
    let (mirror, address) = resolve(core, &request.mirror).await?;
    let max_bytes = match request.max_bytes {
        Some(max_bytes) => Some(max_bytes),
        None => usual_limit(core, pin, request.media).await?,
    };
    let act = PinAct::Pin {
        media: scope(request.media),
        max_bytes,
        until_ms: request.until_ms,
    };
    let ticket = ticket(core, pin, request.space).await?;
    let answer = put(core, mirror, address, pin_target(pin), act, Some(ticket)).await?;
    let told = told(mirror, answer)?;
    let asked = AskedPin {
        mirror,
        target: pin_target(pin),
        media: request.media,
        accepted: told.accepted,
        reason: told.reason.clone(),
        max_bytes: told.max_bytes,
        asked_ms: now_ms(),
        until_ms: told.until_ms,
    };
    let noted = core.asked.note(&core.folder, asked);
    noted.map_err(|error| NodeError::local("note what the mirror promised", error))?;
    core.pin_requests_changed.notify_one();
    Ok(told)
}

/// Takes a request back.
///
/// # Errors
/// When the mirror can't be found or asked.
pub async fn release(core: &Arc<Core>, request: MirrorUnpin) -> Result<MirrorAnswer, NodeError> {
    let pin = pinning::target(core, &request.id).await?;
    let (mirror, address) = resolve(core, &request.mirror).await?;
    let target = pin_target(pin);
    let answer = put(core, mirror, address, target, PinAct::Unpin, None).await?;
    let told = told(mirror, answer)?;
    let forgotten = core.asked.forget(&core.folder, mirror, target);
    forgotten.map_err(|error| NodeError::local("forget what the mirror promised", error))?;
    Ok(told)
}

/// Who is meant: a ticket, an endpoint known here, or the URL of a gateway that gives a ticket.
///
/// # Errors
/// When nobody is.
pub async fn resolve(
    core: &Arc<Core>,
    text: &str,
) -> Result<(EndpointKey, EndpointAddr), NodeError> {
    let text = text.trim();
    let ticket = if text.starts_with("http://") || text.starts_with("https://") {
        ticket_of_gateway(core, text).await?
    } else if text.starts_with("datt") {
        read_ticket(text)?
    } else {
        let key: EndpointKey = text.parse().map_err(|_| {
            NodeError::Invalid(format!(
                "{text:?} is no mirror: give its ticket, its endpoint id, or the URL of its gateway"
            ))
        })?;
        return known(core, key);
    };
    if ticket.endpoint == core.network.id() {
        return Err(NodeError::Invalid("this is this node itself".to_owned()));
    }
    let peer = KnownPeer {
        addresses: ticket.addresses,
        relays: ticket.relays,
        seen_ms: now_ms(),
    };
    let address = core.network.learn(&ticket.endpoint, &peer).await;
    let address = address.ok_or_else(|| {
        NodeError::Invalid("the ticket names an endpoint that can't exist".to_owned())
    })?;
    core.follows
        .remember_peers(&core.folder, [(ticket.endpoint, peer)])
        .map_err(|error| NodeError::local("remember the mirror", error))?;
    // The driver only ends when the node stops.
    let _ = core.gossip.add_peer(address.clone()).await;
    Ok((ticket.endpoint, address))
}

fn known(core: &Core, key: EndpointKey) -> Result<(EndpointKey, EndpointAddr), NodeError> {
    let is_met =
        core.follows.peers().contains_key(&key) || core.gossip.stats().peers.contains_key(&key);
    let id = EndpointId::from_bytes(key.as_bytes());
    match id {
        Ok(id) if is_met => Ok((key, EndpointAddr::new(id))),
        _ => Err(NodeError::NotFound(format!(
            "this node never met {key}; give its ticket instead"
        ))),
    }
}

fn read_ticket(text: &str) -> Result<Ticket, NodeError> {
    text.parse()
        .map_err(|error| NodeError::Invalid(format!("not a ticket: {error}")))
}

async fn ticket_of_gateway(core: &Core, url: &str) -> Result<Ticket, NodeError> {
    let link = Link::parse(url, core.config.offline)
        .map_err(|error| NodeError::Invalid(error.to_string()))?;
    let http = Http::new(vec![link], core.config.offline)
        .map_err(|error| NodeError::local("ask a gateway", error))?;
    let failed = |why: String| NodeError::Unavailable(format!("{url} gives no ticket: {why}"));
    let asking = async {
        let mut response = http
            .of_gateway(0, Method::GET, "api/v1/ticket")
            .send()
            .await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > GATEWAY_BYTES {
                break;
            }
        }
        Ok::<_, reqwest::Error>(body)
    };
    let body = tokio::time::timeout(GATEWAY, asking).await;
    let body = body.map_err(|_| failed("no answer in time".to_owned()))?;
    let body = body.map_err(|error| failed(error.to_string()))?;
    let answer: TicketAnswer = serde_json::from_slice(&body)
        .map_err(|_| failed("its answer is not that of a datt gateway".to_owned()))?;
    read_ticket(&answer.ticket)
}

/// As much as it takes now, and some room in threads.
async fn usual_limit(
    core: &Arc<Core>,
    pin: Target,
    media: PinMedia,
) -> Result<Option<u64>, NodeError> {
    let promise = Promise {
        media,
        max_bytes: None,
        since_ms: now_ms(),
        asked_by: None,
    };
    Ok(match pin {
        Target::Blob(_) => {
            let total_bytes = Sum::of(&covered::covered(core, pin, promise).await?).total_bytes;
            (total_bytes > 0).then(|| blocks::stored_bytes(total_bytes))
        }
        Target::Thread(_) => {
            let total_bytes = Sum::of(&covered::covered(core, pin, promise).await?).total_bytes;
            Some(total_bytes.saturating_mul(2).max(THREAD_MIN_BYTES))
        }
        Target::Space(_) | Target::Identity(_) => None,
    })
}

/// A ticket that leads to the target by this node. The id of an unlisted board is told only when the
/// person wrote it out.
async fn ticket(core: &Arc<Core>, pin: Target, told: Option<SpaceId>) -> Result<String, NodeError> {
    let mut ticket = core.network.ticket();
    match pin {
        Target::Space(space) => ticket.space = Some(space),
        Target::Thread(root) => {
            let found = core.store("find the thread's board", move |database| {
                let reader = database.read()?;
                let Some(space) = reader.space_of(&root)? else {
                    return Ok(None);
                };
                let info = reader.space(&space)?;
                Ok::<_, DatabaseError>(Some((space, info.is_none_or(|info| info.unlisted))))
            });
            let (space, unlisted) = found.await?.ok_or_else(|| {
                NodeError::NotFound(format!("the thread {root} is not held here"))
            })?;
            if (unlisted || core.is_unlisted(&space)) && told != Some(space) {
                return Err(NodeError::Invalid(format!(
                    "{root} is on an unlisted board: who keeps it learns the board's id, which is all \
                     that protects it; to tell the mirror, give it with --space {space}"
                )));
            }
            (ticket.space, ticket.root) = (Some(space), Some(root));
        }
        Target::Blob(_) | Target::Identity(_) => {}
    }
    Ok(ticket.to_string())
}

async fn put(
    core: &Arc<Core>,
    mirror: EndpointKey,
    address: EndpointAddr,
    target: PinTarget,
    act: PinAct,
    ticket: Option<String>,
) -> Result<PinAnswer, NodeError> {
    let mut nonce = [0; limits::NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| NodeError::local("draw random bytes", error))?;
    let ask = PinAsk {
        mirror,
        identity: core.identity,
        device: core.device.public(),
        target,
        act,
        time_ms: now_ms(),
        nonce,
        ticket,
    };
    let demand = PinDemand::sign(&core.device, ask)
        .map_err(|error| NodeError::Invalid(format!("cannot ask the mirror: {error}")))?;
    let question = Question::Pin {
        demand: demand.bytes().to_vec(),
        proof: proof(core).await?,
    };
    let line = Line::open(core, address).await;
    let line = line.ok_or_else(|| NodeError::Unavailable(format!("cannot reach {mirror}")))?;
    match line.ask(&question, ANSWER).await.0 {
        Heard::Answer(Answer::Pin(answer)) => Ok(answer),
        Heard::Answer(_) | Heard::Garbage => Err(NodeError::NotVerified(format!(
            "{mirror} sends something else than an answer"
        ))),
        Heard::Silence | Heard::NoWay => {
            Err(NodeError::Unavailable(format!("{mirror} does not answer")))
        }
    }
}

/// What shows that this device belongs to this identity.
async fn proof(core: &Arc<Core>) -> Result<Vec<ProofEntry>, NodeError> {
    let (identity, device) = (core.identity, core.device.public());
    let found = core.store("read this node's identity", move |database| {
        let reader = database.read()?;
        let row = reader
            .devices(&identity)?
            .into_iter()
            .find(|known| known.key == device);
        let mut proof = Vec::new();
        for id in [Some(identity.entry()), row.map(|row| row.row)]
            .into_iter()
            .flatten()
        {
            let packet = reader.packet(&id)?;
            if let Some((entry, payload)) = packet.and_then(|p| Some((p.entry, p.payload?))) {
                proof.push(ProofEntry { entry, payload });
            }
        }
        Ok::<_, DatabaseError>(proof)
    });
    found.await
}

fn told(mirror: EndpointKey, answer: PinAnswer) -> Result<MirrorAnswer, NodeError> {
    let (accepted, reason, max_bytes, left_bytes, until_ms) = match answer {
        PinAnswer::Accepted {
            max_bytes,
            left_bytes,
            until_ms,
        } => (
            true,
            "it keeps it".to_owned(),
            max_bytes,
            left_bytes,
            until_ms,
        ),
        PinAnswer::Released { left_bytes } => (
            false,
            "it keeps it no longer".to_owned(),
            0,
            left_bytes,
            None,
        ),
        PinAnswer::Refused(refusal) => (false, refusal.to_string(), 0, 0, None),
    };
    Ok(MirrorAnswer {
        mirror: mirror.to_string(),
        accepted,
        reason,
        max_bytes,
        left_bytes,
        until_ms,
    })
}

/// Asks mirrors for statements about the blobs that they promised to keep: those of posts come by
/// gossip.
pub(super) async fn renew_statements(core: &Arc<Core>) {
    let time_ms = now_ms();
    for (blob, mirror, asked_ms) in core.asked.promised_blobs(time_ms) {
        let item = Item::Blob(blob);
        let lasts = Core::lock(&core.holdings).held_by(item, time_ms + STATEMENT_DUE_MS);
        let pause_ms = (time_ms.saturating_sub(asked_ms) / 4).clamp(POLL_MIN_MS, POLL_MAX_MS);
        if lasts.contains(&mirror) || !core.asked.is_due(blob, mirror, time_ms, pause_ms) {
            continue;
        }
        let Ok(id) = EndpointId::from_bytes(mirror.as_bytes()) else {
            continue;
        };
        let Some(line) = Line::open(core, EndpointAddr::new(id)).await else {
            continue;
        };
        let question = Question::Holding { items: vec![item] };
        if let (Heard::Answer(Answer::Holding(Some(bytes))), _) = line.ask(&question, ANSWER).await
            && let Ok(holding) = Holding::decode(&bytes)
            && holding.endpoint() == mirror
        {
            announce::holding_received(core, None, &holding);
        }
    }
}
