//! Pieces of blobs, as BitTorrent cuts and hashes them: computed by the same read as the names,
//! kept beside them, gone with the blob.

use std::{fs::File, io::Read, ops::Bound};

use model::BlobId;
use redb::ReadTransaction;
use sha1::{Digest, Sha1};

use super::{
    database::Fault,
    namer::Piece,
    tables::{self, PIECES, Writing, joined, last_blob},
};
use crate::{BlobSource, BlobStatus, Blobs, ReadError, StoreError, dag::LEAF_BYTES};

/// Bytes of a piece; the last one of a blob may be shorter.
pub const PIECE_BYTES: u64 = LEAF_BYTES as u64;
/// Bytes of the size before the hashes.
const SIZE_BYTES: usize = 8;
/// Rows that are looked at in one transaction.
const ROWS: usize = 1024;

impl Blobs {
    /// Whether a blob of this size has pieces.
    pub(crate) fn has_pieces(&self, size_bytes: u64) -> bool {
        size_bytes > 0 && size_bytes >= self.pieces_min_bytes()
    }

    /// SHA-1 of each of a blob's pieces of [`PIECE_BYTES`] in order (BEP 3); none while they aren't
    /// known, and for a blob smaller than [`crate::BlobsOptions::pieces_min_bytes`].
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn pieces(&self, blob: BlobId) -> Result<Option<Vec<[u8; 20]>>, StoreError> {
        self.index()
            .read("look a blob's pieces up", move |reading| {
                tables::get(reading, PIECES, blob.as_bytes())?
                    .map(|row| decode(&row).map(|(_, pieces)| pieces.to_vec()))
                    .transpose()
            })
            .await
    }

    /// Blobs that are held in full and have pieces, with their sizes, in the order of their names:
    /// at most so many behind `after`.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn pieced(
        &self,
        after: Option<BlobId>,
        max: usize,
    ) -> Result<Vec<(BlobId, u64)>, StoreError> {
        let (mut pieced, mut after) = (Vec::new(), after);
        while pieced.len() < max {
            let reading = self
                .index()
                .read("list what has pieces", move |reading| rows(reading, after));
            let rows = reading.await?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(*last);
            for (blob, size_bytes) in rows {
                let status = self.status(blob).await?;
                if status == (BlobStatus::Complete { size_bytes }) && !self.is_denied(blob) {
                    pieced.push((blob, size_bytes));
                }
                if pieced.len() >= max {
                    break;
                }
            }
        }
        Ok(pieced)
    }

    /// SHA-1 of the pieces of several blobs one behind the other, as in a torrent of several files:
    /// a piece may begin in one and end in the next. Reads each once, and remembers nothing.
    ///
    /// # Errors
    /// When one of them isn't held in full, is denied, or can't be read.
    pub async fn hash_pieces(&self, blobs: &[BlobId]) -> Result<Vec<[u8; 20]>, ReadError> {
        let mut cutter = Cutter::default();
        for blob in blobs {
            let _guard = self.guard(*blob).await?;
            let source = self.source(*blob).await?;
            let size_bytes = source.size_bytes();
            let cutting = tokio::task::spawn_blocking(move || {
                let taken_bytes = cutter.source(&source)?;
                Ok::<_, std::io::Error>((cutter, taken_bytes))
            });
            let cut = cutting.await.map_err(|_| StoreError::Stopped)?;
            let (rest, taken_bytes) =
                cut.map_err(|error| StoreError::new("read a blob for its pieces", error))?;
            if taken_bytes != size_bytes || !self.is_unchanged(*blob) {
                return Err(ReadError::Changed(*blob));
            }
            cutter = rest;
        }
        Ok(cutter.finish())
    }
}

/// Cuts bytes into pieces.
#[derive(Default)]
struct Cutter {
    hasher: Sha1,
    filled_bytes: usize,
    pieces: Vec<Piece>,
    buffer: Vec<u8>,
}

impl Cutter {
    /// Takes the whole of a source; says how many bytes it had. Waits for the disk.
    fn source(&mut self, source: &BlobSource) -> std::io::Result<u64> {
        match source {
            BlobSource::Bytes(bytes) => {
                self.bytes(bytes);
                Ok(bytes.len() as u64)
            }
            BlobSource::File { path, size_bytes } => {
                let mut file = File::open(path)?.take(*size_bytes);
                let mut buffer = std::mem::take(&mut self.buffer);
                buffer.resize(LEAF_BYTES, 0);
                let mut taken_bytes = 0;
                loop {
                    let read = file.read(&mut buffer)?;
                    if read == 0 {
                        break;
                    }
                    self.bytes(&buffer[..read]);
                    taken_bytes += read as u64;
                }
                self.buffer = buffer;
                Ok(taken_bytes)
            }
        }
    }

    fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let part = bytes.len().min(LEAF_BYTES - self.filled_bytes);
            let (now, rest) = bytes.split_at(part);
            self.hasher.update(now);
            self.filled_bytes += part;
            if self.filled_bytes == LEAF_BYTES {
                self.cut();
            }
            bytes = rest;
        }
    }

    fn cut(&mut self) {
        self.pieces.push(self.hasher.finalize_reset().into());
        self.filled_bytes = 0;
    }

    fn finish(mut self) -> Vec<Piece> {
        if self.filled_bytes > 0 {
            self.cut();
        }
        self.pieces
    }
}

/// Records pieces with the names of a blob.
pub(super) fn record(
    tables: &mut Writing<'_>,
    blob: BlobId,
    size_bytes: u64,
    pieces: &[Piece],
) -> Result<(), Fault> {
    let row = joined(&size_bytes.to_le_bytes(), pieces.as_flattened());
    tables
        .pieces
        .insert(blob.as_bytes().as_slice(), row.as_slice())?;
    Ok(())
}

fn decode(row: &[u8]) -> Result<(u64, &[Piece]), Fault> {
    let damaged = || Fault::Corrupted("the pieces of a blob".to_owned());
    let (size, hashes) = row.split_first_chunk::<SIZE_BYTES>().ok_or_else(damaged)?;
    let size_bytes = u64::from_le_bytes(*size);
    match hashes.as_chunks() {
        (pieces, []) if pieces.len() as u64 == size_bytes.div_ceil(PIECE_BYTES) => {
            Ok((size_bytes, pieces))
        }
        _ => Err(damaged()),
    }
}

/// Some blobs behind one, with their sizes.
fn rows(reading: &ReadTransaction, after: Option<BlobId>) -> Result<Vec<(BlobId, u64)>, Fault> {
    let Some(table) = tables::open(reading, PIECES)? else {
        return Ok(Vec::new());
    };
    let from = after.as_ref().map_or(Bound::Unbounded, |blob| {
        Bound::Excluded(blob.as_bytes().as_slice())
    });
    let mut rows = Vec::new();
    for entry in table.range::<&[u8]>((from, Bound::Unbounded))?.take(ROWS) {
        let (key, row) = entry?;
        rows.push((last_blob(key.value())?, decode(row.value())?.0));
    }
    Ok(rows)
}
