//! One request to a source of raw bytes: each group is held against the outboard before it counts.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bao_tree::{TreeNode, io::BaoContentItem};
use bytes::BytesMut;
use n0_future::StreamExt;
use tokio::time::{sleep, timeout};

use super::{
    peer::PeerFault,
    plan::{Groups, RequestId},
    pull::Pull,
    sink::Sink,
    source::{RawFault, RawSource},
    transfer::{FLUSH, Sized, TransferError},
};
use crate::{
    GROUP_BYTES,
    outboard::{Outboard, OutboardFault},
};

impl From<RawFault> for PeerFault {
    fn from(fault: RawFault) -> Self {
        match fault {
            RawFault::NotHeld => Self::NotHeld,
            RawFault::Refused => Self::Refused,
            RawFault::Busy => Self::Busy,
            RawFault::Unreachable(source) => Self::Unreachable(Some(source)),
            RawFault::Lied(what) => Self::Lied(what),
            RawFault::Broke(source) => Self::Broke(source),
        }
    }
}

/// Gets groups of a blob. What was verified before an error is stored.
pub(super) async fn transfer_raw(
    pull: &Pull,
    source: &Arc<dyn RawSource>,
    outboard: &Outboard,
    request: RequestId,
    span: &Groups,
    stall: Duration,
) -> Result<(), TransferError> {
    let what = Sized {
        blob: outboard.blob(),
        size_bytes: outboard.size_bytes(),
    };
    let mut sink = Sink::new(pull.blobs(), what);
    let received = receive(pull, source, outboard, request, span, stall, &mut sink).await;
    sink.settle().await?;
    received
}

async fn receive(
    pull: &Pull,
    source: &Arc<dyn RawSource>,
    outboard: &Outboard,
    request: RequestId,
    span: &Groups,
    stall: Duration,
    sink: &mut Sink<'_>,
) -> Result<(), TransferError> {
    let size_bytes = outboard.size_bytes();
    let range = (span.start * GROUP_BYTES)..(span.end * GROUP_BYTES).min(size_bytes);
    let mut pieces = source.read(range.clone());
    let mut groups = Verifier::new(outboard, range.start);
    while groups.at < range.end {
        let next = {
            let mut next = std::pin::pin!(timeout(stall, pieces.next()));
            loop {
                tokio::select! {
                    biased;
                    next = &mut next => break next,
                    () = sleep(FLUSH), if sink.is_open() => sink.settle().await?,
                }
            }
        };
        let piece = match next {
            Err(_) => return Err(PeerFault::Stalled(stall).into()),
            Ok(None) => return Err(PeerFault::Broke("it ended too early".into()).into()),
            Ok(Some(piece)) => piece.map_err(PeerFault::from)?,
        };
        pull.alive(request);
        groups.buffer.extend_from_slice(&piece);
        let (items, fault) = groups.take(range.end);
        for item in items {
            let leaf = match &item {
                BaoContentItem::Leaf(leaf) => Some((leaf.offset, leaf.data.clone())),
                BaoContentItem::Parent(_) => None,
            };
            sink.put(item).await?;
            if let Some((offset, data)) = leaf
                && !pull.landed(request, offset, &data)
            {
                return Ok(());
            }
        }
        if let Some(fault) = fault {
            return Err(fault.into());
        }
    }
    Ok(())
}

/// Bytes that came, and how far they are verified.
struct Verifier<'a> {
    outboard: &'a Outboard,
    buffer: BytesMut,
    /// Where the buffer begins, byte of the blob; always a group.
    at: u64,
    /// Pairs that were stored already.
    stored: BTreeSet<TreeNode>,
}

impl<'a> Verifier<'a> {
    fn new(outboard: &'a Outboard, at: u64) -> Self {
        Self {
            outboard,
            buffer: BytesMut::new(),
            at,
            stored: BTreeSet::new(),
        }
    }

    /// The whole groups that came up to `end`, as the store takes them, and what is wrong with the
    /// next one.
    fn take(&mut self, end: u64) -> (Vec<BaoContentItem>, Option<PeerFault>) {
        let came = self.buffer.len() as u64;
        let whole = if self.at + came >= end {
            end - self.at
        } else {
            came / GROUP_BYTES * GROUP_BYTES
        };
        let (items, fault) = self.verify(whole);
        let new = items.into_iter().filter(|item| match item {
            BaoContentItem::Parent(parent) => self.stored.insert(parent.node),
            BaoContentItem::Leaf(_) => true,
        });
        (new.collect(), fault)
    }

    fn verify(&mut self, bytes: u64) -> (Vec<BaoContentItem>, Option<PeerFault>) {
        if bytes == 0 {
            return (Vec::new(), None);
        }
        let taken = usize::try_from(bytes).unwrap_or(usize::MAX);
        let data = self.buffer.split_to(taken.min(self.buffer.len())).freeze();
        let at = self.at;
        match self.outboard.verify_range(at, &data) {
            Ok(items) => {
                self.at += bytes;
                (items, None)
            }
            Err(OutboardFault::Data { offset_bytes }) => {
                let right = usize::try_from(offset_bytes - at).unwrap_or(0);
                let before = self.outboard.verify_range(at, &data.slice(..right));
                let fault = PeerFault::Lied("a piece of the data");
                (before.unwrap_or_default(), Some(fault))
            }
            Err(fault) => (Vec::new(), Some(PeerFault::Broke(Box::new(fault)))),
        }
    }
}
