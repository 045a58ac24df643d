//! How far a long operation is.

use serde::Serialize;
use tokio::sync::watch;

/// What an operation is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not begun: it waits for its turn.
    #[default]
    Waiting,
    /// Bytes are copied into the store.
    Copy,
    /// Bytes in the store are hashed.
    Hash,
    /// Bytes come from a peer.
    Fetch,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Bytes of this stage that are done.
    pub done_bytes: u64,
    /// Bytes that this stage has, when known.
    pub total_bytes: Option<u64>,
}

/// Where progress goes: the latest value counts, so a slow reader delays nothing.
pub type ProgressSender = watch::Sender<Progress>;

/// For those who don't watch.
pub fn unwatched() -> ProgressSender {
    watch::Sender::new(Progress::default())
}

pub(crate) fn report(to: &ProgressSender, stage: Stage, done_bytes: u64, total_bytes: Option<u64>) {
    to.send_replace(Progress {
        stage,
        done_bytes,
        total_bytes,
    });
}
