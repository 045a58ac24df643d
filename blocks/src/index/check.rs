//! Re-checking the blocks that lie beside the blobs against their names, and those parts of blobs
//! that the node didn't cut itself: the hash of the blob doesn't say that they lie where the index
//! has them, nor what they have around them.

use std::ops::Bound;

use bytes::Bytes;
use cid::{Cid, multihash::Multihash};
use model::BlobId;
use redb::ReadTransaction;

use super::{
    database::{Fault, on_thread},
    lookup::Asked,
    pack,
    tables::{self, BLOCKS, Definition, PARTS, Part, Place},
};
use crate::{
    BlobStatus, Blobs, Damage, Damaged, StoreError,
    dag::{self, LEAF_BYTES, codec},
};

const ACT: &str = "check the index";
/// Rows that are looked at in one transaction.
const ROWS: usize = 256;

/// Some rows of a table, in order.
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

impl Blobs {
    /// Hashes every block that lies beside the blobs again. `report` gets the bytes of each.
    pub(crate) async fn check_index(
        &self,
        mut report: impl FnMut(u64),
    ) -> Result<Vec<Damage>, StoreError> {
        let mut damages = Vec::new();
        let mut after = None;
        while let Some((rows, last)) = self.rows(BLOCKS, after).await? {
            let blobs = self.clone();
            let checked = on_thread(move || rows.iter().map(|row| blobs.check_row(row)).collect());
            let checked: Vec<(u64, Option<Damage>)> = checked.await?;
            for (bytes, damage) in checked {
                report(bytes);
                damages.extend(damage);
            }
            after = Some(last);
        }
        let mut after = None;
        while let Some((rows, last)) = self.rows(PARTS, after).await? {
            for (key, value) in rows {
                damages.extend(self.check_part(&key, &value).await?);
            }
            after = Some(last);
        }
        Ok(damages)
    }

    fn check_row(&self, row: &(Vec<u8>, Vec<u8>)) -> Result<(u64, Option<Damage>), StoreError> {
        let (key, value) = row;
        let Ok(hash) = Multihash::from_bytes(key) else {
            return Err(damaged_index("a key"));
        };
        let cid = Cid::new_v1(codec::RAW, hash);
        let place = Place::decode(value).map_err(|_| damaged_index("a block's place"))?;
        let bytes = place.len();
        let what = match self.read_place(place) {
            Ok(block) => match dag::verify(&cid, &block) {
                Ok(()) => return Ok((bytes, None)),
                Err(_) => "its bytes were changed: the hash is another".to_owned(),
            },
            Err(error) => format!("its pack can't be read: {error}"),
        };
        let subject = Damaged::Block(cid);
        Ok((bytes, Some(Damage { subject, what })))
    }

    fn read_place(&self, place: Place) -> std::io::Result<Bytes> {
        match place {
            Place::Here(bytes) => Ok(bytes),
            Place::Packed(packed) => pack::read(self.files(), &packed),
        }
    }

    /// A part, unless the hash of its blob covers it.
    async fn check_part(&self, key: &[u8], value: &[u8]) -> Result<Option<Damage>, StoreError> {
        let part: Part = tables::decode(value).map_err(|_| damaged_index("a part"))?;
        let Ok(blob) = tables::last_blob(key) else {
            return Err(damaged_index("a key"));
        };
        if self.is_leaf_of_profile(blob, &part).await? {
            return Ok(None);
        }
        let Ok(hash) = Multihash::read(key) else {
            return Err(damaged_index("a key"));
        };
        let cid = Cid::new_v1(codec::RAW, hash);
        let what = match self.ask(blob, part).await? {
            Asked::Bytes(block) if dag::verify(&cid, &block).is_err() => {
                format!("it isn't where the index says: in {blob} are other bytes")
            }
            // Blobs that can't be read are told of as such.
            Asked::Bytes(_) | Asked::Gone | Asked::Denied => return Ok(None),
            Asked::Failed(error) => error.to_string(),
        };
        let subject = Damaged::Block(cid);
        Ok(Some(Damage { subject, what }))
    }

    /// Whether a part is cut as the node itself cuts files, when it names them.
    async fn is_leaf_of_profile(&self, blob: BlobId, part: &Part) -> Result<bool, StoreError> {
        let is_bare = part.prefix.is_empty() && part.suffix.is_empty();
        if !is_bare || !part.offset.is_multiple_of(LEAF_BYTES as u64) {
            return Ok(false);
        }
        if part.len as usize == LEAF_BYTES {
            return Ok(true);
        }
        let end = part.offset.saturating_add(u64::from(part.len));
        let status = self.status(blob).await?;
        Ok(part.len > 0 && status == BlobStatus::Complete { size_bytes: end })
    }

    /// The next rows of a table, and the key of the last.
    async fn rows(
        &self,
        table: Definition,
        after: Option<Vec<u8>>,
    ) -> Result<Option<(Rows, Vec<u8>)>, StoreError> {
        let rows = self
            .index()
            .read(ACT, move |reading| rows(reading, table, after.as_deref()));
        let rows = rows.await?;
        Ok(rows
            .last()
            .map(|(key, _)| key.clone())
            .map(|last| (rows, last)))
    }
}

fn rows(reading: &ReadTransaction, table: Definition, after: Option<&[u8]>) -> Result<Rows, Fault> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let table = reading.open_table(table)?;
    let mut rows = Vec::new();
    for entry in table.range::<&[u8]>((from, Bound::Unbounded))?.take(ROWS) {
        let (key, value) = entry?;
        rows.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(rows)
}

fn damaged_index(what: &str) -> StoreError {
    let why = format!("{what} in index.redb is damaged");
    StoreError::new(
        ACT,
        std::io::Error::new(std::io::ErrorKind::InvalidData, why),
    )
}

#[cfg(test)]
impl Blobs {
    /// Makes the index say that a block lies where it doesn't.
    pub(crate) async fn misplace(&self, cid: &Cid, blob: BlobId, offset: u64, len: u32) {
        let key = tables::key(cid);
        let part = Part {
            offset,
            len,
            ..Part::default()
        };
        let lying = self.index().write("misplace a block", move |tables| {
            tables.add_part(&key, blob, &part)
        });
        lying.await.expect("the index can be written");
    }
}
