//! What can go wrong in the store itself, apart from peers and callers.

use std::{io, path::PathBuf};

use iroh_blobs::api;
use thiserror::Error;

/// A local fault of the blob store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder can't be used as a store.
    #[error("can't open the blob store in {dir}: is another node using it?")]
    Open {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk has no room left.
    #[error(
        "the disk is full: the blob store could not {act}; make room on the disk of the data folder"
    )]
    DiskFull {
        /// What was being done.
        act: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Reading or writing failed.
    #[error("the blob store could not {act}")]
    Failed {
        /// What was being done.
        act: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store was shut down, or its database failed and it must be opened again.
    #[error("the blob store has stopped")]
    Stopped,
}

impl StoreError {
    /// Whether the store had too much to do, so that it is worth trying again.
    pub(crate) fn is_busy(&self) -> bool {
        let busy = io::ErrorKind::ResourceBusy;
        matches!(self, Self::Failed { source, .. } if source.kind() == busy)
    }

    /// Whether the store must be opened again before it can be used.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }

    /// The same fault, for another one whom it concerns.
    pub(crate) fn again(&self) -> Self {
        let same = |source: &io::Error| io::Error::new(source.kind(), source.to_string());
        match self {
            Self::DiskFull { act, source } => Self::DiskFull {
                act,
                source: same(source),
            },
            Self::Failed { act, source } => Self::Failed {
                act,
                source: same(source),
            },
            Self::Open { dir, source } => Self::Open {
                dir: dir.clone(),
                source: source.to_string().into(),
            },
            Self::Stopped => Self::Stopped,
        }
    }

    pub(crate) fn new(act: &'static str, source: io::Error) -> Self {
        if is_disk_full(&source) {
            Self::DiskFull { act, source }
        } else {
            Self::Failed { act, source }
        }
    }

    pub(crate) fn api(act: &'static str, error: impl Into<api::Error>) -> Self {
        let api::Error::Io(source) = error.into();
        Self::new(act, source)
    }
}

/// Whether the disk's being full is at the root of an error, however wrapped.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        return true;
    }
    let mut source = error
        .get_ref()
        .map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>()
            && matches!(io.kind(), StorageFull | QuotaExceeded)
        {
            return true;
        }
        source = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_found_below_wrappers() {
        let inner = io::Error::from(io::ErrorKind::StorageFull);
        assert!(is_disk_full(&io::Error::other(inner)));
        assert!(!is_disk_full(&io::Error::other("else")));
    }
}
