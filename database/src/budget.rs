//! Budgets: how much strangers may fill.

use model::{EntryId, Header, IdentityId, SpaceId};

use crate::{
    Budget, DatabaseError, Outcome, Reason,
    record::{Backlog, Num, Record, join, num_at_end, num_key},
    store::Tree,
    txn::Txn,
};

const UNKNOWN: &[u8] = b"u";
const STRAY: &[u8] = b"n";

fn usage_key(space: &SpaceId, identity: &IdentityId) -> Vec<u8> {
    join(&[b"s", space.as_bytes(), identity.as_bytes()])
}

fn space_key(space: &SpaceId) -> Vec<u8> {
    join(&[b"b", space.as_bytes()])
}

fn is_stray_reason(reason: Option<&Reason>) -> bool {
    matches!(reason, Some(Reason::Identity | Reason::Space))
}

fn waiting_key(identity: &IdentityId) -> Vec<u8> {
    join(&[b"w", identity.as_bytes()])
}

fn backlog_key(num: Num) -> Vec<u8> {
    join(&[&[0], &num_key(num)])
}

impl Txn<'_> {
    /// The budget that leaves no room for a new entry. Only entries that settled count, so that
    /// nobody fills another's.
    pub(crate) fn used_up(
        &mut self,
        header: &Header,
        id: EntryId,
    ) -> Result<Option<Budget>, DatabaseError> {
        if self.is_stray(header)? {
            return Ok(self.is_stray_full()?.then_some(Budget::Stray));
        }
        let space = header.space.unwrap_or_else(|| SpaceId::from(id));
        if let Some(identity) = header.identity {
            let used = self.number(Tree::Usage, &usage_key(&space, &identity))?;
            if used >= self.options.author_space_bytes {
                return Ok(Some(Budget::AuthorInSpace));
            }
        }
        let used = self.number(Tree::Usage, &space_key(&space))?;
        Ok((used >= self.options.space_bytes).then_some(Budget::Space))
    }

    /// Whether its author or its space is known to be none: then anyone can make up as many as
    /// there are entries, and they share one budget.
    fn is_stray(&mut self, header: &Header) -> Result<bool, DatabaseError> {
        if let Some(identity) = header.identity {
            let stray = match self.space(&identity.space())? {
                Some(info) => !info.is_identity,
                None => self.is_settled(&identity.entry())?,
            };
            if stray {
                return Ok(true);
            }
        }
        match header.space {
            Some(space) if self.space(&space)?.is_none() => self.is_settled(&space.entry()),
            _ => Ok(false),
        }
    }

    fn is_settled(&mut self, id: &EntryId) -> Result<bool, DatabaseError> {
        let found = self.record_of(id)?;
        Ok(found.is_some_and(|(_, record)| record.verdict.is_settled()))
    }

    fn is_stray_full(&self) -> Result<bool, DatabaseError> {
        Ok(self.number(Tree::Usage, STRAY)? >= self.options.unknown_bytes)
    }

    /// Whether there is no room for an entry that turns out to have no author or no space.
    pub(crate) fn refuses(&self, reason: Option<&Reason>) -> Result<bool, DatabaseError> {
        Ok(is_stray_reason(reason) && self.is_stray_full()?)
    }

    /// Counts an entry that settled.
    pub(crate) fn charge(&mut self, record: &Record) -> Result<(), DatabaseError> {
        if is_stray_reason(record.reason.as_ref()) {
            self.add(Tree::Usage, STRAY, record.size_bytes)?;
            return Ok(());
        }
        let author = usage_key(&record.space, &record.identity);
        self.add(Tree::Usage, &author, record.size_bytes)?;
        self.add(Tree::Usage, &space_key(&record.space), record.size_bytes)?;
        Ok(())
    }

    /// Counts an entry that waits.
    pub(crate) fn wait(&mut self, num: Num, class: Backlog) -> Result<(), DatabaseError> {
        let record = self.known(num)?;
        record.backlog = Some(class);
        let (size_bytes, identity) = (record.size_bytes, record.identity);
        match class {
            Backlog::Known => {
                self.add(Tree::Usage, &waiting_key(&identity), size_bytes)?;
            }
            Backlog::Unknown => {
                self.put_new(Tree::Backlog, &backlog_key(num), []);
                self.add(Tree::Usage, UNKNOWN, size_bytes)?;
            }
        }
        Ok(())
    }

    /// Counts it no more.
    pub(crate) fn unwait(&mut self, num: Num) -> Result<(), DatabaseError> {
        let record = self.known(num)?;
        let (class, size_bytes, identity) =
            (record.backlog.take(), record.size_bytes, record.identity);
        match class {
            Some(Backlog::Known) => self.subtract(Tree::Usage, &waiting_key(&identity), size_bytes),
            Some(Backlog::Unknown) => {
                self.del(Tree::Backlog, &backlog_key(num));
                self.subtract(Tree::Usage, UNKNOWN, size_bytes)
            }
            None => Ok(()),
        }
    }

    /// What became of a new entry, once those that wait too long a line have given way.
    pub(crate) fn enforce_waiting(&mut self, num: Num) -> Result<Outcome, DatabaseError> {
        let Some(record) = self.record(num)?.cloned() else {
            return Ok(Outcome::Refused(Budget::Stray));
        };
        match record.backlog {
            None => {}
            Some(Backlog::Known) => {
                let used = self.number(Tree::Usage, &waiting_key(&record.identity))?;
                if used > self.options.waiting_bytes {
                    self.forget(num)?;
                    return Ok(Outcome::Refused(Budget::Waiting));
                }
            }
            Some(Backlog::Unknown) => {
                while self.number(Tree::Usage, UNKNOWN)? > self.options.unknown_bytes {
                    let oldest = self.keys(Tree::Backlog, &[0], false, 1)?;
                    let Some(oldest) = oldest.first().and_then(|key| num_at_end(key)) else {
                        break;
                    };
                    self.forget(oldest)?;
                    if oldest == num {
                        return Ok(Outcome::Refused(Budget::Unknown));
                    }
                }
            }
        }
        self.run_queue()?;
        self.outcome(num)
    }
}
