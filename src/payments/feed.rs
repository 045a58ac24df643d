//! Rows into the index: all of them at the start, then by the database's events.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use database::{
    Cursor, Database, DatabaseError, Event, EventKind, PayloadState, Reader, Scope, Verdict,
};
use model::{EntryId, IdentityId, Ipld, Row};
use spv::{Network, proof::PaymentProof};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    facts::{KeyRow, KeyState, VoteFacts},
    index::{NewProof, PROOFS},
};
use crate::core::Core;

/// Events looked at together.
const EVENTS: usize = 500;
/// Rows looked at when all are read: what of them is worth most is kept.
const ALL_ROWS: usize = 1_000_000;
/// Rows read at the start between two looks of others at the index.
const ROWS: usize = 256;
/// What warnings about rows that can't be read are filed under.
const UNREAD: &str = "payment rows";
/// How long after rows could not be read.
const RETRY: Duration = Duration::from_secs(5);
/// After rows were read again that long is the pause, times what it took.
const RESTS: u32 = 10;

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

/// A row, as far as payments are about it.
enum Read {
    /// The index takes it.
    Counts(Box<NewProof>),
    /// What its vote is isn't known here.
    Voteless {
        /// Its thread.
        root: Option<EntryId>,
    },
    /// It is no payment on a chain, or doesn't count.
    Nothing,
}

/// A payment row as the index takes it.
fn read_payment(reader: &Reader<'_>, id: EntryId) -> Result<Read, DatabaseError> {
    let counts =
        |state: &database::EntryState| state.table == "payment" && state.verdict == Verdict::Valid;
    let state = reader.state(&id)?.filter(counts);
    let Some(state) = state else {
        return Ok(Read::Nothing);
    };
    let Some(row) = reader.row(&id)? else {
        return Ok(Read::Nothing);
    };
    if row.get("class") != Some(&Ipld::String("chain".to_owned())) {
        return Ok(Read::Nothing);
    }
    let (Some(vote), Some(Ipld::Bytes(bytes))) = (link(&row, "vote"), row.get("proof")) else {
        return Ok(Read::Nothing);
    };
    let Some(facts) = vote_facts(reader, &vote)? else {
        return Ok(Read::Voteless { root: state.root });
    };
    let checked = PaymentProof::decode(bytes).and_then(|proof| proof.check());
    let key = match &checked {
        Ok(checked) => key_state(reader, &checked.key_row)?,
        Err(_) => KeyState::Absent,
    };
    Ok(Read::Counts(Box::new(NewProof {
        row: id,
        vote,
        facts,
        checked,
        key,
        arrived_ms: state.received_ms,
    })))
}

/// What a page of rows or events changes.
#[derive(Default)]
struct Changes {
    found: Vec<NewProof>,
    gone: Vec<EntryId>,
    /// Threads with rows whose votes aren't known.
    voteless: BTreeSet<EntryId>,
    facts: Vec<(EntryId, Option<VoteFacts>)>,
}

impl Changes {
    fn read_row(&mut self, reader: &Reader<'_>, row: EntryId) -> Result<(), DatabaseError> {
        match read_payment(reader, row)? {
            Read::Counts(new) => self.found.push(*new),
            Read::Nothing => self.gone.push(row),
            Read::Voteless { root } => {
                self.gone.push(row);
                self.voteless.extend(root);
            }
        }
        Ok(())
    }

    fn apply(self, core: &Core) {
        let is_empty = self.found.is_empty() && self.gone.is_empty();
        if is_empty && self.facts.is_empty() && self.voteless.is_empty() {
            return;
        }
        core.payments.update(|index| {
            self.gone.iter().for_each(|row| index.remove(row));
            for (vote, facts) in self.facts {
                match facts {
                    Some(facts) => index.set_facts(vote, facts),
                    None => index.forget(&vote),
                }
            }
            self.found.into_iter().for_each(|new| index.insert(new));
            self.voteless.into_iter().for_each(|root| index.lose(root));
        });
    }
}

/// Reads all payment rows, as often as that takes; the cursor is where events go on.
pub(super) async fn read_all(core: &Arc<Core>) -> Cursor {
    loop {
        let node = Arc::clone(core);
        let done = core.store("read payments", move |database| read_rows(&node, database));
        match done.await {
            Ok(cursor) => {
                core.warn(UNREAD, None);
                return cursor;
            }
            Err(error) => {
                tracing::error!(%error, "payments are not shown");
                let text = format!("payments are not shown: their rows can't be read: {error}");
                core.warn(UNREAD, Some(text));
                sleep(RETRY).await;
            }
        }
    }
}

