//! Who may do what: spaces and their owners, identities and their devices.

use std::sync::Arc;

use model::{DEVICE_TABLE, DeviceKey, EntryId, IdentityId, Ipld, Row, SchemaId, SpaceId};

use crate::{
    DatabaseError, Missing, Reason, Verdict,
    record::{Await, Num, PayloadState, Record, join},
    schema::{Schema, find_built_in},
    store::Tree,
    txn::{Txn, scan},
};

/// What a genesis says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceInfo {
    /// The space.
    pub space: SpaceId,
    /// Who made it: rank 0. An identity's space is its own.
    pub owner: IdentityId,
    /// Its rows follow this.
    pub schema: Arc<Schema>,
    /// Its id is the capability: never announced, seeded or routed.
    pub unlisted: bool,
    /// It is an identity.
    pub is_identity: bool,
    /// The device that signed the genesis; the root key of an identity.
    pub device: DeviceKey,
    /// When it was made.
    pub time_ms: u64,
}

impl SpaceInfo {
    /// The rank that an identity has here by a grant; the grant of the creator is implicit, and the
    /// only one.
    pub(crate) fn role_of(&self, identity: &IdentityId, grant: Option<&EntryId>) -> Option<usize> {
        (grant.is_none() && *identity == self.owner).then_some(0)
    }

    pub(crate) fn read(record: &Record, schema: SchemaId, row: &Row) -> Result<Self, Reason> {
        let is_identity = record.is_identity_genesis();
        let schema = if is_identity {
            identity_schema(record, schema, row)?
        } else {
            space_schema(schema, row)?
        };
        Ok(Self {
            space: record.space,
            owner: record.identity,
            schema,
            unlisted: row.get("unlisted") == Some(&Ipld::Bool(true)),
            is_identity,
            device: record.device,
            time_ms: record.time_ms,
        })
    }
}

fn bad_genesis(problem: impl Into<String>) -> Reason {
    Reason::Genesis(problem.into())
}

/// `{root: 32 bytes, successor: 32 bytes}`, the root being the key that signs.
fn identity_schema(record: &Record, schema: SchemaId, row: &Row) -> Result<Arc<Schema>, Reason> {
    let profile = crate::schema::profile();
    if schema != profile.id() {
        return Err(bad_genesis("an identity follows the profile schema"));
    }
    let is_key =
        |name: &str| matches!(row.get(name), Some(Ipld::Bytes(bytes)) if bytes.len() == 32);
    if row.len() != 2 || !is_key("root") || !is_key("successor") {
        return Err(bad_genesis(
            "its row is a root key and a successor commitment",
        ));
    }
    if row.get("root") != Some(&Ipld::Bytes(record.device.as_bytes().to_vec())) {
        return Err(bad_genesis("it is not signed by the root key it names"));
    }
    Ok(Arc::clone(profile))
}

/// `{schema: link, unlisted: true?, text: canonical text unless built in}`.
fn space_schema(schema: SchemaId, row: &Row) -> Result<Arc<Schema>, Reason> {
    if let Some(name) = row
        .keys()
        .find(|name| !["schema", "text", "unlisted"].contains(&name.as_str()))
    {
        return Err(bad_genesis(format!("there is no column `{name}`")));
    }
    match row.get("schema") {
        Some(Ipld::Link(cid)) if SchemaId::try_from(cid) == Ok(schema) => {}
        _ => return Err(bad_genesis("row and header name different schemas")),
    }
    if !matches!(row.get("unlisted"), None | Some(Ipld::Bool(true))) {
        return Err(bad_genesis("`unlisted` is true or absent"));
    }
    if schema == crate::schema::profile().id() {
        return Err(bad_genesis("only identities follow the profile schema"));
    }
    match (find_built_in(&schema), row.get("text")) {
        (Some(known), None) => Ok(Arc::clone(known)),
        (Some(_), Some(_)) => Err(bad_genesis("a built-in schema needs no text")),
        (None, Some(Ipld::String(text))) => {
            let parsed = Schema::parse(text).map_err(|error| bad_genesis(error.to_string()))?;
            if parsed.id() != schema || parsed.text() != text {
                return Err(bad_genesis(
                    "the text is not the canonical one of its schema",
                ));
            }
            Ok(Arc::new(parsed))
        }
        (None, _) => Err(bad_genesis("the text of its schema is missing")),
    }
}

/// Whether the author's device is named by its identity.
pub(crate) enum Author {
    /// It is.
    Named,
    /// By a row that is disputed.
    Disputed,
    /// There is no such identity.
    None,
    /// Not known yet.
    Unknown(Await, Option<Missing>),
}

