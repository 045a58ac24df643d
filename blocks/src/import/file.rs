//! A file's bytes, read once and ahead of who takes them.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use n0_future::Stream;
use tokio::sync::mpsc;

use crate::dag::LEAF_BYTES;

/// Pieces that are read ahead.
const AHEAD: usize = 2;

/// Pieces of a file, each a leaf but the last.
pub(super) struct FilePieces(mpsc::Receiver<io::Result<Bytes>>);

impl FilePieces {
    /// Opens a file, and reads it on a thread until its end, or until nobody takes more.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (tx, rx) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            loop {
                let piece = read_piece(&mut file);
                let is_last = !matches!(&piece, Ok(piece) if piece.len() == LEAF_BYTES);
                if tx.blocking_send(piece).is_err() || is_last {
                    return;
                }
            }
        });
        Ok(Self(rx))
    }
}

fn read_piece(file: &mut File) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(LEAF_BYTES);
    file.take(LEAF_BYTES as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}

impl Stream for FilePieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}
