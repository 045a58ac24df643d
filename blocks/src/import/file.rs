//! A file's bytes, read once and ahead of who takes them.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use n0_future::Stream;
use tokio::sync::mpsc;

use crate::dag::LEAF_BYTES;

/// Pieces that are read ahead.
const AHEAD: usize = 1;
/// Pieces whose memory is used again when nobody holds them any more.
const BUFFERS: usize = 12;

/// Pieces of a file, each a leaf but the last.
pub(super) struct FilePieces(mpsc::Receiver<io::Result<Bytes>>);

impl FilePieces {
    /// Opens a file, and reads it on a thread until its end, or until nobody takes more.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (tx, rx) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut buffers = Buffers::default();
            loop {
                let piece = buffers.read(&mut file);
                let is_last = !matches!(&piece, Ok(piece) if piece.len() == LEAF_BYTES);
                if tx.blocking_send(piece).is_err() || is_last {
                    return;
                }
            }
        });
        Ok(Self(rx))
    }
}

impl Stream for FilePieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// Memory that was given away, oldest first.
#[derive(Default)]
struct Buffers(VecDeque<Bytes>);

impl Buffers {
    /// Reads the next piece; a short one is the last.
    fn read(&mut self, file: &mut File) -> io::Result<Bytes> {
        let mut piece = self.free();
        let mut filled = 0;
        while filled < piece.len() {
            match file.read(&mut piece[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        piece.truncate(filled);
        let piece = piece.freeze();
        self.0.push_back(piece.clone());
        Ok(piece)
    }

    fn free(&mut self) -> BytesMut {
        let oldest = match self.0.len() {
            BUFFERS.. => self.0.pop_front(),
            _ => None,
        };
        let again = oldest.and_then(|oldest| oldest.try_into_mut().ok());
        again
            .filter(|piece| piece.len() == LEAF_BYTES)
            .unwrap_or_else(|| BytesMut::zeroed(LEAF_BYTES))
    }
}
