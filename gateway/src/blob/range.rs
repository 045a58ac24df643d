//! The `Range` header of RFC 9110 §14: one range is answered, the first where there are several.

use std::ops::Range;

/// What a request wants of an item of known size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, one in another unit, or malformed.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// A range, but none of its bytes exist.
    Nothing,
}

/// Reads the value of a `Range` header against the item's size.
pub fn wanted(header: Option<&str>, size_bytes: u64) -> Wanted {
    let Some(spec) = header.and_then(bytes_unit) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Wanted::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    if !(digits(first) && digits(last)) || (first.is_empty() && last.is_empty()) {
        return Wanted::Whole;
    }
    // More digits than fit in 64 bits are past every end.
    let first_byte = first.parse::<u64>().unwrap_or(u64::MAX);
    let last_byte = last.parse::<u64>().unwrap_or(u64::MAX);
    if first.is_empty() {
        return suffix(last_byte, size_bytes);
    }
    if !last.is_empty() && last_byte < first_byte {
        return Wanted::Whole;
    }
    if first_byte >= size_bytes {
        return Wanted::Nothing;
    }
    let end = if last.is_empty() {
        size_bytes
    } else {
        last_byte.saturating_add(1).min(size_bytes)
    };
    Wanted::Part(first_byte..end)
}

fn suffix(length: u64, size_bytes: u64) -> Wanted {
    if length == 0 || size_bytes == 0 {
        return Wanted::Nothing;
    }
    Wanted::Part(size_bytes.saturating_sub(length)..size_bytes)
}

fn bytes_unit(header: &str) -> Option<&str> {
    let (unit, spec) = header.split_once('=')?;
    let first = spec.split(',').find(|part| !part.trim().is_empty());
    unit.trim()
        .eq_ignore_ascii_case("bytes")
        .then_some(first.unwrap_or_default())
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_range_is_read_as_rfc_9110_says() {
        let table = [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), Wanted::Part(0..1)),
            (Some("bytes=0-1"), Wanted::Part(0..2)),
            (Some("bytes=10-19"), Wanted::Part(10..20)),
            (Some("bytes=90-"), Wanted::Part(90..100)),
            (Some("bytes=0-"), Wanted::Part(0..100)),
            (Some("bytes=99-99"), Wanted::Part(99..100)),
            (Some("bytes=50-1000"), Wanted::Part(50..100)),
            (
                Some("bytes=50-99999999999999999999999"),
                Wanted::Part(50..100),
            ),
            (Some("bytes=-10"), Wanted::Part(90..100)),
            (Some("bytes=-1000"), Wanted::Part(0..100)),
            (Some("Bytes = 1-2"), Wanted::Part(1..3)),
            (Some("bytes=100-"), Wanted::Nothing),
            (Some("bytes=100-200"), Wanted::Nothing),
            (Some("bytes=99999999999999999999999-"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            (Some("bytes=5-4"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("bytes="), Wanted::Whole),
            (Some("bytes"), Wanted::Whole),
            (Some("bytes=a-b"), Wanted::Whole),
            (Some("bytes=+1-2"), Wanted::Whole),
            (Some("bytes=--5"), Wanted::Whole),
            (Some("items=0-5"), Wanted::Whole),
            (Some("bytes=0-1,5-6"), Wanted::Part(0..2)),
            (Some("bytes=6-16, 0-4"), Wanted::Part(6..17)),
            (Some("bytes=,5-6"), Wanted::Part(5..7)),
            (Some("bytes=100-,0-4"), Wanted::Nothing),
            (Some("bytes=a-b,0-4"), Wanted::Whole),
        ];
        for (header, expected) in table {
            assert_eq!(wanted(header, 100), expected, "{header:?}");
        }
    }

    #[test]
    fn an_empty_item_has_no_satisfiable_range() {
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(Some("bytes=-5"), 0), Wanted::Nothing);
        assert_eq!(wanted(None, 0), Wanted::Whole);
    }
}
