//! Finding blocks.

use std::{collections::BTreeSet, io, sync::Arc};

use bytes::Bytes;
use cid::Cid;
use model::BlobId;
use redb::ReadTransaction;

use super::{
    FileAt,
    database::{Fault, on_thread},
    handle::Handle,
    pack,
    tables::{
        self, BLOCKS, FILES, Mark, OWNED, OWNERS, Owner, PARTS, Packed, Part, Place, name, span,
    },
};
use crate::{
    BlobSource, BlobStatus, Blobs, ReadError, StoreError,
    dag::{self, BlockError, BlockFault, BlockSource, MAX_BLOCK_BYTES},
};

/// Blobs that are tried for one block, most: any of them does.
const BLOBS_PER_BLOCK: usize = 16;
const ACT: &str = "look a block up";

/// Where a block may be.
enum Found {
    /// Read.
    Bytes(Bytes),
    /// In one of these blobs, as far as the index knows.
    Parts(Vec<(BlobId, Part)>),
    /// Denied with this blob.
    Denied(BlobId),
}

/// What the index has on a block.
#[derive(Default)]
pub(super) struct Looked {
    /// Where it lies beside the blobs.
    pub(super) place: Option<Place>,
    /// Else the blobs that it may be a part of.
    pub(super) parts: Vec<(BlobId, Part)>,
    /// Codecs that it was visited as, in the finish that is asked about.
    pub(super) visited: BTreeSet<u64>,
}

/// What one blob had to say.
pub(super) enum Asked {
    Bytes(Bytes),
    Gone,
    Denied,
    Failed(ReadError),
}

