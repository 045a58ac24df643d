//! A small picture computed from an identity, so that two people with one name look different.

use std::fmt;

use askama::FastWritable;
use askama::filters::HtmlSafe;

/// Cells along an edge; the right half mirrors the left.
const CELLS: u32 = 5;

/// An inline SVG drawn from the identity's id.
#[derive(Clone, Copy, Debug)]
pub struct Emblem {
    hash: u64,
}

impl Emblem {
    /// From any id (FNV-1a: a picture, not a proof).
    #[must_use]
    pub fn of(id: &str) -> Self {
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            hash: hash ^ (hash >> 29),
        }
    }
}

impl fmt::Display for Emblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hue = self.hash % 360;
        write!(
            f,
            "<svg class=\"av\" viewBox=\"0 0 7 7\" aria-hidden=\"true\"><path fill=\"hsl({hue} 38% 86%)\" d=\"M0 0h7v7h-7z\"/><path fill=\"hsl({hue} 52% 38%)\" d=\""
        )?;
        let mut bits = self.hash >> 9;
        for column in 0..CELLS.div_ceil(2) {
            for row in 0..CELLS {
                let filled = bits & 1 == 1;
                bits >>= 1;
                if !filled {
                    continue;
                }
                write!(f, "M{} {}h1v1h-1z", column + 1, row + 1)?;
                let mirrored = CELLS - 1 - column;
                if mirrored != column {
                    write!(f, "M{} {}h1v1h-1z", mirrored + 1, row + 1)?;
                }
            }
        }
        f.write_str("\"/></svg>")
    }
}

/// Digits and fixed words only.
impl HtmlSafe for Emblem {}

impl FastWritable for Emblem {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emblems_differ_and_carry_nothing_of_the_id() {
        let (a, b) = (
            Emblem::of("bafyone").to_string(),
            Emblem::of("bafytwo").to_string(),
        );
        assert_ne!(a, b);
        assert_eq!(a, Emblem::of("bafyone").to_string());
        assert!(!Emblem::of("\"><script>").to_string().contains("script"));
    }
}
