//! Budgets: how much strangers may fill.

use model::{EntryId, Header, IdentityId, SpaceId};

use crate::{
    Budget, DatabaseError, Outcome,
    gate::usage_key,
    record::{Backlog, Num, join, num_at_end, num_key},
    store::Tree,
    txn::Txn,
};

const UNKNOWN: &[u8] = b"u";

fn waiting_key(identity: &IdentityId) -> Vec<u8> {
    join(&[b"w", identity.as_bytes()])
}

fn backlog_key(num: Num) -> Vec<u8> {
    join(&[&[0], &num_key(num)])
}

impl Txn<'_> {
    /// Whether the author has filled the share of this space. Only entries that settled count, so
    /// that nobody fills another's.
    pub(crate) fn over_author_budget(
        &self,
        header: &Header,
        id: EntryId,
    ) -> Result<bool, DatabaseError> {
        let space = header.space.unwrap_or_else(|| SpaceId::from(id));
        let Some(identity) = header.identity else {
            return Ok(false);
        };
        let used = self.number(Tree::Usage, &usage_key(&space, &identity))?;
        Ok(used >= self.options.author_space_bytes)
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
        let record = self.known(num)?.clone();
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
