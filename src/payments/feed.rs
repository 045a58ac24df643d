//! Rows into the index: all of them at the start, then by the database's events.

use std::{collections::BTreeSet, sync::Arc};

use database::{Cursor, Database, DatabaseError, Event, EventKind, PayloadState, Reader, Verdict};
use model::{EntryId, IdentityId, Ipld, Row};
use spv::{Network, proof::PaymentProof};

use super::{
    facts::{KeyRow, KeyState, VoteFacts},
    index::NewProof,
};
use crate::core::Core;

/// Events looked at together.
const EVENTS: usize = 500;
/// Rows looked at when all are read: what of them is worth most is kept.
const ALL_ROWS: usize = 1_000_000;
/// Rows read at the start between two looks of others at the index.
const ROWS: usize = 256;

fn link(row: &Row, column: &str) -> Option<EntryId> {
    match row.get(column) {
        Some(Ipld::Link(cid)) => EntryId::try_from(cid).ok(),
        _ => None,
    }
}

/// What rows say of a vote; none while it, or its post, isn't held.
///
/// # Errors
/// When the store can't be read.
pub fn vote_facts(reader: &Reader<'_>, vote: &EntryId) -> Result<Option<VoteFacts>, DatabaseError> {
    let state = reader.state(vote)?.filter(|state| state.table == "vote");
    let (Some(state), Some(row)) = (state, reader.row(vote)?) else {
        return Ok(None);
    };
    let (Some(post), Some(root)) = (link(&row, "on"), state.root) else {
        return Ok(None);
    };
    let Some(of_post) = reader.state(&post)?.filter(|state| state.table == "post") else {
        return Ok(None);
    };
    let dir = match row.get("dir") {
        Some(Ipld::Integer(dir)) => i8::try_from(*dir).unwrap_or(0),
        _ => 0,
    };
    Ok(Some(VoteFacts {
        post,
        root,
        space: state.space,
        voter: state.identity,
        author: of_post.identity,
        owner: reader.space(&state.space)?.map(|info| info.owner),
        dir,
        time_ms: state.time_ms,
        superseded: reader.current(vote)? != Some(*vote),
        hidden: reader
            .post(&post, None)?
            .is_none_or(|post| post.hidden || post.disputed),
    }))
}

/// What is known of a row as a payment key.
///
/// # Errors
/// When the store can't be read.
pub fn key_state(reader: &Reader<'_>, row: &EntryId) -> Result<KeyState, DatabaseError> {
    let Some(state) = reader.state(row)? else {
        return Ok(KeyState::Absent);
    };
    if !state.verdict.is_settled() || state.payload == PayloadState::Withheld {
        return Ok(KeyState::Absent);
    }
    if state.table != "payment_key" || state.space != state.identity.space() {
        return Ok(KeyState::NoKey);
    }
    match state.verdict {
        Verdict::Valid => {}
        Verdict::Disputed | Verdict::Void => return Ok(KeyState::Gone),
        Verdict::Pending | Verdict::Held | Verdict::Invalid => return Ok(KeyState::NoKey),
    }
    let Some(row) = reader.row(row)? else {
        return Ok(KeyState::Absent);
    };
    let key = KeyRow::read(state.identity, &row);
    Ok(key.map_or(KeyState::NoKey, KeyState::Key))
}

/// The payment key that an identity publishes now for a chain, unless it took it back.
///
/// # Errors
/// When the store can't be read.
pub fn current_key(
    reader: &Reader<'_>,
    identity: &IdentityId,
    network: Network,
) -> Result<Option<(EntryId, KeyRow)>, DatabaseError> {
    for (id, row) in reader.rows(&identity.space(), "payment_key")? {
        if let Some(key) = KeyRow::read(*identity, &row)
            && key.network == network
        {
            return Ok(Some((id, key)).filter(|(_, key)| !key.off));
        }
    }
    Ok(None)
}

/// A payment row as the index takes it; none when it is no payment on a chain, or doesn't count.
fn new_proof(reader: &Reader<'_>, id: EntryId) -> Result<Option<NewProof>, DatabaseError> {
    let counts =
        |state: &database::EntryState| state.table == "payment" && state.verdict == Verdict::Valid;
    let state = reader.state(&id)?.filter(counts);
    let (Some(state), Some(row)) = (state, reader.row(&id)?) else {
        return Ok(None);
    };
    if row.get("class") != Some(&Ipld::String("chain".to_owned())) {
        return Ok(None);
    }
    let (Some(vote), Some(Ipld::Bytes(bytes))) = (link(&row, "vote"), row.get("proof")) else {
        return Ok(None);
    };
    let Some(facts) = vote_facts(reader, &vote)? else {
        return Ok(None);
    };
    let checked = PaymentProof::decode(bytes).and_then(|proof| proof.check());
    let key = match &checked {
        Ok(checked) => key_state(reader, &checked.key_row)?,
        Err(_) => KeyState::Absent,
    };
    Ok(Some(NewProof {
        row: id,
        vote,
        facts,
        checked,
        key,
        arrived_ms: state.received_ms,
    }))
}

