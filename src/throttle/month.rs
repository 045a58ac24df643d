//! What was sent in a calendar month (UTC). Pure: the time is handed in.
//!
//! On disk stands more than was sent: a margin is taken in advance and used up before the next
//! write, so that a crash never makes the month's count smaller than it was.

use chrono::{DateTime, Datelike};
use serde::{Deserialize, Serialize};

/// Margin that is written in advance: so much time at the speed of late, bytes at least.
const MARGIN_MS: u64 = 10_000;
const MARGIN_BYTES: u64 = 1 << 20;

/// A month as it lies on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    /// As in 2026.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// Sent at most, bytes.
    pub sent_bytes: u64,
}

/// The running month.
#[derive(Debug)]
pub(super) struct Month {
    at: (i32, u32),
    /// Sent in it before `from_bytes`.
    carried_bytes: u64,
    /// What the counter since the start showed when the month, or the node, began.
    from_bytes: u64,
    /// What the disk says.
    written_bytes: u64,
    /// The counter when it was last written.
    last_bytes: u64,
    last_ms: u64,
}

impl Month {
    /// Goes on where the disk says, unless another month began.
    pub fn new(written: Option<Written>, now_ms: u64) -> Self {
        let at = month_of(now_ms);
        let carried_bytes = written
            .filter(|written| (written.year, written.month) == at)
            .map_or(0, |written| written.sent_bytes);
        Self {
            at,
            carried_bytes,
            from_bytes: 0,
            written_bytes: carried_bytes,
            last_bytes: 0,
            last_ms: now_ms,
        }
    }

    /// Sent in the month when the counter since the start shows `total_bytes`.
    pub fn sent_bytes(&self, total_bytes: u64) -> u64 {
        self.carried_bytes
            .saturating_add(total_bytes.saturating_sub(self.from_bytes))
    }

    /// Looks at the calendar; what must be written now, if anything. A clock that goes back doesn't
    /// bring an old month back.
    pub fn look(&mut self, total_bytes: u64, now_ms: u64) -> Option<Written> {
        let now = month_of(now_ms);
        let begins = now > self.at;
        if begins {
            self.at = now;
            self.carried_bytes = 0;
            self.from_bytes = total_bytes;
        }
        let sent_bytes = self.sent_bytes(total_bytes);
        if !begins && sent_bytes <= self.written_bytes {
            return None;
        }
        let passed_ms = now_ms.saturating_sub(self.last_ms).max(1_000);
        let of_late_bytes = total_bytes.saturating_sub(self.last_bytes);
        let margin_bytes = (of_late_bytes / passed_ms)
            .saturating_mul(MARGIN_MS)
            .max(MARGIN_BYTES);
        (self.last_bytes, self.last_ms) = (total_bytes, now_ms);
        Some(self.write(sent_bytes.saturating_add(margin_bytes)))
    }

    /// What must be written when the node stops: exactly what was sent.
    pub fn close(&mut self, total_bytes: u64) -> Written {
        let sent_bytes = self.sent_bytes(total_bytes);
        self.write(sent_bytes)
    }

    /// Seconds until the next month.
    pub fn rest_s(&self, now_ms: u64) -> u64 {
        let (year, month) = self.at;
        let (year, month) = if month == 12 {
            (year.saturating_add(1), 1)
        } else {
            (year, month + 1)
        };
        let next = chrono::NaiveDate::from_ymd_opt(year, month, 1)
            .and_then(|day| day.and_hms_opt(0, 0, 0))
            .map_or(0, |time| time.and_utc().timestamp());
        let now_s = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
        u64::try_from(next.saturating_sub(now_s)).unwrap_or(0)
    }

    fn write(&mut self, sent_bytes: u64) -> Written {
        self.written_bytes = sent_bytes;
        let (year, month) = self.at;
        Written {
            year,
            month,
            sent_bytes,
        }
    }
}

fn month_of(time_ms: u64) -> (i32, u32) {
    i64::try_from(time_ms)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .map_or((i32::MAX, 1), |time| (time.year(), time.month()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 November 2026, 23:59:50 UTC.
    const LATE_MS: u64 = 1_796_083_190_000;
    const MIB: u64 = 1 << 20;

    #[test]
    fn a_new_month_begins_at_zero() {
        let mut month = Month::new(None, LATE_MS);
        assert_eq!(month.at, (2026, 11));
        assert_eq!(month.rest_s(LATE_MS), 10);
        month.look(5 * MIB, LATE_MS + 1_000);
        assert_eq!(month.sent_bytes(5 * MIB), 5 * MIB);
        let written = month.look(6 * MIB, LATE_MS + 10_000).unwrap();
        assert_eq!((written.year, written.month), (2026, 12));
        assert_eq!(month.sent_bytes(6 * MIB), 0);
        assert_eq!(month.sent_bytes(7 * MIB), MIB);
        // A clock that was set back doesn't open the old month again.
        month.look(7 * MIB, LATE_MS);
        assert_eq!((month.at, month.sent_bytes(7 * MIB)), ((2026, 12), MIB));
    }

    #[test]
    fn a_crash_never_makes_it_less() {
        let mut month = Month::new(None, LATE_MS - 3_600_000);
        let mut disk = None;
        for step in 1..1_000 {
            let (total_bytes, now_ms) = (step * 3 * MIB, LATE_MS - 3_600_000 + step * 250);
            disk = month.look(total_bytes, now_ms).or(disk);
            let after_crash = Month::new(disk, now_ms);
            let carried_bytes = after_crash.sent_bytes(0);
            assert!(carried_bytes >= total_bytes, "at step {step}");
            // Ten seconds at 12 MiB/s, give or take the first second.
            assert!(carried_bytes <= total_bytes + 140 * MIB, "at step {step}");
        }
    }

    #[test]
    fn a_stop_keeps_the_exact_count() {
        let mut month = Month::new(None, LATE_MS);
        month.look(5 * MIB, LATE_MS);
        let written = month.close(5 * MIB + 7);
        let mut again = Month::new(Some(written), LATE_MS + 1_000);
        assert_eq!(again.sent_bytes(0), 5 * MIB + 7);
        assert_eq!(again.look(0, LATE_MS + 2_000), None, "nothing new to write");
        assert_eq!(Month::new(Some(written), LATE_MS + 10_000).sent_bytes(0), 0);
    }

    #[test]
    fn december_is_followed_by_january() {
        let late_ms = LATE_MS + 31 * 86_400_000;
        let mut month = Month::new(None, late_ms);
        assert_eq!(month.rest_s(late_ms), 10);
        month.look(0, late_ms + 10_000);
        assert_eq!(month.at, (2027, 1));
    }
}
