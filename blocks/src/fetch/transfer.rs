//! One request to one peer: chunks come in, are verified, and go into the store and to a reader.

use std::{num::NonZeroU64, time::Duration};

use bao_tree::{
    ChunkRanges,
    io::{BaoContentItem, Leaf},
};
use bytes::Bytes;
use iroh::endpoint::Connection;
use iroh_blobs::{
    Hash,
    api::blobs::ImportBaoHandle,
    get::{
        GetError,
        fsm::{self, AtBlobContent, BlobContentNext, ConnectedNext, EndBlobNext},
        request::get_verified_size,
    },
    protocol::GetRequest,
};
use model::BlobId;
use tokio::{sync::mpsc, time::timeout};

use super::{FetchError, peer::PeerFault};
use crate::{StoreError, hash, store::Blobs};

/// Verified pieces on their way into the store: 1 MiB.
const PIECES: usize = 64;

/// Why a transfer ended early.
#[derive(Debug)]
pub(super) enum TransferError {
    /// Ask another peer.
    Peer(PeerFault),
    /// Asking another peer won't help.
    Local(StoreError),
    /// Whoever read along has gone.
    NobodyReads,
}

impl From<PeerFault> for TransferError {
    fn from(fault: PeerFault) -> Self {
        Self::Peer(fault)
    }
}

/// A blob whose size is proven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sized {
    pub(super) blob: BlobId,
    pub(super) size_bytes: u64,
}

/// Who takes verified pieces besides the store.
pub(super) trait Tap: Send {
    /// A piece arrived; what is returned goes to the reader.
    fn piece(&mut self, piece: &Leaf) -> Option<Bytes>;
    /// The reader.
    fn reader(&self) -> Option<&mpsc::Sender<Result<Bytes, FetchError>>>;
}

/// Proves the size of a blob by its last chunk; stores nothing.
pub(super) async fn prove_size(
    connection: &Connection,
    blob: BlobId,
    stall: Duration,
) -> Result<Sized, PeerFault> {
    let hash = hash(blob);
    if hash == Hash::EMPTY {
        return Ok(Sized {
            blob,
            size_bytes: 0,
        });
    }
    let (size_bytes, _) = timeout(stall, get_verified_size(connection, &hash))
        .await
        .map_err(|_| PeerFault::Stalled(stall))?
        .map_err(PeerFault::of)?;
    if size_bytes == 0 {
        return Err(PeerFault::Lied("the size"));
    }
    Ok(Sized { blob, size_bytes })
}

/// Gets `chunks` of a blob into the store. What arrived before an error is stored.
pub(super) async fn transfer(
    blobs: &Blobs,
    connection: Connection,
    what: Sized,
    chunks: ChunkRanges,
    stall: Duration,
    tap: &mut impl Tap,
) -> Result<(), TransferError> {
    let Some(size) = NonZeroU64::new(what.size_bytes) else {
        return Ok(());
    };
    let request = GetRequest::blob_ranges(hash(what.blob), chunks);
    let (content, said_bytes) = timeout(stall, begin(connection, request))
        .await
        .map_err(|_| PeerFault::Stalled(stall))?
        .map_err(PeerFault::of)?;
    if said_bytes != what.size_bytes {
        return Err(PeerFault::Lied("the size").into());
    }
    let store = blobs.store();
    let ImportBaoHandle { tx, rx } = store
        .import_bao(hash(what.blob), size, PIECES)
        .await
        .map_err(|error| TransferError::Local(StoreError::api("store pieces of a blob", error)))?;
    let receive = async {
        let tx = tx; // dropped at the end, so that the store finishes what it was given
        let mut content = content;
        while let Some((rest, item)) = next_piece(content, stall).await? {
            content = rest;
            let for_reader = match &item {
                BaoContentItem::Leaf(leaf) => tap.piece(leaf),
                BaoContentItem::Parent(_) => None,
            };
            if tx.send(item).await.is_err() {
                break; // the store says why on its other channel
            }
            if let (Some(bytes), Some(reader)) = (for_reader, tap.reader())
                && reader.send(Ok(bytes)).await.is_err()
            {
                return Err(TransferError::NobodyReads);
            }
        }
        Ok(())
    };
    let (received, stored) = tokio::join!(receive, rx);
    match stored {
        Ok(Ok(())) => received,
        Ok(Err(error)) => Err(TransferError::Local(StoreError::api(
            "store pieces of a blob",
            error,
        ))),
        Err(_) => Err(TransferError::Local(StoreError::Stopped)),
    }
}

async fn begin(
    connection: Connection,
    request: GetRequest,
) -> Result<(AtBlobContent, u64), GetError> {
    let connected = fsm::start(connection, request, Default::default())
        .next()
        .await?;
    let ConnectedNext::StartRoot(root) = connected.next().await? else {
        unreachable!("the request asks for chunks of its root");
    };
    Ok(root.next().next().await?)
}

/// The next verified piece; `None` at the end of the response.
async fn next_piece(
    content: AtBlobContent,
    stall: Duration,
) -> Result<Option<(AtBlobContent, BaoContentItem)>, TransferError> {
    let next = timeout(stall, content.next())
        .await
        .map_err(|_| PeerFault::Stalled(stall))?;
    let end = match next {
        BlobContentNext::More((rest, item)) => {
            return Ok(Some((rest, item.map_err(PeerFault::decode)?)));
        }
        BlobContentNext::Done(end) => end,
    };
    if let EndBlobNext::Closing(closing) = end.next() {
        timeout(stall, closing.next())
            .await
            .map_err(|_| PeerFault::Stalled(stall))?
            .map_err(|error| PeerFault::of(error.into()))?;
    }
    Ok(None)
}
