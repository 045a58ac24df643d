//! Charts: SVGs drawn on the server, sized by attributes only. This one is of all traffic.

mod layers;
pub mod networks;
pub mod sources;
pub mod storage;

use std::fmt::{self, Write as _};

use askama::FastWritable;
use askama::filters::HtmlSafe;

use crate::amount;
use crate::data::TrafficSample;
use crate::when::absolute;

const WIDTH: u64 = 720;
/// Height of each half: received above the line, sent below.
const HALF: u64 = 72;

/// Bytes received (up) and sent (down) over the last minutes.
#[derive(Clone, Copy, Debug)]
pub struct TrafficChart<'a> {
    samples: &'a [TrafficSample],
}

impl<'a> TrafficChart<'a> {
    /// Oldest sample first.
    #[must_use]
    pub fn new(samples: &'a [TrafficSample]) -> Self {
        Self { samples }
    }

    /// Bytes received in all samples.
    #[must_use]
    pub fn in_bytes(&self) -> u64 {
        self.samples
            .iter()
            .fold(0, |sum, s| sum.saturating_add(s.in_bytes))
    }

    /// Bytes sent in all samples.
    #[must_use]
    pub fn out_bytes(&self) -> u64 {
        self.samples
            .iter()
            .fold(0, |sum, s| sum.saturating_add(s.out_bytes))
    }

    fn peak(&self) -> u64 {
        self.samples
            .iter()
            .map(|s| s.in_bytes.max(s.out_bytes))
            .max()
            .unwrap_or(0)
            .max(1)
    }

    /// Outline of one half; `up` away from the middle line or down.
    fn outline(&self, up: bool) -> String {
        let (peak, last) = (
            u128::from(self.peak()),
            self.samples.len().saturating_sub(1).max(1),
        );
        let mut path = format!("M0 {HALF}");
        for (index, sample) in self.samples.iter().enumerate() {
            let bytes = u128::from(if up {
                sample.in_bytes
            } else {
                sample.out_bytes
            });
            let height = u64::try_from(bytes * u128::from(HALF) / peak)
                .unwrap_or(HALF)
                .min(HALF);
            let y = if up { HALF - height } else { HALF + height };
            let x = index as u64 * WIDTH / last as u64;
            write!(path, "L{x} {y}").expect("a String takes every write");
        }
        write!(path, "L{WIDTH} {HALF}Z").expect("a String takes every write");
        path
    }
}

impl fmt::Display for TrafficChart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let height = 2 * HALF;
        write!(
            f,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"Traffic: {} received, {} sent, at most {} per sample\">",
            amount::bytes(self.in_bytes()),
            amount::bytes(self.out_bytes()),
            amount::bytes(self.peak())
        )?;
        for quarter in 1..4 {
            let x = WIDTH * quarter / 4;
            write!(f, "<path class=\"grid\" d=\"M{x} 0V{height}\"/>")?;
        }
        if !self.samples.is_empty() {
            write!(f, "<path class=\"in\" d=\"{}\"/>", self.outline(true))?;
            write!(f, "<path class=\"out\" d=\"{}\"/>", self.outline(false))?;
        }
        write!(f, "<path class=\"axis\" d=\"M0 {HALF}H{WIDTH}\"/></svg>")?;
        if let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) {
            write!(
                f,
                "<p class=\"scale\"><span>{}</span><span>{}</span></p>",
                absolute(first.time_ms),
                absolute(last.time_ms)
            )?;
        }
        Ok(())
    }
}

/// Numbers and fixed words only.
impl HtmlSafe for TrafficChart<'_> {}

impl FastWritable for TrafficChart<'_> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_stay_in_the_frame() {
        let samples = [
            TrafficSample {
                time_ms: 0,
                in_bytes: 0,
                out_bytes: u64::MAX,
                ..TrafficSample::default()
            },
            TrafficSample {
                time_ms: 1000,
                in_bytes: u64::MAX / 2,
                out_bytes: 0,
                ..TrafficSample::default()
            },
        ];
        let chart = TrafficChart::new(&samples);
        assert_eq!(chart.outline(true), "M0 72L0 72L720 37L720 72Z");
        assert_eq!(chart.outline(false), "M0 72L0 144L720 72L720 72Z");
        assert!(!TrafficChart::new(&[]).to_string().contains("class=\"in\""));
    }
}
