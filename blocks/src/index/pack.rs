//! Files of blocks that are too large for the index and not, or not yet, parts of a blob.

use std::{io, path::PathBuf};

use cid::Cid;

use crate::files::Files;

/// The pack of a root, by the root's name.
pub(super) fn path(files: &Files, root: &[u8]) -> io::Result<PathBuf> {
    let root =
        Cid::try_from(root).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(files.packs().join(format!("{root}.pack")))
}
