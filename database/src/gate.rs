//! The one way in: insert, judge, settle, release what waited.

use std::sync::Arc;

use model::{EntryId, Header, IdentityId, SpaceId};

use crate::{
    Budget, Content, DatabaseError, Incoming, Missing, Outcome, Scope, Source, Verdict,
    judge::Judgement,
    record::{
        Await, Backlog, Num, PayloadState, Record, Shown, encode, item_key, join, num_at_end,
        num_key,
    },
    schema::find_built_in,
    store::{Tree, View},
    table_name::TableName,
    txn::{Fresh, Txn},
};

/// Where and when an entry came from, and its number if it has one already.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) source: Source,
    pub(crate) received_ms: u64,
    pub(crate) num: Option<Num>,
}

impl Txn<'_> {
    /// Takes one entry in, and all that it sets free.
    pub(crate) fn take(&mut self, incoming: Incoming) -> Result<Outcome, DatabaseError> {
        let id = incoming.entry.id();
        if let Some(num) = self.num_of(&id)? {
            return self.take_again(num, incoming.content);
        }
        let arrival = Arrival {
            source: incoming.source,
            received_ms: self.now_ms,
            num: None,
        };
        if let Some(budget) = self.used_up(incoming.entry.header(), id)? {
            return Ok(Outcome::Refused(budget));
        }
        let num = self.insert(incoming, arrival)?;
        self.run_queue()?;
        self.enforce_waiting(num)
    }

    /// Stores an entry and queues it for its verdict.
    pub(crate) fn insert(
        &mut self,
        incoming: Incoming,
        arrival: Arrival,
    ) -> Result<Num, DatabaseError> {
        let num = arrival.num.unwrap_or(self.counters.next_num);
        self.counters.next_num = self.counters.next_num.max(num + 1);
        let id = incoming.entry.id();
        let header = Arc::new(incoming.entry.header().clone());
        let erased = arrival.num.is_some() && self.get(Tree::Erased, &num_key(num))?.is_some();
        let bytes = incoming.content.bytes().filter(|_| !erased);
        let payload_state = match (erased, bytes) {
            (true, _) => PayloadState::Erased,
            (false, Some(_)) => PayloadState::Held,
            (false, None) => PayloadState::Withheld,
        };
        self.put_new(
            Tree::Entries,
            &num_key(num),
            incoming.entry.bytes().to_vec(),
        );
        self.put_new(Tree::Ids, id.as_bytes(), encode(&num));
        if let Some(bytes) = bytes {
            self.put_new(Tree::Payloads, &num_key(num), bytes);
            self.put(Tree::PayloadIds, header.payload.as_bytes(), encode(&num));
            self.counters.payloads += 1;
        }
        let entry_bytes = incoming.entry.bytes().len() as u64;
        let record = new_record(id, &header, entry_bytes, payload_state, arrival);
        self.counters.entries += 1;
        self.count_verdict(Verdict::Pending, 1);
        let row = incoming.content.into_row();
        self.fresh.insert(num, Fresh { header, row });
        self.records.insert(
            num,
            crate::txn::Cached {
                before: None,
                now: Some(record.clone()),
            },
        );
        self.assign_scope(num)?;
        self.enter_feed(num, &record)?;
        self.queue.insert(num);
        Ok(num)
    }

    /// An entry that is known: perhaps its payload is new.
    pub(crate) fn take_again(
        &mut self,
        num: Num,
        content: Content,
    ) -> Result<Outcome, DatabaseError> {
        let record = self.known(num)?;
        let verdict = record.verdict;
        if record.payload_state != PayloadState::Withheld {
            return Ok(Outcome::Duplicate(verdict));
        }
        let Some(bytes) = content.bytes() else {
            return Ok(Outcome::Duplicate(verdict));
        };
        record.payload_state = PayloadState::Held;
        let payload_id = record.payload;
        self.put(Tree::Payloads, &num_key(num), bytes);
        self.put(Tree::PayloadIds, payload_id.as_bytes(), encode(&num));
        self.counters.payloads += 1;
        let header = self.header(num)?;
        let row = content.into_row();
        self.fresh.insert(num, Fresh { header, row });
        self.queue.insert(num);
        self.run_queue()?;
        Ok(match self.record(num)? {
            Some(record) => Outcome::Completed(record.verdict),
            None => Outcome::Refused(Budget::Stray),
        })
    }

    /// Lists an entry where it is reconciled, as soon as its schema tells where that is.
    fn assign_scope(&mut self, num: Num) -> Result<(), DatabaseError> {
        let record = self.known(num)?.clone();
        if record.scope.is_some() {
            return Ok(());
        }
        let scope = if let Some(root) = record.root {
            Scope::Thread(root)
        } else if record.table.starts_with('$') {
            Scope::Authority(record.space)
        } else {
            let header = self.header(num)?;
            let schema = match find_built_in(&header.schema) {
                Some(schema) => schema.clone(),
                None => match self.space(&record.space)? {
                    Some(info) => info.schema.clone(),
                    None => return Ok(()),
                },
            };
            if schema.is_authority(&record.table) {
                Scope::Authority(record.space)
            } else {
                Scope::Thread(record.id)
            }
        };
        self.known(num)?.scope = Some(scope);
        self.put_new(
            Tree::Items,
            &item_key(&scope, record.time_ms, &record.id),
            [],
        );
        let state = self.scope(scope)?;
        state.fingerprint.add(&record.id);
        state.last_ms = state.last_ms.max(record.time_ms);
        if let Scope::Thread(root) = scope {
            let key = join(&[root.as_bytes(), record.identity.as_bytes()]);
            self.put(Tree::Authors, &key, []);
        }
        Ok(())
    }

    /// Judges what is queued until nothing more is set free.
    pub(crate) fn run_queue(&mut self) -> Result<(), DatabaseError> {
        while let Some(num) = self.queue.pop_first() {
            if self.record(num)?.is_none() {
                continue;
            }
            self.assign_scope(num)?;
            let judgement = self.judge(num)?;
            self.apply(num, judgement)?;
        }
        Ok(())
    }

    fn apply(&mut self, num: Num, judgement: Judgement) -> Result<(), DatabaseError> {
        self.stop_waiting(num)?;
        let before = self.known(num)?.verdict;
        let (verdict, reason) = match judgement {
            Judgement::Held => {
                let record = self.known(num)?;
                let key = join(&[&record.time_ms.to_be_bytes(), &num_key(num)]);
                self.put(Tree::Held, &key, []);
                self.wait(num, Backlog::Known)?;
                (Verdict::Held, None)
            }
            Judgement::Pending {
                awaits,
                missing,
                known_author,
            } => {
                for key in awaits.iter().map(Await::key) {
                    self.put_new(Tree::Waiting, &join(&[&key, &num_key(num)]), []);
                }
                let record = self.known(num)?;
                record.awaits = awaits;
                record.missing = missing;
                let class = if known_author {
                    Backlog::Known
                } else {
                    Backlog::Unknown
                };
                self.wait(num, class)?;
                (Verdict::Pending, None)
            }
            Judgement::Settled(verdict, reason) => (verdict, reason),
        };
        if !before.is_settled() && self.refuses(reason.as_ref())? {
            return self.forget(num);
        }
        let record = self.known(num)?;
        record.verdict = verdict;
        record.reason = reason;
        let record = record.clone();
        self.count_verdict(before, -1);
        self.count_verdict(verdict, 1);
        let shown = Record::shown_by(verdict, record.payload_state);
        if verdict.is_settled() && !before.is_settled() {
            self.charge(&record)?;
        }
        self.list_thread(&record)?;
        self.show(num, shown)?;
        if before == Verdict::Valid && verdict != Verdict::Valid {
            self.del_tip(&record);
        }
        if verdict.is_settled() && !before.is_settled() {
            self.follow_tips(&record, num)?;
            self.release(&Await::Entry(record.id))?;
            self.report.promoted.push((record.id, verdict));
        }
        Ok(())
    }

    /// A thread is in the digests of its space while its first post stands.
    fn list_thread(&mut self, record: &Record) -> Result<(), DatabaseError> {
        if !record.is_first_post() {
            return Ok(());
        }
        let stands = matches!(record.verdict, Verdict::Valid | Verdict::Disputed);
        let space = record.space;
        self.scope(Scope::Thread(record.id))?.listed = stands.then_some(space);
        Ok(())
    }

    /// Moves a row from what views show of it to what they shall show.
    pub(crate) fn show(&mut self, num: Num, shown: Shown) -> Result<(), DatabaseError> {
        let record = self.known(num)?;
        let before = record.shown;
        if before == shown {
            return Ok(());
        }
        record.shown = shown;
        let record = record.clone();
        self.row_changed(num, &record, before, shown)
    }

    /// Keeps the loose ends of a scope: what the next entry takes as parents.
    fn follow_tips(&mut self, record: &Record, num: Num) -> Result<(), DatabaseError> {
        let Some(scope) = record.scope.filter(|_| record.verdict == Verdict::Valid) else {
            return Ok(());
        };
        for parent in &self.header(num)?.parents {
            if let Some((_, parent)) = self.record_of(parent)? {
                self.del_tip(&parent);
            }
        }
        let key = tip_key(&scope, record.depth, &record.id);
        self.put_new(Tree::Tips, &key, []);
        Ok(())
    }

    pub(crate) fn del_tip(&mut self, record: &Record) {
        if let Some(scope) = record.scope {
            self.del(Tree::Tips, &tip_key(&scope, record.depth, &record.id));
        }
    }

    /// Queues what waited for this.
    pub(crate) fn release(&mut self, awaited: &Await) -> Result<(), DatabaseError> {
        for key in self.keys(Tree::Waiting, &awaited.key(), false, usize::MAX)? {
            self.del(Tree::Waiting, &key);
            self.queue.extend(num_at_end(&key));
        }
        Ok(())
    }

    /// Takes an entry out of all that it waits in.
    fn stop_waiting(&mut self, num: Num) -> Result<(), DatabaseError> {
        let record = self.known(num)?;
        let awaits = std::mem::take(&mut record.awaits);
        record.missing.clear();
        let held = (record.verdict == Verdict::Held).then_some(record.time_ms);
        for key in awaits.iter().map(Await::key) {
            self.del(Tree::Waiting, &join(&[&key, &num_key(num)]));
        }
        if let Some(time_ms) = held {
            self.del(Tree::Held, &join(&[&time_ms.to_be_bytes(), &num_key(num)]));
        }
        self.unwait(num)
    }

    /// Forgets an entry that never settled.
    pub(crate) fn forget(&mut self, num: Num) -> Result<(), DatabaseError> {
        self.stop_waiting(num)?;
        let record = self.known(num)?.clone();
        self.leave_feed(num, &record)?;
        self.del(Tree::Ids, record.id.as_bytes());
        self.del(Tree::Entries, &num_key(num));
        if record.payload_state == PayloadState::Held {
            self.del(Tree::Payloads, &num_key(num));
            self.del(Tree::PayloadIds, record.payload.as_bytes());
            self.counters.payloads -= 1;
        }
        self.counters.entries -= 1;
        self.count_verdict(record.verdict, -1);
        if let Some(scope) = record.scope {
            self.del(Tree::Items, &item_key(&scope, record.time_ms, &record.id));
            let newest = self.keys(Tree::Items, &scope.key(), true, 1)?;
            let newest_ms = newest
                .first()
                .and_then(|key| time_in_item(key))
                .unwrap_or(0);
            let state = self.scope(scope)?;
            state.fingerprint.remove(&record.id);
            state.last_ms = newest_ms;
        }
        self.fresh.remove(&num);
        if let Some(cached) = self.records.get_mut(&num) {
            cached.now = None;
        }
        Ok(())
    }

    pub(crate) fn outcome(&mut self, num: Num) -> Result<Outcome, DatabaseError> {
        let record = self.known(num)?.clone();
        Ok(match record.verdict {
            Verdict::Pending => Outcome::Pending {
                missing: still_missing(self, record.missing)?,
            },
            Verdict::Held => Outcome::Held {
                until_ms: record.time_ms.saturating_sub(model::limits::FUTURE_HOLD_MS),
            },
            Verdict::Valid => Outcome::Valid,
            Verdict::Disputed => Outcome::Disputed,
            Verdict::Void => Outcome::Void,
            Verdict::Invalid => match &record.reason {
                Some(reason) => Outcome::Invalid(reason.clone()),
                None => return Err(DatabaseError::Damaged { what: "reason" }),
            },
        })
    }
}

