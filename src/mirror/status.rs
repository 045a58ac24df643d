//! What was promised, what is held and what is missing: of pins and rules together, truthfully.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gateway::{metrics::NodeGauge, node::NodeError};
use model::{BlobId, EndpointKey, EntryId, Item};
use views::data;

use super::{Report, covered, evaluate::names, presence};
use crate::{clock::now_ms, config::MirrorRule, core::Core, data_folder::used_bytes};

/// Missing blobs that are listed.
const MISSING: usize = 100;
/// Other mirrors that are listed.
const MIRRORS: usize = 200;
/// Rules that weren't evaluated for this long are worth a word, milliseconds.
const STALE_MS: u64 = 5 * 60 * 1_000;

/// A blob that is promised.
struct Promised {
    size_bytes: u64,
    held_bytes: u64,
    is_held: bool,
    promise: String,
    post: Option<EntryId>,
    since_ms: u64,
}

/// Everything about this node as a mirror.
///
/// # Errors
/// When a store can't be read.
pub async fn status(core: &Arc<Core>) -> Result<data::MirrorStatus, NodeError> {
    let report = core.mirror.report();
    let promised = promised(core, &report).await?;
    let rules = core.config.mirror.iter().enumerate();
    let mut status = data::MirrorStatus {
        rules: rules
            .map(|(at, rule)| rule_data(rule, &report, at))
            .collect(),
        quota: quota(core, &report).await?,
        promised: promised.len() as u64,
        mirrors: mirrors(core),
        missing_blobs: missing(core, &promised),
        evaluated_ms: report.evaluated_ms,
        ..data::MirrorStatus::default()
    };
    for one in promised.values() {
        let missing_bytes = one.size_bytes.saturating_sub(one.held_bytes);
        status.promised_bytes = status.promised_bytes.saturating_add(one.size_bytes);
        status.held_bytes = status.held_bytes.saturating_add(one.held_bytes);
        status.missing_bytes = status.missing_bytes.saturating_add(missing_bytes);
        if one.is_held {
            status.held += 1;
        } else {
            status.missing += 1;
        }
    }
    status.problems = problems(core, &status);
    core.metrics
        .set(NodeGauge::PromisedBytes, status.promised_bytes);
    core.metrics.set(NodeGauge::KeptBytes, status.held_bytes);
    core.metrics
        .set(NodeGauge::MissingBytes, status.missing_bytes);
    Ok(status)
}

fn rule_data(rule: &MirrorRule, report: &Report, at: usize) -> data::MirrorRule {
    let sums = report.rules.get(at).copied().unwrap_or_default();
    data::MirrorRule {
        what: rule.what.clone(),
        media: rule.media.as_str().to_owned(),
        max_bytes: rule.max_bytes,
        min_score: rule.min_score,
        max_age: rule.max_age.clone(),
        replicas: rule.replicas,
        matched: sums.matched,
        held: sums.held,
        missing: sums.missing,
        reached: sums.reached,
        held_bytes: sums.held_bytes,
        missing_bytes: sums.missing_bytes,
        evicted: sums.evicted,
    }
}

/// What pins and rules promise; what both do counts once, for the pin.
async fn promised(
    core: &Arc<Core>,
    report: &Report,
) -> Result<BTreeMap<BlobId, Promised>, NodeError> {
    let mut all = BTreeMap::new();
    for (target, promise) in core.pins.all() {
        let id = target.id();
        for one in covered::covered(core, target, promise).await? {
            if one.is_promised {
                all.entry(one.blob).or_insert_with(|| Promised {
                    size_bytes: one.size_bytes,
                    held_bytes: one.held_bytes,
                    is_held: one.is_held,
                    promise: id.clone(),
                    post: one.post,
                    since_ms: one.since_ms,
                });
            }
        }
    }
    for (blob, line) in &report.lines {
        if line.is_held() || line.is_missing() {
            all.entry(*blob).or_insert_with(|| Promised {
                size_bytes: line.size_bytes,
                held_bytes: if line.is_held() { line.size_bytes } else { 0 },
                is_held: line.is_held(),
                promise: format!("rule {}", line.rule + 1),
                post: line.post,
                since_ms: line.missing_since_ms.unwrap_or(report.evaluated_ms),
            });
        }
    }
    Ok(all)
}

