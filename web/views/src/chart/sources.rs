//! Where the bytes of a file came from: its sources upon one another, second by second.

use std::fmt;

use askama::FastWritable;
use askama::filters::HtmlSafe;

use super::layers::{Area, Layer, peak};
use crate::amount;
use crate::data::{Share, ShareKind, ShareState};
use crate::text::visible;

const WIDTH: u64 = 480;
const HEIGHT: u64 = 64;
/// Sources drawn and listed one by one; the others of their kind are one more.
const SHOWN: usize = 8;
/// The chart spans at least so many seconds.
const SECONDS: usize = 30;
/// Shades of one kind, as opacity in percent.
const SHADES: [u32; 4] = [100, 72, 50, 34];

/// The sources of one file.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    blob: &'a str,
    shares: Vec<&'a Share>,
}

/// A source as the legend lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// Kind, for the stylesheet.
    pub kind: &'static str,
    /// Opacity of its colour.
    pub opacity: String,
    /// Who.
    pub label: String,
    /// What it is.
    pub what: &'static str,
    /// Verified bytes.
    pub bytes: u64,
    /// Its share of all bytes.
    pub percent: u64,
    /// Rate now, or how it is doing.
    pub now: String,
    /// It did wrong.
    pub is_bad: bool,
}

impl<'a> Sources<'a> {
    /// Of a blob; the order is by bytes.
    #[must_use]
    pub fn new(blob: &'a str, shares: &'a [Share]) -> Self {
        let mut shares: Vec<_> = shares.iter().collect();
        shares.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.label.cmp(&b.label)));
        Self { blob, shares }
    }

    /// Blob CID.
    #[must_use]
    pub fn blob(&self) -> &str {
        self.blob
    }

    /// Nothing came lately.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Bytes are coming now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.shares.iter().any(|share| {
            share.bytes_per_s > 0
                || matches!(share.state, ShareState::Active | ShareState::Connecting)
        })
    }

    /// `1.2 GiB from 4 sources · 31 MiB/s`.
    #[must_use]
    pub fn words(&self) -> String {
        let gave = self.shares.iter().filter(|share| share.bytes > 0).count();
        let from = amount::count(gave as u64, "source", "sources");
        let mut words = format!("{} from {from}", amount::bytes(self.bytes()));
        let rate = total(self.shares.iter().map(|share| share.bytes_per_s));
        if rate > 0 {
            words.push_str(&format!(" · {}/s", amount::bytes(rate)));
        }
        words
    }

    fn bytes(&self) -> u64 {
        total(self.shares.iter().map(|share| share.bytes))
    }

    /// The legend: the largest sources, then the rest together.
    #[must_use]
    pub fn lines(&self) -> Vec<SourceLine> {
        let all = self.bytes();
        let mut lines = Vec::new();
        for (share, shade) in self.shown() {
            lines.push(SourceLine {
                kind: share.kind.word(),
                opacity: opacity(shade),
                label: visible(&share.label).into_owned(),
                what: share.kind.what(),
                bytes: share.bytes,
                percent: amount::percent(share.bytes, all),
                now: share.doing(),
                is_bad: share.state == ShareState::Banned,
            });
        }
        let rest = self.rest();
        if !rest.is_empty() {
            let bytes = total(rest.iter().map(|share| share.bytes));
            let rate = total(rest.iter().map(|share| share.bytes_per_s));
            lines.push(SourceLine {
                kind: "rest",
                opacity: opacity(SHADES[0]),
                label: amount::count(rest.len() as u64, "other", "others"),
                what: "",
                bytes,
                percent: amount::percent(bytes, all),
                now: if rate > 0 {
                    format!("{}/s", amount::bytes(rate))
                } else {
                    String::new()
                },
                is_bad: false,
            });
        }
        lines
    }

    /// The largest, each with its shade among those of its kind.
    fn shown(&self) -> impl Iterator<Item = (&'a Share, u32)> {
        let shown = self.shares.iter().take(SHOWN);
        shown.enumerate().map(|(at, share)| {
            let before = self.shares[..at].iter();
            let same = before.filter(|other| other.kind == share.kind).count();
            (*share, SHADES[same.min(SHADES.len() - 1)])
        })
    }

    fn rest(&self) -> &[&'a Share] {
        self.shares.get(SHOWN..).unwrap_or_default()
    }

    fn layers(&self) -> Vec<Layer> {
        let mut layers: Vec<Layer> = self
            .shown()
            .map(|(share, shade)| Layer {
                mark: format!(
                    "class=\"s-{}\" fill-opacity=\"{}\"",
                    share.kind.word(),
                    opacity(shade)
                ),
                values: self.values(share),
            })
            .collect();
        let rest: Vec<_> = self.rest().iter().map(|share| self.values(share)).collect();
        let sum = |at: usize| total(rest.iter().filter_map(|values| values.get(at)).copied());
        layers.push(Layer {
            mark: "class=\"s-rest\"".to_owned(),
            values: (0..self.seconds()).map(sum).collect(),
        });
        layers
    }

    /// Seconds that the chart spans.
    fn seconds(&self) -> usize {
        let longest = self.shares.iter().map(|share| share.samples.len()).max();
        longest.unwrap_or(0).max(SECONDS)
    }

    /// A source's samples, with zeros before the first.
    fn values(&self, share: &Share) -> Vec<u64> {
        let mut values = vec![0; self.seconds() - share.samples.len()];
        values.extend_from_slice(&share.samples);
        values
    }
}

