//! Rules, evaluated continuously: after events, when fetches end, when another mirror's turn is
//! over, and now and then, since ages and holders change without a word.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use blocks::{
    BlobStatus, Keep, StoreError,
    retain::{Bounds, Candidate, Plan, Retention, Standing, View},
    stored_bytes,
};
use database::{Cursor, DatabaseError};
use gateway::node::NodeError;
use model::{BlobId, EndpointKey, Item, SpaceId};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Line, Report, RuleReport, Stored,
    found::{self, Found, Known},
    presence, status,
    table::{Scope, Table},
};
use crate::{
    clock::now_ms,
    core::Core,
    flow::announce,
    replica,
    wants::{Urgency, Want},
};

/// Evaluations are at least so far apart: what floods in is looked at together.
const CALM: Duration = Duration::from_secs(1);
/// And at most so far.
const LOOK: Duration = Duration::from_secs(20);
/// An evaluation is followed by a pause of so many times what it took.
const LEISURE: u32 = 10;
/// Promises are summed up for the gauges at most this often.
const SUM: Duration = Duration::from_secs(30);
/// Without rules, only promises are counted.
const IDLE: Duration = Duration::from_secs(60);
/// Everything is read again this often.
const RELOAD_MS: u64 = 15 * 60 * 1_000;
/// Events looked at in one go; after more, everything is read again.
const EVENTS: usize = 5_000;
/// Blobs fetched for rules at once.
const FETCHES: usize = 512;
/// What can't be fetched is asked for again this much later, milliseconds.
const AGAIN_MS: u64 = 10 * 60 * 1_000;
/// Posts stated as held after one evaluation.
const STATED: usize = 256;
/// Share of the quota that rules leave to uploads, pins and what isn't measured yet.
const SPARE_SHARE: u64 = 50;

/// Runs until cancelled, in the middle of whatever it does: nothing is decided by halves.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    cancel.run_until_cancelled(work(core)).await;
}