impl Blobs {
    /// A block: one of a DAG that was taken in, a part of a blob's UnixFS DAG, or a whole blob that
    /// is small enough for a block. The codec says nothing about where the bytes lie.
    ///
    /// # Errors
    /// When it isn't held, is denied, or can't be read.
    pub async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        dag::check_name(cid).map_err(BlockFault::from)?;
        if let Some(bytes) = dag::inline(cid) {
            return Ok(bytes);
        }
        let local = |error: StoreError| BlockError::Local {
            cid: *cid,
            source: Box::new(error),
        };
        let mut parts = match self.find(cid).await.map_err(local)? {
            Found::Bytes(bytes) => return Ok(bytes),
            Found::Denied(blob) => return Err(denied(cid, blob)),
            Found::Parts(parts) => parts,
        };
        if let Some((blob, part)) = self.whole(cid).await.map_err(local)? {
            parts.push((blob, part));
        }
        let (mut denied_by, mut failed) = (None, None);
        for (blob, part) in parts {
            match self.ask(blob, part).await.map_err(local)? {
                Asked::Bytes(bytes) => return Ok(bytes),
                Asked::Gone => {}
                Asked::Denied => denied_by = Some(blob),
                Asked::Failed(error) => failed = Some(error),
            }
        }
        match (denied_by, failed) {
            (Some(blob), _) => Err(denied(cid, blob)),
            (None, Some(error)) => Err(BlockError::Local {
                cid: *cid,
                source: Box::new(error),
            }),
            (None, None) => Err(BlockError::NotHeld(*cid)),
        }
    }

    /// Whether [`Blobs::block`] would give a block. A denied one counts as not held.
    #[cfg(test)]
    pub(crate) async fn has_block(&self, cid: &Cid) -> Result<bool, StoreError> {
        if dag::check_name(cid).is_err() {
            return Ok(false);
        }
        Ok(dag::inline(cid).is_some() || self.block_bytes(cid).await?.is_some())
    }

    /// Which blob a file is: for the root of a UnixFS file whose bytes are one whole blob, be it a
    /// single leaf, and for a blob's own name. A denied blob is named too; reading it says so.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn file(&self, cid: &Cid) -> Result<Option<FileAt>, StoreError> {
        if let Some(blob) = own_name(cid) {
            return Ok(match self.status(blob).await? {
                BlobStatus::Complete { size_bytes } => Some(FileAt { blob, size_bytes }),
                _ => None,
            });
        }
        let root = name(cid);
        let found = self.index().read("look a file up", move |reading| {
            tables::get(reading, FILES, &root)?
                .map(|at| FileAt::decode(&at))
                .transpose()
        });
        let Some(at) = found.await? else {
            return Ok(None);
        };
        if self.is_denied(at.blob) || self.is_there(at.blob).await? {
            return Ok(Some(at));
        }
        Ok(None)
    }

    /// Bytes of a block that is held, without reading it.
    pub(super) async fn block_bytes(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        let looked = self.look(cid, None).await?;
        if let Some(place) = looked.place {
            return Ok(Some(place.len()));
        }
        let part = self.part_held(cid, looked.parts).await?;
        Ok(part.map(|(_, part)| part.block_bytes()))
    }

    /// What the index has on a block, and how a finish of that number marked it.
    pub(super) async fn look(
        &self,
        cid: &Cid,
        mark: Option<(Vec<u8>, u32)>,
    ) -> Result<Looked, StoreError> {
        let (cid, blobs) = (*cid, self.clone());
        self.index()
            .read(ACT, move |reading| {
                let mut looked = Looked::default();
                if let Some((key, wanted)) = &mark {
                    let found = tables::get(reading, OWNED, key)?;
                    let found = found.map(|mark| Mark::decode(&mark));
                    if let Some(mark) = found.filter(|mark| mark.finish == *wanted) {
                        looked.visited = mark.codecs;
                    }
                }
                let key = tables::key(&cid);
                let place = stored(reading, &key)?;
                if place.is_some() && blobs.denied_by(reading, &cid)?.is_none() {
                    looked.place = place;
                } else {
                    looked.parts = parts(reading, &key)?;
                }
                Ok(looked)
            })
            .await
    }

    /// The first blob that is held of those that have a block.
    pub(super) async fn part_held(
        &self,
        cid: &Cid,
        parts: Vec<(BlobId, Part)>,
    ) -> Result<Option<(BlobId, Part)>, StoreError> {
        let whole = self.whole(cid).await?;
        for (blob, part) in parts.into_iter().chain(whole) {
            if !self.is_denied(blob) && self.is_there(blob).await? {
                return Ok(Some((blob, part)));
            }
        }
        Ok(None)
    }

    /// The blobs that are held and have a block, with where.
    pub(super) async fn parts_held(&self, cid: &Cid) -> Result<Vec<(BlobId, Part)>, StoreError> {
        let parts = self.look(cid, None).await?.parts;
        let whole = self.whole(cid).await?;
        let mut held = Vec::new();
        for (blob, part) in parts.into_iter().chain(whole) {
            if !self.is_denied(blob) && self.is_there(blob).await? {
                held.push((blob, part));
            }
        }
        Ok(held)
    }

    /// Whether a blob is held in full. What the index says about one that is gone is removed.
    pub(super) async fn is_there(&self, blob: BlobId) -> Result<bool, StoreError> {
        match self.status(blob).await? {
            BlobStatus::Complete { .. } => Ok(true),
            BlobStatus::Partial { .. } => Ok(false),
            BlobStatus::Missing => {
                self.forget_names(blob).await?;
                Ok(false)
            }
        }
    }

    /// Looks in the index, and reads what needs no further question.
    async fn find(&self, cid: &Cid) -> Result<Found, StoreError> {
        let (cid, key, blobs) = (*cid, tables::key(cid), self.clone());
        on_thread(move || {
            let found = blobs.index().read_here(ACT, |reading| {
                let place = stored(reading, &key)?;
                let denied = match &place {
                    Some(_) => blobs.denied_by(reading, &cid)?,
                    None => None,
                };
                let parts = match place {
                    Some(_) => Vec::new(),
                    None => parts(reading, &key)?,
                };
                Ok((place, denied, parts))
            })?;
            match found {
                (_, Some(blob), _) => Ok(Found::Denied(blob)),
                (Some(Place::Here(bytes)), ..) => Ok(Found::Bytes(bytes)),
                (Some(Place::Packed(packed)), ..) => {
                    blobs.read_packed(&cid, &packed).map(Found::Bytes)
                }
                (None, None, parts) => Ok(blobs.read_open(parts)),
            }
        })
        .await
    }

    /// Reads from a file that is open already, if any is.
    fn read_open(&self, parts: Vec<(BlobId, Part)>) -> Found {
        for (blob, part) in &parts {
            if self.is_denied(*blob) {
                continue;
            }
            let Some(handle) = self.handles().get(*blob) else {
                continue;
            };
            match handle.read(part) {
                Ok(Some(bytes)) => return Found::Bytes(bytes),
                // Asked in full, it says why.
                Ok(None) | Err(_) => self.handles().close(*blob),
            }
        }
        Found::Parts(parts)
    }

    /// Asks a blob for a part of it.
    pub(super) async fn ask(&self, blob: BlobId, part: Part) -> Result<Asked, StoreError> {
        let (path, size_bytes) = match self.source(blob).await {
            Ok(BlobSource::Bytes(bytes)) => {
                return Ok(match cut(&bytes, &part) {
                    Some(bytes) => Asked::Bytes(bytes),
                    None => Asked::Gone,
                });
            }
            Ok(BlobSource::File { path, size_bytes }) => (path, size_bytes),
            Err(ReadError::NotHeld(_)) => {
                self.is_there(blob).await?;
                return Ok(Asked::Gone);
            }
            Err(ReadError::Denied(_)) => return Ok(Asked::Denied),
            Err(ReadError::Store(error)) => return Err(error),
            Err(error) => return Ok(Asked::Failed(error)),
        };
        let Some(look) = self.ledger().look(blob) else {
            return Ok(Asked::Failed(ReadError::Changed(blob)));
        };
        if part.offset.saturating_add(u64::from(part.len)) > size_bytes {
            return Ok(Asked::Gone);
        }
        let handles = self.handles().clone();
        on_thread(move || {
            let read = Handle::open(&path, look).and_then(|handle| match handle {
                Some(handle) => Ok(handle.read(&part)?.map(|bytes| (bytes, handle))),
                None => Ok(None),
            });
            match read {
                Ok(Some((bytes, handle))) => {
                    handles.keep(blob, Arc::new(handle));
                    Ok(Asked::Bytes(bytes))
                }
                Ok(None) => Ok(Asked::Failed(ReadError::Changed(blob))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Asked::Gone),
                Err(error) => Err(StoreError::new("read a block", error)),
            }
        })
        .await
    }

    /// A blob as a block under its own name, if it is small enough.
    async fn whole(&self, cid: &Cid) -> Result<Option<(BlobId, Part)>, StoreError> {
        let Some(blob) = own_name(cid) else {
            return Ok(None);
        };
        if self.is_denied(blob) {
            return Ok(Some((blob, Part::default())));
        }
        let BlobStatus::Complete { size_bytes } = self.status(blob).await? else {
            return Ok(None);
        };
        let len = u32::try_from(size_bytes).ok();
        let part = len
            .filter(|_| size_bytes <= MAX_BLOCK_BYTES as u64)
            .map(|len| Part {
                len,
                ..Part::default()
            });
        Ok(part.map(|part| (blob, part)))
    }

    fn read_packed(&self, cid: &Cid, packed: &Packed) -> Result<Bytes, StoreError> {
        let read = pack::read(self.files(), packed).and_then(|bytes| {
            // Nothing tells that a pack was changed, so each block is hashed.
            match dag::verify(cid, &bytes) {
                Ok(()) => Ok(bytes),
                Err(fault) => Err(io::Error::new(io::ErrorKind::InvalidData, fault)),
            }
        });
        read.map_err(|error| StoreError::new("read a block from its pack", error))
    }

    /// The denied blob that a stored block belongs to: it is its file, or nothing but denied blobs
    /// keep it.
    fn denied_by(&self, reading: &ReadTransaction, cid: &Cid) -> Result<Option<BlobId>, Fault> {
        if !self.is_any_denied() {
            return Ok(None);
        }
        if let Some(at) = tables::get(reading, FILES, &name(cid))? {
            let blob = FileAt::decode(&at)?.blob;
            if self.is_denied(blob) {
                return Ok(Some(blob));
            }
        }
        let key = tables::key(cid);
        let span = span(&key);
        let mut denied = None;
        for entry in reading
            .open_table(OWNERS)?
            .range::<&[u8]>(tables::bounds(&span))?
        {
            let (owner, _) = entry?;
            match Owner::blob_of(&owner.value()[key.len()..]) {
                Some(blob) if self.is_denied(blob) => denied = Some(blob),
                _ => return Ok(None),
            }
        }
        Ok(denied)
    }
}

