//! A file that came as blocks becomes a blob, and its leaves places in it.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use cid::Cid;
use model::BlobId;

use super::{
    FileAt, IntakeError,
    database::on_thread,
    finish::Walk,
    pack,
    tables::{self, Owner, Packed, Part, Place},
};
use crate::{
    ImportError, StoreError,
    dag::{self, BlockError, Node, UnixFs, WalkError, codec},
    unwatched,
};

/// How much larger files may be than the blocks that they are made of, of which each is there once.
const LARGER: u64 = 4;
/// What files come to whatever their blocks do, bytes.
const ALWAYS_BYTES: u64 = 16 << 20;
/// Leaves that are recorded together.
const LEAVES: usize = 1024;

/// A part of the file that waits to be looked at.
struct Piece {
    cid: Cid,
    offset: u64,
    len: u64,
}

impl Walk {
    /// Makes a file a blob, if all of it is here, it is right, it fits, and its blocks aren't just a
    /// few that repeat. They were visited before.
    pub(super) async fn convert(&mut self, cid: Cid, size_bytes: u64) -> Result<(), IntakeError> {
        let blob_bytes = self.blob_bytes.saturating_add(size_bytes);
        if blob_bytes > (self.bytes.saturating_mul(LARGER)).max(ALWAYS_BYTES) {
            tracing::info!(target: "blocks::index", %cid, size_bytes, "a file stays few blocks");
            return Ok(());
        }
        if !self.is_whole(cid).await? {
            return Ok(());
        }
        let bytes = dag::read(Arc::new(self.blobs.clone()), cid, 0..size_bytes);
        let size = Some(size_bytes);
        let progress = unwatched();
        let importing = self
            .blobs
            .import_stream(bytes, size, size_bytes, &self.keep, &progress);
        let blob = match Box::pin(importing).await {
            Ok(imported) => {
                self.pin(imported.blob).await?;
                self.blob_bytes = blob_bytes;
                imported.blob
            }
            // Its bytes go, and its blocks stay known for denied.
            Err(ImportError::Denied(blob)) => {
                self.blobs.collect().await?;
                blob
            }
            Err(error) if is_left(&error) => {
                tracing::info!(target: "blocks::index", %cid, %error, "a file stays blocks");
                return Ok(());
            }
            Err(source) => return Err(IntakeError::Import { cid, source }),
        };
        self.map(cid, blob, size_bytes).await?;
        if !self.blobs.is_denied(blob) {
            self.taken.files.push((cid, blob, size_bytes));
        }
        Ok(())
    }

