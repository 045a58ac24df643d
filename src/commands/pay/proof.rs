//! A proof as people hand it on, judged by a file of headers and nothing else.

use std::{
    error::Error,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use data_encoding::{BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use spv::{
    Network,
    chain::{HeaderChain, HeaderFile, HeaderFileError, Imported},
    proof::{Checked, Confirmed, MAX_PROOF_BYTES, PaymentProof, ProofError},
};

use crate::{clock::now_ms, commands::failure::CommandError};

/// Longest file that is read: hex with line ends and then some.
const FILE_BYTES: u64 = 4 * MAX_PROOF_BYTES as u64;

/// Reads a proof from a file, `-` for stdin: raw bytes, base64 or hex.
///
/// # Errors
/// When it can't be read, or is no proof.
pub(super) fn read(path: &Path) -> Result<PaymentProof, CommandError> {
    let mut bytes = Vec::new();
    let failed = CommandError::io("read the proof in", path);
    let read = if path == Path::new("-") {
        io::stdin().take(FILE_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(failed)?;
    decode(&bytes).map_err(CommandError::NotVerified)
}

/// A proof in any of its forms; the error is a reason in words.
fn decode(bytes: &[u8]) -> Result<PaymentProof, String> {
    if bytes.len() as u64 > FILE_BYTES {
        return Err(format!(
            "this is no payment proof: the longest has {MAX_PROOF_BYTES} bytes"
        ));
    }
    let is_text = !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let raw = if is_text {
        from_text(bytes)
            .ok_or("this is no payment proof: neither its bytes, nor base64, nor hex")?
    } else {
        bytes.to_vec()
    };
    PaymentProof::decode(&raw).map_err(|error| error.to_string())
}

fn from_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text: Vec<u8> = bytes.to_vec();
    text.retain(|byte| !byte.is_ascii_whitespace());
    if let Ok(raw) = HEXLOWER_PERMISSIVE.decode(&text) {
        return Some(raw);
    }
    let end = text.iter().rposition(|byte| *byte != b'=')?;
    BASE64_NOPAD.decode(&text[..=end]).ok()
}

/// What a proof shows.
#[derive(Debug)]
pub(super) struct Judged {
    /// What it says.
    pub(super) checked: Checked,
    /// Where it stands on the chain.
    pub(super) confirmed: Confirmed,
    /// Height of the last header.
    pub(super) tip_height: u32,
}

/// Judges a proof by headers.
///
/// # Errors
/// When it fails, or the headers are missing.
pub(super) fn judge(
    data: &Path,
    headers: Option<&Path>,
    proof: &PaymentProof,
) -> Result<Judged, CommandError> {
    let refused = |error: ProofError| CommandError::NotVerified(error.to_string());
    let checked = proof.check().map_err(refused)?;
    let chain = match headers {
        Some(path) => headers_in(path, proof.network)?,
        None => headers_in(&header_file(data, proof.network), proof.network)?,
    };
    let tip = chain.tip();
    if tip.height == 0 {
        return Err(no_headers(
            headers.unwrap_or(&header_file(data, proof.network)),
            proof.network,
        ));
    }
    if !chain.has_minimum_work() {
        return Err(CommandError::Missing(format!(
            "the headers of {} here end at height {}, before there is enough work to believe \
             them: let the node fetch the rest, or import them with `datt chain headers --import`",
            proof.network, tip.height
        )));
    }
    let confirmed = checked.judge(&chain).map_err(|error| {
        if error.is_pending() {
            return CommandError::NotVerified(format!(
                "{error}; the headers here end at height {}: if they are behind, fetch the rest",
                tip.height
            ));
        }
        refused(error)
    })?;
    Ok(Judged {
        checked,
        confirmed,
        tip_height: tip.height,
    })
}

/// Where a data folder keeps the headers of a network.
pub(in crate::commands) fn header_file(data: &Path, network: Network) -> PathBuf {
    data.join("chain").join(network.name()).join("headers")
}

/// The headers in a file of the node's own, or in one that `datt chain headers --out` wrote.
///
/// # Errors
/// When there are none, or they are no chain.
pub(in crate::commands) fn headers_in(
    path: &Path,
    network: Network,
) -> Result<HeaderChain, CommandError> {
    if !path.exists() {
        return Err(no_headers(path, network));
    }
    match HeaderFile::read(path, network) {
        Ok(chain) => Ok(chain),
        Err(HeaderFileError::Foreign(_)) => exported(path, network),
        Err(error) => Err(unusable(error)),
    }
}

fn no_headers(path: &Path, network: Network) -> CommandError {
    CommandError::Missing(format!(
        "there are no headers of {network} in {}: run a node with payments.network = \
         \"{network}\", import some with `datt chain headers --import`, or name a file of them \
         with --headers",
        path.display()
    ))
}

fn exported(path: &Path, network: Network) -> Result<HeaderChain, CommandError> {
    let file = File::open(path).map_err(CommandError::io("read the headers in", path))?;
    let mut imported = Imported::new(BufReader::new(file));
    let mut chain = HeaderChain::new(network);
    let now_s = now_s();
    loop {
        let headers = imported.batch().map_err(unusable)?;
        if headers.is_empty() {
            return Ok(chain);
        }
        chain
            .accept(&headers, now_s)
            .map_err(|error| CommandError::NotVerified(error.to_string()))?;
    }
}

/// Unix seconds.
pub(in crate::commands) fn now_s() -> u32 {
    u32::try_from(now_ms() / 1_000).unwrap_or(u32::MAX)
}

/// A file of headers that can't be used.
pub(in crate::commands) fn unusable(error: impl Error + Send + Sync + 'static) -> CommandError {
    CommandError::Headers(Box::new(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_is_hex_or_base64_however_it_is_broken() {
        for text in ["0102ff", "0102FF\n", "01 02\r\nff", "AQL/", "AQ\nL/\n"] {
            assert_eq!(from_text(text.as_bytes()), Some(vec![1, 2, 255]), "{text}");
        }
        assert_eq!(from_text(b"AQ=="), Some(vec![1]));
        assert_eq!(from_text(b"AQ"), Some(vec![1]));
        for text in ["=", "%%%", "AQL/A"] {
            assert_eq!(from_text(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_proof_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof");
        for bytes in [
            &b""[..],
            b"a letter",
            b"0102",
            &[1; 40],
            &[0xff; 100],
            &vec![1; MAX_PROOF_BYTES + 1],
            &vec![1; 5 * MAX_PROOF_BYTES],
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error.exit_code(), 4, "{error}");
        }
        let missing = read(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.exit_code(), 3, "{missing}");
    }

    #[test]
    fn missing_headers_are_told_apart_from_failed_proofs() {
        let folder = tempfile::tempdir().unwrap();
        let path = header_file(folder.path(), Network::Regtest);
        let error = headers_in(&path, Network::Regtest).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        assert!(error.to_string().contains("--headers"), "{error}");
    }
}
