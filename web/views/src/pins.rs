//! What is pinned here, and what was asked of mirrors.

use askama::Template;

use crate::amount;
use crate::data::{MirrorStatus, MissingBlob, Pin, PinAsked};
use crate::frame::Frame;
use crate::text::short_id;

/// Missing files that the page lists; there may be many more.
const MISSING: usize = 100;

/// Promises: made, held, missing.
#[derive(Debug, Template)]
#[template(path = "pins.html")]
pub struct PinsPage<'a> {
    /// Frame.
    pub frame: &'a Frame,
    /// Pins.
    pub pins: &'a [Pin],
    /// Sums over pins, requests and rules, where they are known.
    pub mirror: Option<&'a MirrorStatus>,
    /// What was asked, by this node and of it.
    pub asked: &'a [PinAsked],
}

impl PinsPage<'_> {
    fn ours(&self) -> Vec<&PinAsked> {
        self.asked.iter().filter(|one| one.is_ours).collect()
    }

    fn missing(&self) -> &[MissingBlob] {
        let blobs = self.mirror.map_or(&[][..], |mirror| &mirror.missing_blobs);
        blobs.get(..MISSING).unwrap_or(blobs)
    }

    fn theirs(&self) -> Vec<&PinAsked> {
        self.asked.iter().filter(|one| !one.is_ours).collect()
    }
}

impl Pin {
    /// Page of what is pinned.
    #[must_use]
    pub fn path(&self) -> String {
        let id = &self.id;
        match self.kind.as_str() {
            "thread" => format!("/t/{id}"),
            "space" => format!("/s/{id}"),
            "identity" => format!("/@{id}"),
            _ => format!("/ipfs/{id}"),
        }
    }

    /// Share of what is promised that is held, in percent; 100 only when all of it is.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let percent = amount::percent(self.held_bytes, self.promised());
        if self.is_lacking() {
            percent.min(99)
        } else {
            percent
        }
    }

    /// Bytes promised: all of it where no limit says less.
    fn promised(&self) -> u64 {
        match self.promised_bytes {
            0 => self.total_bytes,
            bytes => bytes,
        }
    }

    /// Something that was promised is not here.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        self.missing > 0 || self.held_bytes < self.promised()
    }

    /// `700 MiB of 1 GiB held`, with the limit where it leaves something out.
    #[must_use]
    pub fn words(&self) -> String {
        let held = amount::bytes(self.held_bytes);
        let promised = self.promised();
        let mut words = format!("{held} of {} held", amount::bytes(promised));
        if promised < self.total_bytes {
            let all = amount::bytes(self.total_bytes);
            words.push_str(&format!(" (its limit leaves out the rest of {all})"));
        }
        words
    }

    /// What is missing: `1 file missing, 300 MiB`.
    #[must_use]
    pub fn lacking_words(&self) -> String {
        let bytes = self.promised().saturating_sub(self.held_bytes);
        let files = match self.missing {
            0 => "Missing".to_owned(),
            n => format!("{} missing", amount::count(n, "file", "files")),
        };
        format!("{files}, {}", amount::bytes(bytes))
    }
}

impl MissingBlob {
    /// `rule 2`, or the shortened id of a pin.
    #[must_use]
    pub fn promised_by(&self) -> String {
        match self.promise.starts_with("rule ") {
            true => self.promise.clone(),
            false => short_id(&self.promise),
        }
    }

    /// Who has it, in words.
    #[must_use]
    pub fn holders(&self) -> String {
        match self.held_by.len() as u64 {
            0 => "nobody known".to_owned(),
            holders => amount::count(holders, "other node", "other nodes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(held_bytes: u64, promised_bytes: u64, total_bytes: u64, missing: u64) -> Pin {
        Pin {
            id: "bafk".to_owned(),
            kind: "blob".to_owned(),
            media: "all".to_owned(),
            max_bytes: None,
            held_bytes,
            total_bytes,
            since_ms: 0,
            promised_bytes,
            missing,
            missing_since_ms: None,
            asked_by: None,
        }
    }

    #[test]
    fn a_pin_is_whole_only_when_all_that_was_promised_is_held() {
        let table = [
            (pin(100, 100, 100, 0), 100, false, "100 B of 100 B held"),
            (pin(999, 1_000, 1_000, 1), 99, true, "999 B of 1000 B held"),
            // Sizes that were claimed too small don't make it whole.
            (pin(100, 100, 100, 2), 99, true, "100 B of 100 B held"),
            (pin(0, 0, 0, 1), 0, true, "0 B of 0 B held"),
            (
                pin(50, 50, 100, 0),
                100,
                false,
                "50 B of 50 B held (its limit leaves out the rest of 100 B)",
            ),
        ];
        for (pin, percent, lacking, words) in table {
            assert_eq!(
                (pin.percent(), pin.is_lacking(), pin.words().as_str()),
                (percent, lacking, words)
            );
        }
        assert_eq!(pin(1, 3, 3, 2).lacking_words(), "2 files missing, 2 B");
    }
}
