//! The verdict on one entry: a function of what is held, never of the order in which it came.

use std::sync::Arc;

use model::{DEVICE_TABLE, EntryId, Header, Row, limits};

use crate::{
    DatabaseError, Missing, Reason, Scope, SpaceInfo, Verdict,
    authority::{Author, needs_payload},
    record::{Await, Num, PayloadState, Record, num_key},
    schema::{Allow, Table, ref_table},
    store::{Tree, View},
    txn::Txn,
};

/// What came out.
pub(crate) enum Judgement {
    /// Too far ahead of the clock.
    Held,
    /// Waits.
    Pending {
        awaits: Vec<Await>,
        missing: Vec<Missing>,
        /// The author's identity and device are known.
        known_author: bool,
    },
    /// Decided.
    Settled(Verdict, Option<Reason>),
}

/// What an entry leans on, as far as it is there.
#[derive(Default)]
struct Ground {
    awaits: Vec<Await>,
    missing: Vec<Missing>,
    parents: Vec<Record>,
    root: Option<Record>,
}

impl Txn<'_> {
    pub(crate) fn judge(&mut self, num: Num) -> Result<Judgement, DatabaseError> {
        let record = self.known(num)?.clone();
        let header = self.header(num)?;
        let author = match header.identity {
            Some(identity) => self.author(&identity, &header.device)?,
            None => Author::Named,
        };
        let mut ground = Ground::default();
        let known_author = !matches!(author, Author::Unknown(..));
        if let Author::Unknown(awaits, missing) = &author {
            ground.awaits.push(*awaits);
            ground.missing.extend(*missing);
        }
        if let Some(space) = header.space {
            self.lean_on(space.entry(), &mut ground)?;
        }
        if let Some(grant) = header.grant {
            self.lean_on(grant, &mut ground)?;
        }
        if let Some(root) = header.root {
            ground.root = self.lean_on(root, &mut ground)?;
        }
        for parent in &header.parents {
            let found = self.lean_on(*parent, &mut ground)?;
            ground.parents.extend(found);
        }
        if record.scope.is_some() && needs_payload(&record) {
            ground.missing.push(Missing::Payload(record.id));
            ground.awaits.push(Await::Entry(record.id));
        }
        if !ground.awaits.is_empty() || !ground.missing.is_empty() {
            return Ok(Judgement::Pending {
                awaits: ground.awaits,
                missing: ground.missing,
                known_author,
            });
        }
        // What counted once isn't held back again because the clock was set back.
        let ahead = record.time_ms > self.now_ms.saturating_add(limits::FUTURE_HOLD_MS);
        if ahead && !record.verdict.is_settled() {
            return Ok(Judgement::Held);
        }
        if matches!(author, Author::None) {
            return Ok(invalid(Reason::Identity));
        }
        match self.check(num, &record, &header, &ground)? {
            Err(reason) => Ok(invalid(reason)),
            Ok(()) if matches!(author, Author::Disputed) || self.is_disputed(&record)? => {
                Ok(Judgement::Settled(Verdict::Disputed, None))
            }
            Ok(()) => Ok(Judgement::Settled(Verdict::Valid, None)),
        }
    }

    /// Something that has to be held and settled first.
    fn lean_on(
        &mut self,
        id: EntryId,
        ground: &mut Ground,
    ) -> Result<Option<Record>, DatabaseError> {
        let found = self.record_of(&id)?.map(|(_, record)| record);
        match found {
            Some(record) if record.verdict.is_settled() => return Ok(Some(record)),
            Some(_) => {}
            None => ground.missing.push(Missing::Entry(id)),
        }
        ground.awaits.push(Await::Entry(id));
        ground.awaits.sort_unstable();
        ground.awaits.dedup();
        ground.missing.sort_unstable();
        ground.missing.dedup();
        Ok(None)
    }

    fn check(
        &mut self,
        num: Num,
        record: &Record,
        header: &Header,
        ground: &Ground,
    ) -> Result<Result<(), Reason>, DatabaseError> {
        let row = match record.payload_state {
            PayloadState::Held => match self.row_or_reason(num)? {
                Ok(row) => Some(row),
                Err(reason) => return Ok(Err(reason)),
            },
            _ => None,
        };
        if record.is_genesis() {
            let row = row.unwrap_or_default();
            return Ok(SpaceInfo::read(record, header.schema, &row).map(|_| ()));
        }
        let Some(info) = self.space(&record.space)? else {
            return Ok(Err(Reason::Space));
        };
        Ok(check_place(record, header, &info, ground)
            .and_then(|()| check_row(record, header, &info, ground, row.as_deref())))
    }

    fn row_or_reason(&self, num: Num) -> Result<Result<Arc<Row>, Reason>, DatabaseError> {
        if let Some(row) = self.fresh.get(&num).and_then(|fresh| fresh.row.as_ref()) {
            return Ok(Ok(Arc::clone(row)));
        }
        let bytes = self
            .get(Tree::Payloads, &num_key(num))?
            .ok_or(DatabaseError::Damaged { what: "payload" })?;
        Ok(model::Payload::decode(&bytes)
            .map(|payload| Arc::new(payload.row().clone()))
            .map_err(|error| Reason::Payload(error.to_string())))
    }
}