impl Txn<'_> {
    /// What the genesis of a settled, sound space says.
    pub(crate) fn space(
        &mut self,
        space: &SpaceId,
    ) -> Result<Option<Arc<SpaceInfo>>, DatabaseError> {
        let known = self
            .spaces
            .get(space)
            .or_else(|| self.known_spaces.get(space));
        if let Some(info) = known {
            return Ok(Some(Arc::clone(info)));
        }
        let Some((num, record)) = self.record_of(&space.entry())? else {
            return Ok(None);
        };
        if !record.is_genesis() || !matches!(record.verdict, Verdict::Valid | Verdict::Disputed) {
            return Ok(None);
        }
        let schema = self.header(num)?.schema;
        let row = self
            .row(num)?
            .ok_or(DatabaseError::Damaged { what: "genesis" })?;
        let info = SpaceInfo::read(&record, schema, &row)
            .map_err(|_| DatabaseError::Damaged { what: "genesis" })?;
        let info = Arc::new(info);
        self.spaces.insert(*space, Arc::clone(&info));
        Ok(Some(info))
    }

    pub(crate) fn author(
        &mut self,
        identity: &IdentityId,
        device: &DeviceKey,
    ) -> Result<Author, DatabaseError> {
        let genesis = identity.entry();
        let Some((_, record)) = self.record_of(&genesis)? else {
            return Ok(Author::Unknown(
                Await::Entry(genesis),
                Some(Missing::Entry(genesis)),
            ));
        };
        if !record.verdict.is_settled() {
            return Ok(Author::Unknown(Await::Entry(genesis), None));
        }
        if record.verdict == Verdict::Invalid || !record.is_identity_genesis() {
            return Ok(Author::None);
        }
        if record.device == *device {
            return Ok(Author::Named);
        }
        let prefix = join(&[identity.as_bytes(), device.as_bytes()]);
        let rows = scan(self, Tree::Devices, &prefix, false, MAX_DEVICE_ROWS)?;
        if rows.iter().any(|(_, state)| state[..] == NAMED) {
            return Ok(Author::Named);
        }
        if !rows.is_empty() {
            return Ok(Author::Disputed);
        }
        let missing = Missing::Device(*identity, *device);
        Ok(Author::Unknown(
            Await::Device(*identity, *device),
            Some(missing),
        ))
    }

    /// Judges a row that names a device.
    pub(crate) fn check_device_row(
        info: &SpaceInfo,
        record: &Record,
        row: &Row,
    ) -> Result<(), Reason> {
        if !info.is_identity || info.device != record.device || record.identity != info.owner {
            return Err(Reason::RootKey(DEVICE_TABLE.to_owned()));
        }
        let named = matches!(row.get("key"), Some(Ipld::Bytes(key)) if key.len() == 32);
        let name =
            matches!(row.get("name"), Some(Ipld::String(name)) if name.len() <= DEVICE_NAME_BYTES);
        if row.len() != 2 || !named || !name {
            return Err(Reason::Payload(
                "its row is a device key and a name".to_owned(),
            ));
        }
        Ok(())
    }

    /// A row that names a device begins to count, is disputed, or goes.
    pub(crate) fn device_row_changed(
        &mut self,
        num: Num,
        record: &Record,
        state: Option<[u8; 1]>,
    ) -> Result<(), DatabaseError> {
        let Some(device) = self.row(num)?.as_deref().and_then(device_of) else {
            return Ok(());
        };
        let identity = record.identity;
        let key = join(&[identity.as_bytes(), device.as_bytes(), &num.to_be_bytes()]);
        let before = scan(self, Tree::Devices, &key[..64], false, MAX_DEVICE_ROWS)?;
        match state {
            Some(state) => self.put(Tree::Devices, &key, state),
            None => self.del(Tree::Devices, &key),
        }
        self.release(&Await::Device(identity, device))?;
        let after = scan(self, Tree::Devices, &key[..64], false, MAX_DEVICE_ROWS)?;
        let stands = |rows: &[(Vec<u8>, Vec<u8>)]| rows.iter().any(|(_, state)| state[..] == NAMED);
        if !before.is_empty() && stands(&before) != stands(&after) {
            self.reconsider_device(&identity, &device)?;
        }
        Ok(())
    }

    /// Looks again at all entries that a device signed for an identity.
    fn reconsider_device(
        &mut self,
        identity: &IdentityId,
        device: &DeviceKey,
    ) -> Result<(), DatabaseError> {
        let prefix = join(&[identity.as_bytes(), device.as_bytes()]);
        for key in self.keys(Tree::AuthorFeeds, &prefix, false, usize::MAX)? {
            let Some(space) = key.last_chunk().map(|bytes| SpaceId::from_bytes(*bytes)) else {
                continue;
            };
            for num in self.feed_from(&space, device, 0)? {
                self.queue.insert(num);
            }
        }
        Ok(())
    }
}

/// State of a row that names a device.
pub(crate) const NAMED: [u8; 1] = [0];
/// The row is disputed.
pub(crate) const IN_DISPUTE: [u8; 1] = [1];
/// Rows that name the same device; more are not looked at.
const MAX_DEVICE_ROWS: usize = 64;
/// Longest name of a device.
const DEVICE_NAME_BYTES: usize = 100;

/// The device that a row names.
pub(crate) fn device_of(row: &Row) -> Option<DeviceKey> {
    match row.get("key") {
        Some(Ipld::Bytes(key)) => Some(DeviceKey::from_bytes(key.as_slice().try_into().ok()?)),
        _ => None,
    }
}

/// Whether the payload is needed to judge an entry at all.
pub(crate) fn needs_payload(record: &Record) -> bool {
    record.thread().is_none() && record.payload_state != PayloadState::Held
}
