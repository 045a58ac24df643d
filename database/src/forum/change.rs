//! How the forum's views follow the rows.

use std::{ops::ControlFlow, sync::Arc};

use model::{EntryId, Ipld, Row, SpaceId};

use super::{
    BoardRecord, FORUM_TABLES, MARK_HIDE, MARK_LOCK, MARK_NSFW, MARK_PIN, PostRecord, ThreadRecord,
    column, order,
};
use crate::{
    DatabaseError, SpaceInfo,
    record::{Num, Record, Shown, decode, encode, join},
    rows::{Known, link},
    store::{Tree, View},
    txn::{Cached, Txn, scan_with},
};

/// Key of a post in its thread: the first post first, then by time.
pub(crate) fn post_key(root: &EntryId, time_ms: u64, id: &EntryId) -> Vec<u8> {
    let rank = [u8::from(root != id)];
    join(&[
        root.as_bytes(),
        &rank,
        &time_ms.to_be_bytes(),
        id.as_bytes(),
    ])
}

pub(crate) fn author_key(record: &Record) -> Vec<u8> {
    let newest_first = (!record.time_ms).to_be_bytes();
    join(&[
        record.identity.as_bytes(),
        &newest_first,
        record.id.as_bytes(),
    ])
}

pub(crate) fn posts_count_key(record: &Record) -> Vec<u8> {
    join(&[b"p", record.identity.as_bytes()])
}

fn is_forum(info: &SpaceInfo) -> bool {
    info.schema.id() == crate::schema::forum().id()
}

