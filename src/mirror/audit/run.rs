//! Rounds of challenges: by the clock, and when somebody asks for one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gateway::{metrics::NodeCounter, node::NodeError};
use iroh::{EndpointAddr, EndpointId};
use model::{AuditFacts, AuditResult, BlobId, EndpointKey, EntryId};
use rand::{SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Noted, Planned, Subject, plan, subjects::subjects};
use crate::{
    clock::now_ms,
    core::Core,
    mirror::{
        challenge::{Asked, Heard, judge},
        exchange::Line,
        frame::Question,
    },
};

/// Challenges to each mirror in a round by the clock.
const EACH: usize = 4;
/// Challenges in a round, whoever asked for it.
const IN_ALL: usize = 512;
/// Mirrors asked at once, each with one challenge at a time.
const AT_ONCE: usize = 4;
/// The first round comes so long after the start: statements have to come in first.
const FIRST: Duration = Duration::from_secs(60);

/// What a round is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// This mirror only.
    pub mirror: Option<EndpointKey>,
    /// Media of this thread or space only, whether it is pinned or not.
    pub about: Option<EntryId>,
    /// This blob only.
    pub blob: Option<BlobId>,
    /// Challenges to each mirror; none: as many as by the clock.
    pub each: Option<u32>,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Round {
    /// What was noted.
    pub results: Vec<Noted>,
    /// Mirrors that asked to be left alone for now.
    pub busy: Vec<EndpointKey>,
}

/// Audits by the clock until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let every_s = core.config.audit.every_s;
    if every_s == 0 {
        cancel.cancelled().await;
        return;
    }
    let every = Duration::from_secs(every_s);
    let work = async {
        sleep(every.min(FIRST)).await;
        loop {
            if let Err(error) = round(&core, &Wanted::default()).await {
                tracing::warn!(%error, "mirrors are not audited");
            }
            sleep(every).await;
        }
    };
    cancel.run_until_cancelled(work).await;
}

/// Challenges now.
///
/// # Errors
/// When what is audited can't be read, or there is no randomness.
pub async fn round(core: &Arc<Core>, wanted: &Wanted) -> Result<Round, NodeError> {
    let subjects = subjects(core, wanted).await?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| NodeError::local("draw random bytes", error))?;
    let each = wanted.each.map_or(EACH, |each| each as usize);
    let planned = plan(&subjects, each, IN_ALL, &mut StdRng::from_seed(seed));
    let mut by_mirror: BTreeMap<EndpointKey, Vec<Planned>> = BTreeMap::new();
    for one in planned {
        by_mirror.entry(one.mirror).or_default().push(one);
    }
    let subjects: Arc<[Subject]> = subjects.into();
    let mut running = JoinSet::new();
    let mut round = Round::default();
    for (mirror, planned) in by_mirror {
        while running.len() >= AT_ONCE {
            take(&mut running, &mut round).await;
        }
        let (core, subjects) = (Arc::clone(core), Arc::clone(&subjects));
        running.spawn(async move { challenge(&core, mirror, &subjects, planned).await });
    }
    while !running.is_empty() {
        take(&mut running, &mut round).await;
    }
    let outcomes = round.results.iter().map(|one| one.result.facts().outcome);
    let answered = outcomes.filter(|outcome| outcome.is_answered()).count() as u64;
    let failed = round.results.len() as u64 - answered;
    core.metrics.add(NodeCounter::AuditsAnswered, answered);
    core.metrics.add(NodeCounter::AuditsFailed, failed);
    core.audits
        .note(&core.folder, round.results.clone())
        .map_err(|error| NodeError::local("note what mirrors answered", error))?;
    Ok(round)
}

async fn take(running: &mut JoinSet<Round>, round: &mut Round) {
    if let Some(Ok(part)) = running.join_next().await {
        round.results.extend(part.results);
        round.busy.extend(part.busy);
    }
}

/// Puts challenges to one mirror, one after the other.
async fn challenge(
    core: &Arc<Core>,
    mirror: EndpointKey,
    subjects: &[Subject],
    planned: Vec<Planned>,
) -> Round {
    let mut round = Round::default();
    let deadline_ms = u32::try_from(core.config.audit.deadline_ms).unwrap_or(u32::MAX);
    // A late answer is told from none.
    let wait = Duration::from_millis(u64::from(deadline_ms).saturating_mul(2));
    let line = match EndpointId::from_bytes(mirror.as_bytes()) {
        Ok(id) => Line::open(core, EndpointAddr::new(id)).await,
        Err(_) => None,
    };
    for one in planned {
        let at_ms = now_ms();
        let (heard, took_ms) = match &line {
            Some(line) => line.ask(&Question::Challenge(one.challenge), wait).await,
            None => (Heard::NoWay, 0),
        };
        let asked = Asked {
            challenge: one.challenge,
            mirror,
            deadline_ms,
        };
        let Some(judged) = judge(&asked, &heard, took_ms) else {
            round.busy.push(mirror);
            break;
        };
        if let Some(size_bytes) = judged.size_bytes {
            core.audits.note_size(one.challenge.blob, size_bytes);
        }
        let facts = AuditFacts {
            challenger: core.network.id(),
            mirror,
            challenge: one.challenge,
            at_ms,
            took_ms,
            deadline_ms,
            outcome: judged.outcome,
            receipt: judged.receipt,
        };
        let subject = &subjects[one.subject];
        match AuditResult::sign(&core.endpoint_secret, facts) {
            Ok(result) => round.results.push(Noted {
                about: subject.about.clone(),
                space: subject.space,
                result,
            }),
            Err(error) => tracing::warn!(%error, "a result of an audit can't be signed"),
        }
        if matches!(heard, Heard::NoWay) {
            // One failure for a mirror that is away, not one for each question it never heard.
            break;
        }
    }
    round
}
