//! What happens now and then: samples, gauges, accounts, renewals, and noticing that the machine slept.

use std::{sync::Arc, time::Duration};

use gateway::metrics::{NodeCounter, NodeGauge};
use iroh::Watcher;
use model::EndpointKey;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{clock::now_ms, core::Core, denylist, flow, follows::KnownPeer};

const TICK: Duration = Duration::from_secs(1);
/// A tick that comes this much late means that the machine slept.
const SLEPT_MS: u64 = 15_000;
/// Ticks between samples of the traffic chart.
const SAMPLE: u64 = 5;
/// Ticks between looks at the files of the denylists.
const DENYLISTS: u64 = 2;
/// Ticks between counting the blobs.
const COUNT: u64 = 20;
/// Ticks between looks at held-back entries and at holdings to renew.
const RENEW: u64 = 10;
/// Ticks between saving where peers are, and between upkeep of the blob store.
const SAVE: u64 = 60;
/// Clocks further apart than this are worth a word, milliseconds.
const SKEW_MS: i64 = 5 * 60 * 1000;

/// Runs until cancelled, in the middle of whatever it does.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    cancel.run_until_cancelled(work(core)).await;
}

async fn work(core: Arc<Core>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut addresses = core.network.endpoint.watch_addr();
    let mut last_ms = now_ms();
    let mut count = 0_u64;
    let mut counted = (0, 0);
    let mut flushed = None;
    loop {
        tokio::select! {
            Ok(_) = addresses.updated() => heal(&core, "the address changed").await,
            _ = ticks.tick() => {
                let time_ms = now_ms();
                if time_ms.saturating_sub(last_ms) > SLEPT_MS {
                    heal(&core, "the machine slept").await;
                }
                tick(&core, count, &mut counted, time_ms).await;
                if count.is_multiple_of(SAMPLE) {
                    flush(&core, &mut flushed).await;
                }
                count += 1;
                // Only the pause between two ticks tells of sleep, not the time that one takes.
                last_ms = now_ms();
            }
        }
    }
}

async fn heal(core: &Core, why: &str) {
    tracing::info!(why, "joining topics and syncing again");
    core.network.endpoint.network_change().await;
    // The driver only ends when the node stops.
    let _ = core.gossip.network_change().await;
    Core::lock(&core.wants).retry_all(now_ms());
    core.wants_changed.notify_one();
}

async fn tick(core: &Arc<Core>, count: u64, counted: &mut (u64, u64), time_ms: u64) {
    count_traffic(core, counted);
    if count.is_multiple_of(SAMPLE) {
        core.traffic.sample(core.throttle.ways(), time_ms);
        gauges(core).await;
    }
    if count.is_multiple_of(DENYLISTS) {
        denylist::honour::look(core).await;
    }
    if count.is_multiple_of(COUNT) {
        count_blobs(core).await;
    }
    if count.is_multiple_of(RENEW) {
        flow::ingest::release_held(core).await;
        flow::announce::renew(core).await;
        flow::fetch::look_at_watched(core).await;
    }
    if count.is_multiple_of(SAVE) && count > 0 {
        remember_peers(core);
        if let Err(error) = core.blobs.maintain().await {
            tracing::warn!(%error, "upkeep of the blob store failed");
        }
    }
}

fn count_traffic(core: &Core, counted: &mut (u64, u64)) {
    let ways = core.throttle.ways();
    core.metrics.carried(&ways);
    let (received, sent) = (ways.peers.in_bytes, ways.peers.out_bytes);
    core.metrics.add(
        NodeCounter::ReceivedBytes,
        received.saturating_sub(counted.0),
    );
    core.metrics
        .add(NodeCounter::SentBytes, sent.saturating_sub(counted.1));
    *counted = (received, sent);
}

async fn gauges(core: &Arc<Core>) {
    let stats = core.gossip.stats();
    let up = stats.peers.values().filter(|peer| peer.up).count();
    core.metrics.set(NodeGauge::Peers, up as u64);
    core.metrics.set(NodeGauge::Topics, stats.topics as u64);
    let counts = core
        .store("count entries", |database| database.counts())
        .await;
    if let Ok(counts) = counts {
        core.metrics.set(NodeGauge::Entries, counts.entries);
        core.metrics.set(NodeGauge::Pending, counts.pending);
    }
    core.metrics
        .set(NodeGauge::MonthBytes, core.throttle.month_bytes());
    if let Some(swarm) = core.torrents.swarm() {
        let totals = swarm.totals();
        for (gauge, number) in [
            (NodeGauge::LiveTorrents, totals.live_torrents),
            (NodeGauge::OfferedTorrents, totals.offered_torrents),
            (NodeGauge::SwarmPeers, totals.peers),
        ] {
            core.metrics.set(gauge, number as u64);
        }
    }
    let usage = core.blobs.quota().usage();
    core.metrics.set(NodeGauge::BlobBytes, usage.store_bytes);
    core.metrics.set(NodeGauge::UsedBytes, usage.total_bytes());
    let nearly_full = usage.total_bytes() > usage.max_bytes / 10 * 9;
    let warning = format!(
        "{} of {} bytes of storage.max_bytes are used: unpin something or raise it",
        usage.total_bytes(),
        usage.max_bytes
    );
    core.warn("storage", nearly_full.then_some(warning));
}

/// Brings to disk what peers sent. A crash loses little of it then, and the store can use the room
/// again that its unfinished writes hold.
async fn flush(core: &Arc<Core>, flushed: &mut Option<(database::Counts, database::Cursor)>) {
    let before = *flushed;
    let done = core.store("bring entries to disk", move |database| {
        let reader = database.read()?;
        let now = (reader.counts()?, reader.cursor()?);
        drop(reader);
        if before != Some(now) {
            database.flush()?;
        }
        Ok::<_, database::DatabaseError>(now)
    });
    match done.await {
        Ok(now) => *flushed = Some(now),
        Err(error) => tracing::warn!(%error, "entries of peers are not on disk yet"),
    }
}

async fn count_blobs(core: &Arc<Core>) {
    if let Ok(blobs) = core.blobs.list().await {
        core.metrics.set(NodeGauge::Blobs, blobs.len() as u64);
    }
}

/// Saves where the peers of this run are.
pub fn remember_peers(core: &Core) {
    let stats = core.gossip.stats();
    let known = core.follows.peers();
    let met = stats
        .peers
        .iter()
        .filter(|(_, peer)| peer.up)
        .map(|(key, peer)| {
            let mut entry = known.get(key).cloned().unwrap_or_default();
            entry.seen_ms = peer.seen_ms;
            if let gossip::net::Path::Direct(address) = &peer.path {
                entry.addresses.retain(|known| known != address);
                entry.addresses.insert(0, *address);
            }
            (*key, entry)
        });
    let met: Vec<(EndpointKey, KnownPeer)> = met.collect();
    if let Err(error) = core.follows.remember_peers(&core.folder, met) {
        tracing::warn!(%error, "cannot save where peers are");
    }
}

/// A peer's clock differs: worth a word while it does.
pub fn note_clock(core: &Core, by_ms: i64) {
    *Core::lock(&core.clock_skew_ms) = Some(by_ms);
    let text = format!(
        "a peer's clock differs from this machine's by {} minutes: check the time here (`date`), \
         others hold back entries from the future",
        by_ms / 60_000
    );
    core.warn("clock", (by_ms.abs() > SKEW_MS).then_some(text));
}

/// Everything wanted may be tried with a new peer.
pub fn retry_wants(core: &Core) {
    Core::lock(&core.wants).retry_all(now_ms());
    core.wants_changed.notify_one();
}
