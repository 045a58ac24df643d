//! A body of any length, read and thrown away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// What ends a chunked body (RFC 9112, 7.1).
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// MiB a second at which a body of at least that many bytes comes, from the request on.
///
/// # Errors
/// When the answer isn't 200, or is cut off.
pub fn rate(base: &str, path: &str, at_least: u64) -> Result<f64> {
    let start = Instant::now();
    let bytes = discard(base, path)?;
    let took = start.elapsed().as_secs_f64();
    ensure!(
        bytes >= at_least,
        "{path} has {bytes} bytes, not {at_least}"
    );
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = bytes as f64 / f64::from(1 << 20);
    Ok(mib / took)
}

/// Reads a body to its end; its length, with what separates chunks.
fn discard(base: &str, path: &str) -> Result<u64> {
    let authority = base
        .strip_prefix("http://")
        .with_context(|| format!("not a plain HTTP URL: {base}"))?;
    let mut stream = TcpStream::connect(authority)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::with_capacity(CHUNK, stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.contains(" 200 "), "{path} answered {}", line.trim());
    let mut length: Option<u64> = None;
    while line.trim_end() != "" {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "{path} ended in its head");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse()?);
        }
    }
    let (bytes, end) = drain(&mut reader)?;
    match length {
        Some(length) => ensure!(bytes == length, "{path}: {bytes} of {length} bytes"),
        None => ensure!(end == LAST_CHUNK, "{path} was cut off after {bytes} bytes"),
    }
    Ok(bytes)
}

/// How many bytes there were, and the last few.
fn drain(reader: &mut impl Read) -> Result<(u64, Vec<u8>)> {
    let mut chunk = vec![0; CHUNK];
    let (mut bytes, mut end) = (0, Vec::new());
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return Ok((bytes, end));
        }
        bytes += read as u64;
        end.extend_from_slice(&chunk[read.saturating_sub(LAST_CHUNK.len())..read]);
        end.drain(..end.len().saturating_sub(LAST_CHUNK.len()));
    }
}
