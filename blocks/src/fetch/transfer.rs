//! One request to one iroh provider: chunks come in, are verified, and go into the store and to
//! whoever waits for them.

use std::time::Duration;

use bao_tree::io::BaoContentItem;
use iroh::endpoint::Connection;
use iroh_blobs::{
    Hash,
    get::{
        GetError,
        fsm::{self, AtBlobContent, BlobContentNext, ConnectedNext, EndBlobNext},
        request::get_verified_size,
    },
    protocol::GetRequest,
};
use model::BlobId;
use tokio::time::{sleep, timeout};

use super::{
    peer::PeerFault,
    plan::{Groups, RequestId},
    pull::Pull,
    sink::Sink,
};
use crate::{GROUP_BYTES, StoreError, hash, range::groups};

/// After so long without a piece, the store writes what it has.
pub(super) const FLUSH: Duration = Duration::from_millis(50);

/// Why a transfer ended early.
#[derive(Debug)]
pub(super) enum TransferError {
    /// Ask another source.
    Source(PeerFault),
    /// Asking another source won't help.
    Local(StoreError),
}

impl From<PeerFault> for TransferError {
    fn from(fault: PeerFault) -> Self {
        Self::Source(fault)
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        if error.is_busy() {
            // Too much goes on at once: the same is asked for again a little later.
            return Self::Source(PeerFault::Busy);
        }
        Self::Local(error)
    }
}

/// A blob whose size is proven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sized {
    pub(super) blob: BlobId,
    pub(super) size_bytes: u64,
}

impl Sized {
    /// How many groups it has.
    pub(super) fn groups(&self) -> u64 {
        self.size_bytes.div_ceil(GROUP_BYTES)
    }

    /// The bytes of groups.
    pub(super) fn bytes(&self, span: &Groups) -> std::ops::Range<u64> {
        let edge = |group: u64| group.saturating_mul(GROUP_BYTES).min(self.size_bytes);
        edge(span.start)..edge(span.end)
    }
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

/// Gets groups of a blob. What arrived before an error is stored.
pub(super) async fn transfer(
    pull: &Pull,
    connection: Connection,
    what: Sized,
    request: RequestId,
    span: &Groups,
    stall: Duration,
) -> Result<(), TransferError> {
    let chunks = groups(&what.bytes(span));
    let get = GetRequest::blob_ranges(hash(what.blob), chunks);
    let (content, said_bytes) = timeout(stall, begin(connection, get))
        .await
        .map_err(|_| PeerFault::Stalled(stall))?
        .map_err(PeerFault::of)?;
    if said_bytes != what.size_bytes {
        return Err(PeerFault::Lied("the size").into());
    }
    let mut sink = Sink::new(pull.blobs(), what);
    let received = receive(pull, content, request, stall, &mut sink).await;
    // A fault of the store is what explains one of sending to it.
    sink.settle().await?;
    received
}

async fn receive(
    pull: &Pull,
    content: AtBlobContent,
    request: RequestId,
    stall: Duration,
    sink: &mut Sink<'_>,
) -> Result<(), TransferError> {
    let mut content = content;
    loop {
        let next = {
            let mut next = std::pin::pin!(next_piece(content, stall));
            loop {
                tokio::select! {
                    biased;
                    next = &mut next => break next?,
                    () = sleep(FLUSH), if sink.is_open() => sink.settle().await?,
                }
            }
        };
        let Some((rest, item)) = next else {
            return Ok(());
        };
        content = rest;
        let leaf = match &item {
            BaoContentItem::Leaf(leaf) => Some((leaf.offset, leaf.data.clone())),
            BaoContentItem::Parent(_) => None,
        };
        sink.put(item).await?;
        if let Some((offset, data)) = leaf {
            let is_wanted = pull.landed(request, offset, &data);
            pull.received(data.len() as u64).await;
            if !is_wanted {
                return Ok(());
            }
        }
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
