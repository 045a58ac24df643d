//! Ages in the file: `36h`, `30d`, `2w`.

use thiserror::Error;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const UNITS: [(&str, u64); 3] = [("h", HOUR_MS), ("d", 24 * HOUR_MS), ("w", 7 * 24 * HOUR_MS)];

/// Text that is no age.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no age; write a whole number of hours, days or weeks, as in `36h`, `30d` or `2w`"
)]
pub struct AgeError(String);

/// Reads an age, milliseconds.
///
/// # Errors
/// When it is none, zero, or beyond 64 bits.
pub fn parse_age(text: &str) -> Result<u64, AgeError> {
    let refuse = || AgeError(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(refuse)?;
    let (number, unit) = trimmed.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let (_, unit_ms) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))
        .ok_or_else(refuse)?;
    match number.checked_mul(*unit_ms) {
        None | Some(0) => Err(refuse()),
        Some(age_ms) => Ok(age_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_people_write_them() {
        for (text, hours) in [("36h", 36), ("30d", 720), (" 2 W ", 336)] {
            assert_eq!(parse_age(text), Ok(hours * HOUR_MS), "{text}");
        }
        for text in [
            "",
            "d",
            "30",
            "1.5d",
            "-1d",
            "0d",
            "3m",
            "99999999999999999w",
        ] {
            assert!(parse_age(text).is_err(), "{text}");
        }
    }
}
