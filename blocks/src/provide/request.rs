//! The course of one request that is being served.

use bao_tree::ChunkRanges;
use iroh::EndpointId;
use iroh_blobs::provider::events::RequestUpdate;
use model::BlobId;

use super::Provider;

/// Bytes after which a running request is counted, so that counters move while it runs.
const COUNT_BYTES: u64 = 1024 * 1024;

/// What is served to whom.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) blob: BlobId,
    pub(super) peer: EndpointId,
    pub(super) chunks: ChunkRanges,
}

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Course {
    size_bytes: u64,
    start_offset: Option<u64>,
    seen_bytes: u64,
    counted_bytes: u64,
}

impl Course {
    pub(super) fn update(&mut self, update: RequestUpdate, served: &Served, provider: &Provider) {
        match update {
            RequestUpdate::Started(started) if started.index == 0 => {
                self.size_bytes = started.size;
            }
            RequestUpdate::Started(_) => {}
            RequestUpdate::Progress(progress) => {
                // Offsets, not amounts, and some may be missing: good enough until the end.
                let start = *self.start_offset.get_or_insert(progress.end_offset);
                self.seen_bytes = progress.end_offset.saturating_sub(start);
                if self.seen_bytes >= self.counted_bytes + COUNT_BYTES {
                    self.count(self.seen_bytes, served, provider);
                }
            }
            RequestUpdate::Completed(completed) => {
                self.count(completed.stats.payload_bytes_sent, served, provider);
                provider.note_sent(served, self.size_bytes);
            }
            RequestUpdate::Aborted(aborted) => {
                self.count(aborted.stats.payload_bytes_sent, served, provider);
            }
        }
    }

    /// Counts up to `bytes` of this request.
    fn count(&mut self, bytes: u64, served: &Served, provider: &Provider) {
        let more_bytes = bytes.saturating_sub(self.counted_bytes);
        if more_bytes > 0 {
            self.counted_bytes = bytes;
            provider.note_bytes(served.peer, more_bytes);
        }
    }
}