/// Of what was missing when an entry was last looked at, what is missing still.
pub(crate) fn still_missing(
    view: &dyn View,
    missing: Vec<Missing>,
) -> Result<Vec<Missing>, DatabaseError> {
    let mut still = Vec::with_capacity(missing.len());
    for item in missing {
        let here = match &item {
            Missing::Entry(id) => view.get(Tree::Ids, id.as_bytes())?.is_some(),
            Missing::Payload(_) | Missing::Device(..) => false,
        };
        if !here {
            still.push(item);
        }
    }
    Ok(still)
}

fn new_record(
    id: EntryId,
    header: &Header,
    entry_bytes: u64,
    payload_state: PayloadState,
    arrival: Arrival,
) -> Record {
    Record {
        id,
        space: header.space.unwrap_or_else(|| SpaceId::from(id)),
        identity: header.identity.unwrap_or_else(|| IdentityId::from(id)),
        device: header.device,
        root: header.root,
        table: TableName::new(&header.table).expect("a header's table name is within its limit"),
        time_ms: header.time_ms,
        depth: header.depth,
        seq: header.seq,
        payload: header.payload,
        size_bytes: entry_bytes + u64::from(header.payload_size),
        verdict: Verdict::Pending,
        payload_state,
        shown: Shown::Absent,
        scope: None,
        reason: None,
        missing: Vec::new(),
        awaits: Vec::new(),
        backlog: None,
        source: arrival.source,
        received_ms: arrival.received_ms,
    }
}

pub(crate) fn tip_key(scope: &Scope, depth: u64, id: &EntryId) -> Vec<u8> {
    join(&[&scope.key(), &depth.to_be_bytes(), id.as_bytes()])
}

pub(crate) fn time_in_item(key: &[u8]) -> Option<u64> {
    let bytes = key.get(Scope::KEY_BYTES..Scope::KEY_BYTES + 8)?;
    bytes.try_into().ok().map(u64::from_be_bytes)
}
