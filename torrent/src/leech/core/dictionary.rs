//! The info dictionary, in parts (BEP 9).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use bytes::Bytes;

use super::{Core, Event};
use crate::{
    InfoHash, MAX_METAINFO_BYTES,
    leech::{
        LeechError, Lie,
        wire::{BLOCK_BYTES, InfoMessage, Message},
    },
};

/// As many parts are asked for at once: clients hold this down.
const PARTS_AT_ONCE: usize = 4;

/// An info dictionary that is being fetched.
#[derive(Debug)]
pub(super) struct Dictionary {
    /// Bytes of it, as the peer says; none as long as it said nothing.
    bytes: Option<u32>,
    parts: BTreeMap<u32, Bytes>,
    asked: BTreeSet<u32>,
    /// When it was wanted, or the last part came.
    pub(super) since: Instant,
}

impl Core {
    /// Wants the info dictionary: [`Event::Info`] will say what came of it.
    pub fn want_info(&mut self, now: Instant) {
        if self.dictionary.is_some() {
            return;
        }
        self.dictionary = Some(Dictionary {
            bytes: None,
            parts: BTreeMap::new(),
            asked: BTreeSet::new(),
            since: now,
        });
        self.ask_info(now);
    }

    /// Doesn't want it any more.
    pub fn give_up_info(&mut self) {
        self.dictionary = None;
    }

    /// Asks for the parts that are due.
    pub(super) fn ask_info(&mut self, now: Instant) {
        let Some(dictionary) = &mut self.dictionary else {
            return;
        };
        let is_extended = self.greeting.is_none_or(|greeting| greeting.is_extended);
        let (id, bytes) = match &self.extensions {
            None if is_extended => return,
            None => (None, None),
            Some(extensions) => (extensions.info_id, extensions.info_bytes),
        };
        let bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok());
        let bytes = bytes.filter(|bytes| (1..=MAX_METAINFO_BYTES).contains(&(*bytes as usize)));
        let (Some(id), Some(bytes)) = (id, dictionary.bytes.or(bytes)) else {
            self.dictionary = None;
            self.events.push(Event::Info(Err(LeechError::NoInfo)));
            return;
        };
        if dictionary.bytes.is_none() {
            dictionary.bytes = Some(bytes);
            dictionary.since = now;
        }
        let parts = 0..bytes.div_ceil(BLOCK_BYTES);
        let known =
            |index: &u32| dictionary.parts.contains_key(index) || dictionary.asked.contains(index);
        let room = PARTS_AT_ONCE.saturating_sub(dictionary.asked.len());
        let next: Vec<u32> = parts.filter(|index| !known(index)).take(room).collect();
        dictionary.asked.extend(&next);
        for index in next {
            self.send(&Message::Extended {
                id,
                payload: InfoMessage::Request(index).encode(0).into(),
            });
        }
    }

    /// Takes a message about the info dictionary; whether it was an answer.
    pub(super) fn on_info(&mut self, payload: &Bytes, now: Instant) -> Result<bool, LeechError> {
        let Some(dictionary) = &mut self.dictionary else {
            return Ok(false);
        };
        let (index, bytes) = match InfoMessage::decode(payload) {
            Some(InfoMessage::Part { index, bytes }) => (index, bytes),
            Some(InfoMessage::Reject(index)) if dictionary.asked.contains(&index) => {
                self.dictionary = None;
                self.events.push(Event::Info(Err(LeechError::NoInfo)));
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let Some(total) = dictionary.bytes.filter(|_| dictionary.asked.remove(&index)) else {
            return Ok(false);
        };
        let begin = index * BLOCK_BYTES;
        let expected = (total - begin).min(BLOCK_BYTES) as usize;
        if bytes.len() != expected {
            return Err(LeechError::Lied(Lie::InfoHash));
        }
        dictionary.parts.insert(index, payload.slice_ref(bytes));
        dictionary.since = now;
        if dictionary.parts.len() < total.div_ceil(BLOCK_BYTES) as usize {
            self.ask_info(now);
            return Ok(true);
        }
        let parts: Vec<&[u8]> = dictionary.parts.values().map(|part| &part[..]).collect();
        let info = parts.concat();
        self.dictionary = None;
        if InfoHash::of(&info) != self.grid.target().infohash {
            return Err(Lie::InfoHash.into());
        }
        self.events.push(Event::Info(Ok(info)));
        Ok(true)
    }
}
