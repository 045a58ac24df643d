//! Names of blobs: recorded with each import, computed for what came otherwise, forgotten with the
//! blob.

use bytes::Bytes;
use cid::{Cid, multihash::Multihash};
use model::BlobId;
use redb::ReadTransaction;

use super::{
    FileAt,
    database::Fault,
    file::name_file,
    look::{known_look, record_look},
    namer::{Namer, Names},
    pieces,
    tables::{self, FILES, NAMES, Owner, PIECES, Part, Place, Writing, name, named},
};
use crate::{
    BlobSource, BlobStatus, Blobs, ReadError, StoreError,
    dag::{LEAF_BYTES, hash},
};

/// What the names of a blob take in the index, bytes: rows, and half-full pages.
const RECORD_BYTES: u64 = 1024;
/// The same for each leaf: its two rows, its link in the node above, and its hash as a piece.
const LEAF_RECORD_BYTES: u64 = 416;
/// What one transaction writes anew before the old pages are free, bytes.
pub(crate) const REWRITE_BYTES: u64 = 32 * 1024;

/// What the names of a blob of this size take in the index, bytes.
pub(crate) fn names_bytes(size_bytes: u64) -> u64 {
    let leaves = size_bytes.div_ceil(LEAF_BYTES as u64);
    RECORD_BYTES.saturating_add(leaves.saturating_mul(LEAF_RECORD_BYTES))
}

