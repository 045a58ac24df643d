//! The plan: who is needed, what fits, what goes.

use std::collections::BTreeMap;

use model::BlobId;

use super::{Bounds, Candidate, Plan, Retention, Standing, View, rank};

/// What is held counts as this much more active than it is, milliseconds.
const HELD_BONUS_MS: u64 = 60 * 60 * 1_000;
/// And as scored higher: by a tenth, at least by this.
const HELD_BONUS_SCORE: i64 = 2;

/// Classes of worth, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// There are too few copies without this one.
    Needed,
    /// Held, and enough others hold it.
    Surplus,
    /// Not held, and nobody is known to have it: nothing goes for it.
    Unsourced,
}

/// Smaller is worth more.
type Worth = (
    Class,
    usize,
    std::cmp::Reverse<i64>,
    std::cmp::Reverse<u64>,
    BlobId,
);

/// A candidate that may get room.
struct Contender<'a> {
    candidate: &'a Candidate,
    worth: Worth,
}

impl Retention {
    /// Decides about every candidate. Each blob occurs once among them.
    pub fn plan(&mut self, candidates: &[Candidate], view: &View<'_>, now_ms: u64) -> Plan {
        let mut plan = Plan::default();
        let mut contenders = Vec::new();
        let mut short_since_ms = BTreeMap::new();
        for candidate in candidates {
            if candidate.is_pinned {
                let standing = match candidate.is_held {
                    true => Standing::Held,
                    false => Standing::Queued,
                };
                plan.standing.insert(candidate.blob, standing);
                continue;
            }
            let Some(bounds) = view.rules.get(candidate.rule) else {
                continue;
            };
            let lacking = lacking(candidate, bounds);
            if lacking > 0 && bounds.replicas > 0 {
                let since_ms = self.short_since_ms.get(&candidate.blob);
                let since_ms = since_ms.copied().unwrap_or(now_ms).min(now_ms);
                short_since_ms.insert(candidate.blob, since_ms);
            }
            let since_ms = short_since_ms.get(&candidate.blob).copied();
            match claim(candidate, bounds, view, since_ms.unwrap_or(now_ms), now_ms) {
                Claim::As(class) => contenders.push(Contender {
                    candidate,
                    worth: worth(candidate, bounds, class),
                }),
                Claim::Enough => {
                    plan.standing.insert(candidate.blob, Standing::Enough);
                }
                Claim::Later(at_ms) => {
                    plan.standing.insert(candidate.blob, Standing::Waiting);
                    plan.next_ms = Some(plan.next_ms.map_or(at_ms, |next| next.min(at_ms)));
                }
            }
        }
        self.short_since_ms = short_since_ms;
        contenders.sort_unstable_by_key(|contender| contender.worth);
        fill(&contenders, view, &mut plan);
        plan
    }
}

/// Copies that are lacking, this node's own not counted.
fn lacking(candidate: &Candidate, bounds: &Bounds) -> usize {
    let replicas = usize::try_from(bounds.replicas).unwrap_or(usize::MAX);
    replicas.saturating_sub(candidate.others.len())
}

enum Claim {
    As(Class),
    Enough,
    Later(u64),
}

/// Whether this node is to have it.
fn claim(
    candidate: &Candidate,
    bounds: &Bounds,
    view: &View<'_>,
    since_ms: u64,
    now_ms: u64,
) -> Claim {
    let lacking = lacking(candidate, bounds);
    if candidate.is_held {
        let replicas = usize::try_from(bounds.replicas).unwrap_or(usize::MAX);
        let place = || rank::rank(candidate.blob, view.own, &candidate.others);
        let is_needed = replicas == 0 || lacking > 0 || place() < replicas;
        return Claim::As(if is_needed {
            Class::Needed
        } else {
            Class::Surplus
        });
    }
    if bounds.replicas > 0 {
        if lacking == 0 {
            return Claim::Enough;
        }
        let mut idle = view
            .mirrors
            .get(&candidate.space)
            .cloned()
            .unwrap_or_default();
        idle.retain(|mirror| !candidate.others.contains(mirror));
        let place = rank::rank(candidate.blob, view.own, &idle);
        if let Some(over @ 1..) = (place + 1).checked_sub(lacking) {
            let at_ms = since_ms.saturating_add(rank::delay_ms(over, candidate.bytes));
            if at_ms > now_ms {
                return Claim::Later(at_ms);
            }
        }
    }
    Claim::As(if candidate.others.is_empty() {
        Class::Unsourced
    } else {
        Class::Needed
    })
}

