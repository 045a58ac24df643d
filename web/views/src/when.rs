//! Points in time as `<time>` elements: exact for machines, relative for people.

use std::fmt;

use askama::FastWritable;
use askama::filters::HtmlSafe;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// Last millisecond of the year 9999: later times are shown as this one.
const LAST_MS: u64 = 253_402_300_799_999;

/// A calendar date and time of day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Calendar {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Calendar {
    /// From Unix milliseconds; days to civil date after Howard Hinnant's "chrono-compatible
    /// low-level date algorithms".
    fn from_ms(ms: u64) -> Self {
        let ms = ms.min(LAST_MS);
        let (days, rest) = (ms / DAY_MS, ms % DAY_MS / 1000);
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    fn month_name(self) -> &'static str {
        usize::try_from(self.month)
            .ok()
            .and_then(|m| MONTHS.get(m.wrapping_sub(1)))
            .copied()
            .unwrap_or("?")
    }
}

/// RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let c = Calendar::from_ms(ms);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        c.year, c.month, c.day, c.hour, c.minute, c.second
    )
}

/// `21 Nov 2026, 06:51 UTC`.
#[must_use]
pub fn absolute(ms: u64) -> String {
    let c = Calendar::from_ms(ms);
    format!(
        "{} {} {}, {:02}:{:02} UTC",
        c.day,
        c.month_name(),
        c.year,
        c.hour,
        c.minute
    )
}

/// `3 min ago`, `in 2 h`, `just now`; a date when it is longer than a month ago.
#[must_use]
pub fn relative(ms: u64, now_ms: u64) -> String {
    let distance = now_ms.abs_diff(ms);
    let words = match distance {
        0..MINUTE_MS => return "just now".to_owned(),
        MINUTE_MS..HOUR_MS => format!("{} min", distance / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{} h", distance / HOUR_MS),
        _ if distance < 31 * DAY_MS => format!("{} d", distance / DAY_MS),
        _ => {
            let c = Calendar::from_ms(ms);
            return format!("{} {} {}", c.day, c.month_name(), c.year);
        }
    };
    if ms > now_ms {
        format!("in {words}")
    } else {
        format!("{words} ago")
    }
}

/// A `<time>` element: relative text, with the exact time in its attributes.
#[derive(Clone, Copy, Debug)]
pub struct When {
    ms: u64,
    now_ms: u64,
    exact: bool,
}

impl When {
    /// Relative text.
    #[must_use]
    pub fn relative(ms: u64, now_ms: u64) -> Self {
        Self {
            ms,
            now_ms,
            exact: false,
        }
    }

    /// Both: `21 Nov 2026, 06:51 UTC (3 min ago)`.
    #[must_use]
    pub fn exact(ms: u64, now_ms: u64) -> Self {
        Self {
            ms,
            now_ms,
            exact: true,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (iso, absolute, age) = (
            rfc3339(self.ms),
            absolute(self.ms),
            relative(self.ms, self.now_ms),
        );
        if self.exact {
            write!(f, "<time datetime=\"{iso}\">{absolute} ({age})</time>")
        } else {
            write!(
                f,
                "<time datetime=\"{iso}\" title=\"{absolute}\">{age}</time>"
            )
        }
    }
}

/// Digits and fixed words only.
impl HtmlSafe for When {}

impl FastWritable for When {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_dates() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_243_904_000, "2026-11-21T06:51:44Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ];
        for (ms, text) in table {
            assert_eq!(rfc3339(ms), text);
        }
    }

    #[test]
    fn ages() {
        let now = 1_795_243_904_000;
        let table = [
            (now, "just now"),
            (now - 59_999, "just now"),
            (now - 3 * MINUTE_MS, "3 min ago"),
            (now + 2 * HOUR_MS, "in 2 h"),
            (now - 30 * DAY_MS, "30 d ago"),
            (0, "1 Jan 1970"),
        ];
        for (ms, text) in table {
            assert_eq!(relative(ms, now), text);
        }
        assert_eq!(
            When::relative(now - HOUR_MS, now).to_string(),
            "<time datetime=\"2026-11-21T05:51:44Z\" title=\"21 Nov 2026, 05:51 UTC\">1 h ago</time>"
        );
    }
}
