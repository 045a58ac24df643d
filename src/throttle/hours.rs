//! Hours of the day, local time.

use std::str::FromStr;

use thiserror::Error;

/// From one minute of the day to another, over midnight if that is earlier; the last isn't part of
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveHours {
    from_minute: u32,
    until_minute: u32,
}

/// Not hours of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HoursError {
    /// Something else.
    #[error("write two times of the day, as in 22:00-06:00")]
    Form,
    /// Both are the same.
    #[error("the hours begin when they end; leave them out for always")]
    Empty,
}

impl ActiveHours {
    /// Whether a minute of the day is one of them.
    pub fn contain(&self, minute: u32) -> bool {
        if self.from_minute < self.until_minute {
            (self.from_minute..self.until_minute).contains(&minute)
        } else {
            minute >= self.from_minute || minute < self.until_minute
        }
    }
}

impl FromStr for ActiveHours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let (from, until) = text.split_once('-').ok_or(HoursError::Form)?;
        let from_minute = minute(from).ok_or(HoursError::Form)?;
        let until_minute = minute(until).ok_or(HoursError::Form)?;
        if from_minute == until_minute {
            return Err(HoursError::Empty);
        }
        Ok(Self {
            from_minute,
            until_minute,
        })
    }
}

/// `HH:MM`, to 24:00, as a minute of the day.
fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let in_day = hour * 60 + minute;
    (minute < 60 && in_day <= 24 * 60).then_some(in_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_go_over_midnight() {
        let cases: [(&str, &[u32], &[u32]); 4] = [
            (
                "22:00-06:00",
                &[22 * 60, 23 * 60 + 59, 0, 359],
                &[360, 720, 1_319],
            ),
            ("08:30-17:00", &[510, 1_019], &[0, 509, 1_020, 1_439]),
            ("0:00-24:00", &[0, 1_439], &[]),
            (" 18:00 - 24:00 ", &[1_080, 1_439], &[0, 1_079]),
        ];
        for (text, within, without) in cases {
            let hours: ActiveHours = text.parse().unwrap();
            assert!(within.iter().all(|minute| hours.contain(*minute)), "{text}");
            assert!(
                !without.iter().any(|minute| hours.contain(*minute)),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-",
            "22-6",
            "22:00",
            "22:00-",
            "22:00-24:01",
            "22:60-06:00",
            "25:00-06:00",
            "-1:00-06:00",
            "22:00-06:00-07:00",
            "+2:00-06:00",
            "022:00-06:00",
            "now-later",
        ] {
            assert_eq!(text.parse::<ActiveHours>(), Err(HoursError::Form), "{text}");
        }
        assert_eq!("06:00-6:00".parse::<ActiveHours>(), Err(HoursError::Empty));
    }
}
