//! Where the bytes of a blob came from, second by second, until some minutes after.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::BlobId;

use super::source::{Share, ShareState, SourceLabel};

/// Sources remembered of a blob.
const SOURCES: usize = 128;
/// Blobs remembered.
const BLOBS: usize = 256;
/// Seconds of history of a source.
const HISTORY_S: u64 = 60;
/// Seconds for which a blob is remembered after its last byte.
const REMEMBERED_S: u64 = 300;
/// Seconds over which the present rate is taken.
const RATE_S: u64 = 3;

/// What is remembered of all blobs.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<BTreeMap<BlobId, Sources>>);

#[derive(Debug, Default)]
struct Sources {
    of: BTreeMap<SourceLabel, Seen>,
    last_s: u64,
}

struct Seen {
    bytes: u64,
    state: ShareState,
    /// Bytes of the seconds that had any.
    seconds: BTreeMap<u64, u64>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {:?}", self.bytes, self.state)
    }
}

impl Shares {
    /// Notes what a source is doing.
    pub(super) fn state(&self, blob: BlobId, source: &SourceLabel, state: ShareState, now_s: u64) {
        let mut blobs = self.lock();
        let Some(seen) = seen(&mut blobs, blob, source, now_s) else {
            return;
        };
        // What was banned or is gone for good doesn't become a lesser fault at the end.
        if seen.state != ShareState::Banned {
            seen.state = state;
        }
    }

    /// Counts verified bytes of a source.
    pub(super) fn came(&self, blob: BlobId, source: &SourceLabel, bytes: u64, now_s: u64) {
        let mut blobs = self.lock();
        let Some(seen) = seen(&mut blobs, blob, source, now_s) else {
            return;
        };
        seen.bytes += bytes;
        *seen.seconds.entry(now_s).or_default() += bytes;
        let oldest_s = (now_s + 1).saturating_sub(HISTORY_S);
        seen.seconds = seen.seconds.split_off(&oldest_s);
    }

    /// What is known of a blob, those that gave most first.
    pub(super) fn of(&self, blob: BlobId, now_s: u64) -> Vec<Share> {
        let mut blobs = self.lock();
        forget_old(&mut blobs, now_s);
        let Some(sources) = blobs.get(&blob) else {
            return Vec::new();
        };
        let mut shares: Vec<Share> = sources
            .of
            .iter()
            .map(|(label, seen)| seen.share(label, now_s))
            .collect();
        shares.sort_by_key(|share| std::cmp::Reverse(share.bytes));
        shares
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BlobId, Sources>> {
        // A half-made note only costs a figure on a page.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen<'a>(
    blobs: &'a mut BTreeMap<BlobId, Sources>,
    blob: BlobId,
    source: &SourceLabel,
    now_s: u64,
) -> Option<&'a mut Seen> {
    if !blobs.contains_key(&blob) && blobs.len() >= BLOBS {
        forget_old(blobs, now_s);
        if blobs.len() >= BLOBS {
            let oldest = blobs.iter().min_by_key(|(_, sources)| sources.last_s);
            let oldest = oldest.map(|(blob, _)| *blob)?;
            blobs.remove(&oldest);
        }
    }
    let sources = blobs.entry(blob).or_default();
    sources.last_s = now_s;
    if !sources.of.contains_key(source) && sources.of.len() >= SOURCES {
        return None;
    }
    Some(sources.of.entry(source.clone()).or_insert_with(|| Seen {
        bytes: 0,
        state: ShareState::Connecting,
        seconds: BTreeMap::new(),
    }))
}

fn forget_old(blobs: &mut BTreeMap<BlobId, Sources>, now_s: u64) {
    blobs.retain(|_, sources| sources.last_s + REMEMBERED_S >= now_s);
}

impl Seen {
    fn share(&self, label: &SourceLabel, now_s: u64) -> Share {
        let bytes_at = |second: u64| self.seconds.get(&second).copied().unwrap_or(0);
        let from_s = self.seconds.keys().next().copied().unwrap_or(now_s);
        let from_s = from_s.max((now_s + 1).saturating_sub(HISTORY_S));
        let rate_from_s = now_s.saturating_sub(RATE_S);
        // The present second has only begun.
        let recent: u64 = (rate_from_s..now_s).map(bytes_at).sum();
        let counted_s = now_s.saturating_sub(from_s).clamp(1, RATE_S);
        let recent = if now_s <= from_s {
            bytes_at(now_s)
        } else {
            recent
        };
        Share {
            source: label.clone(),
            bytes: self.bytes,
            bytes_per_s: recent / counted_s,
            state: self.state,
            history: (from_s..=now_s).map(bytes_at).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::fetch::source::SourceKind;

    fn label(name: &str) -> SourceLabel {
        SourceLabel {
            kind: SourceKind::Peer,
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_chart_has_each_second_of_the_last_minute_and_no_more() {
        let shares = Shares::default();
        let blob = BlobId::of(b"blob");
        for second in 0..100 {
            shares.came(blob, &label("a"), 10, second);
        }
        shares.came(blob, &label("b"), 1, 99);
        let found = shares.of(blob, 99);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].bytes, found[0].bytes_per_s), (1000, 10));
        assert_eq!(found[0].history, vec![10; 60]);
        assert_eq!(found[1].history, [1]);
        let later = shares.of(blob, 110);
        assert_eq!((later[0].bytes, later[0].bytes_per_s), (1000, 0));
        assert_eq!(later[0].history.len(), 60);
    }

    #[test]
    fn a_blob_is_forgotten_after_some_minutes_and_a_ban_is_not_taken_back() {
        let shares = Shares::default();
        let blob = BlobId::of(b"blob");
        shares.state(blob, &label("a"), ShareState::Banned, 5);
        shares.state(blob, &label("a"), ShareState::Gone, 6);
        assert_eq!(shares.of(blob, 6)[0].state, ShareState::Banned);
        assert_eq!(shares.of(blob, 6 + REMEMBERED_S).len(), 1);
        assert_eq!(shares.of(blob, 7 + REMEMBERED_S), []);
        for n in 0..2 * BLOBS as u64 {
            let blob = BlobId::of(&n.to_le_bytes());
            shares.came(blob, &label("a"), 1, 1000);
        }
        assert!(shares.lock().len() <= BLOBS);
    }
}
