//! Help for those who sign: headers that this node's own gate will take.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    DEVICE_TABLE, DeviceKey, EntryId, GENESIS_TABLE, Header, IdentityId, Ipld, Payload,
    PayloadError, Row, SchemaId, SpaceId, limits,
};
use thiserror::Error;

use crate::{
    DatabaseError, Reader, Scope,
    record::{Record, id_at_end},
    rows::{key_prefix_of, winner},
    schema::{RowError, Schema, Table, find_built_in},
    store::Tree,
    txn::scan,
};

/// Loose ends of a thread that are looked at to find parents.
const TIPS: usize = 32;

/// What shall be written.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Author.
    pub identity: IdentityId,
    /// Device that will sign.
    pub device: DeviceKey,
    /// Where.
    pub space: SpaceId,
    /// Thread; none for a first post and in the authority log.
    pub root: Option<EntryId>,
    /// Table.
    pub table: &'a str,
    /// Row.
    pub row: &'a Row,
    /// When the payload may be dropped.
    pub expires_ms: Option<u64>,
}

/// A header but for its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    header: Header,
}

impl Plan {
    /// The header, ready to be signed.
    pub fn header(self, payload: &Payload) -> Header {
        Header {
            payload_size: payload.size(),
            payload: payload.id(),
            ..self.header
        }
    }

    /// The time it will carry.
    pub fn time_ms(&self) -> u64 {
        self.header.time_ms
    }
}

/// Why nothing can be signed.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The store.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The space isn't there.
    #[error("the space {0} is not held here; join it first")]
    Space(SpaceId),
    /// The table isn't there.
    #[error("the space has no table `{0}`")]
    Table(String),
    /// The row doesn't fit.
    #[error("the row does not fit: {0}")]
    Row(#[from] RowError),
    /// Something it refers to isn't there, or waits itself.
    #[error("{0} is not held here, or not settled; fetch it first")]
    NotHeld(EntryId),
    /// More references than an entry has parents.
    #[error("a row refers to at most {max} others", max = limits::PARENTS)]
    Parents,
    /// The own clock is behind.
    #[error("what it answers is dated {ahead_ms} ms ahead of this clock; set the clock, or wait")]
    Clock {
        /// How far.
        ahead_ms: u64,
    },
    /// Two entries in one place.
    #[error(
        "this device's feed in the space {0} is forked: two nodes wrote with one device key; use a device of its own for each"
    )]
    Forked(SpaceId),
}

impl Reader<'_> {
    /// Finds place, parents, depth and time of a new entry.
    ///
    /// # Errors
    /// When the own gate would not take it, as far as that can be told.
    pub fn prepare(&self, draft: &Draft<'_>, now_ms: u64) -> Result<Plan, PrepareError> {
        let info = self
            .space(&draft.space)?
            .ok_or(PrepareError::Space(draft.space))?;
        let (mut required, scope) = if draft.table.starts_with('$') {
            (BTreeSet::new(), Scope::Authority(draft.space))
        } else {
            let table = info
                .schema
                .table(draft.table)
                .ok_or_else(|| PrepareError::Table(draft.table.to_owned()))?;
            let refs = info.schema.check_row(table, draft.row)?;
            let mut required: BTreeSet<EntryId> = refs.into_iter().map(|(_, id)| id).collect();
            required.extend(self.replaced(draft, table)?);
            let log = Scope::Authority(draft.space);
            (required, draft.root.map_or(log, Scope::Thread))
        };
        let begins_thread = draft.root.is_none() && !info.schema.is_authority(draft.table);
        if let Some(root) = draft.root.filter(|_| required.is_empty()) {
            required.insert(root);
        }
        let mut parents = BTreeMap::new();
        for id in required {
            let found = self
                .record_of(&id)?
                .filter(|(_, record)| record.verdict.is_settled());
            let (_, record) = found.ok_or(PrepareError::NotHeld(id))?;
            parents.insert(id, record);
        }
        if parents.len() > limits::PARENTS {
            return Err(PrepareError::Parents);
        }
        if !begins_thread {
            self.add_tips(&scope, now_ms, &mut parents)?;
        }
        let newest_ms = parents
            .values()
            .map(|parent| parent.time_ms)
            .max()
            .unwrap_or(0);
        let ahead_ms = newest_ms.saturating_sub(now_ms);
        if ahead_ms > limits::FUTURE_SIGN_MS {
            return Err(PrepareError::Clock { ahead_ms });
        }
        if self.equivocation(&draft.space, &draft.device)?.is_some() {
            return Err(PrepareError::Forked(draft.space));
        }
        let head = self.feed_head(&draft.space, &draft.device)?;
        let deepest = parents.values().map(|parent| parent.depth).max();
        let header = Header {
            device: draft.device,
            identity: Some(draft.identity),
            seq: head.map_or(0, |(seq, _)| seq + 1),
            backlink: head.map(|(_, id)| id),
            time_ms: newest_ms.max(now_ms),
            depth: deepest.map_or(0, |depth| depth + 1),
            root: draft.root,
            parents: parents.into_keys().collect(),
            grant: None,
            space: Some(draft.space),
            schema: info.schema.id(),
            table: draft.table.to_owned(),
            payload_size: 0,
            payload: model::PayloadId::from_bytes([0; 32]),
            expires_ms: draft.expires_ms,
            extensions: BTreeMap::new(),
        };
        Ok(Plan { header })
    }

    /// The row that a new one takes the place of.
    fn replaced(&self, draft: &Draft<'_>, table: &Table) -> Result<Option<EntryId>, DatabaseError> {
        let Some(prefix) = key_prefix_of(table, &draft.space, &draft.identity, draft.row) else {
            return Ok(None);
        };
        match winner(&*self.view, &prefix)? {
            Some(num) => Ok(Some(self.record(num)?.id)),
            None => Ok(None),
        }
    }

    /// Fills the parents up with the deepest loose ends that this clock can follow.
    fn add_tips(
        &self,
        scope: &Scope,
        now_ms: u64,
        parents: &mut BTreeMap<EntryId, Record>,
    ) -> Result<(), DatabaseError> {
        for (key, _) in scan(&*self.view, Tree::Tips, &scope.key(), true, TIPS)? {
            if parents.len() == limits::PARENTS {
                break;
            }
            let Some((_, record)) = id_at_end(&key)
                .map(|id| self.record_of(&id))
                .transpose()?
                .flatten()
            else {
                continue;
            };
            if record.time_ms <= now_ms.saturating_add(limits::FUTURE_SIGN_MS) {
                parents.entry(record.id).or_insert(record);
            }
        }
        Ok(())
    }
}