fn worth(candidate: &Candidate, bounds: &Bounds, class: Class) -> Worth {
    let (mut score, mut last_ms) = (0, candidate.last_ms);
    if bounds.is_by_score {
        score = candidate.score;
    }
    if candidate.is_held {
        if bounds.is_by_score {
            let bonus = (score.saturating_abs() / 10).max(HELD_BONUS_SCORE);
            score = score.saturating_add(bonus);
        }
        last_ms = last_ms.saturating_add(HELD_BONUS_MS);
    }
    (
        class,
        candidate.rule,
        std::cmp::Reverse(score),
        std::cmp::Reverse(last_ms),
        candidate.blob,
    )
}

/// Bytes spent, of each rule and in all.
struct Spent<'a> {
    view: &'a View<'a>,
    of_rules: Vec<u64>,
    in_all: u64,
}

impl<'a> Spent<'a> {
    fn nothing(view: &'a View<'a>) -> Self {
        Self {
            view,
            of_rules: vec![0; view.rules.len()],
            in_all: 0,
        }
    }

    fn add(&mut self, candidate: &Candidate) {
        let of_rule = &mut self.of_rules[candidate.rule];
        *of_rule = of_rule.saturating_add(candidate.bytes);
        self.in_all = self.in_all.saturating_add(candidate.bytes);
    }

    fn take_back(&mut self, candidate: &Candidate) {
        let of_rule = &mut self.of_rules[candidate.rule];
        *of_rule = of_rule.saturating_sub(candidate.bytes);
        self.in_all = self.in_all.saturating_sub(candidate.bytes);
    }

    /// Whether `more_bytes` of a rule are too many.
    fn is_over(&self, rule: usize, more_bytes: u64) -> bool {
        let max_bytes = self.view.rules[rule].max_bytes;
        let of_rule = self.of_rules[rule].saturating_add(more_bytes);
        let in_all = self.in_all.saturating_add(more_bytes);
        (max_bytes > 0 && of_rule > max_bytes) || in_all > self.view.room_bytes
    }
}

/// Gives room to what is worth most, and finds what has to go for what is fetched now.
fn fill(contenders: &[Contender<'_>], view: &View<'_>, plan: &mut Plan) {
    let mut spent = Spent::nothing(view);
    let (mut wanted, mut excess) = (Vec::new(), Vec::new());
    for contender in contenders {
        let candidate = contender.candidate;
        let fits = !spent.is_over(candidate.rule, candidate.bytes);
        if fits {
            spent.add(candidate);
        }
        let here = match contender.worth.0 {
            Class::Surplus => Standing::Surplus,
            Class::Needed | Class::Unsourced => Standing::Held,
        };
        let standing = match (candidate.is_held, fits) {
            (true, true) => here,
            (true, false) => {
                excess.push(candidate);
                here
            }
            (false, true) => {
                wanted.push(contender);
                Standing::Queued
            }
            (false, false) => Standing::NoRoom,
        };
        plan.standing.insert(candidate.blob, standing);
    }
    wanted.sort_by_key(|contender| {
        let class = contender.worth.0;
        (class, contender.candidate.others.len(), contender.worth)
    });
    wanted.truncate(view.max_fetches);
    for contender in &wanted {
        let blob = contender.candidate.blob;
        plan.fetch.push(blob);
        plan.standing.insert(blob, Standing::Fetched);
    }
    let held = contenders.iter().map(|contender| contender.candidate);
    let held = held.filter(|candidate| candidate.is_held);
    let fetched = wanted.iter().map(|contender| contender.candidate);
    let mut now = Spent::nothing(view);
    held.clone()
        .chain(fetched)
        .for_each(|candidate| now.add(candidate));
    // Worst first: what doesn't fit in the end goes only once its room is needed.
    for candidate in excess.iter().rev() {
        if now.is_over(candidate.rule, 0) {
            now.take_back(candidate);
            plan.drop.push(candidate.blob);
            plan.standing.insert(candidate.blob, Standing::Dropped);
        }
    }
    let is_dropped = |blob: &BlobId| plan.standing.get(blob) == Some(&Standing::Dropped);
    let stays = held.filter(|candidate| !is_dropped(&candidate.blob));
    let mut eviction: Vec<BlobId> = stays.map(|candidate| candidate.blob).collect();
    eviction.reverse();
    plan.eviction = eviction;
}