async fn work(core: Arc<Core>) {
    let mut evaluation = Evaluation::default();
    let mut events = core.events.subscribe();
    let mut summed: Option<Instant> = None;
    loop {
        let began = Instant::now();
        events.borrow_and_update();
        if let Err(error) = evaluation.pass(&core).await {
            tracing::warn!(%error, "cannot evaluate what is to be mirrored");
        }
        presence::announce(&core).await;
        if summed.is_none_or(|at| at.elapsed() > SUM) {
            // Its gauges follow.
            if let Err(error) = status::status(&core).await {
                tracing::warn!(%error, "cannot sum up what is promised");
            }
            summed = Some(Instant::now());
        }
        let pause = if core.mirror.rules.is_empty() {
            IDLE
        } else {
            LOOK
        };
        let mut next = Instant::now() + pause;
        if let Some(next_ms) = evaluation.next_ms {
            let turn = Duration::from_millis(next_ms.saturating_sub(now_ms()));
            next = next.min(Instant::now() + turn);
        }
        sleep(CALM.max(began.elapsed() * LEISURE)).await;
        tokio::select! {
            () = sleep_until(next) => {}
            () = core.mirror.look.notified() => {}
            changed = events.changed(), if !core.mirror.rules.is_empty() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// What is remembered from one evaluation to the next.
#[derive(Default)]
struct Evaluation {
    table: Option<Table>,
    cursor: Option<Cursor>,
    loaded_ms: u64,
    retention: Retention,
    /// Sizes of what is held in full.
    held: BTreeMap<BlobId, u64>,
    /// When a blob was asked for last.
    asked_ms: BTreeMap<BlobId, u64>,
    /// Asked for by rules, and not here when that was looked at.
    wanted: BTreeSet<BlobId>,
    missing_since_ms: BTreeMap<BlobId, u64>,
    evicted: Vec<u64>,
    next_ms: Option<u64>,
}

/// What the blob store says.
struct Store {
    kept: BTreeMap<BlobId, Vec<Keep>>,
    stored: Stored,
    room_bytes: u64,
}

impl Store {
    fn has(&self, blob: BlobId, is_it: impl Fn(&Keep) -> bool) -> bool {
        self.kept
            .get(&blob)
            .is_some_and(|why| why.iter().any(is_it))
    }

    fn is_pinned(&self, blob: BlobId) -> bool {
        self.has(blob, Keep::is_promise)
    }

    fn is_mirrored(&self, blob: BlobId) -> bool {
        self.has(blob, |why| *why == Keep::Mirror)
    }
}

impl Evaluation {
    async fn pass(&mut self, core: &Arc<Core>) -> Result<(), NodeError> {
        self.catch_up(core).await?;
        let time_ms = now_ms();
        let table = self.table.as_ref();
        let mut found = table
            .map(|table| found::find(table, &core.mirror.rules, time_ms))
            .unwrap_or_default();
        found.retain(|blob, _| !core.is_denied(*blob));
        let store = self.look_into_store(core).await.map_err(local)?;
        let candidates = self.candidates(core, &found, &store, time_ms);
        let plan = self.plan(core, &candidates, &store, time_ms).await?;
        self.next_ms = plan.next_ms;
        self.apply(core, &found, &store, &plan).await?;
        self.want(core, &found, &plan, time_ms);
        let report = self.report(core, &found, &candidates, &plan, time_ms);
        core.mirror.set_report(Report {
            stored: store.stored,
            ..report
        });
        state_held(core, &found, &candidates).await;
        Ok(())
    }

    /// Brings the table up to date.
    async fn catch_up(&mut self, core: &Arc<Core>) -> Result<(), NodeError> {
        if core.mirror.rules.is_empty() {
            return Ok(());
        }
        let (followed, threads) = followed(core);
        let scope = Scope::new(&core.mirror.rules, followed, threads);
        let is_fresh = now_ms().saturating_sub(self.loaded_ms) < RELOAD_MS;
        let table = self.table.take().filter(|table| table.scope == scope);
        let known = table.zip(self.cursor).filter(|_| is_fresh);
        let (table, cursor, is_loaded) = core
            .store("read what may be mirrored", move |database| {
                let reader = database.read()?;
                if let Some((mut table, cursor)) = known {
                    let page = reader.events_since(cursor, EVENTS)?;
                    if !page.reset && page.events.len() < EVENTS {
                        let roots = page.events.iter().filter_map(|event| event.root);
                        for root in roots.collect::<BTreeSet<_>>() {
                            table.look_at(&reader, root)?;
                        }
                        return Ok::<_, DatabaseError>((table, page.next, false));
                    }
                }
                let cursor = reader.cursor()?;
                Ok((Table::load(&reader, scope)?, cursor, true))
            })
            .await?;
        if is_loaded {
            self.loaded_ms = now_ms();
        }
        self.table = Some(table);
        self.cursor = Some(cursor);
        Ok(())
    }

    /// What is held, why, and what room that leaves to rules.
    async fn look_into_store(&mut self, core: &Core) -> Result<Store, StoreError> {
        let kept = core.blobs.kept().await?;
        let listed: BTreeSet<BlobId> = core.blobs.list().await?.into_iter().collect();
        self.held.retain(|blob, _| listed.contains(blob));
        let (mut stored, mut all_bytes) = (Stored::default(), 0_u64);
        for blob in listed {
            let held_bytes = match self.held.get(&blob) {
                Some(bytes) => *bytes,
                None => match core.blobs.status(blob).await? {
                    BlobStatus::Missing => continue,
                    BlobStatus::Partial { held_bytes, .. } => held_bytes,
                    BlobStatus::Complete { size_bytes } => {
                        self.held.insert(blob, size_bytes);
                        size_bytes
                    }
                },
            };
            let on_disk_bytes = stored_bytes(held_bytes);
            all_bytes = all_bytes.saturating_add(on_disk_bytes);
            let why = kept.get(&blob).map_or(&[][..], Vec::as_slice);
            let sum = if why.iter().any(Keep::is_promise) {
                &mut stored.pinned_bytes
            } else if why.contains(&Keep::Mirror) {
                &mut stored.mirrored_bytes
            } else {
                &mut stored.cached_bytes
            };
            *sum = sum.saturating_add(on_disk_bytes);
        }
        let usage = core.blobs.quota().usage();
        let overhead_bytes = usage.store_bytes.saturating_sub(all_bytes);
        let room_bytes = [
            usage.max_bytes / SPARE_SHARE,
            usage.margin_bytes,
            usage.other_bytes,
            overhead_bytes,
            stored.pinned_bytes,
        ]
        .into_iter()
        .fold(usage.max_bytes, u64::saturating_sub);
        Ok(Store {
            kept,
            stored,
            room_bytes,
        })
    }

    fn candidates(
        &self,
        core: &Core,
        found: &BTreeMap<BlobId, Found>,
        store: &Store,
        time_ms: u64,
    ) -> Vec<Candidate> {
        let book = Core::lock(&core.holdings);
        let own = core.network.id();
        // Who didn't deliver when challenged counts for nobody's copy.
        let failing = core.audits.failing();
        let candidate = |(blob, found): (&BlobId, &Found)| {
            let mut others = book.held_by(Item::Blob(*blob), time_ms);
            for post in &found.posts {
                others.extend(book.held_by(Item::Post(*post), time_ms));
            }
            others.retain(|other| *other != own && !failing.contains(other));
            let known = Known {
                held_bytes: self.held.get(blob).copied(),
                is_pinned: store.is_pinned(*blob),
                others,
            };
            found.candidate(*blob, known)
        };
        found.iter().map(candidate).collect()
    }

    async fn plan(
        &mut self,
        core: &Core,
        candidates: &[Candidate],
        store: &Store,
        time_ms: u64,
    ) -> Result<Plan, NodeError> {
        let spaces = candidates.iter().map(|candidate| candidate.space);
        let mirrors = presence::mirrors_of(core, &spaces.collect(), time_ms);
        let rules: Vec<Bounds> = core.mirror.rules.iter().map(found::bounds).collect();
        let (own, room_bytes) = (core.network.id(), store.room_bytes);
        let mut retention = std::mem::take(&mut self.retention);
        let candidates = candidates.to_vec();
        // Many candidates take a while to rank.
        let planned = tokio::task::spawn_blocking(move || {
            let view = View {
                own,
                rules: &rules,
                room_bytes,
                mirrors: &mirrors,
                max_fetches: FETCHES,
            };
            let plan = retention.plan(&candidates, &view, time_ms);
            (plan, retention)
        });
        let (plan, retention) = planned
            .await
            .map_err(|panic| NodeError::local("plan what to mirror", panic))?;
        self.retention = retention;
        Ok(plan)
    }

    /// Reasons to keep follow the plan; what has to go goes.
    async fn apply(
        &mut self,
        core: &Core,
        found: &BTreeMap<BlobId, Found>,
        store: &Store,
        plan: &Plan,
    ) -> Result<(), NodeError> {
        let stays = plan
            .standing
            .iter()
            .filter(|(_, standing)| **standing == Standing::Held);
        let keep: Vec<BlobId> = stays
            .map(|(blob, _)| *blob)
            .filter(|blob| !store.is_mirrored(*blob) && self.held.contains_key(blob))
            .collect();
        let unmatched: Vec<BlobId> = store
            .kept
            .keys()
            .filter(|blob| store.is_mirrored(**blob) && !found.contains_key(blob))
            .copied()
            .collect();
        core.blobs
            .mirror(&keep, &unmatched, &plan.drop)
            .await
            .map_err(local)?;
        core.blobs.set_eviction_order(&plan.eviction);
        self.evicted.resize(core.mirror.rules.len(), 0);
        for blob in &plan.drop {
            self.held.remove(blob);
            let found = found.get(blob);
            if let Some(count) = found.and_then(|found| self.evicted.get_mut(found.rule)) {
                *count += 1;
            }
        }
        Ok(())
    }

    /// Puts on the list what is to be fetched, and takes off it what isn't any longer.
    fn want(&mut self, core: &Core, found: &BTreeMap<BlobId, Found>, plan: &Plan, time_ms: u64) {
        let fetched: BTreeSet<BlobId> = plan.fetch.iter().copied().collect();
        let mut wants = Core::lock(&core.wants);
        for blob in self.wanted.difference(&fetched) {
            wants.release_of(blob, &Keep::Mirror);
        }
        self.asked_ms
            .retain(|_, asked_ms| time_ms.saturating_sub(*asked_ms) < AGAIN_MS);
        for blob in &fetched {
            let is_new = !self.wanted.contains(blob) || !self.asked_ms.contains_key(blob);
            let Some((found, post)) = found
                .get(blob)
                .and_then(|found| Some((found, *found.posts.first()?)))
                .filter(|_| is_new)
            else {
                continue;
            };
            let want = Want {
                space: found.space,
                root: found.root,
                post,
                keep: Keep::Mirror,
                keep_too: Vec::new(),
                posts_too: found.posts[1..].to_vec(),
                lane: match found.claimed_bytes {
                    Some(_) => Urgency::Bulk,
                    None => Urgency::Thumb,
                },
                max_bytes: found.claimed_bytes.unwrap_or(found::SMALL_MAX_BYTES),
                hints: Vec::new(),
            };
            if wants.add(*blob, want, time_ms) {
                self.asked_ms.insert(*blob, time_ms);
            }
        }
        self.wanted = fetched;
        drop(wants);
        core.wants_changed.notify_one();
    }

    fn report(
        &mut self,
        core: &Core,
        found: &BTreeMap<BlobId, Found>,
        candidates: &[Candidate],
        plan: &Plan,
        time_ms: u64,
    ) -> Report {
        let mut lines = BTreeMap::new();
        let mut rules = vec![RuleReport::default(); core.mirror.rules.len()];
        for (of_rule, evicted) in rules.iter_mut().zip(&self.evicted) {
            of_rule.evicted = *evicted;
        }
        let mut missing_since_ms = BTreeMap::new();
        for candidate in candidates {
            let Some(found) = found.get(&candidate.blob) else {
                continue;
            };
            let standing = plan.standing.get(&candidate.blob);
            let mut line = Line {
                rule: candidate.rule,
                space: candidate.space,
                post: found.posts.first().copied(),
                size_bytes: found.size_bytes(self.held.get(&candidate.blob).copied()),
                standing: standing.copied().unwrap_or(Standing::NoRoom),
                others: candidate.others.clone(),
                missing_since_ms: None,
            };
            if line.is_missing() {
                let known = self.missing_since_ms.get(&candidate.blob).copied();
                let since_ms = known.unwrap_or(found.time_ms.min(time_ms));
                missing_since_ms.insert(candidate.blob, since_ms);
                line.missing_since_ms = Some(since_ms);
            } else if line.is_held() {
                // If it gets lost, it is missing from then on.
                missing_since_ms.insert(candidate.blob, time_ms);
            }
            rules[candidate.rule].add(&line, core.mirror.rules[candidate.rule].replicas);
            lines.insert(candidate.blob, line);
        }
        self.missing_since_ms = missing_since_ms;
        Report {
            evaluated_ms: time_ms,
            rules,
            spaces: lines.values().map(|line| line.space).collect(),
            lines,
            ..Report::default()
        }
    }
}

fn local(error: StoreError) -> NodeError {
    NodeError::local("mirror by the rules", error)
}

/// Whole spaces and single threads that are followed.
fn followed(core: &Core) -> (BTreeSet<SpaceId>, BTreeSet<model::EntryId>) {
    let (mut spaces, mut threads) = (BTreeSet::new(), BTreeSet::new());
    for follow in replica::followed(core) {
        match follow {
            gossip::Follow::Space(space) => {
                spaces.insert(space);
            }
            gossip::Follow::Thread { root, .. } => {
                threads.insert(root);
            }
        }
    }
    (spaces, threads)
}

/// States the posts that are complete by now and weren't stated yet: after a start, or when a rule
/// came to cover what was here.
async fn state_held(core: &Arc<Core>, found: &BTreeMap<BlobId, Found>, candidates: &[Candidate]) {
    let mut posts = BTreeSet::new();
    {
        let holdings = Core::lock(&core.holdings);
        if !holdings.has_room() {
            return;
        }
        for candidate in candidates.iter().filter(|candidate| candidate.is_held) {
            let Some(found) = found.get(&candidate.blob) else {
                continue;
            };
            let fresh = found
                .posts
                .iter()
                .filter(|post| !holdings.is_stated(post, now_ms()));
            posts.extend(fresh.copied());
            if posts.len() >= STATED {
                break;
            }
        }
    }
    let posts: Vec<model::EntryId> = posts.into_iter().collect();
    announce::posts_held(core, &posts).await;
}

/// Others that hold an item, for whoever lists them.
pub fn names(others: &BTreeSet<EndpointKey>) -> Vec<String> {
    others.iter().map(EndpointKey::to_string).collect()
}
