//! Bytes into the store: from a file, from a stream, from memory. Read once for all their names, in
//! constant memory, charged to the quota before anything is written.
//!
//! Bytes go both to the store, which copies and then hashes them (BLAKE3), and to the threads that
//! name leaves (SHA-256) and, of large blobs, pieces (SHA-1). All names are of the same bytes, whatever becomes of the source: a
//! stream's pieces are shared, a file's names count if its BLAKE3 is that of the copy.

mod pump;

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
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

use self::pump::Pump;
use crate::{
    Keep, ProgressSender, QuotaError, ReadError, Stage, StoreError,
    files::Write,
    id,
    index::{Names, REWRITE_BYTES, name_file, names_bytes},
    ledger::Look,
    progress::report,
    quota::{Reservation, stored_bytes},
    source::INLINE_BYTES,
    store::Blobs,
};

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
    /// Imports a file. The store makes its own copy (a reflink where the file system can), and
    /// hashes it while the file is read for its names.
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
        let room = self.room(Some(said_bytes), keep).await?;
        let write = self.writes().begin();
        let adding = self.store().add_path_with_opts(AddPathOptions {
            path: path.clone(),
            format: BlobFormat::Raw,
            mode: ImportMode::Copy,
        });
        let adding = adding.stream().await;
        let wants_pieces = self.has_pieces(said_bytes);
        let naming = async { Ok(name_file(path, said_bytes, wants_pieces).await.ok()) };
        let done = tokio::try_join!(watch(adding, Some(said_bytes), progress), naming);
        let ((guard, size_bytes), named) = match done {
            Ok(done) => done,
            Err(error) => return self.failed(write, room, error).await,
        };
        if size_bytes != said_bytes {
            self.forget(guard).await;
            let error = ImportError::Length {
                said_bytes,
                found_bytes: size_bytes,
            };
            return self.failed(write, room, error).await;
        }
        // What was read and what was copied differ if the file changed meanwhile.
        let blob = id(guard.hash());
        let names = match named {
            Some((found, names)) if found == blob => names,
            _ => match self.name_held(blob).await {
                Ok(names) => names,
                Err(error) => return self.failed(write, room, unread(error)).await,
            },
        };
        self.finish(guard, size_bytes, names, keep, room, write)
            .await
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
        let room = self.room(said_bytes, keep).await?;
        let pieces = stream.map(|piece| piece.map_err(|error| ImportError::Source(error.into())));
        self.import(pieces, room, said_bytes, max_bytes, keep, progress)
            .await
    }

    async fn import<S>(
        &self,
        pieces: S,
        mut room: Reservation,
        said_bytes: Option<u64>,
        max_bytes: u64,
        keep: &Keep,
        progress: &ProgressSender,
    ) -> Result<Imported, ImportError>
    where
        S: Stream<Item = Result<Bytes, ImportError>>,
    {
        let write = self.writes().begin();
        let (pump, wanted) = Pump::new(self, &mut room, said_bytes, max_bytes);
        let adding = self.store().add_stream(wanted).await;
        let adding = adding.stream().await;
        let (pumped, added) = tokio::join!(pump.run(pieces), watch(adding, said_bytes, progress));
        // When both failed, the store's fault is the cause if the pump only saw it hang up.
        let (names, (guard, size_bytes)) = match (pumped, added) {
            (Ok(names), Ok(added)) => (names, added),
            (Err(Some(error)), added) => {
                if let Ok((guard, _)) = added {
                    self.forget(guard).await;
                }
                return self.failed(write, room, error).await;
            }
            (_, Err(error)) => return self.failed(write, room, error).await,
            (Err(None), Ok(_)) => {
                let error = ImportError::Store(StoreError::Stopped);
                return self.failed(write, room, error).await;
            }
        };
        self.finish(guard, size_bytes, names, keep, room, write)
            .await
    }

    /// Imports bytes from memory.
    ///
    /// # Errors
    /// Over quota, or when the store fails.
    pub async fn import_bytes(&self, bytes: Bytes, keep: &Keep) -> Result<Imported, ImportError> {
        let size_bytes = bytes.len() as u64;
        let room = self.room(Some(size_bytes), keep).await?;
        let write = self.writes().begin();
        let adding = self.store().add_bytes(bytes.clone());
        let (added, names) = tokio::join!(adding.temp_tag(), self.name_bytes(bytes));
        match (added, names) {
            (Ok(guard), Ok(names)) => {
                self.finish(guard, size_bytes, names, keep, room, write)
                    .await
            }
            (Err(error), _) => {
                let error = StoreError::api("import bytes", error).into();
                self.failed(write, room, error).await
            }
            (_, Err(error)) => self.failed(write, room, error.into()).await,
        }
    }

    /// Promises room for a blob of that size and its names.
    async fn room(&self, said_bytes: Option<u64>, keep: &Keep) -> Result<Reservation, ImportError> {
        let bytes = kept_bytes(said_bytes.unwrap_or(0)) + REWRITE_BYTES;
        Ok(self.reserve_for(bytes, keep).await?)
    }

    /// Gives the blob its reason to stay and its names before its protection ends.
    async fn finish(
        &self,
        guard: TempTag,
        size_bytes: u64,
        names: Names,
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
        let unixfs = names.root.cid;
        if let Err(error) = self.record(blob, names, keep).await {
            self.forget(guard).await;
            return self.failed(write, room, error.into()).await;
        }
        drop(guard);
        room.commit(kept_bytes(size_bytes));
        write.succeeded();
        self.settle().await?;
        Ok(Imported {
            blob,
            size_bytes,
            unixfs,
        })
    }

    /// First the names: if they can't be written, there must be no reason to keep what was imported,
    /// unless there was one before.
    async fn record(&self, blob: BlobId, names: Names, keep: &Keep) -> Result<(), StoreError> {
        self.record_names(blob, names).await?;
        self.keep(blob, keep).await
    }

    /// Has the store delete what it took in for an import that failed.
    async fn forget(&self, guard: TempTag) {
        drop(guard);
        if let Err(error) = self.collect().await {
            tracing::warn!(target: "blocks::import", %error, "a failed import waits for collection");
        }
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

/// What a blob of this size and its names take on disk.
fn kept_bytes(size_bytes: u64) -> u64 {
    stored_bytes(size_bytes).saturating_add(names_bytes(size_bytes))
}

/// Why an import failed whose copy could not be read back.
fn unread(error: ReadError) -> ImportError {
    match error {
        ReadError::Denied(blob) => ImportError::Denied(blob),
        ReadError::Store(error) => error.into(),
        ReadError::NotHeld(_) | ReadError::Changed(_) | ReadError::Checking(_) => {
            StoreError::new("read its copy back", io::Error::other(error)).into()
        }
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
            AddProgressItem::Size(found_bytes) => size_bytes = found_bytes,
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