impl Txn<'_> {
    pub(crate) fn forum_row_changed(
        &mut self,
        info: &Arc<SpaceInfo>,
        num: Num,
        record: &Record,
        row: Option<&Row>,
        after: Shown,
    ) -> Result<(), DatabaseError> {
        if !is_forum(info) {
            return Ok(());
        }
        if record.is_genesis() {
            if matches!(after, Shown::Counted | Shown::Disputed) {
                self.board(&record.space)?.get_or_insert_default();
            }
            return Ok(());
        }
        match record.thread() {
            Some(root) if *record.table == *FORUM_TABLES.post => {
                self.post_changed(info, num, record, root, row, after)
            }
            _ => Ok(()),
        }
    }

    fn post_changed(
        &mut self,
        info: &Arc<SpaceInfo>,
        num: Num,
        record: &Record,
        root: EntryId,
        row: Option<&Row>,
        after: Shown,
    ) -> Result<(), DatabaseError> {
        let key = post_key(&root, record.time_ms, &record.id);
        let before = self.post_record(&key)?;
        let was_shown = before.as_ref().map_or(Shown::Absent, |post| post.shown);
        let row = row.filter(|_| matches!(after, Shown::Counted | Shown::Disputed));
        if after == Shown::Absent {
            self.del(Tree::Posts, &key);
        } else {
            let mut post = before.unwrap_or_else(|| PostRecord::new(num, record));
            post.shown = after;
            post.parent = row.and_then(|row| link(row, "parent"));
            post.nsfw = row.is_some_and(|row| row.get("nsfw") == Some(&Ipld::Bool(true)));
            self.put(Tree::Posts, &key, encode(&post));
        }
        self.list_author(record, was_shown, after)?;
        if root == record.id {
            self.first_post_changed(info, num, record, row, after)
        } else {
            self.reply_changed(root, record, was_shown, after)
        }
    }

    fn list_author(
        &mut self,
        record: &Record,
        before: Shown,
        after: Shown,
    ) -> Result<(), DatabaseError> {
        let listed = |shown| matches!(shown, Shown::Counted | Shown::Disputed);
        match (listed(before), listed(after)) {
            (false, true) => {
                self.put(Tree::ByAuthor, &author_key(record), []);
                self.add(Tree::Usage, &posts_count_key(record), 1)?;
            }
            (true, false) => {
                self.del(Tree::ByAuthor, &author_key(record));
                self.subtract(Tree::Usage, &posts_count_key(record), 1)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn first_post_changed(
        &mut self,
        info: &Arc<SpaceInfo>,
        num: Num,
        record: &Record,
        row: Option<&Row>,
        after: Shown,
    ) -> Result<(), DatabaseError> {
        let thread = self.thread(&record.id)?;
        if after == Shown::Absent {
            *thread = None;
            return Ok(());
        }
        let facts = thread.get_or_insert_with(|| ThreadRecord::new(num, record, info.unlisted));
        facts.shown = after;
        match row {
            Some(row) => facts.describe(row),
            None => facts.describe(&Row::new()),
        }
        Ok(())
    }

    fn reply_changed(
        &mut self,
        root: EntryId,
        record: &Record,
        before: Shown,
        after: Shown,
    ) -> Result<(), DatabaseError> {
        let counts = (before == Shown::Counted, after == Shown::Counted);
        if counts.0 == counts.1 {
            return Ok(());
        }
        if self.thread(&root)?.is_none() {
            return Ok(());
        }
        let newest_ms = if counts.1 {
            None
        } else {
            Some(self.newest_post(&root)?)
        };
        if let Some(thread) = self.thread(&root)? {
            match newest_ms {
                None => {
                    thread.replies += 1;
                    thread.last_ms = thread.last_ms.max(record.time_ms);
                }
                Some(newest_ms) => {
                    thread.replies = thread.replies.saturating_sub(1);
                    thread.last_ms = newest_ms.max(thread.time_ms);
                }
            }
        }
        Ok(())
    }

    /// Time of the newest post that counts.
    fn newest_post(&self, root: &EntryId) -> Result<u64, DatabaseError> {
        let mut newest_ms = 0;
        scan_with(
            self,
            Tree::Posts,
            root.as_bytes(),
            None,
            true,
            &mut |key, value| {
                let counts = decode::<PostRecord>("post", value)
                    .is_ok_and(|post| post.shown == Shown::Counted);
                if !counts {
                    return ControlFlow::Continue(());
                }
                newest_ms = super::time_in_post(key).unwrap_or(0);
                ControlFlow::Break(())
            },
        )?;
        Ok(newest_ms)
    }

    fn post_record(&self, key: &[u8]) -> Result<Option<PostRecord>, DatabaseError> {
        match self.get(Tree::Posts, key)? {
            Some(bytes) => decode("post", &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Changes what is kept about a post, if it is shown at all.
    fn change_post(
        &mut self,
        id: &EntryId,
        change: impl Fn(&mut PostRecord),
    ) -> Result<Option<EntryId>, DatabaseError> {
        let Some((_, record)) = self.record_of(id)? else {
            return Ok(None);
        };
        let Some(root) = record.thread() else {
            return Ok(None);
        };
        let key = post_key(&root, record.time_ms, id);
        let Some(mut post) = self.post_record(&key)? else {
            return Ok(None);
        };
        change(&mut post);
        self.put(Tree::Posts, &key, encode(&post));
        Ok(Some(root))
    }

    pub(crate) fn forum_fold_changed(
        &mut self,
        info: &Arc<SpaceInfo>,
        fold: &str,
        of: &EntryId,
        sum: i64,
    ) -> Result<(), DatabaseError> {
        if !is_forum(info) || fold != "score" {
            return Ok(());
        }
        let root = self.change_post(of, |post| post.score = sum)?;
        if root == Some(*of)
            && let Some(thread) = self.thread(of)?
        {
            thread.score = sum;
        }
        Ok(())
    }

    pub(crate) fn forum_winner_changed(
        &mut self,
        info: &Arc<SpaceInfo>,
        table: &str,
        old: Option<&Known>,
        new: Option<&Known>,
    ) -> Result<(), DatabaseError> {
        let Some(any) = new.or(old).filter(|_| is_forum(info)) else {
            return Ok(());
        };
        if table == FORUM_TABLES.vote {
            self.vote_changed(any, new)
        } else if table == FORUM_TABLES.revise {
            let Some(of) = link(&any.row, "of") else {
                return Ok(());
            };
            let edit = new.map(|new| new.num);
            self.change_post(&of, |post| post.edit = edit).map(|_| ())
        } else if table == FORUM_TABLES.mark {
            self.mark_changed(any, new)
        } else if table == FORUM_TABLES.board {
            let row = new.map(|new| new.num);
            self.board(&any.record.space)?.get_or_insert_default().row = row;
            Ok(())
        } else {
            Ok(())
        }
    }

    fn vote_changed(&mut self, any: &Known, new: Option<&Known>) -> Result<(), DatabaseError> {
        let (Some(on), Some(root)) = (link(&any.row, "on"), any.record.thread()) else {
            return Ok(());
        };
        let key = join(&[
            root.as_bytes(),
            any.record.identity.as_bytes(),
            on.as_bytes(),
        ]);
        let dir = new
            .and_then(|new| column::int(&new.row, "dir"))
            .unwrap_or(0);
        match dir {
            0 => self.del(Tree::Votes, &key),
            1.. => self.put(Tree::Votes, &key, [1]),
            _ => self.put(Tree::Votes, &key, [u8::MAX]),
        }
        Ok(())
    }

    fn mark_changed(&mut self, any: &Known, new: Option<&Known>) -> Result<(), DatabaseError> {
        let (Some(on), Some(act)) = (link(&any.row, "on"), column::text(&any.row, "act")) else {
            return Ok(());
        };
        let bit = match act {
            "hide" => MARK_HIDE,
            "lock" => MARK_LOCK,
            "pin" => MARK_PIN,
            _ => MARK_NSFW,
        };
        let set = new.filter(|new| new.row.get("off") != Some(&Ipld::Bool(true)));
        let hide = set.map(|new| new.num);
        let root = self.change_post(&on, |post| {
            post.marks = if set.is_some() {
                post.marks | bit
            } else {
                post.marks & !bit
            };
            if bit == MARK_HIDE {
                post.hide = hide;
            }
        })?;
        if root == Some(on)
            && let Some(thread) = self.thread(&on)?
        {
            thread.marks = if set.is_some() {
                thread.marks | bit
            } else {
                thread.marks & !bit
            };
        }
        Ok(())
    }

    fn thread(&mut self, root: &EntryId) -> Result<&mut Option<ThreadRecord>, DatabaseError> {
        if !self.threads.contains_key(root) {
            let before: Option<ThreadRecord> = match self.get(Tree::Threads, root.as_bytes())? {
                Some(bytes) => Some(decode("thread", &bytes)?),
                None => None,
            };
            let now = before.clone();
            self.threads.insert(*root, Cached { before, now });
        }
        let cached = self.threads.get_mut(root);
        Ok(&mut cached.ok_or(DatabaseError::Damaged { what: "thread" })?.now)
    }

    fn board(&mut self, space: &SpaceId) -> Result<&mut Option<BoardRecord>, DatabaseError> {
        if !self.boards.contains_key(space) {
            let before: Option<BoardRecord> = match self.get(Tree::Boards, space.as_bytes())? {
                Some(bytes) => Some(decode("board", &bytes)?),
                None => None,
            };
            let now = before.clone();
            self.boards.insert(*space, Cached { before, now });
        }
        let cached = self.boards.get_mut(space);
        Ok(&mut cached.ok_or(DatabaseError::Damaged { what: "board" })?.now)
    }

    /// Writes threads that changed, and moves them in their orders: once a batch.
    pub(crate) fn write_threads(&mut self) -> Result<(), DatabaseError> {
        for (root, cached) in std::mem::take(&mut self.threads) {
            if cached.before == cached.now {
                continue;
            }
            match &cached.now {
                Some(thread) => self.put(Tree::Threads, root.as_bytes(), encode(thread)),
                None => self.del(Tree::Threads, root.as_bytes()),
            }
            let before = cached
                .before
                .as_ref()
                .map_or(Vec::new(), |thread| order::keys(&root, thread));
            let now = cached
                .now
                .as_ref()
                .map_or(Vec::new(), |thread| order::keys(&root, thread));
            for key in before.iter().filter(|key| !now.contains(key)) {
                self.del(Tree::Orders, key);
            }
            for key in now.iter().filter(|key| !before.contains(key)) {
                self.put(Tree::Orders, key, []);
            }
            let space = cached
                .now
                .as_ref()
                .or(cached.before.as_ref())
                .map(|thread| thread.space);
            let (was, is) = (!before.is_empty(), !now.is_empty());
            if let Some(space) = space.filter(|_| was != is) {
                let board = self.board(&space)?.get_or_insert_default();
                let step = if is { 1 } else { -1 };
                board.threads = board.threads.saturating_add_signed(step);
                self.counters.threads = self.counters.threads.saturating_add_signed(step);
            }
        }
        Ok(())
    }

    pub(crate) fn write_boards(&mut self) {
        for (space, cached) in std::mem::take(&mut self.boards) {
            if cached.before == cached.now {
                continue;
            }
            match &cached.now {
                Some(board) => self.put(Tree::Boards, space.as_bytes(), encode(board)),
                None => self.del(Tree::Boards, space.as_bytes()),
            }
        }
    }
}
