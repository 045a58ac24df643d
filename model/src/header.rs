//! The signed header of an entry, and its canonical DAG-CBOR form.

use std::collections::BTreeMap;

use cid::Cid;
use ipld_core::ipld::Ipld;
use thiserror::Error;

use crate::{
    DeviceKey, EntryId, GENESIS_TABLE, IdError, IdentityId, PayloadId, SchemaId, SpaceId, limits,
};

/// Version of the header.
const VERSION: u64 = 1;
/// Payload codec of canonical DAG-CBOR; 1 is reserved for encrypted payloads.
const PLAIN: u64 = 0;

/// What an author signs. Field keys on the wire are given in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// \[k\] Device that signs.
    pub device: DeviceKey,
    /// \[i\] Author; none only in the genesis of an identity.
    pub identity: Option<IdentityId>,
    /// \[s\] Position in the device's feed in this space, from 0.
    pub seq: u64,
    /// \[p\] Entry before it in that feed; none exactly at 0.
    pub backlink: Option<EntryId>,
    /// \[t\] Author's clock, Unix milliseconds; at least that of every parent.
    pub time_ms: u64,
    /// \[d\] 1 + the largest depth of the parents; 0 exactly with no parents.
    pub depth: u64,
    /// \[r\] First post of the thread; none in a first post and in the authority log.
    pub root: Option<EntryId>,
    /// \[c\] Causal parents, ascending.
    pub parents: Vec<EntryId>,
    /// \[a\] Grant used; none stands for `any` and for the space's creator.
    pub grant: Option<EntryId>,
    /// \[o\] Space; none exactly in a genesis.
    pub space: Option<SpaceId>,
    /// \[y\] Schema that the row follows.
    pub schema: SchemaId,
    /// \[n\] Table; those that begin with `$` belong to the database itself.
    pub table: String,
    /// \[z\] Payload size, bytes.
    pub payload_size: u32,
    /// \[h\] Payload.
    pub payload: PayloadId,
    /// \[e\] When the payload may be dropped, Unix milliseconds; about keeping, never validity.
    pub expires_ms: Option<u64>,
    /// \[x\] Extensions by ascending key; none below 128 is known to this version.
    pub extensions: BTreeMap<u64, Vec<u8>>,
}

/// Why a header is not well-formed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// A required field is absent.
    #[error("header field `{0}` is missing")]
    Missing(&'static str),
    /// A field of another type than it should have.
    #[error("header field `{0}` has the wrong type")]
    Type(&'static str),
    /// A field that this version does not know.
    #[error("header has an unknown field `{0}`")]
    Unknown(String),
    /// A number or text beyond its limit.
    #[error("header field `{0}` is out of range")]
    Range(&'static str),
    /// A link of the wrong kind.
    #[error("header field `{field}`: {source}")]
    Link {
        /// Which.
        field: &'static str,
        /// Why.
        #[source]
        source: IdError,
    },
    /// A version that is not 1.
    #[error("header version {0} is not supported, only 1")]
    Version(u64),
    /// Encrypted payloads are reserved.
    #[error("payload codec {0} is reserved or unknown, only 0 is in use")]
    PayloadCodec(u64),
    /// Sequence 0 has no backlink, every other has one.
    #[error("a backlink is there exactly when the sequence number is above 0")]
    Backlink,
    /// Depth 0 has no parents, every other has some.
    #[error("the depth is 0 exactly when there are no parents")]
    Depth,
    /// Parents are ascending and each there once.
    #[error("causal parents are not in strictly ascending order")]
    ParentOrder,
    /// A genesis with fields that only later entries have, or another entry without a space.
    #[error(
        "only a genesis, and every genesis, has table `$genesis`, no space, sequence 0, no root, parents or grant"
    )]
    Genesis,
    /// Only the genesis of an identity names no author.
    #[error("only a genesis may lack an identity")]
    Identity,
    /// Expiry before the entry's own time.
    #[error("the entry expires before it was written")]
    Expiry,
    /// A critical extension that this version does not know.
    #[error("critical extension {0} is not known")]
    CriticalExtension(u64),
    /// Extension keys are ascending and each there once.
    #[error("extensions are not in strictly ascending order")]
    ExtensionOrder,
}

impl Header {
    /// Whether it begins a space.
    pub fn is_genesis(&self) -> bool {
        self.space.is_none()
    }

