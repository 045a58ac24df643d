//! A source's pieces, counted before the store may write them, and named on the way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use n0_future::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::{ImportError, kept_bytes};
use crate::{
    Blobs,
    dag::LEAF_BYTES,
    index::{Namer, Names, REWRITE_BYTES},
    quota::Reservation,
};

/// A stream of unknown length reserves this much at a time, bytes.
const STEP_BYTES: u64 = 8 * 1024 * 1024;
/// The store gets a leaf in pieces of this size, bytes: it keeps up to 32 of them.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces between the pump and the store.
const PIECES: usize = 1;

/// Brings pieces to the store and to those who name leaves.
pub(super) struct Pump<'a> {
    blobs: &'a Blobs,
    room: &'a mut Reservation,
    said_bytes: Option<u64>,
    max_bytes: u64,
    tx: mpsc::Sender<io::Result<Bytes>>,
    namer: Namer,
}

/// The receiving end of the pump, as the stream that the store wants.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        blobs: &'a Blobs,
        room: &'a mut Reservation,
        said_bytes: Option<u64>,
        max_bytes: u64,
    ) -> (Self, Pieces) {
        let (tx, rx) = mpsc::channel(PIECES);
        let pump = Self {
            blobs,
            room,
            said_bytes,
            max_bytes,
            tx,
            namer: Namer::new(said_bytes.is_none_or(|said| blobs.has_pieces(said))),
        };
        (pump, Pieces(rx))
    }

    /// Runs to the source's end, or to where it fails. `Err(None)` says that the store hung up.
    ///
    /// The store never hears of a failure: told of one, it answers before it has stopped writing, and
    /// what it writes then is left behind. It takes in what came, which is given up afterwards.
    pub(super) async fn run<S>(mut self, source: S) -> Result<Names, Option<ImportError>>
    where
        S: Stream<Item = Result<Bytes, ImportError>>,
    {
        self.forward(source).await?;
        let Self { tx, namer, .. } = self;
        drop(tx);
        namer.finish().await.map_err(|error| Some(error.into()))
    }

    async fn forward<S>(&mut self, source: S) -> Result<(), Option<ImportError>>
    where
        S: Stream<Item = Result<Bytes, ImportError>>,
    {
        let mut source = std::pin::pin!(source);
        let mut filling = BytesMut::new();
        let mut found_bytes = 0u64;
        while let Some(piece) = source.next().await {
            let mut piece = piece.map_err(Some)?;
            found_bytes += piece.len() as u64;
            self.check(found_bytes).await.map_err(Some)?;
            while !piece.is_empty() {
                if filling.is_empty() && piece.len() >= LEAF_BYTES {
                    self.leaf(piece.split_to(LEAF_BYTES)).await?;
                    continue;
                }
                let part = piece.len().min(LEAF_BYTES - filling.len());
                filling.extend_from_slice(&piece.split_to(part));
                if filling.len() == LEAF_BYTES {
                    self.leaf(filling.split().freeze()).await?;
                    filling.reserve(LEAF_BYTES);
                }
            }
        }
        if let Some(said_bytes) = self.said_bytes.filter(|said| *said != found_bytes) {
            return Err(Some(ImportError::Length {
                said_bytes,
                found_bytes,
            }));
        }
        if !filling.is_empty() {
            self.leaf(filling.freeze()).await?;
        }
        Ok(())
    }

    async fn leaf(&mut self, leaf: Bytes) -> Result<(), Option<ImportError>> {
        let named = self.namer.leaf(leaf.clone()).await;
        named.map_err(|error| Some(error.into()))?;
        let mut left = leaf;
        while !left.is_empty() {
            let piece = left.split_to(left.len().min(PIECE_BYTES));
            self.tx.send(Ok(piece)).await.map_err(|_| None)?;
        }
        Ok(())
    }

    async fn check(&mut self, found_bytes: u64) -> Result<(), ImportError> {
        if let Some(said_bytes) = self.said_bytes {
            if found_bytes > said_bytes {
                return Err(ImportError::Length {
                    said_bytes,
                    found_bytes,
                });
            }
            return Ok(());
        }
        if found_bytes > self.max_bytes {
            return Err(ImportError::TooLong {
                found_bytes,
                max_bytes: self.max_bytes,
            });
        }
        let needed_bytes = kept_bytes(found_bytes) + REWRITE_BYTES;
        if needed_bytes > self.room.bytes() {
            let more_bytes = (needed_bytes - self.room.bytes()).max(STEP_BYTES);
            self.blobs.grow(self.room, more_bytes).await?;
        }
        Ok(())
    }
}