fn total(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

fn opacity(percent: u32) -> String {
    match percent {
        100 => "1".to_owned(),
        percent => format!(".{percent:02}"),
    }
}

impl ShareKind {
    fn word(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Swarm => "swarm",
            Self::Gateway => "gateway",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Peer => "node",
            Self::Swarm => "BitTorrent",
            Self::Gateway => "web gateway",
        }
    }
}

impl Share {
    /// Rate while bytes come, else how the source is doing.
    fn doing(&self) -> String {
        if self.bytes_per_s > 0 {
            return format!("{}/s", amount::bytes(self.bytes_per_s));
        }
        let words = match self.state {
            ShareState::Connecting => "connecting",
            ShareState::Active => "waiting for bytes",
            ShareState::Idle => "idle",
            ShareState::Suspended => "failed, tried again later",
            ShareState::Banned => "sent wrong bytes",
            ShareState::Gone => "done",
        };
        words.to_owned()
    }
}

impl fmt::Display for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers();
        let area = Area {
            width: WIDTH,
            base: HEIGHT,
            height: HEIGHT,
            up: true,
            peak: peak(&layers),
        };
        write!(
            f,
            "<svg class=\"chart low\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
             role=\"img\" aria-label=\"Bytes by source: {}, at most {} in a second\">",
            self.words(),
            amount::bytes(area.peak)
        )?;
        area.draw(f, &layers)?;
        f.write_str("</svg>")
    }
}

/// Numbers and fixed words only: labels are in the legend, which escapes them.
impl HtmlSafe for Sources<'_> {}

impl FastWritable for Sources<'_> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(label: &str, kind: ShareKind, bytes: u64, samples: &[u64]) -> Share {
        Share {
            label: label.to_owned(),
            kind,
            bytes,
            bytes_per_s: samples.last().copied().unwrap_or(0),
            state: ShareState::Active,
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn sources_are_listed_by_what_they_gave() {
        let shares = [
            share("slow", ShareKind::Gateway, 10, &[10, 0]),
            share("fast", ShareKind::Peer, 60, &[30, 30]),
            share("swarm", ShareKind::Swarm, 30, &[0, 30]),
            share("other", ShareKind::Peer, 0, &[0, 0]),
        ];
        let sources = Sources::new("bafk", &shares);
        let lines: Vec<_> = sources
            .lines()
            .into_iter()
            .map(|line| (line.label, line.kind, line.opacity, line.percent, line.now))
            .collect();
        let row = |label: &str, kind, opacity: &str, percent, now: &str| {
            (
                label.to_owned(),
                kind,
                opacity.to_owned(),
                percent,
                now.to_owned(),
            )
        };
        assert_eq!(
            lines,
            [
                row("fast", "peer", "1", 60, "30 B/s"),
                row("swarm", "swarm", "1", 30, "30 B/s"),
                row("slow", "gateway", "1", 10, "waiting for bytes"),
                row("other", "peer", ".72", 0, "waiting for bytes"),
            ]
        );
        assert_eq!(sources.words(), "100 B from 3 sources · 60 B/s");
        assert!(sources.is_live());
    }

    #[test]
    fn many_sources_are_summed_up() {
        let shares: Vec<_> = (0..50)
            .map(|at| share(&format!("p{at:02}"), ShareKind::Swarm, 10, &[5, 5]))
            .collect();
        let sources = Sources::new("bafk", &shares);
        let lines = sources.lines();
        assert_eq!(lines.len(), SHOWN + 1);
        assert_eq!(
            (lines[SHOWN].label.as_str(), lines[SHOWN].bytes),
            ("42 others", 420)
        );
        assert_eq!(sources.to_string().matches("<path").count(), SHOWN + 1);
    }

    #[test]
    fn a_fetch_of_one_second_is_seen_at_the_end() {
        let shares = [share("quick", ShareKind::Peer, 9, &[9])];
        let svg = Sources::new("bafk", &shares).to_string();
        assert!(svg.contains("L463 64L480 0L480 64"), "{svg}");
    }

    #[test]
    fn what_ended_is_not_live() {
        let mut gone = share("gone", ShareKind::Peer, 5, &[5, 0]);
        gone.state = ShareState::Gone;
        assert!(!Sources::new("bafk", &[gone]).is_live());
        assert!(Sources::new("bafk", &[]).is_empty());
    }
}
