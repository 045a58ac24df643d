//! What this node asked of mirrors, in `asked-of-mirrors.json`.

use std::{collections::BTreeMap, sync::Mutex};

use gateway::api::types::PinMedia;
use model::{BlobId, EndpointKey, PinTarget};
use serde::{Deserialize, Serialize};

use crate::{
    core::Core,
    data_folder::{DataFolder, FolderError},
    kept::Kept,
};

const FILE: &str = "asked-of-mirrors.json";
/// Requests remembered; the oldest goes first.
const ASKED: usize = 1_000;

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedPin {
    /// Who was asked.
    pub mirror: EndpointKey,
    /// What about.
    pub target: PinTarget,
    /// Which media.
    pub media: PinMedia,
    /// Promised.
    pub accepted: bool,
    /// In the mirror's words.
    pub reason: String,
    /// Bytes that it promised at most.
    pub max_bytes: u64,
    /// When it was asked, Unix milliseconds.
    pub asked_ms: u64,
    /// Until when it promised, Unix milliseconds; none: until taken back.
    pub until_ms: Option<u64>,
}

impl AskedPin {
    fn stands(&self, now_ms: u64) -> bool {
        self.accepted && self.until_ms.is_none_or(|until_ms| until_ms > now_ms)
    }
}

/// The list; every change is on disk when its call returns.
#[derive(Debug)]
pub struct Asked {
    state: Kept<Vec<AskedPin>>,
    /// When mirrors were asked last whether they hold what they promised.
    polled: Mutex<BTreeMap<(BlobId, EndpointKey), u64>>,
}

impl Asked {
    /// Reads the list; empty at the first start.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        Kept::open(folder, FILE).map(|state| Self {
            state,
            polled: Mutex::default(),
        })
    }

    /// Notes an answer in the place of an earlier one.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn note(&self, folder: &DataFolder, asked: AskedPin) -> Result<(), FolderError> {
        self.state.change(folder, |list| {
            list.retain(|one| (one.mirror, one.target) != (asked.mirror, asked.target));
            if list.len() >= ASKED {
                list.remove(0);
            }
            list.push(asked);
        })
    }

    /// Forgets what was taken back.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn forget(
        &self,
        folder: &DataFolder,
        mirror: EndpointKey,
        target: PinTarget,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |list| {
            list.retain(|one| (one.mirror, one.target) != (mirror, target));
        })
    }

    /// Everything asked, the newest last.
    pub fn all(&self) -> Vec<AskedPin> {
        self.state.lock().clone()
    }

    /// Blobs that mirrors promised to keep, each with who did and when he was asked.
    pub fn promised_blobs(&self, now_ms: u64) -> Vec<(BlobId, EndpointKey, u64)> {
        let list = self.state.lock();
        let stands = list.iter().filter(|one| one.stands(now_ms));
        stands
            .filter_map(|one| match one.target {
                PinTarget::Blob(blob) => Some((blob, one.mirror, one.asked_ms)),
                PinTarget::Thread(_) | PinTarget::Space(_) | PinTarget::Identity(_) => None,
            })
            .collect()
    }

    /// Whether a mirror wasn't asked lately about a blob; then it counts as asked now.
    pub fn is_due(&self, blob: BlobId, mirror: EndpointKey, now_ms: u64, pause_ms: u64) -> bool {
        let mut polled = Core::lock(&self.polled);
        let last_ms = polled.get(&(blob, mirror)).copied();
        let is_due = last_ms.is_none_or(|last_ms| now_ms.saturating_sub(last_ms) >= pause_ms);
        if is_due {
            if polled.len() >= ASKED {
                polled.pop_first();
            }
            polled.insert((blob, mirror), now_ms);
        }
        is_due
    }
}
