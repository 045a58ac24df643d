//! Paid votes on the node's side: which payment rows are true by the headers held here, what this
//! node waits to see paid, and what pages and lists show of it.
//!
//! `spv` says whether a proof holds on the chain; who was to be paid, by which key, for which vote
//! is said by rows and judged here. All of it can be rebuilt from entries and headers but for what
//! is awaited: that is in `payments.json`.

pub mod batch;
pub mod keys;

use crate::data_folder::{DataFolder, FolderError};

/// The node's side of paid votes.
#[derive(Debug, Default)]
pub struct Payments {}

impl Payments {
    /// Reads what is awaited.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(_folder: &DataFolder) -> Result<Self, FolderError> {
        Ok(Self {})
    }
}
