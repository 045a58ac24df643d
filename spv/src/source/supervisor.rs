//! Keeps a source running.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    error::{SourceError, SpvError},
    link::{HeaderSource, Link},
    shared::Shared,
    spv::STOP,
};

/// Threads of silent sources that are left behind at most; then nothing is started any more
/// until one of them ends.
const MAX_LEFT_BEHIND: usize = 4;
/// A source that ran so long and was useful has shown that it works.
const HEALTHY: Duration = Duration::from_secs(60);

/// Makes sources.
pub(super) type Factory = Box<dyn Fn() -> Box<dyn HeaderSource> + Send>;

/// Starts the supervisor's thread, and the first source.
pub(super) fn start(shared: &Arc<Shared>, factory: Factory) -> Result<(), SpvError> {
    shared.desk().source = Some("starting");
    let supervisor = Supervisor {
        shared: Arc::clone(shared),
        factory,
        left_behind: Vec::new(),
        failures: 0,
    };
    thread::Builder::new()
        .name("spv-supervisor".to_owned())
        .spawn(move || supervisor.run())
        .map_err(SpvError::Thread)?;
    Ok(())
}

struct Supervisor {
    shared: Arc<Shared>,
    factory: Factory,
    /// Threads that were told to end and didn't yet.
    left_behind: Vec<JoinHandle<()>>,
    /// Deaths since a source last worked.
    failures: u32,
}

/// How a source came to its end.
enum End {
    Stopped,
    Died(String),
}

/// Says that a thread ended, however it does.
struct Rings {
    shared: Arc<Shared>,
    run: u64,
}

impl Drop for Rings {
    fn drop(&mut self) {
        self.shared.desk().ended = Some(self.run);
        self.shared.bell.notify_all();
    }
}

impl Supervisor {
    fn run(mut self) {
        loop {
            let started = Instant::now();
            let why = match self.run_one() {
                End::Stopped => break,
                End::Died(why) => why,
            };
            tracing::warn!(target: "spv", %why, "source_ended");
            let pause = self.count(started, why);
            if !self.pause(pause) {
                break;
            }
        }
        self.shared.ended.send_replace(true);
    }

    /// Counts a death; returns how long to wait.
    fn count(&mut self, started: Instant, why: String) -> Duration {
        let mut desk = self.shared.desk();
        if desk.is_useful && started.elapsed() >= HEALTHY {
            self.failures = 0;
        }
        desk.restarts = desk.restarts.saturating_add(1);
        desk.last_error = Some(why);
        desk.peers = 0;
        desk.claimed_height = None;
        let patience = &self.shared.options.patience;
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        patience
            .restart
            .saturating_mul(factor)
            .min(patience.restart_most)
    }

    /// Waits; false when it is time to stop.
    fn pause(&mut self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        let mut desk = self.shared.desk();
        loop {
            self.left_behind.retain(|one| !one.is_finished());
            let left = end.saturating_duration_since(Instant::now());
            let has_room = self.left_behind.len() < MAX_LEFT_BEHIND;
            if desk.is_stopping {
                return false;
            }
            if left.is_zero() && has_room {
                return true;
            }
            let wait = if left.is_zero() { pause } else { left };
            let waited = self.shared.bell.wait_timeout(desk, wait);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes a source, and watches it to its end.
    fn run_one(&mut self) -> End {
        let source = match catch_unwind(AssertUnwindSafe(|| (self.factory)())) {
            Ok(source) => source,
            Err(panic) => return End::Died(panicked(panic.as_ref())),
        };
        let run = {
            let mut desk = self.shared.desk();
            desk.run += 1;
            desk.beat = Instant::now();
            desk.is_useful = false;
            desk.source = Some(source.name());
            let run = desk.run;
            desk.lost(run);
            run
        };
        let link = Link::new(Arc::clone(&self.shared), run);
        let rings = Rings {
            shared: Arc::clone(&self.shared),
            run,
        };
        let (outcome, outcomes) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("spv-source".to_owned())
            .spawn(move || {
                let _rings = rings;
                let ended = catch_unwind(AssertUnwindSafe(|| source.run(link)));
                // Nobody listens any more to a source that was left behind.
                outcome.send(ended).ok();
            });
        let thread = match thread {
            Ok(thread) => thread,
            Err(error) => return End::Died(SourceError::Thread(error).to_string()),
        };
        let end = self.watch(run);
        if end.is_none() {
            self.left_behind.push(thread);
            self.left_behind.retain(|one| !one.is_finished());
        }
        if self.shared.desk().is_stopping {
            return End::Stopped;
        }
        let Some(()) = end else {
            let wait_ms = self.shared.options.patience.silence.as_millis();
            return End::Died(format!("the source gave no sign of life for {wait_ms} ms"));
        };
        End::Died(match outcomes.try_recv() {
            Ok(Ok(Ok(()))) => "the source ended by itself".to_owned(),
            Ok(Ok(Err(error))) => with_causes(&error),
            Ok(Err(panic)) => panicked(panic.as_ref()),
            Err(_) => "the source's thread was lost".to_owned(),
        })
    }

    /// Waits until a source's thread ended; none when it is left behind.
    fn watch(&self, run: u64) -> Option<()> {
        let silence = self.shared.options.patience.silence;
        let mut stop_by = None;
        let mut desk = self.shared.desk();
        loop {
            if desk.ended == Some(run) {
                return Some(());
            }
            let now = Instant::now();
            if desk.is_stopping && stop_by.is_none() {
                stop_by = Some(now + STOP);
            }
            let end = stop_by.unwrap_or(desk.beat + silence);
            let left = end.saturating_duration_since(now);
            if left.is_zero() {
                // From here on its link leads nowhere.
                desk.run += 1;
                return None;
            }
            let waited = self.shared.bell.wait_timeout(desk, left);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a panic said.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|one| (*one).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the source panicked: {}", text.unwrap_or_default())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text.push_str(&format!(": {one}"));
        cause = one.source();
    }
    text
}
