//! How files looked when they were right, and blobs that have lost their reasons for a moment.

use model::BlobId;
use redb::{ReadTransaction, ReadableTable};

use super::{
    database::Fault,
    tables::{self, LOOKS, MENDING, Writing, last_blob},
};
use crate::{Blobs, StoreError, ledger::Look};

impl Blobs {
    /// How a blob's file looked when it was last right, as far as the index remembers.
    pub(crate) async fn recorded_look(&self, blob: BlobId) -> Result<Option<Look>, StoreError> {
        self.index()
            .read("look up how a file looked", move |reading| {
                known_look(reading, blob)
            })
            .await
    }

    /// Remembers that a blob's file is right as it looks.
    pub(crate) async fn record_trust(&self, blob: BlobId, look: Look) -> Result<(), StoreError> {
        self.ledger().trusted(blob, look);
        self.index()
            .write("record how a file looks", move |tables| {
                record_look(tables, blob, &look)
            })
            .await
    }

    /// Forgets how a blob's file looked.
    pub(crate) async fn forget_look(&self, blob: BlobId) -> Result<(), StoreError> {
        self.ledger().distrusted(blob);
        self.index()
            .write("forget how a file looked", move |tables| {
                tables.looks.remove(blob.as_bytes().as_slice())?;
                Ok(())
            })
            .await
    }

    /// Remembers the tags of a blob, which are about to be taken from it.
    pub(crate) async fn begin_mending(
        &self,
        blob: BlobId,
        tags: Vec<String>,
    ) -> Result<(), StoreError> {
        self.index()
            .write("remember why a blob is kept", move |tables| {
                let tags = tables::encode(&tags)?;
                tables
                    .mending
                    .insert(blob.as_bytes().as_slice(), tags.as_slice())?;
                Ok(())
            })
            .await
    }

    /// The blobs whose tags were taken, with these.
    pub(crate) async fn mending(&self) -> Result<Vec<(BlobId, Vec<String>)>, StoreError> {
        self.index()
            .read("look up what was being mended", |reading| {
                let Some(table) = tables::open(reading, MENDING)? else {
                    return Ok(Vec::new());
                };
                let mut mending = Vec::new();
                for entry in table.iter()? {
                    let (key, tags) = entry?;
                    mending.push((last_blob(key.value())?, tables::decode(tags.value())?));
                }
                Ok(mending)
            })
            .await
    }

    /// The tags are back.
    pub(crate) async fn forget_mending(&self, blob: BlobId) -> Result<(), StoreError> {
        self.index()
            .write("forget what was mended", move |tables| {
                tables.mending.remove(blob.as_bytes().as_slice())?;
                Ok(())
            })
            .await
    }
}

/// A look that can't be read is none: the file is hashed once more.
pub(super) fn known_look(reading: &ReadTransaction, blob: BlobId) -> Result<Option<Look>, Fault> {
    let found = tables::get(reading, LOOKS, blob.as_bytes())?;
    Ok(found.and_then(|look| tables::decode(&look).ok()))
}

pub(super) fn record_look(
    tables: &mut Writing<'_>,
    blob: BlobId,
    look: &Look,
) -> Result<(), Fault> {
    let look = tables::encode(look)?;
    tables
        .looks
        .insert(blob.as_bytes().as_slice(), look.as_slice())?;
    Ok(())
}