    /// Checks every rule that needs nothing but the header.
    pub(crate) fn check(&self) -> Result<(), HeaderError> {
        if self.seq >= limits::COUNTER {
            return Err(HeaderError::Range("s"));
        }
        if self.depth >= limits::COUNTER {
            return Err(HeaderError::Range("d"));
        }
        if self.time_ms >= limits::TIME_MS {
            return Err(HeaderError::Range("t"));
        }
        if self.backlink.is_some() != (self.seq > 0) {
            return Err(HeaderError::Backlink);
        }
        if self.parents.is_empty() != (self.depth == 0) {
            return Err(HeaderError::Depth);
        }
        if self.parents.len() > limits::PARENTS {
            return Err(HeaderError::Range("c"));
        }
        if !self.parents.is_sorted_by(|a, b| a < b) {
            return Err(HeaderError::ParentOrder);
        }
        if !is_table_name(&self.table) {
            return Err(HeaderError::Range("n"));
        }
        if self.payload_size as usize > limits::PAYLOAD_BYTES {
            return Err(HeaderError::Range("z"));
        }
        self.check_genesis()?;
        if let Some(expires_ms) = self.expires_ms {
            if expires_ms >= limits::TIME_MS {
                return Err(HeaderError::Range("e"));
            }
            if expires_ms < self.time_ms {
                return Err(HeaderError::Expiry);
            }
        }
        self.check_extensions()
    }

    fn check_genesis(&self) -> Result<(), HeaderError> {
        let like_genesis =
            self.seq == 0 && self.root.is_none() && self.parents.is_empty() && self.grant.is_none();
        if self.space.is_none() != (self.table == GENESIS_TABLE)
            || (self.space.is_none() && !like_genesis)
        {
            return Err(HeaderError::Genesis);
        }
        if self.identity.is_none() && self.space.is_some() {
            return Err(HeaderError::Identity);
        }
        Ok(())
    }

    fn check_extensions(&self) -> Result<(), HeaderError> {
        if let Some(key) = self
            .extensions
            .keys()
            .find(|key| **key < limits::CRITICAL_EXTENSIONS)
        {
            return Err(HeaderError::CriticalExtension(*key));
        }
        let bytes: usize = self.extensions.values().map(|value| value.len() + 11).sum();
        if bytes > limits::EXTENSION_BYTES {
            return Err(HeaderError::Range("x"));
        }
        Ok(())
    }

    pub(crate) fn to_ipld(&self) -> Ipld {
        let mut map = BTreeMap::new();
        let mut put = |key: &str, value: Ipld| map.insert(key.to_owned(), value);
        put("v", uint(VERSION));
        put("k", Ipld::Bytes(self.device.as_bytes().to_vec()));
        put("s", uint(self.seq));
        put("t", uint(self.time_ms));
        put("d", uint(self.depth));
        put(
            "c",
            Ipld::List(
                self.parents
                    .iter()
                    .map(|id| Ipld::Link(id.to_cid()))
                    .collect(),
            ),
        );
        put("y", Ipld::Link(self.schema.to_cid()));
        put("n", Ipld::String(self.table.clone()));
        put("g", uint(PLAIN));
        put("z", uint(u64::from(self.payload_size)));
        put("h", Ipld::Link(self.payload.to_cid()));
        if let Some(id) = &self.identity {
            put("i", Ipld::Link(id.to_cid()));
        }
        if let Some(id) = &self.backlink {
            put("p", Ipld::Link(id.to_cid()));
        }
        if let Some(id) = &self.root {
            put("r", Ipld::Link(id.to_cid()));
        }
        if let Some(id) = &self.grant {
            put("a", Ipld::Link(id.to_cid()));
        }
        if let Some(id) = &self.space {
            put("o", Ipld::Link(id.to_cid()));
        }
        if let Some(expires_ms) = self.expires_ms {
            put("e", uint(expires_ms));
        }
        if !self.extensions.is_empty() {
            let pairs = self
                .extensions
                .iter()
                .map(|(key, value)| Ipld::List(vec![uint(*key), Ipld::Bytes(value.clone())]));
            put("x", Ipld::List(pairs.collect()));
        }
        Ipld::Map(map)
    }