fn missing(core: &Core, promised: &BTreeMap<BlobId, Promised>) -> Vec<data::MissingBlob> {
    let mut missing: Vec<_> = promised.iter().filter(|(_, one)| !one.is_held).collect();
    missing.sort_by_key(|(blob, one)| (one.since_ms, **blob));
    missing.truncate(MISSING);
    let listed = missing.into_iter().map(|(blob, one)| data::MissingBlob {
        id: blob.to_string(),
        promise: one.promise.clone(),
        post: one.post.map(|post| post.to_string()),
        size_bytes: one.size_bytes,
        since_ms: one.since_ms,
        held_by: names(&holders(core, *blob, one.post)),
    });
    listed.collect()
}

/// Others that say they hold a blob, or the post that it belongs to.
fn holders(core: &Core, blob: BlobId, post: Option<EntryId>) -> BTreeSet<EndpointKey> {
    let book = Core::lock(&core.holdings);
    let mut holders = book.held_by(Item::Blob(blob), now_ms());
    if let Some(post) = post {
        holders.extend(book.held_by(Item::Post(post), now_ms()));
    }
    holders.remove(&core.network.id());
    holders
}

/// Other mirrors of the spaces that this node mirrors.
fn mirrors(core: &Core) -> Vec<data::Mirror> {
    let spaces = presence::spaces(core);
    let mut by_endpoint: BTreeMap<EndpointKey, Vec<String>> = BTreeMap::new();
    for (space, mirrors) in presence::mirrors_of(core, &spaces, now_ms()) {
        for mirror in mirrors {
            by_endpoint
                .entry(mirror)
                .or_default()
                .push(space.to_string());
        }
    }
    let book = Core::lock(&core.holdings);
    let listed = by_endpoint.into_iter().take(MIRRORS);
    let listed = listed.map(|(endpoint, spaces)| data::Mirror {
        endpoint: endpoint.to_string(),
        spaces,
        held: book.blobs_of(&endpoint),
        ..core.audits.of(&endpoint)
    });
    listed.collect()
}

async fn quota(core: &Core, report: &Report) -> Result<data::MirrorQuota, NodeError> {
    let usage = core.blobs.quota().usage();
    let (folder, store) = (core.folder.path().to_owned(), core.folder.store());
    let measured = tokio::task::spawn_blocking(move || {
        let disk_free_bytes = rustix::fs::statvfs(&folder)
            .map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        (disk_free_bytes, used_bytes(&store, &|_| true))
    });
    let (disk_free_bytes, entries_bytes) = measured
        .await
        .map_err(|panic| NodeError::local("measure the data folder", panic))?;
    Ok(data::MirrorQuota {
        used_bytes: usage.store_bytes.saturating_add(usage.other_bytes),
        max_bytes: usage.max_bytes,
        disk_free_bytes,
        entries_bytes,
        pinned_bytes: report.stored.pinned_bytes,
        mirrored_bytes: report.stored.mirrored_bytes,
        cached_bytes: report.stored.cached_bytes,
    })
}

fn problems(core: &Core, status: &data::MirrorStatus) -> Vec<String> {
    let mut problems = Vec::new();
    let is_stale = now_ms().saturating_sub(status.evaluated_ms) > STALE_MS;
    if !core.mirror.rules.is_empty() && is_stale && status.evaluated_ms > 0 {
        problems.push("the rules were not evaluated for minutes: see the log".to_owned());
    }
    if status.quota.used_bytes > status.quota.max_bytes {
        problems.push(format!(
            "{} bytes are used of storage.max_bytes = {}: unpin something or raise it",
            status.quota.used_bytes, status.quota.max_bytes
        ));
    }
    let lonely = status
        .missing_blobs
        .iter()
        .filter(|one| one.held_by.is_empty());
    match lonely.count() {
        0 => {}
        count => problems.push(format!(
            "{count} of the missing blobs are held by nobody who is known here"
        )),
    }
    problems
}
