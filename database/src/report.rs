//! What became of a batch.

use std::collections::BTreeSet;

use model::EntryId;

use crate::{Event, Missing, Reason, Scope, Verdict};

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// New and counted (or, without its payload, held as a header).
    Valid,
    /// New; waits for these.
    Pending {
        /// What to fetch. May be empty: then what it waits for is held and waits itself.
        missing: Vec<Missing>,
    },
    /// New; its time is too far ahead of the clock.
    Held {
        /// When it may be looked at again, by the own clock.
        until_ms: u64,
    },
    /// New; from a fork on.
    Disputed,
    /// New; cut off.
    Void,
    /// New; breaks a rule.
    Invalid(Reason),
    /// Not stored: a budget is used up. Says nothing about validity.
    Refused(Budget),
    /// Known before; nothing changed.
    Duplicate(Verdict),
    /// Known before; its payload is new.
    Completed(Verdict),
}

impl Outcome {
    /// Whether the entry itself was new and is now stored.
    pub fn is_new(&self) -> bool {
        !matches!(
            self,
            Self::Refused(_) | Self::Duplicate(_) | Self::Completed(_)
        )
    }
}

/// Which budget was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Bytes of this author on this board.
    AuthorInSpace,
    /// Bytes of all authors on this board.
    Space,
    /// Bytes of this author that wait.
    Waiting,
    /// Bytes of unknown identities that wait.
    Unknown,
    /// Bytes of entries whose author or space is none.
    Stray,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// One for each entry given, in that order.
    pub outcomes: Vec<(EntryId, Outcome)>,
    /// Earlier entries that this batch settled.
    pub promoted: Vec<(EntryId, Verdict)>,
    /// Forks that came to light.
    pub forks: Vec<crate::Equivocation>,
    /// Threads and authority logs whose set of entries changed.
    pub changed: BTreeSet<Scope>,
    /// Changes, already stored.
    pub events: Vec<Event>,
}
