//! Bytes into the store: from a file, from a stream, from memory; hashed on the way, in constant
//! memory, charged to the quota before anything is written.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use cid::Cid;
use iroh_blobs::{
    BlobFormat,
    api::{
        TempTag,
        blobs::{AddPathOptions, AddProgressItem, ImportMode},
    },
};
use model::BlobId;
use n0_future::{Stream, StreamExt};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::{
    Keep, ProgressSender, QuotaError, Stage, StoreError,
    files::Write,
    id,
    ledger::Look,
    progress::report,
    quota::{Reservation, stored_bytes},
    source::INLINE_BYTES,
    store::Blobs,
};

/// A stream of unknown length reserves this much at a time, bytes.
const STEP_BYTES: u64 = 8 * 1024 * 1024;
/// Small pieces of a stream are joined up to this size, bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces between the stream and the store.
const PIECES: usize = 4;

/// A blob that is in the store now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub blob: BlobId,
    /// Its size.
    pub size_bytes: u64,
    /// The root of its UnixFS DAG (profile `unixfs-v1-2025`, IPIP-499).
    pub unixfs: Cid,
}

/// Why bytes were not imported; what was written of them is deleted.
#[derive(Debug, Error)]
pub enum ImportError {
    /// No room is allowed for them.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The source is longer than the caller takes.
    #[error("{found_bytes} bytes are more than the {max_bytes} that are accepted")]
    TooLong {
        /// Bytes found, at least.
        found_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// The source did not give as many bytes as it said.
    #[error("the source said {said_bytes} bytes and gave {found_bytes}")]
    Length {
        /// What it said.
        said_bytes: u64,
        /// What came.
        found_bytes: u64,
    },
    /// The file can't be read.
    #[error("can't read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The stream broke off.
    #[error("the upload broke off")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The blob is on the denylist.
    #[error("{0} is on this node's denylist")]
    Denied(BlobId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Blobs {
    /// Imports a file. The store makes its own copy (a reflink where the file system can).
    ///
    /// # Errors
    /// Over quota before anything is written; else when the file or the store fails.
    pub async fn import_path(
        &self,
        path: &Path,
        keep: &Keep,
        progress: &ProgressSender,
    ) -> Result<Imported, ImportError> {
        let failed = |source| ImportError::File {
            path: path.to_owned(),
            source,
        };
        let path = path.canonicalize().map_err(failed)?;
        let metadata = path.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(failed(source));
        }
        let said_bytes = metadata.len();
        let room = self.reserve(stored_bytes(said_bytes)).await?;
        let write = self.writes().begin();
        let adding = self.store().add_path_with_opts(AddPathOptions {
            path,
            format: BlobFormat::Raw,
            mode: ImportMode::Copy,
        });
        let (guard, size_bytes) =
            match watch(adding.stream().await, Some(said_bytes), progress).await {
                Ok(added) => added,
                Err(error) => return self.failed(write, room, error).await,
            };
        self.finish(guard, size_bytes, keep, room, write).await
    }

    /// Imports a stream. `said_bytes` is its length, when it is known: then the quota is asked
    /// before the first byte. `max_bytes` bounds it in any case.
    ///
    /// # Errors
    /// Over quota or too long; when the stream breaks off, or the store fails.
    pub async fn import_stream<S, E>(
        &self,
        stream: S,
        said_bytes: Option<u64>,
        max_bytes: u64,
        keep: &Keep,
        progress: &ProgressSender,
    ) -> Result<Imported, ImportError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(found_bytes) = said_bytes.filter(|said| *said > max_bytes) {
            return Err(ImportError::TooLong {
                found_bytes,
                max_bytes,
            });
        }
        let mut room = self.reserve(stored_bytes(said_bytes.unwrap_or(0))).await?;
        let write = self.writes().begin();
        let (tx, rx) = mpsc::channel(PIECES);
        let adding = self.store().add_stream(Pieces(rx)).await;
        let adding = adding.stream().await;
        let source = Source {
            blobs: self,
            room: &mut room,
            said_bytes,
            max_bytes,
        };
        let (pumped, added) =
            tokio::join!(source.pump(stream, tx), watch(adding, said_bytes, progress));
        // When both failed, the store's fault is the cause if the pump only saw it hang up.
        let (guard, size_bytes) = match (pumped, added) {
            (Ok(()), Ok(added)) => added,
            (Err(Some(error)), _) => return self.failed(write, room, error).await,
            (_, Err(error)) => return self.failed(write, room, error).await,
            (Err(None), Ok(_)) => {
                let error = ImportError::Store(StoreError::Stopped);
                return self.failed(write, room, error).await;
            }
        };
        self.finish(guard, size_bytes, keep, room, write).await
    }

    /// Imports bytes from memory.
    ///
    /// # Errors
    /// Over quota, or when the store fails.
    pub async fn import_bytes(&self, bytes: Bytes, keep: &Keep) -> Result<Imported, ImportError> {
        let size_bytes = bytes.len() as u64;
        let room = self.reserve(stored_bytes(size_bytes)).await?;
        let write = self.writes().begin();
        match self.store().add_bytes(bytes).temp_tag().await {
            Ok(guard) => self.finish(guard, size_bytes, keep, room, write).await,
            Err(error) => {
                let error = StoreError::api("import bytes", error).into();
                self.failed(write, room, error).await
            }
        }
    }

    /// Gives the blob its reason to stay before its protection ends.
    async fn finish(
        &self,
        guard: TempTag,
        size_bytes: u64,
        keep: &Keep,
        room: Reservation,
        write: Write,
    ) -> Result<Imported, ImportError> {
        let blob = id(guard.hash());
        if self.is_denied(blob) {
            drop(guard);
            return self.failed(write, room, ImportError::Denied(blob)).await;
        }
        if size_bytes > INLINE_BYTES
            && let Ok(look) = Look::of(&self.files().data(blob))
        {
            self.ledger().trusted(blob, look);
        }
        self.used(blob);
        self.keep(blob, keep).await?;
        drop(guard);
        room.commit(stored_bytes(size_bytes));
        write.succeeded();
        self.settle().await?;
        let unixfs = crate::dag::name_of(crate::dag::codec::RAW, &[]);
        Ok(Imported {
            blob,
            size_bytes,
            unixfs,
        })
    }

    /// Deletes what a failed import wrote, then gives its room back.
    async fn failed<T>(
        &self,
        write: Write,
        room: Reservation,
        error: ImportError,
    ) -> Result<T, ImportError> {
        self.files().drop_ballast_if_full();
        drop(write);
        if let Err(error) = self.settle().await {
            tracing::warn!(target: "blocks::import", %error, "what a failed import wrote may stay");
        }
        drop(room);
        Err(error)
    }
}

/// Follows an import to its end.
async fn watch(
    mut items: impl Stream<Item = AddProgressItem> + Unpin,
    said_bytes: Option<u64>,
    progress: &ProgressSender,
) -> Result<(TempTag, u64), ImportError> {
    const ACT: &str = "import a blob";
    let mut size_bytes = said_bytes.unwrap_or(0);
    while let Some(item) = items.next().await {
        match item {
            AddProgressItem::Size(found_bytes) => match said_bytes {
                Some(said_bytes) if said_bytes != found_bytes => {
                    return Err(ImportError::Length {
                        said_bytes,
                        found_bytes,
                    });
                }
                _ => size_bytes = found_bytes,
            },
            AddProgressItem::CopyProgress(done) => report(progress, Stage::Copy, done, said_bytes),
            AddProgressItem::CopyDone => report(progress, Stage::Hash, 0, Some(size_bytes)),
            AddProgressItem::OutboardProgress(done) => {
                report(progress, Stage::Hash, done, Some(size_bytes));
            }
            AddProgressItem::Done(guard) => {
                report(progress, Stage::Hash, size_bytes, Some(size_bytes));
                return Ok((guard, size_bytes));
            }
            AddProgressItem::Error(error) => return Err(StoreError::new(ACT, error).into()),
        }
    }
    Err(StoreError::Stopped.into())
}

/// Where a stream's pieces are counted before the store may write them.
struct Source<'a> {
    blobs: &'a Blobs,
    room: &'a mut Reservation,
    said_bytes: Option<u64>,
    max_bytes: u64,
}

