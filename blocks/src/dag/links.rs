//! What a block refers to, whatever its codec.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use cid::Cid;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

use super::{
    MAX_NODE_LINKS, NameFault, Node, PbFault, block::read_cid, check_name, codec, parse_cid,
};

/// How deep values may lie in each other in a data block. Below what serde_json takes.
pub const MAX_NESTING: usize = 100;

/// Why the links of a block can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinksFault {
    /// Its name isn't a block's.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// It isn't canonical dag-pb.
    #[error("{cid} is not canonical dag-pb")]
    Pb {
        /// The block.
        cid: Cid,
        /// Why.
        #[source]
        source: Box<PbFault>,
    },
    /// It isn't strict dag-cbor.
    #[error("{cid} is not dag-cbor: {reason}")]
    Cbor {
        /// The block.
        cid: Cid,
        /// Why, as the decoder says.
        reason: String,
    },
    /// It isn't dag-json.
    #[error("{cid} is not dag-json: {reason}")]
    Json {
        /// The block.
        cid: Cid,
        /// Why, as the decoder says.
        reason: String,
    },
    /// It has more links than [`MAX_NODE_LINKS`].
    #[error("{cid} has more than {MAX_NODE_LINKS} links")]
    TooMany {
        /// The block.
        cid: Cid,
    },
    /// Its values lie too deep in each other.
    #[error("{cid} has values in each other beyond {MAX_NESTING} levels")]
    TooDeep {
        /// The block.
        cid: Cid,
    },
}

/// All links of a verified block, in order, repeated ones too, whatever they name. Raw, CBOR and
/// JSON blocks have none.
///
/// # Errors
/// When the block isn't what its codec says.
pub fn links(cid: &Cid, bytes: &Bytes) -> Result<Vec<Cid>, LinksFault> {
    check_name(cid)?;
    match cid.codec() {
        codec::DAG_PB => match Node::decode(bytes) {
            Ok(node) => Ok(node.links.into_iter().map(|link| link.cid).collect()),
            Err(fault) => Err(LinksFault::Pb {
                cid: *cid,
                source: Box::new(fault),
            }),
        },
        codec::DAG_CBOR => {
            let mut found = Found::default();
            let mut decoder = serde_ipld_dagcbor::de::Deserializer::from_slice(bytes);
            let read = found
                .value(&mut decoder, Format::Cbor)
                .and_then(|()| decoder.end());
            found.links(cid, read, |cid, reason| LinksFault::Cbor { cid, reason })
        }
        codec::DAG_JSON => {
            let mut found = Found::default();
            let mut decoder = serde_json::Deserializer::from_slice(bytes);
            let read = found
                .value(&mut decoder, Format::Json)
                .and_then(|()| decoder.end());
            found.links(cid, read, |cid, reason| LinksFault::Json { cid, reason })
        }
        _ => Ok(Vec::new()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Cbor,
    Json,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    links: Vec<Cid>,
    is_too_deep: bool,
    is_too_many: bool,
}

impl Found {
    fn value<'de, D: Deserializer<'de>>(
        &mut self,
        decoder: D,
        format: Format,
    ) -> Result<(), D::Error> {
        let value = Value {
            found: self,
            format,
            depth: 0,
            is_text_wanted: false,
        };
        value.deserialize(decoder).map(drop)
    }

    fn add<E: serde::de::Error>(&mut self, link: Cid) -> Result<(), E> {
        if self.links.len() == MAX_NODE_LINKS {
            self.is_too_many = true;
            return Err(E::custom("there are too many links"));
        }
        self.links.push(link);
        Ok(())
    }

    fn links<E: fmt::Display>(
        self,
        cid: &Cid,
        read: Result<(), E>,
        fault: impl FnOnce(Cid, String) -> LinksFault,
    ) -> Result<Vec<Cid>, LinksFault> {
        match read {
            Ok(()) => Ok(self.links),
            Err(_) if self.is_too_deep => Err(LinksFault::TooDeep { cid: *cid }),
            Err(_) if self.is_too_many => Err(LinksFault::TooMany { cid: *cid }),
            Err(error) => Err(fault(*cid, error.to_string())),
        }
    }
}

/// A value of either format. Gives its text, when it is one and it is wanted.
struct Value<'a> {
    found: &'a mut Found,
    format: Format,
    depth: usize,
    is_text_wanted: bool,
}

impl Value<'_> {
    fn inner<E: serde::de::Error>(&mut self) -> Result<Value<'_>, E> {
        if self.depth == MAX_NESTING {
            self.found.is_too_deep = true;
            return Err(E::custom("values are nested too deep"));
        }
        Ok(Value {
            found: &mut *self.found,
            format: self.format,
            depth: self.depth + 1,
            is_text_wanted: false,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Self::Value, D::Error> {
        decoder.deserialize_any(self)
    }
}

macro_rules! plain {
    ($($visit:ident: $kind:ty),* $(,)?) => {
        $(
            fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
                Ok(None)
            }
        )*
    };
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    plain! {
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
        visit_bytes: &[u8],
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.is_text_wanted.then(|| text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element_seed(self.inner()?)?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut is_first = self.format == Format::Json;
        let mut link = None;
        while let Some(key) = items.next_key::<Cow<'de, str>>()? {
            let mut value = self.inner()?;
            value.is_text_wanted = is_first && key == "/";
            // Another key after it, and it was no link.
            link = items.next_value_seed(value)?;
            is_first = false;
        }
        if let Some(text) = link {
            let cid = parse_cid(&text).ok_or_else(|| A::Error::custom("a link has no CID"))?;
            self.found.add(cid)?;
        }
        Ok(None)
    }

    /// The only thing of this shape is a link in dag-cbor.
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        decoder: D,
    ) -> Result<Self::Value, D::Error> {
        let cid = decoder.deserialize_bytes(LinkBytes)?;
        self.found.add(cid)?;
        Ok(None)
    }
}

/// The CID in a link of dag-cbor.
pub(super) struct LinkBytes;

impl Visitor<'_> for LinkBytes {
    type Value = Cid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CID")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Cid, E> {
        match read_cid(bytes) {
            Some((cid, length)) if length == bytes.len() => Ok(cid),
            _ => Err(E::custom("a link has no CID")),
        }
    }
}
