//! What to sync with whom, and when: one session per peer and scope, retries that back off, and a
//! quiet periodic check of everything that is followed.

use std::collections::BTreeMap;

use model::{EndpointKey, EntryId};

use crate::{Follow, Scope, bounds, jitter::Jitter};

/// Sessions that this node has open at once.
const RUNNING: usize = 16;
/// Of those, with one peer.
const RUNNING_WITH_PEER: usize = 4;
/// Jobs that wait.
const JOBS: usize = 8_192;
/// First retry after a failure, milliseconds; doubles each time.
const RETRY_MS: u64 = 1_000;
/// Longest wait between retries, milliseconds.
const RETRY_MOST_MS: u64 = 5 * 60 * 1000;
/// Retries of one job; the periodic check goes on.
const RETRIES: u32 = 8;
/// First periodic check, milliseconds; doubles while nothing differs.
const PERIOD_MS: u64 = 30_000;
/// Longest period, milliseconds.
const PERIOD_MOST_MS: u64 = 8 * 60 * 1000;

/// What one session is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    /// Reconcile a scope.
    Scope(Scope),
    /// Fetch entries by id, with the thread to reconcile when that does not help.
    Fetch {
        /// Their ids.
        ids: Vec<EntryId>,
        /// Where they belong.
        subject: Follow,
    },
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Done,
    /// The peer could not be reached, stalled or went away.
    Failed,
    /// The peer lied.
    Lied(String),
}

/// A session to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Names it until it ends.
    pub id: u64,
    /// With whom.
    pub peer: EndpointKey,
    /// What for.
    pub plan: Plan,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    due_ms: u64,
    attempts: u32,
}

#[derive(Debug)]
struct Running {
    peer: EndpointKey,
    plan: Plan,
    attempts: u32,
    news: bool,
}

#[derive(Clone, Copy, Debug)]
struct Periodic {
    due_ms: u64,
    period_ms: u64,
}

/// Jobs, sessions under way and periods.
#[derive(Debug)]
pub struct Schedule {
    jobs: BTreeMap<(EndpointKey, Plan), Job>,
    running: BTreeMap<u64, Running>,
    periodic: BTreeMap<Follow, Periodic>,
    jitter: Jitter,
    next_id: u64,
}

impl Schedule {
    /// With a seed for its jitter.
    pub fn new(seed: u64) -> Self {
        Self {
            jobs: BTreeMap::new(),
            running: BTreeMap::new(),
            periodic: BTreeMap::new(),
            jitter: Jitter::new(seed),
            next_id: 0,
        }
    }

    /// Sessions under way.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// A job; a sooner time replaces a later one.
    pub fn add(&mut self, peer: EndpointKey, plan: Plan, due_ms: u64) {
        if self.jobs.len() >= JOBS {
            return;
        }
        let job = self.jobs.entry((peer, plan)).or_insert(Job {
            due_ms,
            attempts: 0,
        });
        job.due_ms = job.due_ms.min(due_ms);
    }

    /// Begins to check something from time to time.
    pub fn follow(&mut self, subject: Follow, now_ms: u64) {
        let due_ms = now_ms + self.spread(PERIOD_MS);
        self.periodic.entry(subject).or_insert(Periodic {
            due_ms,
            period_ms: PERIOD_MS,
        });
    }

    /// Stops checking it.
    pub fn unfollow(&mut self, subject: &Follow) {
        self.periodic.remove(subject);
    }

    /// Something changed there: check it often again.
    pub fn quicken(&mut self, subject: &Follow, now_ms: u64) {
        let due_ms = now_ms + self.spread(PERIOD_MS);
        if let Some(periodic) = self.periodic.get_mut(subject) {
            periodic.period_ms = PERIOD_MS;
            periodic.due_ms = periodic.due_ms.min(due_ms);
        }
    }

    /// After sleep or a change of address: everything soon, and no back-off from before.
    pub fn reset(&mut self, now_ms: u64) {
        for job in self.jobs.values_mut() {
            *job = Job {
                due_ms: now_ms,
                attempts: 0,
            };
        }
        let mut periodic = std::mem::take(&mut self.periodic);
        for state in periodic.values_mut() {
            state.period_ms = PERIOD_MS;
            state.due_ms = now_ms + self.spread(RETRY_MS);
        }
        self.periodic = periodic;
    }

    /// Forgets all jobs with a peer.
    pub fn drop_peer(&mut self, peer: EndpointKey) {
        self.jobs.retain(|(of, _), _| *of != peer);
    }

    /// Subjects whose periodic check is due; the next is further away.
    pub fn due_checks(&mut self, now_ms: u64) -> Vec<Follow> {
        let due = self.periodic.iter().filter(|(_, p)| p.due_ms <= now_ms);
        let due: Vec<Follow> = due.map(|(subject, _)| *subject).collect();
        for subject in &due {
            let spread = self.jitter.below(PERIOD_MS / 2);
            if let Some(periodic) = self.periodic.get_mut(subject) {
                periodic.due_ms = now_ms + periodic.period_ms * 3 / 4 + spread;
                periodic.period_ms = (periodic.period_ms * 2).min(PERIOD_MOST_MS);
            }
        }
        due
    }

