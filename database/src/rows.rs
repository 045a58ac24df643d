//! Rows that come and go: keys whose last row counts, folds, events.

use std::sync::Arc;

use model::{DEVICE_TABLE, EntryId, IdentityId, Ipld, Row, SpaceId};

use crate::{
    DatabaseError, EventKind, SpaceInfo,
    authority::{IN_DISPUTE, NAMED},
    record::{Num, Record, Shown, decode, digest, encode, join},
    schema::{AUTHOR, Fold, Table},
    store::{StoreError, Tree, View},
    txn::{Txn, scan},
};

/// A row with what is known about its entry.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) num: Num,
    pub(crate) record: Record,
    pub(crate) row: Arc<Row>,
}

/// All rows of one keyed table.
pub(crate) fn table_prefix(space: &SpaceId, table: &str) -> [u8; 16] {
    digest(&[space.as_bytes(), table.as_bytes()])
}

/// Bytes that all rows with one key have in common.
pub(crate) const KEY_PREFIX_BYTES: usize = 32;

/// All rows with one key.
pub(crate) fn key_prefix(space: &SpaceId, table: &str, values: &[Vec<u8>]) -> Vec<u8> {
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    join(&[&table_prefix(space, table), &digest(&values)])
}

/// A key column's value as bytes.
pub(crate) fn key_value(value: &Ipld) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).expect("values of rows all have a CBOR form")
}

pub(crate) fn key_of(table: &Table, record: &Record, row: &Row) -> Option<Vec<u8>> {
    key_prefix_of(table, &record.space, &record.identity, row)
}

/// All rows with the key that this one has, if its table has keys.
pub(crate) fn key_prefix_of(
    table: &Table,
    space: &SpaceId,
    author: &IdentityId,
    row: &Row,
) -> Option<Vec<u8>> {
    let key = table.key.as_ref()?;
    let values: Vec<Vec<u8>> = key
        .iter()
        .map(|column| match row.get(column) {
            _ if column == AUTHOR => author.as_bytes().to_vec(),
            Some(value) => key_value(value),
            None => Vec::new(),
        })
        .collect();
    Some(key_prefix(space, &table.name, &values))
}