/// Reads all payment rows; the cursor is where events go on.
pub(super) async fn read_all(core: &Arc<Core>) -> Option<Cursor> {
    let node = Arc::clone(core);
    let done = core.store("read payments", move |database| read_rows(&node, database));
    match done.await {
        Ok(cursor) => Some(cursor),
        Err(error) => {
            tracing::error!(%error, "payments are not shown");
            None
        }
    }
}

fn read_rows(core: &Core, database: &Database) -> Result<Cursor, DatabaseError> {
    let cursor = database.read()?.cursor()?;
    let rows = database.read()?.rows_anywhere("payment", ALL_ROWS)?;
    let mut gone = core.payments.index().rows();
    for rows in rows.chunks(ROWS) {
        let reader = database.read()?;
        let mut found = Vec::new();
        for row in rows {
            gone.remove(row);
            found.extend(new_proof(&reader, *row)?);
        }
        core.payments
            .update(|index| found.into_iter().for_each(|new| index.insert(new)));
    }
    core.payments
        .update(|index| gone.iter().for_each(|row| index.remove(row)));
    Ok(cursor)
}

/// Follows events until the node stops.
pub(super) async fn follow(core: &Arc<Core>, mut cursor: Cursor) {
    let mut head = core.events.subscribe();
    loop {
        head.borrow_and_update();
        match look(core, cursor).await {
            Ok((next, true)) => {
                cursor = next;
                continue;
            }
            Ok((next, false)) => cursor = next,
            Err(error) => tracing::warn!(%error, "cannot follow payments"),
        }
        if head.changed().await.is_err() {
            return;
        }
    }
}

/// Looks at the next events; whether there may be more.
async fn look(
    core: &Arc<Core>,
    cursor: Cursor,
) -> Result<(Cursor, bool), gateway::node::NodeError> {
    let node = Arc::clone(core);
    core.store("follow payments", move |database| {
        let page = database.read()?.events_since(cursor, EVENTS)?;
        if page.reset {
            return read_rows(&node, database).map(|next| (next, true));
        }
        let more = page.events.len() == EVENTS;
        take(&node, &database.read()?, &page.events)?;
        Ok::<_, DatabaseError>((page.next, more))
    })
    .await
}

/// What a page of events changes.
#[derive(Default)]
struct Changes {
    rows: BTreeSet<EntryId>,
    votes: BTreeSet<EntryId>,
}

fn take(core: &Core, reader: &Reader<'_>, events: &[Event]) -> Result<(), DatabaseError> {
    let mut changes = Changes::default();
    for event in events {
        match event.table.as_str() {
            "payment" => {
                changes.rows.insert(event.entry);
            }
            "payment_key" => changes
                .rows
                .extend(core.payments.index().citing(&event.entry)),
            "vote" => changes.votes.extend(votes_beside(core, reader, event)?),
            "follow" => core.payments.forget_weights(),
            _ => {}
        }
        if event.kind == EventKind::Schema {
            core.payments.forget_weights();
        }
    }
    let mut found = Vec::new();
    let mut gone = Vec::new();
    for row in changes.rows {
        match new_proof(reader, row)? {
            Some(new) => found.push(new),
            None => gone.push(row),
        }
    }
    let mut facts = Vec::new();
    for vote in changes.votes {
        facts.extend(vote_facts(reader, &vote)?.map(|facts| (vote, facts)));
    }
    if found.is_empty() && gone.is_empty() && facts.is_empty() {
        return Ok(());
    }
    core.payments.update(|index| {
        gone.iter().for_each(|row| index.remove(row));
        for (vote, facts) in facts {
            index.set_facts(vote, facts);
        }
        found.into_iter().for_each(|new| index.insert(new));
    });
    Ok(())
}

/// Votes with payments that a vote takes the place of, or gives way to.
fn votes_beside(
    core: &Core,
    reader: &Reader<'_>,
    event: &Event,
) -> Result<Vec<EntryId>, DatabaseError> {
    let post = reader.row(&event.entry)?.and_then(|row| link(&row, "on"));
    let index = core.payments.index();
    let on_post = post
        .as_ref()
        .into_iter()
        .flat_map(|post| index.votes_on(post));
    Ok(on_post.copied().collect())
}
