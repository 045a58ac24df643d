//! What the index says about blobs that are gone goes, now and then.

use std::{collections::BTreeSet, ops::Bound};

use model::BlobId;

use super::{
    database::Fault,
    tables::{FILES_OF, span},
};
use crate::{Blobs, StoreError};

/// Blobs of the index that are looked at between two questions to the store.
const AT_ONCE: usize = 4096;
/// Bytes of a blob's name in keys.
const BLOB_BYTES: usize = 32;

impl Blobs {
    /// Removes what the index says about blobs that are gone, and intakes that were given up.
    pub(crate) async fn sweep_index(&self) -> Result<(), StoreError> {
        let held: BTreeSet<BlobId> = self.list().await?.into_iter().collect();
        let mut after = None;
        loop {
            let known = self.indexed(after).await?;
            for blob in known.iter().filter(|blob| !held.contains(*blob)) {
                // It may have come since the list was made.
                if self.status(*blob).await? == crate::BlobStatus::Missing {
                    self.forget_names(*blob).await?;
                }
            }
            match known.last() {
                Some(last) if known.len() >= AT_ONCE => after = Some(*last),
                _ => break,
            }
        }
        self.remove_unfinished().await?;
        self.tidy_packs().await
    }

    /// Some blobs of the index, in order.
    async fn indexed(&self, after: Option<BlobId>) -> Result<Vec<BlobId>, StoreError> {
        self.index()
            .read("list the blobs of the index", move |reading| {
                let table = reading.open_table(FILES_OF)?;
                let (mut known, mut last) = (Vec::new(), after);
                while known.len() < AT_ONCE {
                    last = next_blob(&table, last)?;
                    let Some(next) = last else { break };
                    known.push(next);
                }
                Ok(known)
            })
            .await
    }
}

/// The first blob of a table after another.
fn next_blob(
    table: &redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    after: Option<BlobId>,
) -> Result<Option<BlobId>, Fault> {
    // The end of one blob's keys is the beginning of the next one's.
    let from = match after.map(|blob| span(blob.as_bytes()).1) {
        Some(Bound::Excluded(end)) => end,
        Some(_) => return Ok(None),
        None => Vec::new(),
    };
    let first = table.range::<&[u8]>(from.as_slice()..)?.next();
    let Some(entry) = first else {
        return Ok(None);
    };
    let (key, _) = entry?;
    let id = key.value().first_chunk::<BLOB_BYTES>();
    Ok(id.map(|id| BlobId::from_bytes(*id)))
}
