//! How much may go on at once. Nobody queues: who finds no place is told to come back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{api::types::ErrorCode, failure::Failure, settings::Limits};

/// Places for requests and streams.
pub struct Slots {
    requests: Arc<Semaphore>,
    blob_streams: Arc<Semaphore>,
    event_streams: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

impl Slots {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests)),
            blob_streams: Arc::new(Semaphore::new(limits.blob_streams)),
            event_streams: Arc::new(Semaphore::new(limits.event_streams)),
            uploads: Arc::new(Semaphore::new(limits.uploads)),
        }
    }

    /// A place for a request being answered.
    pub fn request(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.requests, "requests")
    }

    /// A place for a blob being sent.
    pub fn blob_stream(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.blob_streams, "downloads")
    }

    /// A place for a subscriber or a progress stream.
    pub fn event_stream(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.event_streams, "event streams")
    }

    /// A place for an upload.
    pub fn upload(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.uploads, "uploads")
    }
}

fn take(places: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, Failure> {
    Arc::clone(places).try_acquire_owned().map_err(|_| Failure {
        code: ErrorCode::Unavailable,
        message: format!("as many {what} as this gateway allows are under way; try again soon"),
        retry_after_s: Some(2),
    })
}
