//! An entry's content: `[salt, row]`, canonical DAG-CBOR, a block of its own.

use std::{collections::BTreeMap, sync::Arc};

use ipld_core::ipld::Ipld;
use thiserror::Error;

use crate::{PayloadId, limits};

/// Column name → value. Absent optional columns are left out.
pub type Row = BTreeMap<String, Ipld>;

/// Why bytes or a row are not a payload.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// Longer than the limit.
    #[error("a payload has at most {max} bytes, this one has {found}", max = limits::PAYLOAD_BYTES)]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not DAG-CBOR.
    #[error("the payload is not DAG-CBOR: {0}")]
    Cbor(String),
    /// Not `[16 bytes, map]`.
    #[error("the payload is not an array of a 16-byte salt and a row")]
    Shape,
    /// Readable, but not in the one canonical form.
    #[error("the payload is not in canonical form")]
    NotCanonical,
    /// A value that rows don't have: float, null, an integer beyond 64 bits, too deep.
    #[error("column `{column}` holds {found}, which rows don't have")]
    Value {
        /// Which column.
        column: String,
        /// What was found there.
        found: &'static str,
    },
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    id: PayloadId,
    row: Row,
    bytes: Arc<[u8]>,
}

impl Payload {
    /// Encodes a row behind fresh random bytes.
    ///
    /// # Errors
    /// When it is too long or holds values that rows don't have.
    pub fn new(salt: [u8; limits::SALT_BYTES], row: Row) -> Result<Self, PayloadError> {
        check_row(&row)?;
        let list = Ipld::List(vec![Ipld::Bytes(salt.to_vec()), Ipld::Map(row.clone())]);
        let bytes = serde_ipld_dagcbor::to_vec(&list)
            .map_err(|error| PayloadError::Cbor(error.to_string()))?;
        if bytes.len() > limits::PAYLOAD_BYTES {
            return Err(PayloadError::TooLong { found: bytes.len() });
        }
        Ok(Self {
            id: PayloadId::of(&bytes),
            row,
            bytes: bytes.into(),
        })
    }

    /// Reads bytes from anywhere.
    ///
    /// # Errors
    /// When they are not exactly one canonical payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        if bytes.len() > limits::PAYLOAD_BYTES {
            return Err(PayloadError::TooLong { found: bytes.len() });
        }
        let ipld: Ipld = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| PayloadError::Cbor(error.to_string()))?;
        if serde_ipld_dagcbor::to_vec(&ipld).ok().as_deref() != Some(bytes) {
            return Err(PayloadError::NotCanonical);
        }
        let Ipld::List(list) = ipld else {
            return Err(PayloadError::Shape);
        };
        let Ok([Ipld::Bytes(salt), Ipld::Map(row)]) = <[Ipld; 2]>::try_from(list) else {
            return Err(PayloadError::Shape);
        };
        if salt.len() != limits::SALT_BYTES {
            return Err(PayloadError::Shape);
        }
        check_row(&row)?;
        Ok(Self {
            id: PayloadId::of(bytes),
            row,
            bytes: bytes.into(),
        })
    }

    /// Its CID.
    pub fn id(&self) -> PayloadId {
        self.id
    }

    /// The row.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// The bytes as received or encoded.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Its length; what a header claims as payload size.
    pub fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("a payload is within its limit")
    }
}

fn check_row(row: &Row) -> Result<(), PayloadError> {
    row.iter().try_for_each(|(column, value)| {
        check_value(value, limits::PAYLOAD_NESTING).map_err(|found| PayloadError::Value {
            column: column.clone(),
            found,
        })
    })
}

fn check_value(value: &Ipld, levels: usize) -> Result<(), &'static str> {
    let Some(below) = levels.checked_sub(1) else {
        return Err("values nested too deep");
    };
    match value {
        Ipld::Null => Err("null"),
        Ipld::Float(_) => Err("a float"),
        Ipld::Integer(number) if i64::try_from(*number).is_err() => {
            Err("an integer beyond 64 bits")
        }
        Ipld::List(list) => list.iter().try_for_each(|item| check_value(item, below)),
        Ipld::Map(map) => map.values().try_for_each(|item| check_value(item, below)),
        Ipld::Bool(_) | Ipld::Integer(_) | Ipld::String(_) | Ipld::Bytes(_) | Ipld::Link(_) => {
            Ok(())
        }
    }
}
