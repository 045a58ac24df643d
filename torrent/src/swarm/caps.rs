//! Caps that hold at once.
//!
//! The engine's own let as much through as passes in a second whenever nothing was sent for one: over
//! three seconds, a third too much. So what gathers up is taken away as it does.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use librqbit::Session;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    Limits,
    engine::{MIN_CAP, to_config},
};

/// How often it is looked what has gathered up.
const TICK: Duration = Duration::from_millis(50);
/// As much of a second's worth may gather up.
const SLACK: f64 = 0.02;
/// What isn't there at once was used meanwhile.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Works until the session ends.
pub(super) async fn keep(session: Arc<Session>, mut limits: watch::Receiver<Limits>) {
    loop {
        let now = to_config(*limits.borrow_and_update());
        session.ratelimits.set_upload_bps(now.upload_bps);
        session.ratelimits.set_download_bps(now.download_bps);
        let drain = drain(&session, now.upload_bps, now.download_bps);
        tokio::select! {
            () = drain => {}
            changed = limits.changed() => if changed.is_err() {
                return;
            }
        }
    }
}

async fn drain(session: &Session, up: Option<NonZeroU32>, down: Option<NonZeroU32>) {
    if up.is_none() && down.is_none() {
        return std::future::pending().await;
    }
    let moved = || {
        let counters = session.stats_snapshot().counters;
        (counters.uploaded_bytes, counters.fetched_bytes)
    };
    let (sent_bytes, received_bytes) = moved();
    let mut up = up.map(|cap| Bucket::full(cap, sent_bytes));
    let mut down = down.map(|cap| Bucket::full(cap, received_bytes));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        let now = tick.tick().await;
        let (sent_bytes, received_bytes) = moved();
        let elapsed = now.saturating_duration_since(last);
        last = now;
        if let Some(bytes) = up.as_mut().and_then(|up| up.spare(elapsed, sent_bytes)) {
            let _ = timeout(AT_ONCE, session.ratelimits.prepare_for_upload(bytes)).await;
        }
        let spare = down.as_mut();
        if let Some(bytes) = spare.and_then(|down| down.spare(elapsed, received_bytes)) {
            let _ = timeout(AT_ONCE, session.ratelimits.prepare_for_download(bytes)).await;
        }
    }
}

/// What the engine's bucket holds, as far as can be told from outside.
#[derive(Debug)]
struct Bucket {
    cap: f64,
    slack: f64,
    level: f64,
    moved_bytes: u64,
}

impl Bucket {
    /// As the engine makes them: with a second's worth.
    fn full(cap: NonZeroU32, moved_bytes: u64) -> Self {
        let cap = f64::from(cap.get());
        Self {
            cap,
            slack: (cap * SLACK).max(f64::from(MIN_CAP.get())),
            level: cap,
            moved_bytes,
        }
    }

    /// What has gathered up beyond the slack, to be taken away now.
    fn spare(&mut self, elapsed: Duration, moved_bytes: u64) -> Option<NonZeroU32> {
        let moved = moved_bytes.saturating_sub(self.moved_bytes);
        self.moved_bytes = moved_bytes;
        #[expect(clippy::cast_precision_loss, reason = "bytes of a few milliseconds")]
        let moved = moved as f64;
        let gained = self.cap * elapsed.as_secs_f64();
        self.level = (self.level + gained - moved).clamp(0.0, self.cap);
        let spare = self.level - self.slack;
        if spare < 1.0 {
            return None;
        }
        self.level = self.slack;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and a cap, which is a u32"
        )]
        NonZeroU32::new(spare as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gathers_up_is_taken_away() {
        let mut bucket = Bucket::full(NonZeroU32::new(4 << 20).unwrap(), 0);
        let spare =
            |bucket: &mut Bucket, moved| bucket.spare(TICK, moved).map_or(0, NonZeroU32::get);
        let slack = (4 << 20) / 50;
        let first = spare(&mut bucket, 0);
        assert!(
            first.abs_diff((4 << 20) - slack) < 2,
            "{first}: it was full"
        );
        let idle = spare(&mut bucket, 0);
        assert!(
            idle.abs_diff((4 << 20) / 20) < 2,
            "{idle}: what a tick gives"
        );
        let tick = (4 << 20) / 20;
        let busy = u64::from(tick);
        assert_eq!(spare(&mut bucket, busy), 0);
        let half = spare(&mut bucket, busy + busy / 2);
        assert!(
            (1..=tick / 2 + 2).contains(&half),
            "{half}: what half a tick left"
        );
    }
}
