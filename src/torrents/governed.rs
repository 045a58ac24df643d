//! The session of swarms, kept within the caps of the whole node and the hours of the configuration.

use std::{num::NonZeroU32, sync::Arc};

use tokio_util::sync::CancellationToken;
use torrent::swarm::{Limits, Swarm};

use crate::{
    core::Core,
    throttle::{Governed, Moved, OwnLimits},
};

/// A session whose limits the node's throttle sets.
struct Session(Swarm);

impl Governed for Session {
    fn moved(&self) -> Moved {
        let totals = self.0.totals();
        Moved {
            sent_bytes: totals.sent_bytes,
            received_bytes: totals.received_bytes,
        }
    }

    fn set_limits(&self, upload: Option<NonZeroU32>, download: Option<NonZeroU32>) {
        self.0.set_limits(Limits {
            upload_bytes_per_s: upload,
            download_bytes_per_s: download,
        });
    }

    fn set_paused(&self, is_paused: bool) {
        if is_paused {
            self.0.pause();
        } else {
            self.0.resume();
        }
    }
}

/// Runs until cancelled.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let started = cancel.run_until_cancelled(core.torrents.started());
    let Some(swarm) = started.await else {
        return;
    };
    let of = &core.config.torrent;
    let own = OwnLimits {
        upload_bytes_per_s: of.max_upload_bytes_per_s,
        download_bytes_per_s: of.max_download_bytes_per_s,
        // The configuration was checked when it was read.
        hours: of
            .active_hours
            .as_ref()
            .and_then(|hours| hours.parse().ok()),
    };
    let engine = Arc::new(Session(swarm));
    core.throttle.govern(engine, own, cancel).await;
}