fn read_rows(core: &Core, database: &Database) -> Result<Cursor, DatabaseError> {
    let cursor = database.read()?.cursor()?;
    // Without headers all are claims, of which no more are kept.
    let most = core.payments.network.map_or(PROOFS, |_| ALL_ROWS);
    let rows = database.read()?.rows_anywhere("payment", most)?;
    if rows.len() == most {
        tracing::warn!(rows = most, "older payment rows are not looked at");
    }
    let mut gone = core.payments.index().rows();
    for rows in rows.chunks(ROWS) {
        let reader = database.read()?;
        let mut changes = Changes::default();
        for row in rows {
            gone.remove(row);
            changes.read_row(&reader, *row)?;
        }
        changes.apply(core);
    }
    core.payments
        .update(|index| gone.iter().for_each(|row| index.remove(row)));
    Ok(cursor)
}

/// Reads the rows of a thread that are not in the index: they had no room, or lacked their vote.
fn read_thread(core: &Core, database: &Database, root: EntryId) -> Result<(), DatabaseError> {
    let items = database.read()?.items(&Scope::Thread(root))?;
    for items in items.chunks(ROWS) {
        let reader = database.read()?;
        let missing: Vec<EntryId> = {
            let index = core.payments.index();
            let ids = items.iter().map(|(_, id)| *id);
            ids.filter(|id| index.proof(id).is_none()).collect()
        };
        let mut changes = Changes::default();
        for id in missing {
            changes.read_row(&reader, id)?;
        }
        changes.gone.clear();
        changes.apply(core);
    }
    Ok(())
}

/// Reads again what was lost from the index.
async fn read_lost(core: &Arc<Core>) {
    let roots = core.payments.index().take_lost();
    for root in roots {
        let node = Arc::clone(core);
        let done = core.store("read payments again", move |database| {
            read_thread(&node, database, root)
        });
        if let Err(error) = done.await {
            tracing::warn!(%error, thread = %root, "payments could not be read again");
            core.payments.index().lose(root);
        }
    }
}

/// Follows events until the node stops.
pub(super) async fn follow(core: &Arc<Core>, mut cursor: Cursor) {
    let mut head = core.events.subscribe();
    let mut rested = Instant::now();
    loop {
        head.borrow_and_update();
        match look(core, cursor).await {
            Ok((next, true)) => {
                cursor = next;
                continue;
            }
            Ok((next, false)) => {
                core.warn(UNREAD, None);
                cursor = next;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot follow payments");
                let text = format!("what is shown of payments is old: {error}");
                core.warn(UNREAD, Some(text));
                sleep(RETRY).await;
                continue;
            }
        }
        let lost = async {
            sleep_until(rested).await;
            core.payments.reread.notified().await;
        };
        tokio::select! {
            changed = head.changed() => if changed.is_err() {
                return;
            },
            () = lost => {
                // Who fills threads with junk keeps the store busy for a part of the time only.
                let began = Instant::now();
                read_lost(core).await;
                rested = Instant::now() + began.elapsed() * RESTS;
            }
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

fn take(core: &Core, reader: &Reader<'_>, events: &[Event]) -> Result<(), DatabaseError> {
    let mut changes = Changes::default();
    let (mut rows, mut votes) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event.table.as_str() {
            "payment" => {
                rows.insert(event.entry);
            }
            "payment_key" => {
                let index = core.payments.index();
                rows.extend(index.citing(&event.entry));
                if index.has_any_lost() {
                    core.payments.reread.notify_one();
                }
            }
            "vote" | "post" | "mark" => votes.extend(votes_beside(core, reader, event)?),
            "follow" => core.payments.forget_weights(),
            _ => {}
        }
        if event.kind == EventKind::Schema {
            core.payments.forget_weights();
        }
    }
    for row in rows {
        changes.read_row(reader, row)?;
    }
    for vote in votes {
        changes.facts.push((vote, vote_facts(reader, &vote)?));
    }
    changes.apply(core);
    Ok(())
}

/// Votes with payments that count otherwise by a vote, a post or a mark: of votes all on the same
/// post, since one takes the place of another. Where it isn't known which post that is, all of the
/// thread.
fn votes_beside(
    core: &Core,
    reader: &Reader<'_>,
    event: &Event,
) -> Result<Vec<EntryId>, DatabaseError> {
    let post = match event.table.as_str() {
        "post" => Some(event.entry),
        _ => reader.row(&event.entry)?.and_then(|row| link(&row, "on")),
    };
    let index = core.payments.index();
    if event.root.is_some_and(|root| index.has_lost(&root)) {
        core.payments.reread.notify_one();
    }
    Ok(match (post, &event.root) {
        (Some(post), _) => index.votes_on(&post).copied().collect(),
        (None, Some(root)) => index.votes_in(root).copied().collect(),
        (None, None) => Vec::new(),
    })
}
