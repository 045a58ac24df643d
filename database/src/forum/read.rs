//! Queries of the forum's views.

use std::{collections::BTreeMap, ops::ControlFlow};

use model::{EntryId, IdentityId, Ipld, Row, SpaceId};

use super::{
    Board, BoardRecord, Device, MARK_HIDE, MARK_LOCK, MARK_NSFW, MARK_PIN, Page, Post, PostRecord,
    Profile, Sort, ThreadRecord, ThreadSummary, change, column, order, time_in_post,
};
use crate::{
    DatabaseError, PayloadState, Reader,
    authority::{NAMED, device_of},
    record::{Record, Shown, decode, id_at_end, join, num_at_end},
    store::Tree,
    txn::{scan, scan_with},
};

impl Reader<'_> {
    /// All boards held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn boards(&self) -> Result<Vec<Board>, DatabaseError> {
        let mut boards = Vec::new();
        for (key, _) in scan(&*self.view, Tree::Boards, &[], false, usize::MAX)? {
            let Some(space) = key.last_chunk().map(|bytes| SpaceId::from_bytes(*bytes)) else {
                continue;
            };
            boards.extend(self.board(&space)?);
        }
        Ok(boards)
    }

    /// One board.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn board(&self, space: &SpaceId) -> Result<Option<Board>, DatabaseError> {
        let facts: Option<BoardRecord> = self.value(Tree::Boards, space.as_bytes(), "board")?;
        let (Some(facts), Some(info)) = (facts, self.space(space)?) else {
            return Ok(None);
        };
        let row = match facts.row {
            Some(num) => self.row_by_num(num)?.unwrap_or_default(),
            None => Row::new(),
        };
        let newest = self.digests(space, 1)?;
        let text = |name| column::owned(&row, name).unwrap_or_default();
        Ok(Some(Board {
            space: *space,
            owner: info.owner,
            unlisted: info.unlisted,
            time_ms: info.time_ms,
            title: column::owned(&row, "title"),
            about: text("about"),
            rules: text("rules"),
            icon: column::blob(&row, "icon"),
            lang: text("lang"),
            policy: column::owned(&row, "policy").unwrap_or_else(|| "open".to_owned()),
            homes: column::texts(&row, "homes"),
            price_sats: column::int(&row, "price_sats"),
            threads: facts.threads,
            last_ms: newest.first().map(|digest| digest.last_ms),
        }))
    }

    /// Threads of a board, or of all that are listed; `after` is the cursor of an earlier page.
    ///
    /// # Errors
    /// When the cursor is not of this list, or the store can't be read.
    pub fn threads(
        &self,
        space: Option<SpaceId>,
        sort: Sort,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ThreadSummary>, DatabaseError> {
        let prefix = order::prefix(space.as_ref(), sort);
        let (keys, next) = self.page_keys(Tree::Orders, &prefix, after, limit)?;
        let mut items = Vec::with_capacity(keys.len());
        for root in keys.iter().filter_map(|key| id_at_end(key)) {
            items.extend(self.thread(&root)?);
        }
        Ok(Page { items, next })
    }

    /// One thread, listed or not.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn thread(&self, root: &EntryId) -> Result<Option<ThreadSummary>, DatabaseError> {
        let facts: Option<ThreadRecord> = self.value(Tree::Threads, root.as_bytes(), "thread")?;
        Ok(facts.map(|facts| ThreadSummary {
            root: *root,
            space: facts.space,
            author: facts.author,
            title: facts.title,
            url: facts.url,
            time_ms: facts.time_ms,
            last_ms: facts.last_ms,
            score: facts.score,
            replies: facts.replies,
            media: facts.media,
            nsfw: facts.nsfw || facts.marks & MARK_NSFW != 0,
            pinned: facts.marks & MARK_PIN != 0,
            locked: facts.marks & MARK_LOCK != 0,
            hidden: facts.marks & MARK_HIDE != 0,
            disputed: facts.shown == Shown::Disputed,
            withheld: facts.shown == Shown::Withheld,
        }))
    }

    /// Posts of a thread by time, the first post first; `viewer` is whose votes are shown.
    ///
    /// # Errors
    /// When the cursor is not of this list, or the store can't be read.
    pub fn posts(
        &self,
        root: &EntryId,
        viewer: Option<IdentityId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Post>, DatabaseError> {
        let Some(space) = self.space_of(root)? else {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        };
        let votes = match viewer {
            Some(viewer) => self.votes(root, &viewer)?,
            None => BTreeMap::new(),
        };
        let (keys, next) = self.page(Tree::Posts, root.as_bytes(), after, limit)?;
        let mut items = Vec::with_capacity(keys.len());
        for (key, value) in &keys {
            let (Some(id), Some(time_ms)) = (id_at_end(key), time_in_post(key)) else {
                continue;
            };
            let place = Place {
                id,
                space,
                root: *root,
                time_ms,
            };
            let vote = votes.get(&id).copied().unwrap_or(0);
            items.push(self.read_post(place, &decode("post", value)?, vote)?);
        }
        Ok(Page { items, next })
    }

    /// One post.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn post(
        &self,
        id: &EntryId,
        viewer: Option<IdentityId>,
    ) -> Result<Option<Post>, DatabaseError> {
        let Some((_, record)) = self.record_of(id)? else {
            return Ok(None);
        };
        let vote = match (viewer, record.thread()) {
            (Some(viewer), Some(root)) => {
                let key = join(&[root.as_bytes(), viewer.as_bytes(), id.as_bytes()]);
                self.view
                    .get(Tree::Votes, &key)?
                    .map_or(0, |value| direction(&value))
            }
            _ => 0,
        };
        self.post_of(&record, vote)
    }

    fn post_of(&self, record: &Record, vote: i8) -> Result<Option<Post>, DatabaseError> {
        let Some(root) = record.thread() else {
            return Ok(None);
        };
        let key = change::post_key(&root, record.time_ms, &record.id);
        let Some(facts) = self.value(Tree::Posts, &key, "post")? else {
            return Ok(None);
        };
        let place = Place {
            id: record.id,
            space: record.space,
            root,
            time_ms: record.time_ms,
        };
        self.read_post(place, &facts, vote).map(Some)
    }

    fn read_post(&self, place: Place, facts: &PostRecord, vote: i8) -> Result<Post, DatabaseError> {
        let withheld = facts.shown == Shown::Withheld;
        let row = match withheld {
            true => Row::new(),
            false => self.row_by_num(facts.num)?.unwrap_or_default(),
        };
        let edit = match facts.edit.filter(|_| !withheld) {
            Some(num) => self.row_by_num(num)?.map(|row| (num, row)),
            None => None,
        };
        let edited_ms = match &edit {
            Some((num, _)) => Some(self.record(*num)?.time_ms),
            None => None,
        };
        let hidden_why = match facts.hide {
            Some(num) => self
                .row_by_num(num)?
                .and_then(|row| column::owned(&row, "why")),
            None => None,
        };
        let erased = withheld && self.record(facts.num)?.payload_state == PayloadState::Erased;
        let body = column::text(edit.as_ref().map_or(&row, |(_, row)| row), "body");
        Ok(Post {
            id: place.id,
            space: place.space,
            root: place.root,
            parent: facts
                .parent
                .or((place.id != place.root).then_some(place.root)),
            author: facts.author,
            time_ms: place.time_ms,
            edited_ms,
            title: column::owned(&row, "title"),
            url: column::owned(&row, "url"),
            body: body.unwrap_or_default().to_owned(),
            media: column::media(&row),
            lang: column::owned(&row, "lang"),
            nsfw: facts.nsfw || facts.marks & MARK_NSFW != 0,
            score: facts.score,
            vote,
            disputed: facts.shown == Shown::Disputed,
            withheld,
            erased,
            hidden: facts.marks & MARK_HIDE != 0,
            hidden_why,
            locked: facts.marks & MARK_LOCK != 0,
            pinned: facts.marks & MARK_PIN != 0,
        })
    }

    fn votes(
        &self,
        root: &EntryId,
        viewer: &IdentityId,
    ) -> Result<BTreeMap<EntryId, i8>, DatabaseError> {
        let prefix = join(&[root.as_bytes(), viewer.as_bytes()]);
        let found = scan(&*self.view, Tree::Votes, &prefix, false, usize::MAX)?;
        Ok(found
            .iter()
            .filter_map(|(key, value)| id_at_end(key).map(|id| (id, direction(value))))
            .collect())
    }

    /// Posts of an identity, newest first, in listed boards.
    ///
    /// # Errors
    /// When the cursor is not of this list, or the store can't be read.
    pub fn posts_by(
        &self,
        identity: &IdentityId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Post>, DatabaseError> {
        let (keys, next) = self.page_keys(Tree::ByAuthor, identity.as_bytes(), after, limit)?;
        let mut items = Vec::with_capacity(keys.len());
        for id in keys.iter().filter_map(|key| id_at_end(key)) {
            let Some((_, record)) = self.record_of(&id)? else {
                continue;
            };
            if self.space(&record.space)?.is_some_and(|info| info.unlisted) {
                continue;
            }
            items.extend(self.post_of(&record, 0)?);
        }
        Ok(Page { items, next })
    }

    /// What an identity says about itself; none when it isn't held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn profile(&self, identity: &IdentityId) -> Result<Option<Profile>, DatabaseError> {
        if !self
            .space(&identity.space())?
            .is_some_and(|info| info.is_identity)
        {
            return Ok(None);
        }
        let rows = self.rows(&identity.space(), "profile")?;
        let count_key = join(&[b"p", identity.as_bytes()]);
        let posts = self.value(Tree::Usage, &count_key, "number")?.unwrap_or(0);
        Ok(Some(match rows.first() {
            None => Profile {
                posts,
                ..Profile::default()
            },
            Some((_, row)) => Profile {
                name: column::owned(row, "name").filter(|name| !name.is_empty()),
                about: column::owned(row, "about").unwrap_or_default(),
                avatar: column::blob(row, "avatar"),
                homes: column::texts(row, "homes"),
                lang: column::owned(row, "lang"),
                posts,
            },
        }))
    }

    /// Identities and boards that an identity follows.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn follows(&self, identity: &IdentityId) -> Result<Vec<SpaceId>, DatabaseError> {
        self.switched_on(identity, "follow")
    }

    /// Identities and boards that an identity blocks.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn blocks(&self, identity: &IdentityId) -> Result<Vec<SpaceId>, DatabaseError> {
        self.switched_on(identity, "block")
    }

    fn switched_on(
        &self,
        identity: &IdentityId,
        table: &str,
    ) -> Result<Vec<SpaceId>, DatabaseError> {
        let rows = self.rows(&identity.space(), table)?;
        let on = rows.iter().filter(|(_, row)| column::flag(row, "on"));
        Ok(on
            .filter_map(|(_, row)| match row.get("who") {
                Some(Ipld::Link(cid)) => SpaceId::try_from(cid).ok(),
                _ => None,
            })
            .collect())
    }

    /// Devices that an identity named.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn devices(&self, identity: &IdentityId) -> Result<Vec<Device>, DatabaseError> {
        let mut devices = Vec::new();
        for (key, state) in scan(
            &*self.view,
            Tree::Devices,
            identity.as_bytes(),
            false,
            usize::MAX,
        )? {
            let Some(num) = num_at_end(&key).filter(|_| state[..] == NAMED) else {
                continue;
            };
            let (record, row) = (self.record(num)?, self.row_by_num(num)?.unwrap_or_default());
            devices.extend(device_of(&row).map(|device| Device {
                key: device,
                name: column::owned(&row, "name").unwrap_or_default(),
                row: record.id,
                time_ms: record.time_ms,
            }));
        }
        Ok(devices)
    }

    fn page_keys(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Vec<u8>>, Option<String>), DatabaseError> {
        let (found, next) = self.page(tree, prefix, after, limit)?;
        Ok((found.into_iter().map(|(key, _)| key).collect(), next))
    }

    /// Up to `limit` keys behind a cursor, and the cursor behind them if there are more.
    fn page(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Found, DatabaseError> {
        let after = match after {
            Some(text) => Some(join(&[
                prefix,
                &from_hex(text).ok_or(DatabaseError::Cursor)?,
            ])),
            None => None,
        };
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut more = false;
        scan_with(
            &*self.view,
            tree,
            prefix,
            after.as_deref(),
            false,
            &mut |key, value| {
                if found.len() == limit {
                    more = true;
                    return ControlFlow::Break(());
                }
                found.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            },
        )?;
        let last = found.last().filter(|_| more);
        let next = last.map(|(key, _)| to_hex(&key[prefix.len()..]));
        Ok((found, next))
    }
}

type Found = (Vec<(Vec<u8>, Vec<u8>)>, Option<String>);

/// Where a post is.
#[derive(Clone, Copy)]
struct Place {
    id: EntryId,
    space: SpaceId,
    root: EntryId,
    time_ms: u64,
}

fn direction(value: &[u8]) -> i8 {
    value.first().map_or(0, |byte| byte.cast_signed())
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Longest cursor, characters.
const CURSOR_CHARS: usize = 256;

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && text.len() <= CURSOR_CHARS)?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}
