//! Byte ranges as people write them: `0-99`, `100-`, `-500`, both ends included.

use std::str::FromStr;

use thiserror::Error;

/// Part of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first to the last byte, both included.
    Between(u64, u64),
    /// From this byte to the end.
    From(u64),
    /// The last so many bytes.
    Last(u64),
}

/// Text that is no range, or a range outside the item.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    /// Not in one of the three forms.
    #[error("`{0}` is no range; write first and last byte as in 0-99, or 100- or -500")]
    Syntax(String),
    /// Begins behind the end.
    #[error("the range lies outside the item's {size_bytes} bytes")]
    Outside {
        /// The item's size.
        size_bytes: u64,
    },
}

impl FromStr for ByteRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let refuse = || RangeError::Syntax(text.to_owned());
        let number = |digits: &str| {
            if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                digits.parse::<u64>().map_err(|_| refuse())
            } else {
                Err(refuse())
            }
        };
        match text.trim().split_once('-').ok_or_else(refuse)? {
            ("", last) => match number(last)? {
                0 => Err(refuse()),
                last => Ok(Self::Last(last)),
            },
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(refuse());
                }
                Ok(Self::Between(first, last))
            }
        }
    }
}

impl ByteRange {
    /// First byte, and the byte after the last, in an item of this size.
    ///
    /// # Errors
    /// When it begins behind the end.
    pub fn within(self, size_bytes: u64) -> Result<(u64, u64), RangeError> {
        let (start, end) = match self {
            Self::Between(first, last) => (first, last.saturating_add(1).min(size_bytes)),
            Self::From(first) => (first, size_bytes),
            Self::Last(count) => (size_bytes.saturating_sub(count), size_bytes),
        };
        if start >= end {
            return Err(RangeError::Outside { size_bytes });
        }
        Ok((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_as_people_write_them() {
        assert_eq!("0-99".parse(), Ok(ByteRange::Between(0, 99)));
        assert_eq!("5-5".parse(), Ok(ByteRange::Between(5, 5)));
        assert_eq!("100-".parse(), Ok(ByteRange::From(100)));
        assert_eq!("-500".parse(), Ok(ByteRange::Last(500)));
        for text in [
            "",
            "-",
            "5",
            "5-4",
            "-0",
            "a-b",
            "+1-2",
            "0-1-2",
            "0-99999999999999999999",
        ] {
            assert_eq!(
                text.parse::<ByteRange>(),
                Err(RangeError::Syntax(text.to_owned()))
            );
        }
    }

    #[test]
    fn ranges_are_cut_to_the_item() {
        assert_eq!(ByteRange::Between(0, 99).within(50), Ok((0, 50)));
        assert_eq!(ByteRange::Between(0, u64::MAX).within(50), Ok((0, 50)));
        assert_eq!(ByteRange::From(49).within(50), Ok((49, 50)));
        assert_eq!(ByteRange::Last(500).within(50), Ok((0, 50)));
        let outside = Err(RangeError::Outside { size_bytes: 50 });
        assert_eq!(ByteRange::From(50).within(50), outside);
        assert_eq!(ByteRange::Between(60, 70).within(50), outside);
    }
}
