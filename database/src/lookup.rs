//! Rows found by their table, and by the key of another row.

use std::ops::ControlFlow;

use model::{EntryId, IdentityId, Row, SpaceId};

use crate::{
    DatabaseError, Reader,
    record::{Num, Record, Shown, decode},
    rows::{key_of, key_prefix_of, table_prefix, winner},
    store::Tree,
    txn::{scan, scan_with},
};

impl Reader<'_> {
    /// The rows of a table that count, in every space: of many, the `limit` that came here last,
    /// the newest first. Looks at every entry held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn rows_anywhere(&self, table: &str, limit: usize) -> Result<Vec<EntryId>, DatabaseError> {
        let mut found = Vec::new();
        let mut damaged = None;
        scan_with(
            &*self.view,
            Tree::Records,
            &[],
            None,
            true,
            &mut |_, value| {
                match decode::<Record>("record", value) {
                    Ok(record) if record.shown == Shown::Counted && *record.table == *table => {
                        found.push(record.id);
                    }
                    Ok(_) => {}
                    Err(error) => damaged = Some(error),
                }
                if damaged.is_some() || found.len() >= limit {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        )?;
        damaged.map_or(Ok(found), Err)
    }

    /// The rows of a keyed table of a space, also those that others took the place of: of each key
    /// the newest first, of all at most `limit`.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn rows_ever(
        &self,
        space: &SpaceId,
        table: &str,
        limit: usize,
    ) -> Result<Vec<(EntryId, Row)>, DatabaseError> {
        let prefix = table_prefix(space, table);
        let mut rows = Vec::new();
        for (_, num) in scan(&*self.view, Tree::Keyed, &prefix, true, limit)? {
            let num: Num = decode("number", &num)?;
            let id = self.record(num)?.id;
            rows.extend(self.row_by_num(num)?.map(|row| (id, row)));
        }
        Ok(rows)
    }

    /// The row that counts among those with the key of this one: itself, unless another took its
    /// place. None where its table has no key, or its content isn't held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn current(&self, id: &EntryId) -> Result<Option<EntryId>, DatabaseError> {
        let Some((num, record)) = self.record_of(id)? else {
            return Ok(None);
        };
        let (Some(info), Some(row)) = (self.space(&record.space)?, self.row_by_num(num)?) else {
            return Ok(None);
        };
        let table = info.schema.table(&record.table);
        let Some(prefix) = table.and_then(|table| key_of(table, &record, &row)) else {
            return Ok(None);
        };
        let counts = winner(&*self.view, &prefix)?;
        counts.map(|num| Ok(self.record(num)?.id)).transpose()
    }

    /// The row of an author that counts under the key that `row` has in a table of a space.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn counting(
        &self,
        space: &SpaceId,
        table: &str,
        author: &IdentityId,
        row: &Row,
    ) -> Result<Option<EntryId>, DatabaseError> {
        let Some(info) = self.space(space)? else {
            return Ok(None);
        };
        let Some(prefix) = info
            .schema
            .table(table)
            .and_then(|table| key_prefix_of(table, space, author, row))
        else {
            return Ok(None);
        };
        let counts = winner(&*self.view, &prefix)?;
        counts.map(|num| Ok(self.record(num)?.id)).transpose()
    }
}
