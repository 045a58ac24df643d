//! Feeds: the entries of one device in one space, and their forks.

use std::ops::ControlFlow;

use model::{DeviceKey, EntryId, SpaceId};

use crate::{
    DatabaseError, Equivocation, Verdict,
    record::{Num, Record, decode, encode, feed_prefix, join},
    store::{Tree, View},
    txn::{Txn, scan_with},
};

impl Txn<'_> {
    /// Local numbers in a feed from a place on, in order.
    pub(crate) fn feed_from(
        &self,
        space: &SpaceId,
        device: &DeviceKey,
        seq: u64,
    ) -> Result<Vec<Num>, DatabaseError> {
        let prefix = feed_prefix(space, device);
        let mut found = Vec::new();
        let mut broken = false;
        let after = seq
            .checked_sub(1)
            .map(|before| join(&[&prefix, &before.to_be_bytes()]));
        scan_with(
            self,
            Tree::Feeds,
            &prefix,
            after.as_deref(),
            false,
            &mut |_, value| {
                match decode::<Vec<Num>>("feed", value) {
                    Ok(nums) => found.extend(nums),
                    Err(_) => broken = true,
                }
                ControlFlow::Continue(())
            },
        )?;
        if broken {
            return Err(DatabaseError::Damaged { what: "feed" });
        }
        Ok(found)
    }

    /// Puts an entry in its place; a second one there is a fork.
    pub(crate) fn enter_feed(&mut self, num: Num, record: &Record) -> Result<(), DatabaseError> {
        let key = join(&[
            &feed_prefix(&record.space, &record.device),
            &record.seq.to_be_bytes(),
        ]);
        let Some(bytes) = self.get(Tree::Feeds, &key)? else {
            self.put_new(Tree::Feeds, &key, encode(&vec![num]));
            let author = join(&[
                record.identity.as_bytes(),
                record.device.as_bytes(),
                record.space.as_bytes(),
            ]);
            if record.seq == 0 || self.get(Tree::AuthorFeeds, &author)?.is_none() {
                self.put(Tree::AuthorFeeds, &author, []);
            }
            return Ok(());
        };
        let mut nums: Vec<Num> = decode("feed", &bytes)?;
        let author = join(&[
            record.identity.as_bytes(),
            record.device.as_bytes(),
            record.space.as_bytes(),
        ]);
        self.put(Tree::AuthorFeeds, &author, []);
        let header = self.header(num)?;
        let mut other = None;
        for before in &nums {
            // The same header with another signature is no fork.
            if self.header(*before)? != header {
                other = Some(self.known(*before)?.id);
            }
        }
        nums.push(num);
        self.put(Tree::Feeds, &key, encode(&nums));
        match other {
            Some(other) => self.fork(record, other),
            None => Ok(()),
        }
    }

    pub(crate) fn leave_feed(&mut self, num: Num, record: &Record) -> Result<(), DatabaseError> {
        let key = join(&[
            &feed_prefix(&record.space, &record.device),
            &record.seq.to_be_bytes(),
        ]);
        let Some(bytes) = self.get(Tree::Feeds, &key)? else {
            return Ok(());
        };
        let mut nums: Vec<Num> = decode("feed", &bytes)?;
        nums.retain(|other| *other != num);
        if nums.is_empty() {
            self.del(Tree::Feeds, &key);
        } else {
            self.put(Tree::Feeds, &key, encode(&nums));
        }
        self.doubt_fork(record)
    }

    /// A proof that is no longer held proves nothing: looks for another one, or lets the feed go on.
    fn doubt_fork(&mut self, gone: &Record) -> Result<(), DatabaseError> {
        let fork = self.equivocation(&gone.space, &gone.device)?;
        let Some(fork) = fork.filter(|fork| [fork.first, fork.second].contains(&gone.id)) else {
            return Ok(());
        };
        let key = join(&[gone.space.as_bytes(), gone.device.as_bytes()]);
        self.del(Tree::Forks, &key);
        self.counters.forks -= 1;
        let mut before: Option<(Num, u64)> = None;
        for num in self.feed_from(&gone.space, &gone.device, fork.seq)? {
            let record = self.known(num)?.clone();
            if record.verdict == Verdict::Disputed {
                self.queue.insert(num);
            }
            if let Some((other, _)) = before.filter(|(_, seq)| *seq == record.seq)
                && self.header(other)? != self.header(num)?
            {
                let other = self.known(other)?.id;
                self.fork(&record, other)?;
            }
            before = Some((num, record.seq));
        }
        Ok(())
    }

    fn fork(&mut self, record: &Record, other: EntryId) -> Result<(), DatabaseError> {
        let key = join(&[record.space.as_bytes(), record.device.as_bytes()]);
        let before = self.equivocation(&record.space, &record.device)?;
        let (mut first, mut second) = (record.id.min(other), record.id.max(other));
        if let Some(known) = before {
            if known.seq < record.seq {
                return Ok(());
            }
            if known.seq == record.seq {
                // Whatever came first, the two smallest stand for the fork.
                let mut ids = [known.first, known.second, record.id];
                ids.sort_unstable();
                (first, second) = (ids[0], ids[1]);
            }
        } else {
            self.counters.forks += 1;
        }
        let proof = Equivocation {
            space: record.space,
            device: record.device,
            seq: record.seq,
            first,
            second,
        };
        self.put(Tree::Forks, &key, encode(&proof));
        if before.is_none_or(|known| known.seq > proof.seq) {
            self.report.forks.push(proof);
            for num in self.feed_from(&record.space, &record.device, record.seq)? {
                if self.known(num)?.verdict == Verdict::Valid {
                    self.queue.insert(num);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn equivocation(
        &self,
        space: &SpaceId,
        device: &DeviceKey,
    ) -> Result<Option<Equivocation>, DatabaseError> {
        let key = join(&[space.as_bytes(), device.as_bytes()]);
        match self.get(Tree::Forks, &key)? {
            Some(bytes) => decode("fork", &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Whether it stands at a fork of its feed or behind. A genesis always stands.
    pub(crate) fn is_disputed(&self, record: &Record) -> Result<bool, DatabaseError> {
        if record.is_genesis() || self.counters.forks == 0 {
            return Ok(false);
        }
        let fork = self.equivocation(&record.space, &record.device)?;
        Ok(fork.is_some_and(|fork| record.seq >= fork.seq))
    }
}
