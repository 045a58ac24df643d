//! What changed, in order, for those who follow: a cursor resumes exactly where it was left.

use std::{fmt, str::FromStr};

use model::{EntryId, SpaceId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// A row is there.
    Insert,
    /// A row took the place of another with the same key.
    Update,
    /// A row no longer counts.
    Void,
    /// A row counts again.
    Unvoid,
    /// A row's content is gone for good on this node.
    Purge,
    /// A space has another schema.
    Schema,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Where it stands in the stream.
    pub cursor: Cursor,
    /// What happened.
    pub kind: EventKind,
    /// The row.
    pub entry: EntryId,
    /// Its space.
    pub space: SpaceId,
    /// Its thread; a first post names itself, authority rows have none.
    pub root: Option<EntryId>,
    /// Its table.
    pub table: String,
}

/// A place in the stream: after the event with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Changes when the stream starts afresh.
    pub epoch: u64,
    /// Number of the last event seen, from 1; 0 before the first.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.epoch, self.seq)
    }
}

/// Not two hexadecimal numbers with a dash between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an event cursor")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (epoch, seq) = text.split_once('-').ok_or(CursorError)?;
        let number = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| CursorError);
        Ok(Self {
            epoch: number(epoch)?,
            seq: number(seq)?,
        })
    }
}

/// Events after a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Where to go on.
    pub next: Cursor,
    /// The cursor asked for can't be resumed (another epoch, or too old): `next` is now.
    pub reset: bool,
}
