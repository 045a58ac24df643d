//! What the votes of a post or a thread add up to, kept up to date vote by vote.

use std::collections::BTreeSet;

use model::EntryId;
use views::data::{Paid, PaymentState};

use super::{facts::VoteFacts, sums::VoteSum};

/// What one vote adds to the totals of its post and its thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// What counts.
    pub(super) sats: u64,
    pending_sats: u64,
    kind: Kind,
}

/// What a vote is counted as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Nothing is known of a payment, but what anybody could have invented.
    #[default]
    None,
    /// Paid, or was.
    Paid,
    /// Paid, and doesn't count.
    Uncounted,
    /// Can't be judged here.
    Unchecked,
    /// Its proofs prove nothing.
    False,
}

impl Share {
    pub(super) fn of(sum: &VoteSum, facts: &VoteFacts) -> Self {
        let kind = match sum.state {
            PaymentState::Unpaid => Kind::None,
            PaymentState::Unchecked if sum.is_invented => Kind::None,
            PaymentState::Unchecked => Kind::Unchecked,
            PaymentState::False => Kind::False,
            _ if !facts.counts() => Kind::Uncounted,
            _ => Kind::Paid,
        };
        Self {
            sats: sum.counted_sats,
            pending_sats: sum.pending_sats,
            kind,
        }
    }
}

/// Votes that belong together, and their shares. Sums are wider than amounts, so that shares that
/// go leave what the others gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) votes: BTreeSet<EntryId>,
    sats: u128,
    pending_sats: u128,
    paid: u32,
    uncounted: u32,
    unchecked: u32,
    false_votes: u32,
}

impl Totals {
    fn count(&mut self, kind: Kind) -> Option<&mut u32> {
        match kind {
            Kind::None => None,
            Kind::Paid => Some(&mut self.paid),
            Kind::Uncounted => Some(&mut self.uncounted),
            Kind::Unchecked => Some(&mut self.unchecked),
            Kind::False => Some(&mut self.false_votes),
        }
    }

    /// A vote's share is another one now.
    pub(super) fn change(&mut self, before: Share, now: Share) {
        self.sats = (self.sats + u128::from(now.sats)).saturating_sub(before.sats.into());
        let pending_sats = self.pending_sats + u128::from(now.pending_sats);
        self.pending_sats = pending_sats.saturating_sub(before.pending_sats.into());
        if let Some(count) = self.count(now.kind) {
            *count = count.saturating_add(1);
        }
        if let Some(count) = self.count(before.kind) {
            *count = count.saturating_sub(1);
        }
    }

    /// None where nothing is to be said.
    pub(super) fn shown(&self) -> Option<Paid> {
        let votes = self.paid + self.uncounted + self.unchecked + self.false_votes;
        let sats = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
        (votes > 0).then(|| Paid {
            sats: sats(self.sats),
            pending_sats: sats(self.pending_sats),
            votes,
            false_votes: self.false_votes,
            unchecked_votes: self.unchecked,
            uncounted_votes: self.uncounted,
        })
    }
}
