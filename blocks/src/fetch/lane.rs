//! Lanes: what is small or watched never waits for what is merely being stored.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Thumbnails fetched at once.
const THUMBNAILS: usize = 8;
/// Blobs that somebody plays, fetched at once.
const WATCHED: usize = 16;
/// Other blobs fetched at once.
const BULK: usize = 4;

/// Whose turn a fetch waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// Small pictures that a page shows.
    Thumbnail,
    /// What somebody is looking at now.
    Watched,
    /// What is to be kept.
    #[default]
    Bulk,
}

#[derive(Debug)]
pub(super) struct Lanes {
    thumbnails: Arc<Semaphore>,
    watched: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            thumbnails: Arc::new(Semaphore::new(THUMBNAILS)),
            watched: Arc::new(Semaphore::new(WATCHED)),
            bulk: Arc::new(Semaphore::new(BULK)),
        }
    }
}

impl Lanes {
    pub(super) async fn turn(&self, lane: Lane) -> OwnedSemaphorePermit {
        let semaphore = match lane {
            Lane::Thumbnail => &self.thumbnails,
            Lane::Watched => &self.watched,
            Lane::Bulk => &self.bulk,
        };
        semaphore
            .clone()
            .acquire_owned()
            .await
            .expect("lanes are never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_lane_holds_up_no_other() {
        let lanes = Lanes::default();
        let mut videos = Vec::new();
        for _ in 0..BULK {
            videos.push(lanes.turn(Lane::Bulk).await);
        }
        let mut waiting = std::pin::pin!(lanes.turn(Lane::Bulk));
        assert!(
            n0_future::future::poll_once(waiting.as_mut())
                .await
                .is_none()
        );
        let thumbnail = n0_future::future::poll_once(lanes.turn(Lane::Thumbnail)).await;
        assert!(thumbnail.is_some());
        videos.pop();
        assert!(n0_future::future::poll_once(waiting).await.is_some());
    }
}
