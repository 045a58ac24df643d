//! Which blobs a block belongs to, and which names a blob has.

use std::collections::BTreeSet;

use cid::{Cid, multihash::Multihash};
use model::BlobId;
use redb::ReadTransaction;

use super::{
    FileAt,
    database::Fault,
    lookup::own_name,
    tables::{
        self, FILES, FILES_OF, OWNED, OWNERS, Owner, PARTS, PARTS_OF, bounds, name, named, span,
    },
};
use crate::{Blobs, StoreError, dag};

impl Blobs {
    /// Every root that is known to mean a blob: of its profile, and of files that came as blocks.
    /// In the order of their names; none for a blob without names.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn roots(&self, blob: BlobId) -> Result<Vec<Cid>, StoreError> {
        let reading = self.index().read("look a blob's names up", move |reading| {
            roots(reading, blob)
        });
        reading.await
    }

    /// The blobs that are held and that a block belongs to: as a leaf, as a node of the file's DAG,
    /// as its root, or because it is the blob. The codec of nodes and leaves says nothing.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn blobs_below(&self, cid: &Cid) -> Result<Vec<BlobId>, StoreError> {
        let asked = *cid;
        let found = self
            .index()
            .read("look up what a block belongs to", move |reading| {
                belonging(reading, &asked)
            });
        let mut blobs = Vec::new();
        for blob in found.await? {
            if self.is_there(blob).await? {
                blobs.push(blob);
            }
        }
        Ok(blobs)
    }

    /// Whether a block is kept for its own sake: with a DAG that was taken in, or alone.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn is_taken_in(&self, cid: &Cid) -> Result<bool, StoreError> {
        let key = tables::key(cid);
        let reading = self
            .index()
            .read("look up why a block is kept", move |reading| {
                let span = span(&key);
                for entry in reading.open_table(OWNERS)?.range::<&[u8]>(bounds(&span))? {
                    let (owner, _) = entry?;
                    if Owner::blob_of(&owner.value()[key.len()..]).is_none() {
                        return Ok(true);
                    }
                }
                Ok(false)
            });
        reading.await
    }

    /// The first of a blob's leaves and nodes that is wanted. Only the hash of each is known: it is
    /// asked for as raw. Constant memory, however large the blob.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn find_below(
        &self,
        blob: BlobId,
        wanted: impl Fn(&Cid) -> bool + Send + 'static,
    ) -> Result<Option<Cid>, StoreError> {
        let reading = self
            .index()
            .read("look through a file's blocks", move |reading| {
                for (table, prefix) in [
                    (PARTS_OF, blob.as_bytes().to_vec()),
                    (OWNED, Owner::blob(blob).as_bytes().to_vec()),
                ] {
                    let span = span(&prefix);
                    for entry in reading.open_table(table)?.range::<&[u8]>(bounds(&span))? {
                        let (key, _) = entry?;
                        let cid = hashed(&key.value()[prefix.len()..])?;
                        if wanted(&cid) {
                            return Ok(Some(cid));
                        }
                    }
                }
                Ok(None)
            });
        reading.await
    }
}

fn hashed(multihash: &[u8]) -> Result<Cid, Fault> {
    let hash = Multihash::<64>::from_bytes(multihash)
        .map_err(|error| Fault::Corrupted(format!("a hash in the index: {error}")))?;
    Ok(Cid::new_v1(dag::codec::RAW, hash))
}

fn roots(reading: &ReadTransaction, blob: BlobId) -> Result<Vec<Cid>, Fault> {
    let id = blob.as_bytes();
    let span = span(id);
    let mut roots = Vec::new();
    for entry in reading
        .open_table(FILES_OF)?
        .range::<&[u8]>(bounds(&span))?
    {
        let (key, _) = entry?;
        roots.push(named(&key.value()[id.len()..])?);
    }
    Ok(roots)
}

fn belonging(reading: &ReadTransaction, cid: &Cid) -> Result<BTreeSet<BlobId>, Fault> {
    let mut blobs = BTreeSet::from_iter(own_name(cid));
    if let Some(at) = tables::get(reading, FILES, &name(cid))? {
        blobs.insert(FileAt::decode(&at)?.blob);
    }
    let key = tables::key(cid);
    let span = span(&key);
    for entry in reading.open_table(PARTS)?.range::<&[u8]>(bounds(&span))? {
        blobs.insert(tables::last_blob(entry?.0.value())?);
    }
    for entry in reading.open_table(OWNERS)?.range::<&[u8]>(bounds(&span))? {
        let (owner, _) = entry?;
        blobs.extend(Owner::blob_of(&owner.value()[key.len()..]));
    }
    Ok(blobs)
}
