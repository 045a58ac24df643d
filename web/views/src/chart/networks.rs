//! Traffic by network: received above the line, sent below, the networks upon one another.

use std::fmt;

use askama::FastWritable;
use askama::filters::HtmlSafe;

use super::layers::{Area, Layer, peak};
use crate::amount;
use crate::data::{Caps, Traffic, TrafficSample};
use crate::when::absolute;

const WIDTH: u64 = 720;
const HALF: u64 = 90;

/// Rates by network over the last minutes, with the caps as lines.
#[derive(Clone, Debug)]
pub struct NetworksChart<'a> {
    samples: &'a [TrafficSample],
    caps: Caps,
}

/// What one network carried in all samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Word of the stylesheet: `iroh`, `relay`, `http`, `torrent`.
    pub network: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Bytes each way.
    pub bytes: Traffic,
    /// Bytes a second in the newest sample.
    pub now: Traffic,
}

impl<'a> NetworksChart<'a> {
    /// Oldest sample first.
    #[must_use]
    pub fn new(samples: &'a [TrafficSample], caps: Caps) -> Self {
        Self { samples, caps }
    }

    /// What each network carried.
    #[must_use]
    pub fn carried(&self) -> Vec<Carried> {
        let newest = self.samples.len().saturating_sub(1);
        let of = |at: usize| {
            self.samples
                .get(at)
                .map(|sample| sample.ways.named()[..].to_vec())
        };
        let Some(last) = of(newest) else {
            return Vec::new();
        };
        let name = |network| match network {
            "iroh" => "Other nodes",
            "relay" => "Relayed for others",
            "http" => "Web",
            _ => "BitTorrent",
        };
        let mut all = Vec::new();
        for (index, (network, newest_bytes)) in last.into_iter().enumerate() {
            let mut bytes = Traffic::default();
            for sample in self.samples {
                let (_, one) = sample.ways.named()[index];
                bytes.in_bytes = bytes.in_bytes.saturating_add(one.in_bytes);
                bytes.out_bytes = bytes.out_bytes.saturating_add(one.out_bytes);
            }
            let now = Traffic {
                in_bytes: self.rate(newest, newest_bytes.in_bytes),
                out_bytes: self.rate(newest, newest_bytes.out_bytes),
            };
            all.push(Carried {
                network,
                name: name(network),
                bytes,
                now,
            });
        }
        all
    }

    /// Bytes of a sample as bytes a second.
    fn rate(&self, at: usize, bytes: u64) -> u64 {
        let time = |at: usize| self.samples.get(at).map_or(0, |sample| sample.time_ms);
        // The first sample is as long as the second.
        let (from, to) = if at == 0 { (0, 1) } else { (at - 1, at) };
        let span_ms = match time(to).saturating_sub(time(from)) {
            0 => 5_000,
            span_ms => span_ms,
        };
        let rate = u128::from(bytes) * 1_000 / u128::from(span_ms);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    fn layers(&self, of: fn(&Traffic) -> u64) -> Vec<Layer> {
        (0..4)
            .map(|index| {
                let mut network = "";
                let values = self.samples.iter().enumerate().map(|(at, sample)| {
                    let (name, bytes) = sample.ways.named()[index];
                    network = name;
                    self.rate(at, of(&bytes))
                });
                let values = values.collect();
                Layer {
                    mark: format!("class=\"w-{network}\""),
                    values,
                }
            })
            .collect()
    }

    fn peaks(&self) -> (u64, u64) {
        (
            peak(&self.layers(|bytes| bytes.in_bytes)),
            peak(&self.layers(|bytes| bytes.out_bytes)),
        )
    }

    /// What the height of each half stands for, in words.
    #[must_use]
    pub fn scale(&self) -> String {
        let (received, sent) = self.peaks();
        format!("{}/s", amount::bytes(received.max(sent)))
    }
}

impl fmt::Display for NetworksChart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let height = 2 * HALF;
        let (received, sent) = (
            self.layers(|bytes| bytes.in_bytes),
            self.layers(|bytes| bytes.out_bytes),
        );
        let (peak_in, peak_out) = self.peaks();
        let peak = peak_in.max(peak_out);
        write!(
            f,
            "<svg class=\"chart tall\" viewBox=\"0 0 {WIDTH} {height}\" preserveAspectRatio=\"none\" \
             role=\"img\" aria-label=\"Traffic by network: at most {}/s received, {}/s sent\">",
            amount::bytes(peak_in),
            amount::bytes(peak_out),
        )?;
        for quarter in 1..4 {
            let x = WIDTH * quarter / 4;
            write!(f, "<path class=\"grid\" d=\"M{x} 0V{height}\"/>")?;
        }
        let halves = [
            (true, received, self.caps.max_in_bytes_per_s),
            (false, sent, self.caps.max_out_bytes_per_s),
        ];
        for (up, layers, cap) in halves {
            let area = Area {
                width: WIDTH,
                base: HALF,
                height: HALF,
                up,
                peak,
            };
            area.draw(f, &layers)?;
            if (1..=peak).contains(&cap) {
                write!(f, "<path class=\"cap\" d=\"M0 {}H{WIDTH}\"/>", area.y(cap))?;
            }
        }
        write!(f, "<path class=\"axis\" d=\"M0 {HALF}H{WIDTH}\"/></svg>")?;
        if let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) {
            write!(
                f,
                "<p class=\"scale\"><span>{}</span><span>each half {}</span><span>{}</span></p>",
                absolute(first.time_ms),
                self.scale(),
                absolute(last.time_ms)
            )?;
        }
        Ok(())
    }
}

/// Numbers and fixed words only.
impl HtmlSafe for NetworksChart<'_> {}

impl FastWritable for NetworksChart<'_> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Ways;

    fn samples() -> Vec<TrafficSample> {
        let carried = |in_bytes, out_bytes| Traffic {
            in_bytes,
            out_bytes,
        };
        (0..3)
            .map(|at| TrafficSample {
                time_ms: 5_000 * at,
                ways: Ways {
                    peers: carried(5_000 * at, 0),
                    torrent: carried(0, 10_000),
                    ..Ways::default()
                },
                ..TrafficSample::default()
            })
            .collect()
    }

    #[test]
    fn networks_without_bytes_are_not_drawn_and_rates_are_of_a_second() {
        let samples = samples();
        let chart = NetworksChart::new(&samples, Caps::default());
        let svg = chart.to_string();
        assert!(svg.contains("w-iroh") && svg.contains("w-torrent"));
        assert!(!svg.contains("w-http") && !svg.contains("w-relay") && !svg.contains("cap"));
        let carried = chart.carried();
        assert_eq!(carried[0].now.in_bytes, 2_000);
        assert_eq!(carried[0].bytes.in_bytes, 15_000);
        assert_eq!(
            (carried[3].network, carried[3].bytes.out_bytes),
            ("torrent", 30_000)
        );
        assert_eq!(chart.scale(), "1.9 KiB/s");
    }

    #[test]
    fn a_cap_is_a_line_where_it_is_within_reach() {
        let samples = samples();
        let line = |max_out_bytes_per_s| {
            let caps = Caps {
                max_out_bytes_per_s,
                ..Caps::default()
            };
            NetworksChart::new(&samples, caps)
                .to_string()
                .contains("class=\"cap\"")
        };
        assert!(line(1_000) && line(2_000));
        assert!(!line(2_001) && !line(0));
    }

    #[test]
    fn no_samples_draw_an_empty_chart() {
        let chart = NetworksChart::new(&[], Caps::default());
        assert!(chart.carried().is_empty());
        assert!(chart.to_string().ends_with("</svg>"));
    }
}
