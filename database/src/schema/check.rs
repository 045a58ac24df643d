//! A row against its table: shape, range, size. References are judged by the gate.

use model::{BlobId, EntryId, Ipld, Row, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Column, Kind, Schema, Table};

/// Why a row does not fit its table.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum RowError {
    /// A column that must be there isn't.
    #[error("column `{0}` is missing")]
    Missing(String),
    /// A column that the table doesn't have.
    #[error("there is no column `{0}`")]
    Unknown(String),
    /// A value that doesn't fit.
    #[error("column `{column}` {problem}")]
    Value {
        /// Which.
        column: String,
        /// Why.
        problem: ValueError,
    },
}

/// Why a value does not fit its type.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum ValueError {
    /// Another type.
    #[error("has another type than the schema says")]
    Type,
    /// A number out of range.
    #[error("is out of range")]
    Range,
    /// Text, bytes or list too long.
    #[error("is longer than {0}")]
    Long(u64),
    /// None of the words.
    #[error("is none of the allowed words")]
    Word,
    /// A link of the wrong kind.
    #[error("is a link to something else")]
    Link,
    /// A list item or record column that doesn't fit.
    #[error("has a part that doesn't fit: {0}")]
    Part(Box<RowError>),
}

/// References of a row: column, and entry referred to.
pub(crate) type Refs<'a> = Vec<(&'a Column, EntryId)>;

impl Schema {
    /// Checks a row against a table; returns what it refers to.
    ///
    /// # Errors
    /// Says which column doesn't fit, and why.
    pub fn check_row<'a>(
        &self,
        table: &'a Table,
        row: &Row,
    ) -> Result<Vec<(&'a Column, EntryId)>, RowError> {
        self.check_columns(&table.columns, row)?;
        let mut refs: Refs<'a> = Vec::new();
        for column in &table.columns {
            if matches!(base(&column.kind), Kind::Ref(_))
                && let Some(value) = row.get(&column.name)
            {
                collect_refs(column, value, &mut refs);
            }
        }
        Ok(refs)
    }

    fn check_columns(&self, columns: &[Column], row: &Row) -> Result<(), RowError> {
        if let Some(name) = row
            .keys()
            .find(|name| !columns.iter().any(|column| column.name == **name))
        {
            return Err(RowError::Unknown(name.clone()));
        }
        for column in columns {
            match row.get(&column.name) {
                None if column.optional => {}
                None => return Err(RowError::Missing(column.name.clone())),
                Some(value) => {
                    self.check_value(&column.kind, value)
                        .map_err(|problem| RowError::Value {
                            column: column.name.clone(),
                            problem,
                        })?;
                }
            }
        }
        Ok(())
    }

    fn check_value(&self, kind: &Kind, value: &Ipld) -> Result<(), ValueError> {
        match (kind, value) {
            (Kind::Bool, Ipld::Bool(_)) => Ok(()),
            (Kind::Int { min, max }, Ipld::Integer(number)) => {
                in_range(*number, i128::from(*min), i128::from(*max))
            }
            (Kind::Time, Ipld::Integer(number)) => {
                in_range(*number, 0, i128::from(limits::TIME_MS - 1))
            }
            (Kind::Decimal, Ipld::String(text)) => {
                if is_decimal(text) {
                    Ok(())
                } else {
                    Err(ValueError::Range)
                }
            }
            (Kind::Text(max), Ipld::String(text)) => within(text.len(), *max),
            (Kind::Bytes(max), Ipld::Bytes(bytes)) => within(bytes.len(), *max),
            (Kind::Key, Ipld::Bytes(bytes)) if bytes.len() == 32 => Ok(()),
            (Kind::Ref(_) | Kind::Space, Ipld::Link(cid)) => EntryId::try_from(cid)
                .map(|_| ())
                .map_err(|_| ValueError::Link),
            (Kind::Blob, Ipld::Link(cid)) => BlobId::try_from(cid)
                .map(|_| ())
                .map_err(|_| ValueError::Link),
            (Kind::Enum(words), Ipld::String(word)) => {
                if words.contains(word) {
                    Ok(())
                } else {
                    Err(ValueError::Word)
                }
            }
            (Kind::List(item, max), Ipld::List(list)) => {
                within(list.len(), *max)?;
                list.iter()
                    .try_for_each(|value| self.check_value(item, value))
            }
            (Kind::Record(name), Ipld::Map(row)) => {
                let record = self.record(name).ok_or(ValueError::Type)?;
                self.check_columns(&record.columns, row)
                    .map_err(|error| ValueError::Part(Box::new(error)))
            }
            _ => Err(ValueError::Type),
        }
    }
}

fn base(kind: &Kind) -> &Kind {
    match kind {
        Kind::List(item, _) => base(item),
        other => other,
    }
}

fn collect_refs<'a>(column: &'a Column, value: &Ipld, refs: &mut Refs<'a>) {
    match value {
        Ipld::Link(cid) => refs.extend(EntryId::try_from(cid).ok().map(|id| (column, id))),
        Ipld::List(list) => list
            .iter()
            .for_each(|item| collect_refs(column, item, refs)),
        _ => {}
    }
}

fn in_range(number: i128, min: i128, max: i128) -> Result<(), ValueError> {
    if (min..=max).contains(&number) {
        Ok(())
    } else {
        Err(ValueError::Range)
    }
}

fn within(length: usize, max: usize) -> Result<(), ValueError> {
    if length <= max {
        Ok(())
    } else {
        Err(ValueError::Long(max as u64))
    }
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?`, at most 40 characters: each number has one form.
fn is_decimal(text: &str) -> bool {
    if text.len() > 40 || text == "-0" {
        return false;
    }
    let (whole, part) = match text.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (text, None),
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number(digits)
        && (digits == "0" || !digits.starts_with('0'))
        && part.is_none_or(|part| is_number(part) && !part.ends_with('0'))
}

/// The table of a `ref` column.
pub(crate) fn ref_table(column: &Column) -> Option<&str> {
    match base(&column.kind) {
        Kind::Ref(table) => Some(table),
        _ => None,
    }
}
