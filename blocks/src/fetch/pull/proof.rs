//! Getting an outboard, without which raw bytes count for nothing.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use n0_future::StreamExt;
use tokio::time::timeout;

use super::{Pull, Sized, sources::Errand};
use crate::{
    OUTBOARD_ALPN,
    fetch::{
        peer::PeerFault,
        source::{RawOutboard, RawSource},
    },
    outboard::{Outboard, fetch_outboard, outboard_bytes},
};

/// Longest outboard that is taken in: that of a blob of 64 GiB.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Senders of outboards that are asked.
const SENDERS: usize = 8;
/// Sources of raw bytes that are asked for the end of the blob, to prove its size.
const WITNESSES: usize = 4;

impl Pull {
    /// Gets an outboard from a provider or a gateway; then sources of raw bytes join.
    pub(super) async fn prove(self: Arc<Self>) {
        let found = self.find_outboard().await;
        if let Some(outboard) = &found {
            self.begin_plan(Sized {
                blob: self.blob,
                size_bytes: outboard.size_bytes(),
            });
        }
        let mut state = self.lock();
        state.sources.proof = Errand::Ended;
        if let Some(outboard) = found {
            state.outboard = Some(Arc::new(outboard));
            let now = self.now();
            for (id, _) in state.sources.raws() {
                state.join(id, now);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    async fn find_outboard(&self) -> Option<Outboard> {
        let (peers, stall) = {
            let state = self.lock();
            (state.sources.peers(), state.stall)
        };
        let most = self
            .inner
            .sizes
            .of(self.blob)
            .map_or(MAX_BYTES, outboard_bytes);
        for addr in peers.into_iter().take(SENDERS) {
            let asked = async {
                let connection = self.inner.peers.open(&addr, OUTBOARD_ALPN).await?;
                fetch_outboard(&connection, self.blob, most.min(MAX_BYTES), stall).await
            };
            match asked.await {
                Ok(outboard) => return Some(outboard),
                Err(fault) if fault.is_lie() => {
                    let label = super::sources::peer_label(addr.id);
                    self.fault(label, Some(addr.id), fault);
                }
                Err(fault) => tracing::debug!(target: "blocks::fetch", %fault, "no outboard"),
            }
        }
        let mut found = self.inner.finder()?.outboards(self.blob);
        for _ in 0..SENDERS {
            let Ok(Some(raw)) = timeout(stall, found.next()).await else {
                break;
            };
            if let Some(outboard) = self.check(raw).await {
                return Some(outboard);
            }
        }
        None
    }

    /// Reads and checks somebody's outboard.
    async fn check(&self, raw: RawOutboard) -> Option<Outboard> {
        let label = raw.label.clone();
        let checked = self.read_pairs(raw).await;
        let outboard = match checked {
            Ok(outboard) => outboard,
            Err(fault) => {
                self.fault(label, None, fault);
                return None;
            }
        };
        if self.inner.sizes.of(self.blob) == Some(outboard.size_bytes()) {
            return Some(outboard);
        }
        // The pairs alone don't prove the size: the blob's last group must agree.
        let witnesses = {
            let state = self.lock();
            state.sources.raws()
        };
        for (_, raw) in witnesses.into_iter().take(WITNESSES) {
            let Some(tail) = self.read_tail(&raw, &outboard).await else {
                continue;
            };
            if let Ok(proven) = outboard.clone().prove_size(tail) {
                return Some(proven);
            }
        }
        None
    }

    async fn read_pairs(&self, mut raw: RawOutboard) -> Result<Outboard, PeerFault> {
        let known = self.inner.sizes.of(self.blob);
        if known.is_some_and(|size_bytes| size_bytes != raw.size_bytes) {
            return Err(PeerFault::Lied("the size"));
        }
        let stall = self.lock().stall;
        let wanted = outboard_bytes(raw.size_bytes);
        if wanted > MAX_BYTES {
            return Err(PeerFault::Broke("its outboard is too long".into()));
        }
        let mut pairs = BytesMut::new();
        loop {
            let next = timeout(stall, raw.pairs.next()).await;
            let Some(piece) = next.map_err(|_| PeerFault::Stalled(stall))? else {
                break;
            };
            pairs.extend_from_slice(&piece?);
            if pairs.len() as u64 > wanted {
                return Err(PeerFault::Lied("the outboard"));
            }
        }
        Outboard::verified_from(self.blob, raw.size_bytes, pairs.freeze())
            .map_err(|_| PeerFault::Lied("the outboard"))
    }

    async fn read_tail(&self, raw: &Arc<dyn RawSource>, outboard: &Outboard) -> Option<Bytes> {
        let stall = self.lock().stall;
        let range = outboard.tail_offset()..outboard.size_bytes();
        let wanted = usize::try_from(range.end - range.start).ok()?;
        let mut pieces = raw.read(range);
        let mut tail = BytesMut::new();
        while tail.len() < wanted {
            let piece = timeout(stall, pieces.next()).await.ok()??;
            tail.extend_from_slice(&piece.ok()?);
        }
        tail.truncate(wanted);
        Some(tail.freeze())
    }
}
