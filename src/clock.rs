//! The one place that reads the wall clock; cores get the time handed in.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{Local, Timelike};

/// Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "the edge where the clock enters")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Minute of the day, local time.
pub fn local_minute() -> u32 {
    let now = Local::now();
    now.hour() * 60 + now.minute()
}
