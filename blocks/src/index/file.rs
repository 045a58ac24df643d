//! All names of a file, from one read of it.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read, Take},
    path::PathBuf,
};

use bytes::{Bytes, BytesMut};
use model::BlobId;
use tokio::sync::mpsc;

use super::namer::{Namer, Names};
use crate::{StoreError, dag::LEAF_BYTES};

/// Leaves that are read ahead of those who hash them.
const AHEAD: usize = 1;
/// Leaves whose memory is used again when nobody holds them any more.
const BUFFERS: usize = 8;

/// Names a file of that size: reads it once, BLAKE3 on the thread that reads, SHA-256 and
/// SHA-1 on others. Of
/// a file that is longer by now it is the beginning that is named.
///
/// # Errors
/// When the file can't be read.
pub(crate) async fn name_file(
    path: PathBuf,
    size_bytes: u64,
    wants_pieces: bool,
) -> Result<(BlobId, Names), StoreError> {
    let (tx, mut leaves) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || read_file(path, size_bytes, &tx));
    let mut namer = Namer::new(wants_pieces);
    while let Some(leaf) = leaves.recv().await {
        namer.leaf(leaf).await?;
    }
    let read = reading.await.map_err(|_| StoreError::Stopped)?;
    let blob = read.map_err(|error| StoreError::new("read a file to name it", error))?;
    Ok((blob, namer.finish().await?))
}

/// Reads a file until its end, or until nobody takes more of it.
fn read_file(path: PathBuf, size_bytes: u64, to: &mpsc::Sender<Bytes>) -> io::Result<BlobId> {
    let mut file = File::open(path)?.take(size_bytes);
    let mut hasher = blake3::Hasher::new();
    let mut buffers = Buffers::default();
    loop {
        let leaf = buffers.read(&mut file)?;
        hasher.update(&leaf);
        let is_last = leaf.len() < LEAF_BYTES;
        if !leaf.is_empty() && to.blocking_send(leaf).is_err() {
            return Err(ErrorKind::Interrupted.into());
        }
        if is_last {
            return Ok(BlobId::from_bytes(*hasher.finalize().as_bytes()));
        }
    }
}

/// Memory that was given away, oldest first.
#[derive(Default)]
struct Buffers(VecDeque<Bytes>);

impl Buffers {
    /// Reads the next leaf; a short one is the last.
    fn read(&mut self, file: &mut Take<File>) -> io::Result<Bytes> {
        let mut leaf = self.free();
        let mut filled = 0;
        while filled < leaf.len() {
            match file.read(&mut leaf[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        leaf.truncate(filled);
        let leaf = leaf.freeze();
        self.0.push_back(leaf.clone());
        Ok(leaf)
    }

    fn free(&mut self) -> BytesMut {
        let oldest = match self.0.len() {
            BUFFERS.. => self.0.pop_front(),
            _ => None,
        };
        let again = oldest.and_then(|oldest| oldest.try_into_mut().ok());
        again
            .filter(|leaf| leaf.len() == LEAF_BYTES)
            .unwrap_or_else(|| BytesMut::zeroed(LEAF_BYTES))
    }
}
