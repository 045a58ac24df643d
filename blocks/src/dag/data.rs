//! Paths inside data blocks: dag-cbor and dag-json, map keys and list indexes (IPLD path gateway
//! rules). The block is passed over once, nothing of it is kept.

use std::fmt;

use bytes::Bytes;
use cid::Cid;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{LinksFault, codec, links::LinkBytes, parse_cid};

/// Where a path inside a block leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// To a link, after so many segments.
    Link { cid: Cid, segments: usize },
    /// To a value in the block.
    Value,
    /// Nowhere: the segment with this number isn't there.
    Nothing { segment: usize },
}

/// Follows a path in a dag-cbor or dag-json block, up to the first link.
pub(super) fn find(cid: &Cid, bytes: &Bytes, path: &[String]) -> Result<Found, LinksFault> {
    let seek = Seek {
        path,
        segment: 0,
        is_json: cid.codec() == codec::DAG_JSON,
    };
    if seek.is_json {
        let mut decoder = serde_json::Deserializer::from_slice(bytes);
        seek.deserialize(&mut decoder)
            .and_then(|found| decoder.end().map(|()| found))
            .map_err(|error| LinksFault::Json {
                cid: *cid,
                reason: error.to_string(),
            })
    } else {
        let mut decoder = serde_ipld_dagcbor::de::Deserializer::from_slice(bytes);
        seek.deserialize(&mut decoder)
            .and_then(|found| decoder.end().map(|()| found))
            .map_err(|error| LinksFault::Cbor {
                cid: *cid,
                reason: error.to_string(),
            })
    }
}

/// The search for what `path` says from its segment `segment` on.
#[derive(Clone, Copy)]
struct Seek<'a> {
    path: &'a [String],
    segment: usize,
    is_json: bool,
}

impl Seek<'_> {
    fn name(&self) -> Option<&str> {
        self.path.get(self.segment).map(String::as_str)
    }

    fn next(&self) -> Self {
        Self {
            segment: self.segment + 1,
            ..*self
        }
    }

    fn scalar<E>(self) -> Result<Found, E> {
        Ok(match self.name() {
            Some(_) => Found::Nothing {
                segment: self.segment,
            },
            None => Found::Value,
        })
    }

    fn link(self, cid: Cid) -> Found {
        Found::Link {
            cid,
            segments: self.segment,
        }
    }

    /// The rest of a dag-json map whose first key is `/`: a link, or bytes.
    fn reserved<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let text = map.next_value_seed(Text)?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("a map with `/` has other keys too"));
        }
        match text {
            Some(text) => parse_cid(&text)
                .map(|cid| self.link(cid))
                .ok_or_else(|| A::Error::custom("a link has no CID")),
            None => self.scalar(),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Found, D::Error> {
        decoder.deserialize_any(self)
    }
}

/// The methods of a visitor for values that have nothing in them.
macro_rules! scalars {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method<E>(self, _: $kind) -> Result<Found, E> {
            self.scalar()
        })*
    };
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the IPLD data model")
    }

    scalars! {
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
        visit_str: &str,
        visit_bytes: &[u8],
    }

    fn visit_none<E>(self) -> Result<Found, E> {
        self.scalar()
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        self.scalar()
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, decoder: D) -> Result<Found, D::Error> {
        // Only links come this way (serde_ipld_dagcbor).
        let cid = decoder.deserialize_bytes(LinkBytes)?;
        Ok(self.link(cid))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        let Some(name) = self.name() else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Found::Value);
        };
        let wanted = index(name);
        let mut found = Found::Nothing {
            segment: self.segment,
        };
        for at in 0_u64.. {
            if wanted == Some(at) {
                match seq.next_element_seed(self.next())? {
                    Some(below) => found = below,
                    None => break,
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = match self.name() {
            Some(_) => Found::Nothing {
                segment: self.segment,
            },
            None => Found::Value,
        };
        let mut is_first = true;
        while let Some(key) = map.next_key::<String>()? {
            if self.is_json && is_first && key == "/" {
                return self.reserved(map);
            }
            is_first = false;
            if self.name() == Some(key.as_str()) {
                found = map.next_value_seed(self.next())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A list index: decimal, no needless zeros.
fn index(name: &str) -> Option<u64> {
    let is_canonical = name == "0" || !name.starts_with(['0', '+']);
    name.parse().ok().filter(|_| is_canonical)
}

/// A string, or none for a map.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Self::Value, D::Error> {
        decoder.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CID or bytes")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
