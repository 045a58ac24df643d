//! Threads by what was verifiably paid for their posts, each payment weighed by who stands behind
//! it in the reader's follow graph: pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use model::{EntryId, IdentityId};
use thiserror::Error;

use super::index::Index;

/// Weights are sixteenths.
const WHOLE: u64 = 16;
/// Of a payer followed by somebody whom the reader follows.
const SECOND: u64 = 4;
/// Of anybody else.
const STRANGER: u64 = 1;
/// What begins a cursor.
const MARK: char = 's';
/// Hexadecimal digits of a sum in a cursor.
const SUM_DIGITS: usize = 16;

/// The reader's follow graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// The reader.
    pub me: Option<IdentityId>,
    /// Whom the reader follows.
    pub followed: BTreeSet<IdentityId>,
    /// Whom those follow.
    pub second: BTreeSet<IdentityId>,
}

impl Weights {
    /// Sixteenths that a payment counts for.
    pub fn of(&self, payer: &IdentityId) -> u64 {
        if self.followed.is_empty() || self.me == Some(*payer) || self.followed.contains(payer) {
            return WHOLE;
        }
        if self.second.contains(payer) {
            return SECOND;
        }
        STRANGER
    }
}

/// Threads with counted sats, the highest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    order: Vec<(Reverse<u64>, EntryId)>,
    roots: BTreeSet<EntryId>,
}

/// A text that is no place in a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a cursor of this list")]
pub struct NoPlace;

/// A place in the list: behind a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    sum: Reverse<u64>,
    root: EntryId,
}

impl Ranking {
    /// Of all threads with counted sats.
    pub fn new(index: &Index, weights: &Weights) -> Self {
        let mut sums = BTreeMap::<EntryId, u64>::new();
        for (root, voter, sats) in index.counted() {
            let of_thread = sums.entry(*root).or_default();
            *of_thread = of_thread.saturating_add(sats.saturating_mul(weights.of(voter)));
        }
        sums.retain(|_, sum| *sum > 0);
        let roots = sums.keys().copied().collect();
        let mut order: Vec<_> = sums
            .into_iter()
            .map(|(root, sum)| (Reverse(sum), root))
            .collect();
        order.sort_unstable();
        Self { order, roots }
    }

    /// Threads behind a place, each with its own.
    pub fn after(&self, place: Option<Place>) -> impl Iterator<Item = (EntryId, Place)> + '_ {
        let from = match place {
            Some(place) => self
                .order
                .partition_point(|at| *at <= (place.sum, place.root)),
            None => 0,
        };
        let rest = self.order[from..].iter();
        rest.map(|(sum, root)| {
            let place = Place {
                sum: *sum,
                root: *root,
            };
            (*root, place)
        })
    }

    /// Whether a thread has counted sats.
    pub fn contains(&self, root: &EntryId) -> bool {
        self.roots.contains(root)
    }
}

impl Place {
    /// As text, for the next page.
    pub fn cursor(&self) -> String {
        format!("{MARK}{:016x}{}", self.sum.0, self.root)
    }

    /// Reads a cursor; none when it belongs to the threads behind the ranking.
    ///
    /// # Errors
    /// When it is no place.
    pub fn read(cursor: &str) -> Result<Option<Self>, NoPlace> {
        let Some(rest) = cursor.strip_prefix(MARK) else {
            return Ok(None);
        };
        let (sum, root) = rest.split_at_checked(SUM_DIGITS).ok_or(NoPlace)?;
        Ok(Some(Self {
            sum: Reverse(u64::from_str_radix(sum, 16).map_err(|_| NoPlace)?),
            root: root.parse().map_err(|_| NoPlace)?,
        }))
    }
}
