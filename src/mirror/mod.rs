//! What this node keeps for others: rules, their evaluation, and how it stands by its promises.

pub mod audit;
pub mod challenge;
pub mod covered;
pub mod evaluate;
pub mod exchange;
pub mod found;
pub mod frame;
pub mod presence;
pub mod rate;
pub mod request;
pub mod rules;
pub mod status;
pub mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use blocks::retain::Standing;
use model::{BlobId, EndpointKey, EntryId, SpaceId};
use tokio::sync::Notify;

use crate::core::Core;
use rules::Rule;

/// Rules, and what came of them: shared by who evaluates and who tells of it.
#[derive(Debug, Default)]
pub struct Mirror {
    /// The rules, in the order of the configuration.
    pub rules: Vec<Rule>,
    /// Something changed that no event tells of.
    pub look: Notify,
    report: Mutex<Arc<Report>>,
    /// When it was said last that a space is mirrored.
    said_ms: Mutex<BTreeMap<SpaceId, u64>>,
}

/// What an evaluation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// When, Unix milliseconds; 0: never.
    pub evaluated_ms: u64,
    /// Of each rule.
    pub rules: Vec<RuleReport>,
    /// Of each blob that a rule matches.
    pub lines: BTreeMap<BlobId, Line>,
    /// Their spaces.
    pub spaces: BTreeSet<SpaceId>,
    /// Of everything in the blob store.
    pub stored: Stored,
}

/// Bytes on disk of what is held, by the best reason to keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Promised by a person.
    pub pinned_bytes: u64,
    /// Asked for by rules.
    pub mirrored_bytes: u64,
    /// May go at any time.
    pub cached_bytes: u64,
}

/// How a blob stands that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The place of the rule.
    pub rule: usize,
    /// Its space.
    pub space: SpaceId,
    /// A post that names it.
    pub post: Option<EntryId>,
    /// Its size, as far as that is known.
    pub size_bytes: u64,
    /// What is decided about it.
    pub standing: Standing,
    /// Who else says that he holds it.
    pub others: BTreeSet<EndpointKey>,
    /// Since when it is missing, Unix milliseconds.
    pub missing_since_ms: Option<u64>,
}

impl Line {
    /// All of it is here.
    pub fn is_held(&self) -> bool {
        matches!(self.standing, Standing::Held | Standing::Surplus)
    }

    /// It is to be here, and isn't.
    pub fn is_missing(&self) -> bool {
        matches!(self.standing, Standing::Fetched | Standing::Queued)
    }
}

/// Sums of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleReport {
    /// Blobs that match.
    pub matched: u64,
    /// Of these, held in full.
    pub held: u64,
    /// Of these, wanted and not held in full.
    pub missing: u64,
    /// Of these, held by as many nodes as the rule asks for, as far as is known.
    pub reached: u64,
    /// Bytes held.
    pub held_bytes: u64,
    /// Bytes wanted and not held.
    pub missing_bytes: u64,
    /// Blobs that went to make room, since the start.
    pub evicted: u64,
}

impl RuleReport {
    fn add(&mut self, line: &Line, replicas: u32) {
        self.matched += 1;
        if line.is_held() {
            self.held += 1;
            self.held_bytes = self.held_bytes.saturating_add(line.size_bytes);
        }
        if line.is_missing() {
            self.missing += 1;
            self.missing_bytes = self.missing_bytes.saturating_add(line.size_bytes);
        }
        let copies = line.others.len() + usize::from(line.is_held());
        let wanted = usize::try_from(replicas.max(1)).unwrap_or(usize::MAX);
        self.reached += u64::from(copies >= wanted);
    }
}

impl Mirror {
    /// With rules, before they were evaluated.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// What the last evaluation found.
    pub fn report(&self) -> Arc<Report> {
        Arc::clone(&Core::lock(&self.report))
    }

    /// Spaces of which rules ask for something.
    pub fn spaces(&self) -> BTreeSet<SpaceId> {
        self.report().spaces.clone()
    }

    fn set_report(&self, report: Report) {
        *Core::lock(&self.report) = Arc::new(report);
    }

    /// Somebody came who didn't hear which spaces are mirrored.
    pub fn say_again(&self) {
        Core::lock(&self.said_ms).clear();
        self.look.notify_one();
    }

    /// Whether it wasn't said lately that a space is mirrored; then it counts as said now.
    fn is_due(&self, space: SpaceId, now_ms: u64, every_ms: u64) -> bool {
        let mut said_ms = Core::lock(&self.said_ms);
        said_ms.retain(|_, said_ms| said_ms.saturating_add(every_ms) > now_ms);
        let is_due = !said_ms.contains_key(&space);
        if is_due {
            said_ms.insert(space, now_ms);
        }
        is_due
    }
}
