//! Where the bytes of a held blob can be read from, and its outboard.

use std::{path::PathBuf, time::Duration};

use bao_tree::{BlockSize, io::outboard::PreOrderMemOutboard};
use bytes::Bytes;
use model::BlobId;
use thiserror::Error;
use tokio::time::timeout;

use crate::{BlobStatus, StoreError, hash, ledger::Look, store::Blobs, verify::Verdict};

/// Who wants to read a file that is being checked waits this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Blobs up to this size lie in the store's database, larger ones in a file of their own
/// (iroh-blobs' `InlineOptions`).
pub(crate) const INLINE_BYTES: u64 = 16 * 1024;
/// Outboards have one hash pair for each group of this many chunks, as a power of two.
pub(crate) const GROUP_LOG: u8 = 4;
/// Outboards up to this size lie in the store's database (iroh-blobs' `InlineOptions`).
pub(crate) const INLINE_OUTBOARD_BYTES: u64 = 16 * 1024;

/// The verified bytes of something held in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobSource {
    /// A file to be read at any offset. It may be deleted while it is open, but never changes.
    File {
        /// Where.
        path: PathBuf,
        /// How long.
        size_bytes: u64,
    },
    /// The bytes themselves.
    Bytes(Bytes),
}

impl BlobSource {
    /// How long it is.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::File { size_bytes, .. } => *size_bytes,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// Why a held blob can't be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Not held, or not in full.
    #[error("{0} is not held in full")]
    NotHeld(BlobId),
    /// On the denylist.
    #[error("{0} is on this node's denylist")]
    Denied(BlobId),
    /// Its file no longer has the bytes that the name says; it must be fetched again.
    #[error("the file of {0} was changed or damaged: what is wrong of it must be fetched again")]
    Changed(BlobId),
    /// Its file isn't as it was left, and it is being found out whether its bytes are right.
    #[error("the file of {0} was changed: it is being checked, try again later")]
    Checking(BlobId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Blobs {
    /// Where to read a blob that is held in full. A file whose size or time isn't what it was is
    /// hashed again first, in the background; what is wrong of it is held no more.
    ///
    /// # Errors
    /// When it isn't held in full, is denied, or its file was changed or is being checked.
    pub async fn source(&self, blob: BlobId) -> Result<BlobSource, ReadError> {
        if self.is_denied(blob) {
            return Err(ReadError::Denied(blob));
        }
        let BlobStatus::Complete { size_bytes } = self.stored_status(blob).await? else {
            return Err(ReadError::NotHeld(blob));
        };
        self.used(blob);
        if size_bytes <= INLINE_BYTES {
            let bytes = self.store().get_bytes(hash(blob)).await;
            let bytes = bytes.map_err(|error| StoreError::api("read a blob", error))?;
            return Ok(BlobSource::Bytes(bytes));
        }
        let path = self.files().data(blob);
        self.check_look(blob, size_bytes).await?;
        Ok(BlobSource::File { path, size_bytes })
    }

    /// The BLAKE3 outboard of a blob that is held in full: hash pairs of 64 bytes in pre-order, one
    /// for each inner node down to groups of 16 KiB, without a size prefix. Empty for a blob of
    /// one group.
    ///
    /// # Errors
    /// As [`Blobs::source`].
    pub async fn outboard(&self, blob: BlobId) -> Result<BlobSource, ReadError> {
        let source = self.source(blob).await?;
        let tree =
            bao_tree::BaoTree::new(source.size_bytes(), BlockSize::from_chunk_log(GROUP_LOG));
        let outboard_bytes = tree.outboard_size();
        if outboard_bytes > INLINE_OUTBOARD_BYTES {
            return Ok(BlobSource::File {
                path: self.files().outboard(blob),
                size_bytes: outboard_bytes,
            });
        }
        // Kept in the database, which gives it to nobody; the blob is small enough to hash again.
        let computed = tokio::task::spawn_blocking(move || {
            let bytes = match source {
                BlobSource::Bytes(bytes) => bytes,
                BlobSource::File { path, .. } => std::fs::read(path)?.into(),
            };
            let outboard =
                PreOrderMemOutboard::create(&bytes, BlockSize::from_chunk_log(GROUP_LOG));
            Ok((outboard.root, outboard.data))
        })
        .await
        .map_err(|_| StoreError::Stopped)?;
        let (root, pairs) =
            computed.map_err(|error| StoreError::new("read a blob for its outboard", error))?;
        if root.as_bytes() != blob.as_bytes() {
            return Err(ReadError::Changed(blob));
        }
        Ok(BlobSource::Bytes(pairs.into()))
    }

    /// Whether a blob's file looks as it did when it was right. Asks the file system, and reads
    /// nothing. True where there is no file, or nothing is known of it.
    pub fn is_unchanged(&self, blob: BlobId) -> bool {
        let known = self.ledger().look(blob);
        known.is_none_or(|known| Look::of(&self.files().data(blob)).is_ok_and(|look| look == known))
    }

    /// Whether a blob's file may be served: it is as it was left, and not being checked. To be asked
    /// by those who open the file themselves. A file that was changed is checked in the background
    /// from now on.
    pub fn is_sound(&self, blob: BlobId) -> bool {
        if self.doubts().holds(blob) {
            return false;
        }
        let is_unchanged = self.is_unchanged(blob);
        if !is_unchanged {
            self.doubt(blob);
        }
        is_unchanged
    }

    /// A file that isn't as it was left is hashed; who wants to read it waits a while for that.
    async fn check_look(&self, blob: BlobId, size_bytes: u64) -> Result<(), ReadError> {
        if !self.doubts().holds(blob) {
            let look = Look::of(&self.files().data(blob)).ok();
            let look = look.filter(|look| look.size_bytes() == size_bytes);
            if look.is_some() && self.is_trusted(blob, look).await? {
                return Ok(());
            }
        }
        let mut verdict = self.doubt(blob);
        let verdict = timeout(PATIENCE, verdict.wait_for(Option::is_some)).await;
        match verdict {
            Ok(Ok(verdict)) if *verdict == Some(Verdict::Right) => Ok(()),
            Ok(Ok(_)) => Err(ReadError::Changed(blob)),
            Ok(Err(_)) => Err(StoreError::Stopped.into()),
            Err(_) => Err(ReadError::Checking(blob)),
        }
    }

    /// Whether the file looked so when it was right. One that was never looked at counts as right.
    async fn is_trusted(&self, blob: BlobId, look: Option<Look>) -> Result<bool, StoreError> {
        let known = self.ledger().look(blob);
        if known == look {
            return Ok(true);
        }
        // The index is written at once, the ledger now and then.
        let recorded = self.recorded_look(blob).await?;
        let Some(look) = look else { return Ok(false) };
        if recorded == Some(look) {
            self.ledger().trusted(blob, look);
            return Ok(true);
        }
        if known.is_none() && recorded.is_none() {
            self.ledger().trusted(blob, look);
            if let Err(error) = self.record_trust(blob, look).await {
                tracing::debug!(target: "blocks::source", blob = %blob.short(), %error);
            }
            return Ok(true);
        }
        Ok(false)
    }
}