impl BlockSource for Blobs {
    async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        Self::block(self, cid).await
    }
}

/// A block's place beside the blobs.
fn stored(reading: &ReadTransaction, key: &[u8]) -> Result<Option<Place>, Fault> {
    let blocks = reading.open_table(BLOCKS)?;
    match blocks.get(key)? {
        Some(value) => Place::decode(value.value()).map(Some),
        None => Ok(None),
    }
}

/// Blobs that a block is a part of.
fn parts(reading: &ReadTransaction, key: &[u8]) -> Result<Vec<(BlobId, Part)>, Fault> {
    let span = span(key);
    let table = reading.open_table(PARTS)?;
    let mut parts = Vec::new();
    for entry in table
        .range::<&[u8]>(tables::bounds(&span))?
        .take(BLOBS_PER_BLOCK)
    {
        let (key, part) = entry?;
        let part = tables::decode(part.value())?;
        parts.push((tables::last_blob(key.value())?, part));
    }
    Ok(parts)
}

/// The blob that a CID is datt's own name of.
pub(super) fn own_name(cid: &Cid) -> Option<BlobId> {
    let is_own = cid.hash().code() == dag::hash::BLAKE3 && cid.codec() == dag::codec::RAW;
    let digest = cid.hash().digest().try_into().ok()?;
    is_own.then(|| BlobId::from_bytes(digest))
}

fn cut(bytes: &Bytes, part: &Part) -> Option<Bytes> {
    let start = usize::try_from(part.offset).ok()?;
    let end = start.checked_add(part.len as usize)?;
    let inner = bytes.get(start..end)?;
    if part.prefix.is_empty() && part.suffix.is_empty() {
        return Some(bytes.slice(start..end));
    }
    Some([&part.prefix, inner, &part.suffix].concat().into())
}

fn denied(cid: &Cid, blob: BlobId) -> BlockError {
    BlockError::Denied {
        cid: *cid,
        reason: format!("its file {blob} is on this node's denylist"),
    }
}
