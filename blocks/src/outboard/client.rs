//! Asking a peer for an outboard.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use iroh::endpoint::{Connection, ReadExactError, RecvStream};
use model::BlobId;
use tokio::time::timeout;

use super::{
    Outboard, OutboardFault, Status, outboard_bytes,
    tree::{PAIR_BYTES, Walk},
};
use crate::{GROUP_BYTES, PeerFault};

/// Read at a time, bytes: memory grows as they come, not as they are claimed.
const STEP_BYTES: usize = 64 * 1024;

/// Asks a peer for the outboard of a blob, over a connection of [`super::OUTBOARD_ALPN`]. Every pair
/// is checked as it comes, and the size is proven at the end.
///
/// # Errors
/// When the peer has it not, refuses, lies, or sends nothing for `stall`; when the outboard is
/// longer than `max_bytes`.
pub async fn fetch_outboard(
    connection: &Connection,
    blob: BlobId,
    max_bytes: u64,
    stall: Duration,
) -> Result<Outboard, PeerFault> {
    let stalled = |_| PeerFault::Stalled(stall);
    let mut stream = timeout(stall, ask(connection, blob))
        .await
        .map_err(stalled)??;
    let mut status = [0];
    timeout(stall, exact(&mut stream, &mut status))
        .await
        .map_err(stalled)??;
    match Status::from_byte(status[0]) {
        Some(Status::Here) => {}
        Some(Status::NotHeld) => return Err(PeerFault::NotHeld),
        Some(Status::Refused) => return Err(PeerFault::Refused),
        Some(Status::Busy) => return Err(PeerFault::Busy),
        None => return Err(PeerFault::Lied("the status of an answer")),
    }
    let mut size = [0; 8];
    timeout(stall, exact(&mut stream, &mut size))
        .await
        .map_err(stalled)??;
    let size_bytes = u64::from_le_bytes(size);
    let found_bytes = outboard_bytes(size_bytes);
    if found_bytes > max_bytes {
        let fault = OutboardFault::TooLong {
            found_bytes,
            max_bytes,
        };
        return Err(PeerFault::Broke(fault.into()));
    }
    let pairs = read_pairs(&mut stream, blob, size_bytes, stall).await?;
    let outboard = Outboard {
        blob,
        size_bytes,
        pairs,
        tail: None,
    };
    let tail_bytes = (size_bytes - outboard.tail_offset()).min(GROUP_BYTES);
    let mut tail = BytesMut::zeroed(usize::try_from(tail_bytes).unwrap_or(0));
    timeout(stall, exact(&mut stream, &mut tail))
        .await
        .map_err(stalled)??;
    let proven = outboard.prove_size(tail.freeze());
    proven.map_err(|_| PeerFault::Lied("the size"))
}

async fn ask(connection: &Connection, blob: BlobId) -> Result<RecvStream, PeerFault> {
    let (mut send, recv) = connection.open_bi().await.map_err(broke)?;
    send.write_all(blob.as_bytes()).await.map_err(broke)?;
    send.finish().map_err(broke)?;
    Ok(recv)
}

async fn exact(stream: &mut RecvStream, into: &mut [u8]) -> Result<(), PeerFault> {
    stream.read_exact(into).await.map_err(|error| match error {
        ReadExactError::ReadError(error) => PeerFault::stream(error.into()),
        ended @ ReadExactError::FinishedEarly(_) => broke(ended),
    })
}

async fn read_pairs(
    stream: &mut RecvStream,
    blob: BlobId,
    size_bytes: u64,
    stall: Duration,
) -> Result<Bytes, PeerFault> {
    let mut walk = Walk::new(blob, size_bytes);
    let mut left = outboard_bytes(size_bytes);
    let mut pairs = BytesMut::new();
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(STEP_BYTES);
        let start = pairs.len();
        pairs.resize(start + step, 0);
        timeout(stall, exact(stream, &mut pairs[start..]))
            .await
            .map_err(|_| PeerFault::Stalled(stall))??;
        for pair in pairs[start..].as_chunks::<PAIR_BYTES>().0 {
            walk.pair(pair)
                .map_err(|_| PeerFault::Lied("the outboard"))?;
        }
        left -= step as u64;
    }
    Ok(pairs.freeze())
}

fn broke(error: impl std::error::Error + Send + Sync + 'static) -> PeerFault {
    PeerFault::Broke(Box::new(error))
}
