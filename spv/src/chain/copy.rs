//! Headers as they are carried from one node to another: 80 bytes each, or a line of hex.

use std::io::{self, Read, Write};

use bitcoin::{block::Header, hex::FromHex};
use thiserror::Error;

use super::{
    HeaderChain,
    record::{HEADER_BYTES, decode, encode},
};

/// Headers that are read at a time, as many as peers send at once.
const BATCH: usize = 2000;
/// Hex digits of a header.
const HEX_DIGITS: usize = 2 * HEADER_BYTES;
/// Bytes that are asked for at a time.
const READ_BYTES: usize = 64 * 1024;

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
    #[error("line {0} is not a header of {HEX_DIGITS} hex digits")]
    Line(u64),
}

/// Writes the active chain's headers from a height to its end, and says how many there were.
///
/// # Errors
/// What the writer says.
pub fn export(
    chain: &HeaderChain,
    from_height: u32,
    form: CopyForm,
    to: &mut impl Write,
) -> io::Result<u32> {
    let mut count = 0;
    let mut bytes = Vec::new();
    for header in chain.headers_from(from_height) {
        match form {
            CopyForm::Raw => bytes.extend_from_slice(&encode(header)),
            CopyForm::Hex => {
                let line = bitcoin::consensus::encode::serialize_hex(header);
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
        }
        count += 1;
        if bytes.len() >= READ_BYTES {
            to.write_all(&bytes)?;
            bytes.clear();
        }
    }
    to.write_all(&bytes)?;
    to.flush()?;
    Ok(count)
}

/// Reads exported headers in batches; the form shows by itself.
#[derive(Debug)]
pub struct Imported<R> {
    from: R,
    form: Option<CopyForm>,
    /// What was read; what lies before `at` was given out.
    buffer: Vec<u8>,
    at: usize,
    is_over: bool,
    /// Headers or lines so far.
    count: u64,
}

impl<R: Read> Imported<R> {
    /// Begins to read.
    pub fn new(from: R) -> Self {
        Self {
            from,
            form: None,
            buffer: Vec::new(),
            at: 0,
            is_over: false,
            count: 0,
        }
    }

    /// The next headers, at most 2,000; none at the end.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn batch(&mut self) -> Result<Vec<Header>, CopyError> {
        self.fill(HEADER_BYTES)?;
        let form = *self.form.get_or_insert_with(|| form_of(&self.buffer));
        let mut headers = Vec::new();
        while headers.len() < BATCH {
            let next = match form {
                CopyForm::Raw => self.raw()?,
                CopyForm::Hex => self.line()?,
            };
            let Some(header) = next else { break };
            headers.push(header);
        }
        Ok(headers)
    }

    fn raw(&mut self) -> Result<Option<Header>, CopyError> {
        self.fill(HEADER_BYTES)?;
        let Some(bytes) = self.rest().first_chunk() else {
            if self.rest().is_empty() {
                return Ok(None);
            }
            return Err(CopyError::Cut(self.count));
        };
        let header = decode(bytes);
        self.at += HEADER_BYTES;
        self.count += 1;
        Ok(Some(header))
    }

    fn line(&mut self) -> Result<Option<Header>, CopyError> {
        loop {
            // a line with its end, which may be two characters
            self.fill(HEX_DIGITS + 2)?;
            if self.rest().is_empty() {
                return Ok(None);
            }
            self.count += 1;
            let window = &self.rest()[..self.rest().len().min(HEX_DIGITS + 2)];
            let end = window.iter().position(|byte| *byte == b'\n');
            let line = window[..end.unwrap_or(window.len())].trim_ascii();
            let used = end.map_or(window.len(), |end| end + 1);
            if line.is_empty() {
                self.at += used;
                continue;
            }
            let bytes = str::from_utf8(line).map(<[u8; HEADER_BYTES]>::from_hex);
            let Ok(Ok(bytes)) = bytes else {
                return Err(CopyError::Line(self.count));
            };
            self.at += used;
            return Ok(Some(decode(&bytes)));
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads until there are as many bytes, if there are.
    fn fill(&mut self, wanted_bytes: usize) -> Result<(), CopyError> {
        while self.rest().len() < wanted_bytes && !self.is_over {
            self.buffer.drain(..self.at);
            self.at = 0;
            let mut part = (&mut self.from).take(READ_BYTES as u64);
            let count = part
                .read_to_end(&mut self.buffer)
                .map_err(CopyError::Read)?;
            self.is_over = count == 0;
        }
        Ok(())
    }
}

/// Hex if the beginning has nothing but hex digits and line ends.
fn form_of(bytes: &[u8]) -> CopyForm {
    let beginning = &bytes[..bytes.len().min(HEADER_BYTES)];
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace();
    if beginning.iter().all(is_hex) {
        CopyForm::Hex
    } else {
        CopyForm::Raw
    }
}