impl Source<'_> {
    /// Hands the stream to the store. `Err(None)` says that the store hung up; any other error has
    /// been handed on, so that the store stops writing.
    async fn pump<S, E>(
        mut self,
        stream: S,
        tx: mpsc::Sender<io::Result<Bytes>>,
    ) -> Result<(), Option<ImportError>>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.forward(stream, &tx).await {
            Err(Some(error)) => {
                let told = io::Error::new(io::ErrorKind::Interrupted, error.to_string());
                tx.send(Err(told)).await.ok();
                Err(Some(error))
            }
            other => other,
        }
    }

    async fn forward<S, E>(
        &mut self,
        stream: S,
        tx: &mpsc::Sender<io::Result<Bytes>>,
    ) -> Result<(), Option<ImportError>>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut stream = std::pin::pin!(stream);
        let mut joined = BytesMut::new();
        let mut found_bytes = 0u64;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| Some(ImportError::Source(error.into())))?;
            found_bytes += piece.len() as u64;
            self.check(found_bytes).await.map_err(Some)?;
            if joined.is_empty() && piece.len() >= PIECE_BYTES {
                tx.send(Ok(piece)).await.map_err(|_| None)?;
                continue;
            }
            joined.extend_from_slice(&piece);
            if joined.len() >= PIECE_BYTES {
                tx.send(Ok(joined.split().freeze()))
                    .await
                    .map_err(|_| None)?;
            }
        }
        if let Some(said_bytes) = self.said_bytes.filter(|said| *said != found_bytes) {
            return Err(Some(ImportError::Length {
                said_bytes,
                found_bytes,
            }));
        }
        if !joined.is_empty() {
            tx.send(Ok(joined.freeze())).await.map_err(|_| None)?;
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
        let needed_bytes = stored_bytes(found_bytes);
        if needed_bytes > self.room.bytes() {
            let more_bytes = (needed_bytes - self.room.bytes()).max(STEP_BYTES);
            self.blobs.grow(self.room, more_bytes).await?;
        }
        Ok(())
    }
}

/// The receiving end of the pump, as the stream that the store wants.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}
