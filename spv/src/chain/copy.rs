//! Headers as they are carried from one node to another: 80 bytes each, or a line of hex.

use std::io::{self, BufRead, Write};

use bitcoin::block::Header;
use thiserror::Error;

use super::HeaderChain;

/// How headers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyForm {
    /// 80 bytes each, one after another.
    Raw,
    /// A line of 160 hex digits each.
    Hex,
}

/// Headers could not be read.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The machine's fault.
    #[error("could not read headers")]
    Read(#[source] io::Error),
    /// The last header is cut off.
    #[error("header number {0} is cut off")]
    Cut(u64),
    /// A line is no header.
    #[error("line {0} is not a header of 160 hex digits")]
    Line(u64),
}

/// Writes the active chain's headers from a height to its end.
///
/// # Errors
/// What the writer says.
pub fn export(
    _chain: &HeaderChain,
    _from_height: u32,
    _form: CopyForm,
    _to: &mut impl Write,
) -> io::Result<u32> {
    Ok(0)
}

/// Reads exported headers in batches; the form shows by itself.
#[derive(Debug)]
pub struct Imported<R> {
    from: R,
}

impl<R: BufRead> Imported<R> {
    /// Begins to read.
    pub fn new(from: R) -> Self {
        Self { from }
    }

    /// The next headers; none at the end.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn batch(&mut self) -> Result<Vec<Header>, CopyError> {
        self.from.fill_buf().map_err(CopyError::Read)?;
        Ok(Vec::new())
    }
}