    /// Whether every block of a file is here.
    async fn is_whole(&self, root: Cid) -> Result<bool, IntakeError> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![root];
        while let Some(cid) = waiting.pop() {
            if dag::inline(&cid).is_some() {
                continue;
            }
            if cid.codec() == codec::RAW {
                if self.blobs.block_bytes(&cid).await?.is_none() {
                    return Ok(false);
                }
                continue;
            }
            let links = match self.read(&cid).await {
                Ok(bytes) => dag::links(&cid, &bytes),
                // Damaged, denied or not here.
                Err(_) => return Ok(false),
            };
            let Ok(links) = links else {
                return Ok(false);
            };
            if !links.is_empty() && seen.insert(tables::key(&cid)) {
                waiting.extend(links);
            }
            if waiting.len() > dag::MAX_PENDING {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Records where in the blob each leaf lies; then the leaves need no other place.
    async fn map(&self, root: Cid, blob: BlobId, size_bytes: u64) -> Result<(), IntakeError> {
        // Nodes that lead further: leaves would be too many to remember.
        let mut seen = BTreeSet::new();
        let (mut parts, mut nodes) = (Vec::new(), Vec::new());
        let mut waiting = vec![Piece {
            cid: root,
            offset: 0,
            len: size_bytes,
        }];
        while let Some(piece) = waiting.pop() {
            // Of what its parent says to be empty nothing was read: it may be anything.
            if piece.len == 0 || dag::inline(&piece.cid).is_some() {
                continue;
            }
            let key = tables::key(&piece.cid);
            if piece.cid.codec() == codec::RAW {
                let len = u32::try_from(piece.len).unwrap_or(u32::MAX);
                let offset = piece.offset;
                let part = Part {
                    offset,
                    len,
                    ..Part::default()
                };
                parts.push((key, part));
            } else if !seen.contains(&key) {
                let bytes = self.read(&piece.cid).await?;
                match pieces(&piece, &bytes) {
                    Some(Pieces::Leaf(part)) => parts.push((key, part)),
                    Some(Pieces::Below(below)) => {
                        seen.insert(key.clone());
                        nodes.push(key);
                        waiting.extend(below.into_iter().rev());
                    }
                    None => {}
                }
            }
            if parts.len() + nodes.len() >= LEAVES {
                let (parts, nodes) = (std::mem::take(&mut parts), std::mem::take(&mut nodes));
                self.record(blob, parts, nodes).await?;
            }
        }
        self.record(blob, parts, nodes).await?;
        let at = FileAt { blob, size_bytes };
        let index = self.blobs.index();
        let added = index.write("name a blob", move |tables| tables.add_file(&root, at));
        Ok(added.await?)
    }

    /// Records leaves and nodes. The nodes stay with the blob, as those of its profile do.
    async fn record(
        &self,
        blob: BlobId,
        parts: Vec<(Vec<u8>, Part)>,
        nodes: Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let owner = self.owner;
        let mapped = self.blobs.index().write("map leaves", move |tables| {
            let mut holes: Vec<Packed> = Vec::new();
            for key in &nodes {
                tables.own(Owner::blob(blob), key)?;
            }
            for (key, part) in &parts {
                let place = tables.place(key)?;
                // A block of another length can't be what lies there.
                let is_other = |place: &Place| place.len() != part.block_bytes();
                if place.as_ref().is_some_and(is_other) {
                    continue;
                }
                tables.add_part(key, blob, part)?;
                // Another DAG doesn't keep this blob, so it keeps its block.
                if tables.is_owned_by_other(key, owner)? {
                    continue;
                }
                if let Some(Place::Packed(packed)) = place {
                    holes.push(packed);
                }
                tables.remove(key)?;
            }
            holes.sort_unstable_by_key(|hole| hole.offset);
            Ok(holes)
        });
        let holes = mapped.await?;
        let files = self.blobs.files().clone();
        on_thread(move || {
            pack::punch(&files, &holes);
            Ok(())
        })
        .await
    }
}

/// Whether a file that can't be imported so is left as the blocks that it is.
fn is_left(error: &ImportError) -> bool {
    match error {
        ImportError::Source(error) => !matches!(
            error.downcast_ref(),
            None | Some(WalkError::Block(BlockError::Local { .. }))
        ),
        ImportError::Length { .. } | ImportError::TooLong { .. } | ImportError::Quota(_) => true,
        _ => false,
    }
}

enum Pieces {
    Leaf(Part),
    Below(Vec<Piece>),
}

/// What a node of a file has: bytes of its own, or others below it.
fn pieces(piece: &Piece, block: &Bytes) -> Option<Pieces> {
    let node = Node::decode(block).ok()?;
    let UnixFs::File {
        data,
        block_sizes,
        size_bytes,
    } = UnixFs::of(&node).ok()?
    else {
        return None;
    };
    if size_bytes != piece.len {
        return None;
    }
    if node.links.is_empty() {
        return leaf(piece.offset, block, &data).map(Pieces::Leaf);
    }
    let mut offset = piece.offset.checked_add(data.len() as u64)?;
    let mut below = Vec::new();
    for (link, len) in node.links.iter().zip(block_sizes) {
        let cid = link.cid;
        below.push(Piece { cid, offset, len });
        offset = offset.checked_add(len)?;
    }
    Some(Pieces::Below(below))
}

/// A leaf whose bytes lie inside its block.
fn leaf(offset: u64, block: &Bytes, data: &Bytes) -> Option<Part> {
    let start = (data.as_ptr() as usize).checked_sub(block.as_ptr() as usize)?;
    let end = start.checked_add(data.len())?;
    if data.is_empty() || block.get(start..end)? != data {
        return None;
    }
    Some(Part {
        offset,
        len: u32::try_from(data.len()).ok()?,
        prefix: block[..start].to_vec(),
        suffix: block[end..].to_vec(),
    })
}