    /// Sessions to start now.
    pub fn start(&mut self, now_ms: u64) -> Vec<Start> {
        let mut due: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.due_ms <= now_ms)
            .map(|(key, job)| (job.due_ms, key.clone()))
            .collect();
        due.sort();
        let mut starts = Vec::new();
        for (_, key) in due {
            if self.running.len() >= RUNNING {
                break;
            }
            if !self.may_start(&key) {
                continue;
            }
            let Some(job) = self.jobs.remove(&key) else {
                continue;
            };
            let (peer, plan) = key;
            let id = self.next_id;
            self.next_id += 1;
            starts.push(Start {
                id,
                peer,
                plan: plan.clone(),
            });
            let running = Running {
                peer,
                plan,
                attempts: job.attempts,
                news: false,
            };
            self.running.insert(id, running);
        }
        starts
    }

    /// One session per scope at a time, with whomever: a second would fetch the same.
    fn may_start(&self, (peer, plan): &(EndpointKey, Plan)) -> bool {
        let with_peer = self.running.values().filter(|r| r.peer == *peer).count();
        with_peer < RUNNING_WITH_PEER && !self.running.values().any(|r| r.plan == *plan)
    }

    /// A session brought something new.
    pub fn note_news(&mut self, id: u64) {
        if let Some(running) = self.running.get_mut(&id) {
            running.news = true;
        }
    }

    /// A session is over; gives what it was for and whether it brought something.
    pub fn end(&mut self, id: u64, ending: &Ending, now_ms: u64) -> Option<(Plan, bool)> {
        let running = self.running.remove(&id)?;
        if *ending == Ending::Failed {
            self.retry(running.peer, running.plan.clone(), running.attempts, now_ms);
        }
        Some((running.plan, running.news))
    }

    /// Tries again later, each time later still; false when it was tried often enough.
    pub fn retry(&mut self, peer: EndpointKey, plan: Plan, attempts: u32, now_ms: u64) -> bool {
        if attempts >= RETRIES || self.jobs.len() >= JOBS {
            return false;
        }
        let wait_ms = (RETRY_MS << attempts).min(RETRY_MOST_MS);
        let due_ms = now_ms + wait_ms / 2 + self.spread(wait_ms);
        self.jobs.entry((peer, plan)).or_insert(Job {
            due_ms,
            attempts: attempts + 1,
        });
        true
    }

    /// How often a running session's job was tried before.
    pub fn attempts(&self, id: u64) -> u32 {
        self.running.get(&id).map_or(0, |running| running.attempts)
    }

    /// One of a list, by the seed.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        self.jitter.pick(list)
    }

    /// A time between nothing and `most_ms`.
    pub fn spread(&mut self, most_ms: u64) -> u64 {
        self.jitter.below(most_ms)
    }
}

/// What a periodic check of a subject reconciles.
pub(crate) fn scope_of(subject: &Follow) -> Scope {
    match subject {
        Follow::Space(space) => Scope::space(*space),
        Follow::Thread { space, root } => Scope::thread(*space, *root),
    }
}

const _: () = assert!(RUNNING_WITH_PEER < RUNNING && RUNNING < bounds::PEERS);

#[cfg(test)]
mod tests {
    use model::SpaceId;

    use super::*;

    fn peer(number: u8) -> EndpointKey {
        EndpointKey::from_bytes([number; 32])
    }

    fn plan(number: u8) -> Plan {
        Plan::Scope(Scope::space(SpaceId::of(&[number])))
    }

    #[test]
    fn one_session_per_scope_and_four_per_peer() {
        let mut schedule = Schedule::new(1);
        for number in 0..6 {
            schedule.add(peer(1), plan(number), 10);
            schedule.add(peer(2), plan(number), 10);
        }
        schedule.add(peer(1), plan(0), 5);
        assert!(schedule.start(4).is_empty());
        let starts = schedule.start(10);
        assert_eq!(starts.len(), 6);
        assert_eq!(starts[0].plan, plan(0), "the sooner time counts");
        assert!(schedule.start(10).is_empty());
        schedule.end(starts[0].id, &Ending::Done, 11);
        let next = schedule.start(11);
        assert_eq!(next[0].peer, peer(2));
        assert_eq!(next[0].plan, plan(0));
    }

    #[test]
    fn failures_back_off_and_end() {
        let mut schedule = Schedule::new(1);
        schedule.add(peer(1), plan(0), 0);
        let (mut now_ms, mut tries) = (0, Vec::new());
        while tries.len() < 100 {
            let Some(start) = schedule.start(now_ms).pop() else {
                now_ms += 100;
                if schedule.jobs.is_empty() {
                    break;
                }
                continue;
            };
            tries.push(now_ms);
            schedule.end(start.id, &Ending::Failed, now_ms);
        }
        assert_eq!(u32::try_from(tries.len()), Ok(RETRIES + 1));
        let gaps: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps[7] > 10 * gaps[0], "{gaps:?}");
        schedule.add(peer(1), plan(0), now_ms);
        let start = schedule.start(now_ms).remove(0);
        schedule.end(start.id, &Ending::Lied(String::new()), now_ms);
        assert!(
            schedule.start(u64::MAX).is_empty(),
            "a liar is not tried again"
        );
    }

    #[test]
    fn checks_slow_down_until_something_changes() {
        let mut schedule = Schedule::new(1);
        let subject = Follow::Space(SpaceId::of(b"s"));
        schedule.follow(subject, 0);
        let count = |schedule: &mut Schedule, from: u64, to: u64| {
            let seconds = from / 1_000..to / 1_000;
            seconds
                .filter(|s| !schedule.due_checks(s * 1_000).is_empty())
                .count()
        };
        let first = count(&mut schedule, 0, 3_600_000);
        assert!((8..20).contains(&first), "{first}");
        schedule.quicken(&subject, 3_600_000);
        assert!(count(&mut schedule, 3_600_000, 3_631_000) >= 1);
        schedule.reset(4_000_000);
        assert!(count(&mut schedule, 4_000_000, 4_002_000) >= 1);
    }
}
