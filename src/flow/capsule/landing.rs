//! A capsule's file on its way into the blob store: one read, and nothing of it stays when its bytes
//! are not the blob that the capsule claims.

use std::sync::Arc;

use blocks::{ImportError, Imported, Keep};
use bytes::Bytes;
use cid::Cid;
use gateway::{api::types::FileImported, node::NodeError};
use model::BlobId;
use thiserror::Error;
use tokio::{sync::mpsc, task::JoinSet};

use super::marks::FileMark;
use crate::{
    core::Core,
    denylist::honour,
    flow,
    service::blobs::{ADDED, import_error, read_error},
};

/// Pieces of a file between the capsule and the store.
const PIECES: usize = 2;

/// Why a file of a capsule did not come in.
#[derive(Debug, Error)]
pub enum LandingError {
    /// The bytes have another BLAKE3 hash than the capsule claims.
    #[error("its bytes are not the blob {wanted} that the capsule says they are, but {found}")]
    OtherBlob {
        /// As the capsule claims.
        wanted: BlobId,
        /// As it is.
        found: BlobId,
    },
    /// The blob has another UnixFS root in the one profile that capsules have.
    #[error("the file {blob} is named {wanted} in the capsule, and its name is {found}")]
    OtherName {
        /// The blob.
        blob: BlobId,
        /// As the capsule claims.
        wanted: Cid,
        /// As it is.
        found: Cid,
    },
    /// The store refused it or failed.
    #[error(transparent)]
    Node(NodeError),
}

/// A file whose bytes are coming.
pub(super) struct Landing {
    mark: FileMark,
    hasher: blake3::Hasher,
    way: Way,
}

enum Way {
    /// Into the store.
    Import {
        sender: mpsc::Sender<Result<Bytes, Broken>>,
        importing: JoinSet<Result<Imported, ImportError>>,
    },
    /// It is held: its bytes are only compared, and kept for one more reason.
    Compare,
    /// This node doesn't take it.
    Refuse,
}

/// The capsule broke off, or its bytes are others.
#[derive(Debug, Error)]
#[error("the capsule's bytes are not the file")]
struct Broken;

impl Landing {
    /// Before the first byte.
    pub(super) async fn begin(core: &Arc<Core>, mark: FileMark) -> Self {
        let blob = mark.blob;
        let way = if is_denied(core, blob) || is_listed(core, &mark.unixfs) {
            Way::Refuse
        } else if flow::fetch::is_held(core, blob).await {
            Way::Compare
        } else {
            let (sender, mut receiver) = mpsc::channel(PIECES);
            let pieces = futures_lite::stream::poll_fn(move |cx| receiver.poll_recv(cx));
            let blobs = core.blobs.clone();
            let mut importing = JoinSet::new();
            importing.spawn(async move {
                let size_bytes = mark.size_bytes;
                let (keep, progress) = (Keep::pin(ADDED), blocks::unwatched());
                blobs
                    .import_stream(pieces, Some(size_bytes), size_bytes, &keep, &progress)
                    .await
            });
            Way::Import { sender, importing }
        };
        Self {
            mark,
            hasher: blake3::Hasher::new(),
            way,
        }
    }

    /// Takes the next bytes.
    pub(super) async fn bytes(&mut self, bytes: Bytes) -> Result<(), LandingError> {
        self.hasher.update(&bytes);
        if let Way::Import { sender, importing } = &mut self.way
            && sender.send(Ok(bytes)).await.is_err()
        {
            // The store gave up, and says why.
            imported(self.mark.blob, importing).await?;
        }
        Ok(())
    }

    /// Behind the last byte: the file is on disk, and its names are what the capsule says. None
    /// where this node doesn't take it.
    pub(super) async fn finish(
        self,
        core: &Arc<Core>,
    ) -> Result<Option<FileImported>, LandingError> {
        let FileMark {
            blob,
            unixfs,
            size_bytes,
        } = self.mark;
        let found = BlobId::from_bytes(*self.hasher.finalize().as_bytes());
        if found != blob {
            self.give_up().await;
            return Err(LandingError::OtherBlob {
                wanted: blob,
                found,
            });
        }
        let was_held = matches!(self.way, Way::Compare);
        let found = match self.way {
            Way::Import {
                sender,
                mut importing,
            } => {
                drop(sender);
                let imported = imported(blob, &mut importing).await?;
                match honour::admit_blob(core, blob).await {
                    Ok(()) => {}
                    Err(NodeError::Denied { .. }) => return Ok(None),
                    Err(error) => return Err(LandingError::Node(error)),
                }
                flow::fetch::held(core, blob).await;
                imported.unixfs
            }
            Way::Compare => {
                let named = core.blobs.name(blob).await;
                named.map_err(|error| LandingError::Node(read_error(error)))?
            }
            Way::Refuse => return Ok(None),
        };
        if found != unixfs {
            return Err(LandingError::OtherName {
                blob,
                wanted: unixfs,
                found,
            });
        }
        if was_held {
            keep(core, blob).await?;
        }
        Ok(Some(FileImported {
            ipfs: unixfs.to_string(),
            blob: blob.to_string(),
            size_bytes,
        }))
    }

    /// Has the store delete what came of the file.
    pub(super) async fn give_up(self) {
        if let Way::Import {
            sender,
            mut importing,
        } = self.way
        {
            // Where the store gave up by itself there is nobody to tell.
            let _ = sender.send(Err(Broken)).await;
            drop(sender);
            while importing.join_next().await.is_some() {}
        }
    }
}

/// Keeps what was held for other reasons, or only until room is wanted, as if it had come now.
async fn keep(core: &Core, blob: BlobId) -> Result<(), LandingError> {
    let failed = |error| LandingError::Node(NodeError::local("keep a file", error));
    let added = Keep::pin(ADDED);
    core.blobs.keep(blob, &added).await.map_err(failed)?;
    if flow::fetch::is_held(core, blob).await {
        return Ok(());
    }
    core.blobs.release(blob, &added).await.map_err(failed)?;
    Err(LandingError::Node(NodeError::Unavailable(format!(
        "the file {blob} was given up while it was compared; import the capsule again"
    ))))
}

/// What this node never takes and never gives.
pub(super) fn is_denied(core: &Core, blob: BlobId) -> bool {
    core.blobs.is_denied(blob) || is_listed(core, &blob.to_cid())
}

/// Whether a block is on the denylist.
pub(super) fn is_listed(core: &Core, cid: &Cid) -> bool {
    core.denylist.check(cid, &[]).is_some()
}

async fn imported(
    blob: BlobId,
    importing: &mut JoinSet<Result<Imported, ImportError>>,
) -> Result<Imported, LandingError> {
    match importing.join_next().await {
        Some(Ok(result)) => result
            .map_err(|error| LandingError::Node(import_error(&format!("the file {blob}"), error))),
        Some(Err(panic)) => Err(LandingError::Node(NodeError::local("import a file", panic))),
        None => Err(LandingError::Node(NodeError::Unavailable(
            "the blob store stopped".to_owned(),
        ))),
    }
}
