//! A small list of the node's own, in memory and in a file of the data folder: what a call changed
//! is on disk when it returns.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Serialize, de::DeserializeOwned};

use crate::data_folder::{DataFolder, FolderError};

/// The list and its file.
#[derive(Debug)]
pub struct Kept<T> {
    file: &'static str,
    state: Mutex<T>,
}

impl<T: Clone + PartialEq + Default + Serialize + DeserializeOwned> Kept<T> {
    /// Reads the file; the default before it was ever written.
    ///
    /// # Errors
    /// When it is damaged or can't be read.
    pub fn open(folder: &DataFolder, file: &'static str) -> Result<Self, FolderError> {
        let state = folder.read_json(file)?.unwrap_or_default();
        Ok(Self {
            file,
            state: Mutex::new(state),
        })
    }

    /// Changes the list; nothing is written when nothing changed.
    ///
    /// # Errors
    /// When the file can't be written: then the list is as before.
    pub fn change(
        &self,
        folder: &DataFolder,
        change: impl FnOnce(&mut T),
    ) -> Result<(), FolderError> {
        let mut state = self.lock();
        let mut next = state.clone();
        change(&mut next);
        if next != *state {
            folder.write_json(self.file, &next)?;
            *state = next;
        }
        Ok(())
    }

    /// The list, to read from.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // A panic while it was held left the old state in place: changes are made on a copy.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