impl Blobs {
    /// The root of a blob's UnixFS DAG (profile `unixfs-v1-2025`), if it was computed.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn unixfs(&self, blob: BlobId) -> Result<Option<Cid>, StoreError> {
        self.index()
            .read("look a blob's name up", move |reading| {
                tables::get(reading, NAMES, blob.as_bytes())?
                    .map(|root| named(&root))
                    .transpose()
            })
            .await
    }

    /// Computes the root of a blob's UnixFS DAG and its pieces, for one that is held in full and
    /// has none: fetched from peers, or older than the index. Reads the blob once; at once when they
    /// are known.
    ///
    /// # Errors
    /// When the blob can't be read, or the index can't be written.
    pub async fn name(&self, blob: BlobId) -> Result<Cid, ReadError> {
        if let Some(root) = self.known(blob).await? {
            return Ok(root);
        }
        let _guard = self.guard(blob).await?;
        let BlobStatus::Complete { size_bytes } = self.status(blob).await? else {
            return Err(ReadError::NotHeld(blob));
        };
        let bytes = names_bytes(size_bytes);
        let room = self.reserve(bytes + REWRITE_BYTES).await?;
        let names = self.name_held(blob).await?;
        let root = names.root.cid;
        self.record_names(blob, names).await?;
        room.commit(bytes);
        Ok(root)
    }

    /// Names of a blob that is held in full, from its bytes.
    pub(crate) async fn name_held(&self, blob: BlobId) -> Result<Names, ReadError> {
        match self.source(blob).await? {
            BlobSource::Bytes(bytes) => Ok(self.name_bytes(bytes).await?),
            BlobSource::File { path, size_bytes } => {
                let wants_pieces = self.has_pieces(size_bytes);
                let (found, names) = name_file(path, size_bytes, wants_pieces).await?;
                if found != blob {
                    return Err(ReadError::Changed(blob));
                }
                Ok(names)
            }
        }
    }

    /// The root of a blob that has all of its names, and its pieces if it is to have any.
    async fn known(&self, blob: BlobId) -> Result<Option<Cid>, StoreError> {
        let blobs = self.clone();
        self.index()
            .read("look a blob's names up", move |reading| {
                blobs.known_in(reading, blob)
            })
            .await
    }

    fn known_in(&self, reading: &ReadTransaction, blob: BlobId) -> Result<Option<Cid>, Fault> {
        let Some(root) = tables::get(reading, NAMES, blob.as_bytes())? else {
            return Ok(None);
        };
        let at = tables::get(reading, FILES, &root)?;
        let at = at.map(|at| FileAt::decode(&at)).transpose()?;
        let is_to_have = at.is_some_and(|at| self.has_pieces(at.size_bytes));
        if is_to_have && tables::get(reading, PIECES, blob.as_bytes())?.is_none() {
            return Ok(None);
        }
        named(&root).map(Some)
    }

    /// Blobs that are held in full and have no UnixFS root yet, or no pieces, at most so many.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn unnamed(&self, max: usize) -> Result<Vec<BlobId>, StoreError> {
        let held = self.list().await?;
        let blobs = self.clone();
        let without = self.index().read("list what has no name", move |reading| {
            let mut without = Vec::new();
            for blob in &held {
                if blobs.known_in(reading, *blob)?.is_none() {
                    without.push(*blob);
                }
            }
            Ok(without)
        });
        let mut unnamed = Vec::new();
        for blob in without.await? {
            if unnamed.len() >= max {
                break;
            }
            let status = self.status(blob).await?;
            if matches!(status, BlobStatus::Complete { .. }) && !self.is_denied(blob) {
                unnamed.push(blob);
            }
        }
        Ok(unnamed)
    }

    /// Names of bytes in memory.
    pub(crate) async fn name_bytes(&self, bytes: Bytes) -> Result<Names, StoreError> {
        let mut namer = Namer::new(self.has_pieces(bytes.len() as u64));
        for at in (0..bytes.len()).step_by(LEAF_BYTES) {
            let end = bytes.len().min(at + LEAF_BYTES);
            namer.leaf(bytes.slice(at..end)).await?;
        }
        namer.finish().await
    }

    /// Records a blob's names and how its file looks, unless they are known.
    pub(crate) async fn record_names(
        &self,
        blob: BlobId,
        mut names: Names,
    ) -> Result<(), StoreError> {
        let size_bytes = names.root.size_bytes;
        names.pieces = names.pieces.filter(|_| self.has_pieces(size_bytes));
        let look = self.ledger().look(blob);
        let (root, has_pieces) = (name(&names.root.cid), names.pieces.is_some());
        let known = self.index().read("look a blob's name up", move |reading| {
            let id = blob.as_bytes();
            let is_named = tables::get(reading, NAMES, id)?.is_some_and(|known| known == root);
            let is_cut = !has_pieces || tables::get(reading, PIECES, id)?.is_some();
            Ok(is_named && is_cut && (look.is_none() || known_look(reading, blob)? == look))
        });
        if known.await? {
            return Ok(());
        }
        self.index()
            .write("name a blob", move |tables| {
                record(tables, blob, &names)?;
                if let Some(pieces) = &names.pieces {
                    pieces::record(tables, blob, size_bytes, pieces)?;
                }
                match &look {
                    Some(look) => record_look(tables, blob, look),
                    None => Ok(()),
                }
            })
            .await
    }

    /// Removes that a block lies in a blob.
    pub(super) async fn forget_part(&self, cid: &Cid, blob: BlobId) -> Result<(), StoreError> {
        let key = tables::key(cid);
        self.index()
            .write("forget where a block lies", move |tables| {
                tables.remove_part(&key, blob)
            })
            .await
    }

    /// Removes what the index says about a blob that is gone. Of a denied one it stays, so that
    /// its other names are known for denied too.
    pub(crate) async fn forget_names(&self, blob: BlobId) -> Result<(), StoreError> {
        if self.is_denied(blob) {
            return Ok(());
        }
        self.index()
            .write("forget a blob", move |tables| tables.forget(blob))
            .await
    }
}

fn record(tables: &mut Writing<'_>, blob: BlobId, names: &Names) -> Result<(), Fault> {
    let Names {
        root,
        leaves,
        nodes,
        ..
    } = names;
    let at = FileAt {
        blob,
        size_bytes: root.size_bytes,
    };
    tables
        .names
        .insert(blob.as_bytes().as_slice(), name(&root.cid).as_slice())?;
    tables.add_file(&root.cid, at)?;
    let mut offset = 0;
    for digest in leaves {
        let left = root.size_bytes - offset;
        let len = u32::try_from(left.min(LEAF_BYTES as u64)).unwrap_or(u32::MAX);
        let key = Multihash::<64>::wrap(hash::SHA2_256, digest)
            .expect("32 bytes fit a multihash of 64")
            .to_bytes();
        let part = Part {
            offset,
            len,
            ..Part::default()
        };
        tables.add_part(&key, blob, &part)?;
        offset += u64::from(len);
    }
    let owner = Owner::blob(blob);
    for (cid, bytes) in nodes {
        let key = tables::key(cid);
        tables.put(&key, &Place::Here(bytes.clone()))?;
        tables.own(owner, &key)?;
    }
    Ok(())
}
