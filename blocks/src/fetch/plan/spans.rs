//! Sets of groups as runs without gaps.

use std::{collections::BTreeMap, ops::Range};

/// Groups of 16 KiB, by number.
pub(crate) type Groups = Range<u64>;

/// A set of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans {
    /// First group of each run, and the group after its last.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Spans {
    /// One run.
    pub(crate) fn one(span: Groups) -> Self {
        let mut spans = Self::default();
        spans.insert(span);
        spans
    }

    /// How many groups.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn contains(&self, group: u64) -> bool {
        let run = self.runs.range(..=group).next_back();
        run.is_some_and(|(_, end)| *end > group)
    }

    /// Whether every group of `span` is in it.
    pub(crate) fn covers(&self, span: &Groups) -> bool {
        self.gaps(span).next().is_none()
    }

    pub(crate) fn insert(&mut self, span: Groups) {
        if span.is_empty() {
            return;
        }
        let (mut start, mut end) = (span.start, span.end);
        // Everything that overlaps or touches becomes one run.
        while let Some((at, until)) = self.runs.range(..=end).next_back() {
            let (at, until) = (*at, *until);
            if until < start {
                break;
            }
            self.runs.remove(&at);
            self.count -= until - at;
            start = start.min(at);
            end = end.max(until);
        }
        self.runs.insert(start, end);
        self.count += end - start;
    }

    pub(crate) fn remove(&mut self, span: Groups) {
        if span.is_empty() {
            return;
        }
        while let Some((at, until)) = self.runs.range(..span.end).next_back() {
            let (at, until) = (*at, *until);
            if until <= span.start {
                break;
            }
            self.runs.remove(&at);
            self.count -= until - at;
            for rest in [at..span.start.min(until), span.end.max(at)..until] {
                if !rest.is_empty() {
                    self.count += rest.end - rest.start;
                    self.runs.insert(rest.start, rest.end);
                }
            }
        }
    }

    /// The runs inside of `span`, clipped to it, in order.
    pub(crate) fn runs(&self, span: &Groups) -> impl Iterator<Item = Groups> + '_ {
        let (start, end) = (span.start, span.end);
        let before = self.runs.range(..start).next_back();
        let from = self.runs.range(start..end.max(start));
        before
            .into_iter()
            .chain(from)
            .map(move |(at, until)| (*at).max(start)..(*until).min(end))
            .filter(|run| run.start < run.end)
    }

    /// All runs, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Groups> + '_ {
        self.runs.iter().map(|(at, until)| *at..*until)
    }

    /// The runs of `span` that are not in it, in order.
    pub(crate) fn gaps(&self, span: &Groups) -> impl Iterator<Item = Groups> + '_ {
        let end = span.end;
        let mut at = span.start;
        let mut runs = self.runs(span);
        let mut is_over = span.is_empty();
        std::iter::from_fn(move || {
            while !is_over {
                let gap = match runs.next() {
                    Some(run) => {
                        let gap = at..run.start;
                        at = run.end;
                        gap
                    }
                    None => {
                        is_over = true;
                        at..end
                    }
                };
                if !gap.is_empty() {
                    return Some(gap);
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng as _, SeedableRng as _},
    };

    use super::*;

    #[test]
    fn spans_agree_with_a_set_of_numbers() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let (mut spans, mut model) = (Spans::default(), BTreeSet::new());
            for _ in 0..40 {
                let start = u64::from(random.next_u32() % 60);
                let span = start..start + u64::from(random.next_u32() % 12);
                if random.next_u32() % 3 > 0 {
                    spans.insert(span.clone());
                    model.extend(span.clone());
                } else {
                    spans.remove(span.clone());
                    model.retain(|group| !span.contains(group));
                }
                assert_eq!(spans.count(), model.len() as u64);
                let listed: Vec<u64> = spans.all().flatten().collect();
                assert!(listed.iter().eq(model.iter()), "{spans:?}");
                assert!(
                    spans
                        .all()
                        .zip(spans.all().skip(1))
                        .all(|(a, b)| a.end < b.start)
                );
                let window = 10..50;
                let inside: Vec<u64> = spans.runs(&window).flatten().collect();
                let outside: Vec<u64> = spans.gaps(&window).flatten().collect();
                assert!(inside.iter().eq(model.range(10..50)));
                assert!(outside.iter().all(|group| !model.contains(group)));
                assert_eq!(inside.len() + outside.len(), 40);
                assert_eq!(
                    spans.covers(&span),
                    span.clone().all(|g| model.contains(&g))
                );
                assert_eq!(spans.contains(start), model.contains(&start));
            }
        }
    }
}