    pub(crate) fn from_ipld(ipld: Ipld) -> Result<Self, HeaderError> {
        let Ipld::Map(map) = ipld else {
            return Err(HeaderError::Type("header"));
        };
        let mut fields = Fields(map);
        let version = fields.uint("v")?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let codec = fields.uint("g")?;
        if codec != PLAIN {
            return Err(HeaderError::PayloadCodec(codec));
        }
        let size = fields.uint("z")?;
        let header = Self {
            device: fields.key("k")?,
            identity: fields.link("i")?,
            seq: fields.uint("s")?,
            backlink: fields.link("p")?,
            time_ms: fields.uint("t")?,
            depth: fields.uint("d")?,
            root: fields.link("r")?,
            parents: fields.links("c")?,
            grant: fields.link("a")?,
            space: fields.link("o")?,
            schema: fields.link("y")?.ok_or(HeaderError::Missing("y"))?,
            table: fields.text("n")?,
            payload_size: u32::try_from(size).map_err(|_| HeaderError::Range("z"))?,
            payload: fields.link("h")?.ok_or(HeaderError::Missing("h"))?,
            expires_ms: fields.uint_or_none("e")?,
            extensions: fields.extensions()?,
        };
        if let Some(key) = fields.0.into_keys().next() {
            return Err(HeaderError::Unknown(key));
        }
        header.check()?;
        Ok(header)
    }
}

/// `[a-z_]`, then `[a-z0-9_]`; a leading `$` marks the database's own tables.
fn is_table_name(name: &str) -> bool {
    let bare = name.strip_prefix('$').unwrap_or(name);
    let mut bytes = bare.bytes();
    name.len() <= limits::NAME_BYTES
        && bytes
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn uint(value: u64) -> Ipld {
    Ipld::Integer(i128::from(value))
}

/// Fields not yet taken; what is left in the end is unknown.
struct Fields(BTreeMap<String, Ipld>);

impl Fields {
    fn uint_or_none(&mut self, field: &'static str) -> Result<Option<u64>, HeaderError> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(Ipld::Integer(value)) => u64::try_from(value)
                .map(Some)
                .map_err(|_| HeaderError::Range(field)),
            Some(_) => Err(HeaderError::Type(field)),
        }
    }

    fn uint(&mut self, field: &'static str) -> Result<u64, HeaderError> {
        self.uint_or_none(field)?.ok_or(HeaderError::Missing(field))
    }

    fn key(&mut self, field: &'static str) -> Result<DeviceKey, HeaderError> {
        match self.0.remove(field) {
            None => Err(HeaderError::Missing(field)),
            Some(Ipld::Bytes(bytes)) => bytes
                .try_into()
                .map(DeviceKey::from_bytes)
                .map_err(|_| HeaderError::Range(field)),
            Some(_) => Err(HeaderError::Type(field)),
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String, HeaderError> {
        match self.0.remove(field) {
            None => Err(HeaderError::Missing(field)),
            Some(Ipld::String(text)) => Ok(text),
            Some(_) => Err(HeaderError::Type(field)),
        }
    }

    fn link<T>(&mut self, field: &'static str) -> Result<Option<T>, HeaderError>
    where
        T: for<'a> TryFrom<&'a Cid, Error = IdError>,
    {
        self.0
            .remove(field)
            .map(|ipld| to_link(field, &ipld))
            .transpose()
    }

    fn links(&mut self, field: &'static str) -> Result<Vec<EntryId>, HeaderError> {
        match self.0.remove(field) {
            None => Err(HeaderError::Missing(field)),
            Some(Ipld::List(list)) if list.len() <= limits::PARENTS => {
                list.iter().map(|ipld| to_link(field, ipld)).collect()
            }
            Some(Ipld::List(_)) => Err(HeaderError::Range(field)),
            Some(_) => Err(HeaderError::Type(field)),
        }
    }

    fn extensions(&mut self) -> Result<BTreeMap<u64, Vec<u8>>, HeaderError> {
        let list = match self.0.remove("x") {
            None => return Ok(BTreeMap::new()),
            Some(Ipld::List(list)) if !list.is_empty() => list,
            Some(Ipld::List(_)) => return Err(HeaderError::Range("x")),
            Some(_) => return Err(HeaderError::Type("x")),
        };
        let mut extensions = BTreeMap::new();
        for pair in list {
            let Ipld::List(pair) = pair else {
                return Err(HeaderError::Type("x"));
            };
            let [Ipld::Integer(key), Ipld::Bytes(value)] = &pair[..] else {
                return Err(HeaderError::Type("x"));
            };
            let key = u64::try_from(*key).map_err(|_| HeaderError::Range("x"))?;
            if extensions
                .last_key_value()
                .is_some_and(|(last, _)| *last >= key)
            {
                return Err(HeaderError::ExtensionOrder);
            }
            extensions.insert(key, value.clone());
        }
        Ok(extensions)
    }
}

fn to_link<T>(field: &'static str, ipld: &Ipld) -> Result<T, HeaderError>
where
    T: for<'a> TryFrom<&'a Cid, Error = IdError>,
{
    match ipld {
        Ipld::Link(cid) => T::try_from(cid).map_err(|source| HeaderError::Link { field, source }),
        _ => Err(HeaderError::Type(field)),
    }
}
