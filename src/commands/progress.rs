//! Progress bars on stderr, for work that takes over a second and only where a person looks on.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter work shows no bar.
const QUIET: Duration = Duration::from_secs(1);

/// A bar that appears once the work has taken a while.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
}

impl Progress {
    /// A bar that counts bytes.
    pub(super) fn of_bytes(what: impl Into<String>) -> Self {
        let line = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        Self::new(what.into(), line)
    }

    /// A bar that counts things.
    pub(super) fn of_items(what: impl Into<String>) -> Self {
        Self::new(what.into(), "{msg} {wide_bar} {pos}/{len} {eta}")
    }

    fn new(what: String, line: &str) -> Self {
        let style = ProgressStyle::with_template(line).expect("the line is a valid template");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style);
        bar.set_message(what);
        Self {
            bar,
            begun: Instant::now(),
            shown: false,
        }
    }

    /// How far it is; a total of 0 is unknown.
    pub(super) fn set(&mut self, done: u64, total: u64) {
        if !self.shown && self.begun.elapsed() >= QUIET {
            // Draws nothing where stderr is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
        if total > 0 {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// What is being done now.
    pub(super) fn name(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
