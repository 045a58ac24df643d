//! What extensions say: the handshake (BEP 10), and the info dictionary in parts (BEP 9).

use crate::bencode::{self, Item};

/// As much is read of a client's name, bytes.
pub const MAX_CLIENT_BYTES: usize = 64;

/// The extension that gives the info dictionary (BEP 9).
const UT_METADATA: &str = "ut_metadata";

/// What a peer says about its extensions (BEP 10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// The id that messages about the info dictionary are to be sent with.
    pub info_id: Option<u8>,
    /// Bytes of the info dictionary.
    pub info_bytes: Option<u64>,
    /// As many requests may wait for their answer.
    pub max_requests: Option<u32>,
    /// The program.
    pub client: Option<String>,
}

impl Extensions {
    /// Reads a handshake. What isn't understood is passed over, all of it if it is no bencode: then
    /// there are no extensions.
    pub fn decode(payload: &[u8]) -> Self {
        let Ok((dict, _)) = bencode::decode_prefix(payload) else {
            return Self::default();
        };
        let number = |key: &str| dict.get(key.as_bytes())?.integer();
        let ids = dict.get(b"m");
        let info_id = ids.and_then(|ids| ids.get(UT_METADATA.as_bytes())?.integer());
        let client = dict.get(b"v").and_then(|value| value.text());
        Self {
            info_id: info_id
                .and_then(|id| u8::try_from(id).ok())
                .filter(|id| *id > 0),
            info_bytes: number("metadata_size").and_then(|bytes| u64::try_from(bytes).ok()),
            max_requests: number("reqq").and_then(|count| u32::try_from(count).ok()),
            client: client.map(|text| text.chars().take(MAX_CLIENT_BYTES / 4).collect()),
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let number = |key, number: Option<u64>| {
            let number = number.and_then(|number| i64::try_from(number).ok());
            number.map(|number| (key, Item::Integer(number)))
        };
        let ids = self
            .info_id
            .map(|id| (UT_METADATA, Item::Integer(id.into())));
        let fields = [
            Some(("m", Item::dict(ids))),
            number("metadata_size", self.info_bytes),
            number("reqq", self.max_requests.map(u64::from)),
            self.client.as_deref().map(|client| ("v", client.into())),
        ];
        Item::dict(fields.into_iter().flatten()).encode()
    }
}

/// A message about the info dictionary, which is given in parts of [`super::BLOCK_BYTES`] (BEP 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfoMessage<'a> {
    /// Wants a part.
    Request(u32),
    /// A part.
    Part {
        /// Which, from 0.
        index: u32,
        /// The part's bytes.
        bytes: &'a [u8],
    },
    /// Doesn't give a part.
    Reject(u32),
}

impl<'a> InfoMessage<'a> {
    /// Reads a message; none if it isn't one, or of a kind that came later.
    pub fn decode(payload: &'a [u8]) -> Option<Self> {
        let (dict, bytes) = bencode::decode_prefix(payload).ok()?;
        let index = u32::try_from(dict.get(b"piece")?.integer()?).ok()?;
        match dict.get(b"msg_type")?.integer()? {
            0 => Some(Self::Request(index)),
            1 => Some(Self::Part { index, bytes }),
            2 => Some(Self::Reject(index)),
            _ => None,
        }
    }

    /// Its bytes; `info_bytes` are those of the whole dictionary, which go with a part.
    pub fn encode(&self, info_bytes: u64) -> Vec<u8> {
        let (kind, index, total, rest): (_, _, _, &[u8]) = match *self {
            Self::Request(index) => (0, index, None, &[]),
            Self::Part { index, bytes } => (1, index, i64::try_from(info_bytes).ok(), bytes),
            Self::Reject(index) => (2, index, None, &[]),
        };
        let fields = [
            Some(("msg_type", Item::Integer(kind))),
            Some(("piece", Item::Integer(index.into()))),
            total.map(|total| ("total_size", Item::Integer(total))),
        ];
        let mut encoded = Item::dict(fields.into_iter().flatten()).encode();
        encoded.extend_from_slice(rest);
        encoded
    }
}