fn genesis(
    device: DeviceKey,
    identity: Option<IdentityId>,
    schema: SchemaId,
    payload: &Payload,
    time_ms: u64,
) -> Header {
    Header {
        device,
        identity,
        seq: 0,
        backlink: None,
        time_ms,
        depth: 0,
        root: None,
        parents: Vec::new(),
        grant: None,
        space: None,
        schema,
        table: GENESIS_TABLE.to_owned(),
        payload_size: payload.size(),
        payload: payload.id(),
        expires_ms: None,
        extensions: BTreeMap::new(),
    }
}

/// The entry that begins a space.
///
/// # Errors
/// When the schema's text doesn't fit a payload.
pub fn space_genesis(
    device: DeviceKey,
    identity: IdentityId,
    schema: &Schema,
    unlisted: bool,
    salt: [u8; limits::SALT_BYTES],
    now_ms: u64,
) -> Result<(Header, Payload), PayloadError> {
    let mut row = Row::from([("schema".to_owned(), Ipld::Link(schema.id().to_cid()))]);
    if unlisted {
        row.insert("unlisted".to_owned(), Ipld::Bool(true));
    }
    if find_built_in(&schema.id()).is_none() {
        row.insert("text".to_owned(), Ipld::String(schema.text().to_owned()));
    }
    let payload = Payload::new(salt, row)?;
    Ok((
        genesis(device, Some(identity), schema.id(), &payload, now_ms),
        payload,
    ))
}

/// The entry that begins an identity; its root key signs it.
///
/// # Errors
/// Never for these values; the payload's constructor says so by its type.
pub fn identity_genesis(
    root: DeviceKey,
    successor: [u8; 32],
    salt: [u8; limits::SALT_BYTES],
    now_ms: u64,
) -> Result<(Header, Payload), PayloadError> {
    let row = Row::from([
        ("root".to_owned(), Ipld::Bytes(root.as_bytes().to_vec())),
        ("successor".to_owned(), Ipld::Bytes(successor.to_vec())),
    ]);
    let payload = Payload::new(salt, row)?;
    Ok((
        genesis(root, None, crate::schema::profile().id(), &payload, now_ms),
        payload,
    ))
}

/// Row that names a device of an identity, for [`Draft`] with table `$device`.
pub fn device_row(device: &DeviceKey, name: &str) -> (&'static str, Row) {
    let row = Row::from([
        ("key".to_owned(), Ipld::Bytes(device.as_bytes().to_vec())),
        ("name".to_owned(), Ipld::String(name.to_owned())),
    ]);
    (DEVICE_TABLE, row)
}
