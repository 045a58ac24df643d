//! Where a download lies until it is imported, and the room that it takes there.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use blocks::Reservation;
use gateway::node::NodeError;
use torrent::{
    InfoHash,
    swarm::{DownloadProgress, Swarm},
};

use crate::{
    clock::now_ms, core::Core, data_folder::used_bytes, room, service::blobs::import_error,
};

/// What nobody asked for in so long is given up.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Leftovers looked at before a download.
const LOOKED_AT: usize = 1_000;
/// What came is counted with everything else in the data folder after this long for certain.
const MEASURED_AFTER: Duration = Duration::from_secs(3);

/// The folder of one download, made, and marked as asked for now. What others left behind long ago
/// is removed.
pub(super) async fn folder(
    core: &Core,
    session: &Swarm,
    infohash: &InfoHash,
) -> Result<PathBuf, NodeError> {
    let all = core.folder.path().join("torrents").join("incoming");
    let folder = all.join(infohash.to_string());
    let mut busy: Vec<_> = session.torrents().iter().map(name).collect();
    busy.push(infohash.to_string());
    let own = folder.clone();
    let work = move || {
        sweep(&all, &busy);
        fs::create_dir_all(&own)?;
        File::open(&own)?.set_modified(now())
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(folder),
        Ok(Err(error)) => Err(NodeError::local("make a download's folder", error)),
        Err(panic) => Err(NodeError::local("make a download's folder", panic)),
    }
}

fn name(torrent: &torrent::swarm::TorrentState) -> String {
    torrent.infohash.to_string()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(now_ms())
}

fn sweep(all: &Path, busy: &[String]) {
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    for entry in entries.take(LOOKED_AT) {
        let is_busy = busy.iter().any(|name| entry.file_name() == name.as_str());
        let modified = entry.metadata().and_then(|meta| meta.modified());
        let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT));
        if is_busy || !is_old {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => tracing::info!(folder = %entry.path().display(), "gave up an old download"),
            Err(error) => told(&entry.path(), &error),
        }
    }
}

/// Removes what a download brought.
pub(super) async fn remove(folder: &Path) {
    if let Err(error) = tokio::fs::remove_dir_all(folder).await {
        told(folder, &error);
    }
}

fn told(folder: &Path, error: &std::io::Error) {
    tracing::warn!(folder = %folder.display(), %error, "a download's folder was left behind");
}

/// Room for what isn't on disk yet: what is, is counted with everything else in the data folder.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    held: Option<Reservation>,
    looked: Instant,
    there_bytes: u64,
}

impl Room {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            held: None,
            looked: Instant::now(),
            there_bytes: 0,
        }
    }

    /// Reserves room as soon as the size is known, and gives back what has been filled since, as
    /// soon as that is counted elsewhere.
    ///
    /// # Errors
    /// When there is no room, even without what is only cached or asked for by rules.
    pub(super) async fn follow(
        &mut self,
        core: &Core,
        now: &DownloadProgress,
    ) -> Result<(), NodeError> {
        let Some(total_bytes) = now.total_bytes else {
            return Ok(());
        };
        match &mut self.held {
            None => {
                self.there_bytes = on_disk(&self.folder).await;
                let lacking_bytes = total_bytes.saturating_sub(self.there_bytes);
                let held = core.blobs.reserve_promised(lacking_bytes).await;
                self.held = Some(held.map_err(|error| import_error("a torrent", error))?);
            }
            Some(held) if self.looked.elapsed() >= MEASURED_AFTER => {
                held.shrink_to(total_bytes.saturating_sub(self.there_bytes));
                self.there_bytes = on_disk(&self.folder).await;
            }
            Some(_) => return Ok(()),
        }
        self.looked = Instant::now();
        Ok(())
    }

    /// All is there: it is counted with everything else from now on.
    pub(super) async fn filled(self, core: &Arc<Core>) {
        room::measure(core).await;
        drop(self.held);
    }
}

async fn on_disk(folder: &Path) -> u64 {
    let folder = folder.to_owned();
    let measured = tokio::task::spawn_blocking(move || used_bytes(&folder, &|_| true)).await;
    measured.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_is_old_and_not_at_work_is_swept() {
        let all = tempfile::tempdir().unwrap();
        let old = now() - KEPT - Duration::from_secs(60);
        for (name, at) in [("old", old), ("busy", old), ("young", now())] {
            let folder = all.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("film"), b"bytes").unwrap();
            File::open(&folder).unwrap().set_modified(at).unwrap();
        }
        sweep(all.path(), &["busy".to_owned()]);
        let left = |name: &str| all.path().join(name).is_dir();
        assert_eq!(
            (left("old"), left("busy"), left("young")),
            (false, true, true)
        );
    }
}
