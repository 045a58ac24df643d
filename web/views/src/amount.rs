//! Sizes, counts and durations in words that a person reads at a glance.

/// Byte units, each 1024 of the one before.
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `1.4 MiB`; whole numbers from 100 up and for bytes.
#[must_use]
pub fn bytes(amount: u64) -> String {
    let mut unit = 0;
    let mut scale = 1u64;
    while unit + 1 < UNITS.len() && amount / scale >= 1024 {
        scale *= 1024;
        unit += 1;
    }
    let name = UNITS[unit];
    if unit == 0 || amount / scale >= 100 {
        return format!("{} {name}", amount / scale);
    }
    let tenths = u128::from(amount) * 10 / u128::from(scale);
    if tenths.is_multiple_of(10) {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// `1 reply`, `2 replies`.
#[must_use]
pub fn count(amount: u64, one: &str, many: &str) -> String {
    if amount == 1 {
        format!("1 {one}")
    } else {
        format!("{amount} {many}")
    }
}

/// `1 sat`, `2,100 sats`.
#[must_use]
pub fn sats(amount: u64) -> String {
    let unit = if amount == 1 { "sat" } else { "sats" };
    format!("{} {unit}", grouped(amount))
}

/// An amount of sats in bitcoin, to the last sat: `0.00002100 BTC`.
#[must_use]
pub fn btc(sats: u64) -> String {
    const SATS: u64 = 100_000_000;
    format!("{}.{:08} BTC", sats / SATS, sats % SATS)
}

/// Digits in groups of three.
#[must_use]
pub fn grouped(amount: u64) -> String {
    let digits = amount.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A playing time: `0:07`, `12:03`, `1:02:33`.
#[must_use]
pub fn playing_time(duration_ms: u64) -> String {
    let seconds = duration_ms / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    }
}

/// A time span in its two largest units: `3 d 4 h`, `12 min`, `8 s`.
#[must_use]
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// `part` of `whole` in percent, at most 100; 0 of nothing.
#[must_use]
pub fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let percent = (u128::from(part) * 100 / u128::from(whole)).min(100);
    u64::try_from(percent).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_words() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (150 << 20, "150 MiB"),
            (1 << 30, "1 GiB"),
            (u64::MAX, "16777215 TiB"),
        ];
        for (amount, words) in table {
            assert_eq!(bytes(amount), words);
        }
    }

    #[test]
    fn sats_in_words() {
        let table = [
            (0, "0 sats", "0.00000000 BTC"),
            (1, "1 sat", "0.00000001 BTC"),
            (999, "999 sats", "0.00000999 BTC"),
            (2_100, "2,100 sats", "0.00002100 BTC"),
            (123_456_789, "123,456,789 sats", "1.23456789 BTC"),
            (
                2_100_000_000_000_000,
                "2,100,000,000,000,000 sats",
                "21000000.00000000 BTC",
            ),
        ];
        for (amount, words, coins) in table {
            assert_eq!(
                (sats(amount).as_str(), btc(amount).as_str()),
                (words, coins)
            );
        }
    }

    #[test]
    fn times_and_counts() {
        assert_eq!(playing_time(7_400), "0:07");
        assert_eq!(playing_time(3_753_000), "1:02:33");
        assert_eq!(span(8_000), "8 s");
        assert_eq!(span(3_600_000 * 76), "3 d 4 h");
        assert_eq!(count(1, "reply", "replies"), "1 reply");
        assert_eq!(count(0, "reply", "replies"), "0 replies");
        assert_eq!(percent(5, 0), 0);
        assert_eq!(percent(7, 5), 100);
        assert_eq!(percent(u64::MAX / 2, u64::MAX), 49);
    }
}