/// The row that counts among those with one key.
pub(crate) fn winner(view: &dyn View, prefix: &[u8]) -> Result<Option<Num>, DatabaseError> {
    match scan(view, Tree::Keyed, prefix, true, 1)?.first() {
        Some((_, num)) => decode("number", num).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn fold_key(of: &EntryId, fold: &str) -> Vec<u8> {
    join(&[of.as_bytes(), fold.as_bytes()])
}

pub(crate) fn fold_value(view: &dyn View, of: &EntryId, fold: &str) -> Result<i64, DatabaseError> {
    match view
        .get(Tree::Folds, &fold_key(of, fold))
        .map_err(DatabaseError::from)?
    {
        Some(bytes) => decode("fold", &bytes),
        None => Ok(0),
    }
}

/// An entry that a column links to.
pub(crate) fn link(row: &Row, column: &str) -> Option<EntryId> {
    match row.get(column) {
        Some(Ipld::Link(cid)) => EntryId::try_from(cid).ok(),
        _ => None,
    }
}

impl Txn<'_> {
    /// Tells everything derived that a row shows differently now.
    pub(crate) fn row_changed(
        &mut self,
        num: Num,
        record: &Record,
        before: Shown,
        after: Shown,
    ) -> Result<(), DatabaseError> {
        if *record.table == *DEVICE_TABLE {
            let state = match after {
                Shown::Counted => Some(NAMED),
                Shown::Disputed => Some(IN_DISPUTE),
                Shown::Absent | Shown::Withheld => None,
            };
            self.device_row_changed(num, record, state)?;
        }
        let Some(info) = self.space(&record.space)? else {
            return Ok(());
        };
        let row = self.row(num)?;
        self.forum_row_changed(&info, num, record, row.as_deref(), after)?;
        let table = info.schema.table(&record.table);
        match (table, row) {
            (Some(table), Some(row)) if table.key.is_some() => {
                let known = Known {
                    num,
                    record: record.clone(),
                    row,
                };
                self.keyed_row_changed(&info, table, known, before, after)
            }
            (Some(table), Some(row)) => {
                if before == Shown::Counted {
                    self.fold_row(&info, table, &row, -1)?;
                }
                if after == Shown::Counted {
                    self.fold_row(&info, table, &row, 1)?;
                }
                self.tell(record, before, after, EventKind::Insert);
                Ok(())
            }
            _ => {
                self.tell(record, before, after, EventKind::Insert);
                Ok(())
            }
        }
    }

    fn tell(&mut self, record: &Record, before: Shown, after: Shown, begin: EventKind) {
        let kind = match (before, after) {
            (Shown::Disputed, Shown::Counted) => EventKind::Unvoid,
            (_, Shown::Counted) => begin,
            (_, Shown::Disputed) => EventKind::Void,
            (Shown::Counted | Shown::Disputed, Shown::Withheld) => EventKind::Purge,
            (Shown::Counted | Shown::Disputed, Shown::Absent) => EventKind::Void,
            _ => return,
        };
        self.emit(kind, record);
    }

    fn keyed_row_changed(
        &mut self,
        info: &Arc<SpaceInfo>,
        table: &Table,
        known: Known,
        before: Shown,
        after: Shown,
    ) -> Result<(), DatabaseError> {
        let counts = (before == Shown::Counted, after == Shown::Counted);
        let Some(prefix) = key_of(table, &known.record, &known.row) else {
            return Ok(());
        };
        let record = known.record.clone();
        let old = winner(self, &prefix)?;
        let key = join(&[&prefix, &record.depth.to_be_bytes(), record.id.as_bytes()]);
        match counts {
            (false, true) => self.put_new(Tree::Keyed, &key, encode(&known.num)),
            (true, false) => self.del(Tree::Keyed, &key),
            _ => {
                self.tell(&record, before, after, EventKind::Insert);
                return Ok(());
            }
        }
        let new = winner(self, &prefix)?;
        if old == new {
            // An older row than the one that counts.
            return Ok(());
        }
        let old = self.known_row(old, &known)?;
        let new = self.known_row(new, &known)?;
        if let Some(old) = &old {
            self.fold_row(info, table, &old.row, -1)?;
        }
        if let Some(new) = &new {
            self.fold_row(info, table, &new.row, 1)?;
        }
        self.forum_winner_changed(info, &table.name, old.as_ref(), new.as_ref())?;
        let begin = if old.is_some() {
            EventKind::Update
        } else {
            EventKind::Insert
        };
        self.tell(&record, before, after, begin);
        if let Some(new) = new.filter(|new| new.num != known.num) {
            self.emit(EventKind::Update, &new.record);
        }
        Ok(())
    }

    fn known_row(&mut self, num: Option<Num>, own: &Known) -> Result<Option<Known>, DatabaseError> {
        let Some(num) = num else {
            return Ok(None);
        };
        if num == own.num {
            return Ok(Some(own.clone()));
        }
        let record = self.known(num)?.clone();
        let row = self
            .row(num)?
            .ok_or(DatabaseError::Damaged { what: "row" })?;
        Ok(Some(Known { num, record, row }))
    }

    fn fold_row(
        &mut self,
        info: &Arc<SpaceInfo>,
        table: &Table,
        row: &Row,
        sign: i64,
    ) -> Result<(), DatabaseError> {
        let folds: Vec<&Fold> = info
            .schema
            .folds()
            .iter()
            .filter(|fold| fold.table == table.name)
            .collect();
        for fold in folds {
            let (Some(of), Some(Ipld::Integer(value))) =
                (link(row, &fold.by), row.get(&fold.column))
            else {
                continue;
            };
            let value = i64::try_from(*value).unwrap_or(0).saturating_mul(sign);
            if value == 0 {
                continue;
            }
            let sum = fold_value(self, &of, &fold.name)?.wrapping_add(value);
            let key = fold_key(&of, &fold.name);
            if sum == 0 {
                self.del(Tree::Folds, &key);
            } else {
                self.put(Tree::Folds, &key, encode(&sum));
            }
            self.forum_fold_changed(info, &fold.name, &of, sum)?;
        }
        Ok(())
    }
}

/// The rows that count in a keyed table.
pub(crate) fn current_rows(
    view: &dyn View,
    space: &SpaceId,
    table: &str,
) -> Result<Vec<Num>, DatabaseError> {
    let mut found: Vec<(Vec<u8>, Num)> = Vec::new();
    let mut broken = false;
    let prefix = table_prefix(space, table);
    crate::txn::scan_with(
        view,
        Tree::Keyed,
        &prefix,
        None,
        false,
        &mut |key, value| {
            let Ok(num) = decode("number", value) else {
                broken = true;
                return std::ops::ControlFlow::Break(());
            };
            let key = &key[..KEY_PREFIX_BYTES.min(key.len())];
            match found.last_mut() {
                Some((last, winner)) if last == key => *winner = num,
                _ => found.push((key.to_vec(), num)),
            }
            std::ops::ControlFlow::Continue(())
        },
    )
    .map_err(|error: StoreError| DatabaseError::from(error))?;
    if broken {
        return Err(DatabaseError::Damaged { what: "number" });
    }
    Ok(found.into_iter().map(|(_, num)| num).collect())
}
