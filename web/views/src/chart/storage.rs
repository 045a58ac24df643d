//! What fills the quota: one bar, its parts side by side.

use std::fmt;

use askama::FastWritable;
use askama::filters::HtmlSafe;

use crate::amount;
use crate::data::MirrorQuota;

const WIDTH: u64 = 720;
const HEIGHT: u64 = 18;

/// The bar of a quota.
#[derive(Clone, Copy, Debug)]
pub struct StorageBar<'a> {
    quota: &'a MirrorQuota,
}

/// A part of the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoragePart {
    /// Word of the stylesheet.
    pub word: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// Bytes on disk.
    pub bytes: u64,
}

impl<'a> StorageBar<'a> {
    /// Of a quota.
    #[must_use]
    pub fn new(quota: &'a MirrorQuota) -> Self {
        Self { quota }
    }

    /// What fills it; what no part counts is `other`.
    #[must_use]
    pub fn parts(&self) -> [StoragePart; 5] {
        let part = |word, name, bytes| StoragePart { word, name, bytes };
        let quota = self.quota;
        let named = [
            quota.entries_bytes,
            quota.pinned_bytes,
            quota.mirrored_bytes,
            quota.cached_bytes,
        ];
        let named = named.into_iter().fold(0, u64::saturating_add);
        [
            part("entries", "Entries", quota.entries_bytes),
            part("pinned", "Pinned and own media", quota.pinned_bytes),
            part("mirrored", "Mirrored by rules", quota.mirrored_bytes),
            part("cached", "Cache", quota.cached_bytes),
            part(
                "other",
                "Other files",
                quota.used_bytes.saturating_sub(named),
            ),
        ]
    }

    /// Bytes that may still come: of the quota, and of the disk.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        let quota = self.quota;
        let within = quota.max_bytes.saturating_sub(quota.used_bytes);
        within.min(quota.disk_free_bytes)
    }
}

impl fmt::Display for StorageBar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.quota.max_bytes.max(self.quota.used_bytes).max(1);
        write!(
            f,
            "<svg class=\"chart bar\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
             role=\"img\" aria-label=\"{} of {} used\">",
            amount::bytes(self.quota.used_bytes),
            amount::bytes(self.quota.max_bytes)
        )?;
        let mut before = 0u64;
        for part in self.parts() {
            let after = before.saturating_add(part.bytes);
            let (from, to) = (place(before, whole), place(after, whole));
            if part.bytes > 0 && from < WIDTH {
                // The smallest part is seen too.
                let width = (to - from).max(1);
                write!(
                    f,
                    "<rect class=\"q-{}\" x=\"{from}\" width=\"{width}\" height=\"{HEIGHT}\"/>",
                    part.word
                )?;
            }
            before = after;
        }
        f.write_str("</svg>")
    }
}

fn place(bytes: u64, whole: u64) -> u64 {
    let at = u128::from(bytes) * u128::from(WIDTH) / u128::from(whole);
    u64::try_from(at).unwrap_or(WIDTH).min(WIDTH)
}

/// Numbers and fixed words only.
impl HtmlSafe for StorageBar<'_> {}

impl FastWritable for StorageBar<'_> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_what_is_used_and_no_more() {
        let quota = MirrorQuota {
            used_bytes: 500,
            max_bytes: 1_000,
            disk_free_bytes: 300,
            entries_bytes: 100,
            pinned_bytes: 300,
            mirrored_bytes: 0,
            cached_bytes: 50,
        };
        let bar = StorageBar::new(&quota);
        assert_eq!(bar.parts()[4].bytes, 50);
        assert_eq!(bar.free_bytes(), 300, "the disk is nearer than the quota");
        let svg = bar.to_string();
        assert!(svg.contains("class=\"q-pinned\" x=\"72\" width=\"216\""));
        assert!(!svg.contains("q-mirrored"));
        let full = MirrorQuota {
            cached_bytes: u64::MAX,
            used_bytes: u64::MAX,
            ..quota
        };
        assert_eq!(StorageBar::new(&full).free_bytes(), 0);
        assert!(StorageBar::new(&full).to_string().ends_with("</svg>"));
    }
}