fn invalid(reason: Reason) -> Judgement {
    Judgement::Settled(Verdict::Invalid, Some(reason))
}

/// Time, depth, thread: what headers alone decide.
fn check_place(
    record: &Record,
    header: &Header,
    info: &Arc<SpaceInfo>,
    ground: &Ground,
) -> Result<(), Reason> {
    if header.schema != info.schema.id() {
        return Err(Reason::Schema);
    }
    if header.grant.is_some() {
        return Err(Reason::Grant);
    }
    let is_authority = info.schema.is_authority(&record.table);
    match (&ground.root, record.scope) {
        (Some(root), _) => {
            if !root.is_first_post() || root.space != record.space {
                return Err(Reason::Root);
            }
            if record.table.starts_with('$') || ground.parents.is_empty() {
                return Err(Reason::Place(record.table.to_string()));
            }
        }
        (None, Some(Scope::Authority(_))) if is_authority => {}
        (None, Some(Scope::Thread(_))) if !is_authority => {}
        _ => return Err(Reason::Place(record.table.to_string())),
    }
    let own_thread = header.root;
    let log = Some(Scope::Authority(record.space));
    let fits = |parent: &Record| {
        parent.space == record.space
            && (parent.scope == log || (own_thread.is_some() && parent.thread() == own_thread))
    };
    if !ground.parents.iter().all(fits) {
        return Err(Reason::Parent);
    }
    if ground
        .parents
        .iter()
        .any(|parent| parent.time_ms > record.time_ms)
    {
        return Err(Reason::Time);
    }
    let deepest = ground.parents.iter().map(|parent| parent.depth).max();
    let expected = deepest.map_or(0, |depth| depth + 1);
    if record.depth != expected {
        return Err(Reason::Depth {
            expected,
            found: record.depth,
        });
    }
    Ok(())
}

/// Table, role, columns, references.
fn check_row(
    record: &Record,
    header: &Header,
    info: &Arc<SpaceInfo>,
    ground: &Ground,
    row: Option<&Row>,
) -> Result<(), Reason> {
    if *record.table == *DEVICE_TABLE {
        let empty = Row::new();
        return Txn::check_device_row(info, record, row.unwrap_or(&empty));
    }
    let table = info
        .schema
        .table(&record.table)
        .ok_or_else(|| Reason::Table(record.table.to_string()))?;
    if let Allow::Role(rank) = table.allow {
        let role = info.role_of(&record.identity, header.grant.as_ref());
        if role.is_none_or(|own| own > rank) {
            return Err(Reason::Role(record.table.to_string()));
        }
    }
    row.map_or(Ok(()), |row| {
        check_columns(record, info, table, ground, row)
    })
}

fn check_columns(
    record: &Record,
    info: &Arc<SpaceInfo>,
    table: &Table,
    ground: &Ground,
    row: &Row,
) -> Result<(), Reason> {
    for (column, id) in info.schema.check_row(table, row)? {
        let name = || column.name.clone();
        let parent = ground
            .parents
            .iter()
            .find(|parent| parent.id == id)
            .ok_or_else(|| Reason::NotParent(name()))?;
        if ref_table(column) != Some(&*parent.table) {
            return Err(Reason::WrongTable(name()));
        }
        let of_author = matches!(&table.allow, Allow::AuthorOf(of) if *of == column.name);
        if of_author && parent.identity != record.identity {
            return Err(Reason::NotAuthor(name()));
        }
    }
    Ok(())
}
