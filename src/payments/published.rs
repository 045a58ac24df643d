//! Payment keys that an identity published, now or earlier: what was paid to an older one was paid.

use database::{DatabaseError, Reader};
use model::{EntryId, IdentityId};

use super::facts::KeyRow;

/// Payments received that one answer lists: of more, the newest.
pub const RECEIVED: usize = 10_000;
/// Rows looked at for one identity.
const ROWS: usize = 1_000;

/// A key as a row published it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The row.
    pub row: EntryId,
    /// What it says.
    pub key: KeyRow,
    /// When, by its author's clock, Unix milliseconds.
    pub time_ms: u64,
}

/// Every payment key that an identity ever published, as far as its rows are held and count: the
/// newest first.
///
/// # Errors
/// When the store can't be read.
pub fn keys_ever(
    reader: &Reader<'_>,
    identity: &IdentityId,
) -> Result<Vec<Published>, DatabaseError> {
    let mut found = Vec::new();
    for (row, columns) in reader.rows_ever(&identity.space(), "payment_key", ROWS)? {
        let key = KeyRow::read(*identity, &columns).filter(|key| !key.off);
        if let Some(key) = key {
            let time_ms = reader.state(&row)?.map_or(0, |state| state.time_ms);
            found.push(Published { row, key, time_ms });
        }
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.time_ms));
    Ok(found)
}
