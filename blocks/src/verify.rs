//! Re-checking what is held against its names, and taking out what is damaged.

mod doubt;
mod mend;
mod survey;

use std::{fmt, fs::File, io, path::Path};

use bao_tree::io::mixed::EncodedItem;
use cid::Cid;
use model::BlobId;
use n0_future::StreamExt;
use tokio::sync::{mpsc, watch};

use self::doubt::Why;
use crate::{BlobStatus, StoreError, hash, ledger::Look, source::INLINE_BYTES, store::Blobs};

pub(crate) use self::doubt::{Doubts, Verdict};

/// Read at a time, bytes.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Reports of progress between the hashing thread and the task.
const REPORTS: usize = 16;

/// How far a verification is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Blobs checked.
    pub blobs: u64,
    /// Blobs to check.
    pub total_blobs: u64,
    /// Bytes hashed.
    pub bytes: u64,
}

/// Something held that is not what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What it is.
    pub subject: Damaged,
    /// What is wrong, for a person.
    pub what: String,
}

/// Something held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damaged {
    /// A blob.
    Blob(BlobId),
    /// A block that isn't a part of one, by a name with its hash.
    Block(Cid),
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(blob) => blob.fmt(f),
            Self::Block(cid) => cid.fmt(f),
        }
    }
}

/// What came out of checking one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Right,
    Wrong,
    Unreadable,
}

impl Check {
    pub(crate) fn of(blob: BlobId, hashed: io::Result<[u8; 32]>) -> Self {
        match hashed {
            Ok(found) if found == *blob.as_bytes() => Self::Right,
            Ok(_) => Self::Wrong,
            Err(_) => Self::Unreadable,
        }
    }
}

impl Blobs {
    /// Hashes everything that is held again, blobs and the blocks beside them. What is wrong of a
    /// blob is held no more when this returns, the rest and the reasons to keep it are: it is to be
    /// fetched again, and told of until it is held in full. A damaged block stays where it is: give
    /// its DAG up with [`Blobs::remove_dag`]. [`Blobs::damage`] tells of each.
    ///
    /// # Errors
    /// When the store itself can't be read.
    pub async fn verify(
        &self,
        progress: &watch::Sender<VerifyProgress>,
    ) -> Result<Vec<Damage>, StoreError> {
        let blobs = self.list().await?;
        let mut at = VerifyProgress {
            total_blobs: blobs.len() as u64,
            ..VerifyProgress::default()
        };
        progress.send_replace(at);
        let mut damages = Vec::new();
        for blob in blobs {
            if self.doubts().holds(blob) {
                self.take_out(blob).await;
            }
            let guard = self.guard(blob).await?;
            let what = match self.status(blob).await? {
                BlobStatus::Missing => None,
                BlobStatus::Complete { size_bytes } if size_bytes > INLINE_BYTES => {
                    self.verify_file(blob, size_bytes, &mut at, progress)
                        .await?
                }
                _ => self.verify_chunks(blob, &mut at).await?,
            };
            drop(guard);
            if let Some(what) = what {
                self.take_out(blob).await;
                let subject = Damaged::Blob(blob);
                damages.push(Damage { subject, what });
            }
            at.blobs += 1;
            progress.send_replace(at);
        }
        for blob in self.still_lacking().await? {
            let subject = Damaged::Blob(blob);
            if !damages.iter().any(|damage| damage.subject == subject) {
                let what = "its bytes were changed; what was wrong is held no more".to_owned();
                damages.push(Damage { subject, what });
            }
        }
        let blocks = self.check_index(|bytes| {
            at.bytes += bytes;
            progress.send_replace(at);
        });
        for damage in blocks.await? {
            self.doubts().report(damage.subject);
            damages.push(damage);
        }
        Ok(damages)
    }

    /// Has what is wrong of a blob taken out, and waits for that.
    async fn take_out(&self, blob: BlobId) {
        let mut verdict = self.doubt_for(blob, Why::Bytes);
        // An error says that the store is closing.
        verdict.wait_for(Option::is_some).await.ok();
    }

    async fn verify_file(
        &self,
        blob: BlobId,
        size_bytes: u64,
        at: &mut VerifyProgress,
        progress: &watch::Sender<VerifyProgress>,
    ) -> Result<Option<String>, StoreError> {
        let path = self.files().data(blob);
        let look = match Look::of(&path) {
            Ok(look) => look,
            Err(error) => return Ok(Some(format!("its file can't be read: {error}"))),
        };
        if look.size_bytes() != size_bytes {
            let found = look.size_bytes();
            return Ok(Some(format!(
                "its file has {found} bytes instead of {size_bytes}"
            )));
        }
        let (tx, mut rx) = mpsc::channel(REPORTS);
        let hashing = tokio::task::spawn_blocking(move || {
            hash_file(&path, |bytes| {
                tx.blocking_send(bytes).ok();
            })
        });
        while let Some(bytes) = rx.recv().await {
            at.bytes += bytes;
            progress.send_replace(*at);
        }
        let hashed = hashing.await.map_err(|_| StoreError::Stopped)?;
        Ok(match Check::of(blob, hashed) {
            Check::Right => {
                self.record_trust(blob, look).await?;
                None
            }
            Check::Wrong => Some("its bytes were changed: the hash is another".to_owned()),
            Check::Unreadable => Some("its file can't be read".to_owned()),
        })
    }

    /// For what lies in the database or is held in part: the store checks each chunk that it gives.
    async fn verify_chunks(
        &self,
        blob: BlobId,
        at: &mut VerifyProgress,
    ) -> Result<Option<String>, StoreError> {
        let held = match self.held_chunks(blob).await {
            Ok(held) => held,
            Err(error) => return Ok(Some(format!("its files can't be read: {error}"))),
        };
        let mut items = std::pin::pin!(self.store().export_bao(hash(blob), held).stream());
        while let Some(item) = items.next().await {
            match item {
                EncodedItem::Leaf(leaf) => at.bytes += leaf.data.len() as u64,
                EncodedItem::Error(error) => {
                    return Ok(Some(format!("a part of it was changed: {error}")));
                }
                EncodedItem::Size(_) | EncodedItem::Parent(_) | EncodedItem::Done => {}
            }
        }
        Ok(None)
    }
}

/// BLAKE3 of a file; reports the bytes read since the last report.
pub(crate) fn hash_file(path: &Path, mut report: impl FnMut(u64)) -> io::Result<[u8; 32]> {
    use io::Read;
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(*hasher.finalize().as_bytes());
        }
        hasher.update(&buffer[..read]);
        report(read as u64);
    }
}
