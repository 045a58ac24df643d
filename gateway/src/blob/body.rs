//! Bytes of a blob on their way to a client, in constant memory.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_lite::{StreamExt, stream};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use crate::{
    metrics::Metrics,
    node::{ByteStream, NodeError},
};

/// Bytes read from a file at once.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Longest silence between two chunks of a blob that is being fetched.
const STALL: Duration = Duration::from_secs(60);

/// What a body holds until it is sent: its place among the streams, and the counter.
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    metrics: Metrics,
}

impl Slot {
    /// A place among the streams.
    pub fn new(permit: OwnedSemaphorePermit, metrics: Metrics) -> Self {
        Self {
            _permit: permit,
            metrics,
        }
    }

    fn sent(&self, bytes: &Bytes) {
        self.metrics.sent_blob_bytes(bytes.len() as u64);
    }
}

/// A range of a complete file.
pub fn from_file(file: Arc<File>, range: Range<u64>, slot: Slot) -> Body {
    let chunks = stream::unfold((file, range, slot), |(file, range, slot)| async move {
        if range.is_empty() {
            return None;
        }
        let end = range.end.min(range.start + CHUNK_BYTES);
        match read(&file, range.start..end).await {
            Ok(bytes) => {
                slot.sent(&bytes);
                let rest = range.start + bytes.len() as u64..range.end;
                Some((Ok(bytes), (file, rest, slot)))
            }
            Err(error) => {
                tracing::error!(%error, "cannot read a blob's file");
                Some((Err(error), (file, 0..0, slot)))
            }
        }
    });
    Body::from_stream(chunks)
}

/// Verified bytes as they arrive; `first` was already waited for.
pub fn from_stream(first: Bytes, rest: ByteStream, slot: Slot) -> Body {
    let chunks = stream::unfold((Some(first), rest, slot), |(first, mut rest, slot)| async {
        let next = match first {
            Some(first) => Some(Ok(first)),
            None => timeout(STALL, rest.next())
                .await
                .unwrap_or_else(|_| Some(Err(stalled()))),
        };
        match next? {
            Ok(bytes) => {
                slot.sent(&bytes);
                Some((Ok(bytes), (None, rest, slot)))
            }
            Err(error) => {
                tracing::debug!(%error, "a fetched blob ended early");
                Some((Err(error), (None, stream::empty().boxed(), slot)))
            }
        }
    });
    Body::from_stream(chunks)
}

fn stalled() -> NodeError {
    NodeError::Unavailable("no source delivered the next bytes in time".to_owned())
}

/// Reads at most this range: at once what the page cache has, else in a thread that may wait.
pub async fn read(file: &Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    if let Some(bytes) = read_cached(file, range.start, length) {
        return Ok(bytes);
    }
    let file = Arc::clone(file);
    let read = tokio::task::spawn_blocking(move || {
        let mut buffer = BytesMut::zeroed(length);
        file.read_exact_at(&mut buffer, range.start)?;
        Ok(buffer.freeze())
    });
    read.await.map_err(io::Error::other)?
}

/// A read that never waits for the disk; `None` when it would have to, or can't tell.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, offset: u64, length: usize) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut buffer = BytesMut::zeroed(length);
    let read = preadv2(
        file,
        &mut [io::IoSliceMut::new(&mut buffer)],
        offset,
        ReadWriteFlags::NOWAIT,
    )
    .ok()?;
    buffer.truncate(read);
    (read > 0).then(|| buffer.freeze())
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_file: &File, _offset: u64, _length: usize) -> Option<Bytes> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use http_body_util::BodyExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    fn slot() -> Slot {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Slot::new(permit, Metrics::new())
    }

    fn file_of(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    #[tokio::test]
    async fn a_file_is_sent_range_by_range_across_chunks() {
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 17)
            .map(|at| (at % 251) as u8)
            .collect();
        let file = file_of(&bytes);
        let whole = 0..bytes.len();
        for range in [whole, 1..2, 262_143..262_145, 700_000..bytes.len()] {
            let body = from_file(file.clone(), range.start as u64..range.end as u64, slot());
            let sent = body.collect().await.unwrap().to_bytes();
            assert!(sent == bytes[range]);
        }
    }

    #[tokio::test]
    async fn a_file_that_lost_bytes_breaks_the_body_off() {
        let body = from_file(file_of(b"short"), 0..100, slot());
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_failed_fetch_breaks_the_body_off() {
        let rest = stream::once(Err(stalled())).boxed();
        let body = from_stream(Bytes::from_static(b"first"), rest, slot());
        assert!(body.collect().await.is_err());
    }
}
