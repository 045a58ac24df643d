//! Why the database can't do what was asked.

use model::EntryId;
use thiserror::Error;

use crate::store::StoreError;

/// Why a call failed. Bad entries are no failures: see [`crate::Outcome`].
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The store below.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Derived state that can't be read.
    #[error("the stored {what} can't be read; `datt verify` says more, a rebuild mends it")]
    Damaged {
        /// What kind of record.
        what: &'static str,
    },
    /// Not held.
    #[error("entry {0} is not held here")]
    NotHeld(EntryId),
    /// Bytes that are not the entry's payload.
    #[error("these bytes are not the payload of entry {0}")]
    OtherPayload(EntryId),
    /// Roles and rules stay.
    #[error("entry {0} belongs to an authority log, whose payloads can't be erased")]
    AuthorityPayload(EntryId),
    /// A cursor that this list didn't give.
    #[error("this is no cursor of this list")]
    Cursor,
}

/// Why a database can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store below, or its content.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Written by a newer version.
    #[error(
        "the database has format {found}, this version of datt knows {known}; use the newer version (nothing was changed)"
    )]
    Newer {
        /// On disk.
        found: u32,
        /// Newest that this version knows.
        known: u32,
    },
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Database(error.into())
    }
}
