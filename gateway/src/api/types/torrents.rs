//! Torrents: their ids, downloads, and how far a file may travel.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use views::data::Publicity;

/// A BitTorrent v1 infohash: the SHA-1 of a bencoded `info` dictionary (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Infohash(pub [u8; 20]);

/// Text that is no [`Infohash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an infohash is 40 hexadecimal digits, or 32 characters of base32")]
pub struct InfohashSyntax;

impl FromStr for Infohash {
    type Err = InfohashSyntax;

    fn from_str(text: &str) -> Result<Self, InfohashSyntax> {
        let bytes = match text.len() {
            40 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
            32 => BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()),
            _ => return Err(InfohashSyntax),
        };
        let bytes = bytes.map_err(|_| InfohashSyntax)?;
        bytes.try_into().map(Self).map_err(|_| InfohashSyntax)
    }
}

impl fmt::Display for Infohash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// A torrent to download: one that may have nothing to do with datt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TorrentRequest {
    /// What names it.
    pub source: TorrentSource,
    /// Peers to begin with, `host:port`, besides those that its magnet link names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// How far its files may travel from here afterwards; none: they stay this person's own, and
    /// only the swarm they came from is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publicity: Option<Publicity>,
}

/// What names a torrent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TorrentSource {
    /// A magnet link (BEP 9).
    Magnet(String),
    /// The bytes of a `.torrent` file (BEP 3), in base64.
    #[schema(value_type = String, format = Byte)]
    File(#[serde(with = "super::base64")] Vec<u8>),
}

/// Progress of a download from a swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TorrentProgress {
    /// Under way.
    Progress {
        /// `metadata`, `download` or `name`.
        stage: String,
        /// Bytes held whose SHA-1 agrees.
        done_bytes: u64,
        /// Bytes of all files; 0 while unknown.
        total_bytes: u64,
        /// Peers connected.
        peers: u64,
        /// Bytes a second now.
        bytes_per_s: u64,
    },
    /// All of it is here and has names by CID.
    Done(TorrentDone),
}

/// A torrent was downloaded and named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TorrentDone {
    /// Infohash, 40 hex digits.
    pub infohash: String,
    /// Name in its metainfo.
    pub name: String,
    /// IPFS CID: of the file, or of the UnixFS directory of all its files.
    pub ipfs: String,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// Bytes that came from the swarm; less than all where something was held.
    pub received_bytes: u64,
    /// Its files, in their order; the first thousand.
    pub files: Vec<TorrentDoneFile>,
    /// How many there are.
    pub file_count: u64,
    /// What to know, one sentence each, bounded.
    pub notes: Vec<String>,
}

/// A file of a downloaded torrent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TorrentDoneFile {
    /// Path below the torrent's name; the name itself where the torrent is one file.
    pub path: String,
    /// Blob CID.
    pub blob: String,
    /// IPFS CID.
    pub ipfs: String,
    /// Size.
    pub size_bytes: u64,
}

/// How far a file may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicityRequest {
    /// How far.
    pub publicity: Publicity,
}

/// How far a file may travel, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicityAnswer {
    /// How far, all told.
    pub publicity: Publicity,
    /// What the person said; none: nothing, the configuration decides.
    pub chosen: Option<Publicity>,
    /// Why it is so, in a sentence.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEX: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    #[test]
    fn infohashes_are_read_in_hex_and_base32_of_either_case() {
        let hash: Infohash = HEX.parse().unwrap();
        for text in [
            "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
            "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
            "3i42h3s6nnfq2msvx7xzkyayscx5qbyj",
        ] {
            assert_eq!(text.parse(), Ok(hash), "{text}");
        }
        assert_eq!(hash.to_string(), HEX);
        for bad in [
            "",
            "da39",
            "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBY1",
            &"z".repeat(40),
            &"é".repeat(20),
        ] {
            assert_eq!(bad.parse::<Infohash>(), Err(InfohashSyntax), "{bad}");
        }
    }

    #[test]
    fn a_torrent_file_travels_in_base64() {
        let request: TorrentRequest =
            serde_json::from_str(r#"{"source": {"file": "ZGU="}}"#).unwrap();
        assert_eq!(request.source, TorrentSource::File(b"de".to_vec()));
        let again = serde_json::to_string(&request).unwrap();
        assert_eq!(again, r#"{"source":{"file":"ZGU="}}"#);
        for bad in [r#"{"source":{"file":"Z"}}"#, r#"{"source":{}}"#, r#"{}"#] {
            assert!(
                serde_json::from_str::<TorrentRequest>(bad).is_err(),
                "{bad}"
            );
        }
    }
}
