//! Blocks: asked for, answered, refused, given up.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Asked, Core, Event};
use crate::leech::{
    LeechError, Lie,
    grid::BlockIndex,
    reads::ReadId,
    wire::{Block, Message},
};

/// As many blocks beyond the window may be there without their reader taking them.
const AHEAD_BLOCKS: u64 = 64;
/// Nothing more is asked for while as many bytes couldn't be sent.
const MAX_OUTBOX_BYTES: usize = 64 << 10;
/// A block that is refused so often, by a peer that says that it has it and doesn't choke us, is
/// not there.
const MAX_REFUSALS: u8 = 3;
/// Nothing is asked for so long after a refusal.
const PAUSE: Duration = Duration::from_millis(500);

/// The order is cleared of what was answered when it is so much longer than what wasn't.
const MAX_ANSWERED: usize = 1024;

impl Core {
    /// Bytes of the next block to be asked for; none if there is none now.
    pub fn wants(&self, now: Instant) -> Option<u64> {
        let is_held = self.is_choked
            || self.flight.len() >= self.window.blocks()
            || self.outbox.len() > MAX_OUTBOX_BYTES
            || self.times.pause.is_some_and(|until| now < until);
        if is_held {
            return None;
        }
        let index = self.reads.wanted(self.ahead())?;
        Some(self.grid.block(index).length.into())
    }

    /// Asks for that block; whether that had not been done for another read.
    pub fn ask(&mut self, now: Instant) -> bool {
        let index = self.reads.ask(self.ahead());
        let Some(index) = index.filter(|index| !self.flight.contains_key(index)) else {
            return false;
        };
        let number = self.next_number;
        self.next_number += 1;
        self.flight.insert(index, Asked { number, at: now });
        self.order.push_back((number, index));
        self.window.asked(now);
        self.send(&Message::Request(self.grid.block(index)));
        true
    }

    /// Whether the window is not what holds the next block back.
    pub fn is_window_open(&self) -> bool {
        self.flight.len() < self.window.blocks()
    }

    /// Ends a read, and what was asked for only for it.
    pub fn end_read(&mut self, id: ReadId) {
        for index in self.reads.end(id) {
            if self.flight.remove(&index).is_some() {
                self.forgiven += 1;
                self.send(&Message::Cancel(self.grid.block(index)));
            }
        }
        if self.reads.is_empty() {
            self.refused.clear();
        }
        self.trim_order();
    }

    /// Whether something would be asked for if the peer let us.
    pub(super) fn is_anything_wanted(&self) -> bool {
        self.reads.wanted(self.ahead()).is_some()
    }

    /// How far a read may be ahead of its reader.
    fn ahead(&self) -> u64 {
        self.window.blocks() as u64 + AHEAD_BLOCKS
    }

    pub(super) fn on_piece(
        &mut self,
        piece: u32,
        begin: u32,
        bytes: &Bytes,
        now: Instant,
    ) -> Result<(), LeechError> {
        let index = self.grid.index(piece, begin);
        let asked = index.and_then(|index| Some((index, *self.flight.get(&index)?)));
        let Some((index, asked)) = asked else {
            self.forgive(piece, begin)?;
            self.served(now);
            return Ok(());
        };
        let expected = self.grid.block(index).length as usize;
        let found = bytes.len();
        if found != expected {
            return Err(LeechError::Lied(Lie::Length {
                piece,
                begin,
                expected,
                found,
            }));
        }
        self.check_passed_over(asked, now)?;
        self.flight.remove(&index);
        self.refused.remove(&index);
        self.trim_order();
        self.window.arrived(found, now);
        self.served(now);
        let ready = self.reads.arrived(index, bytes);
        self.events.extend(ready.into_iter().map(Event::Bytes));
        Ok(())
    }

    /// An answer about a block that isn't in flight: it may have been given up since it was asked
    /// for.
    fn forgive(&mut self, piece: u32, begin: u32) -> Result<(), LeechError> {
        let left = self.forgiven.checked_sub(1);
        self.forgiven = left.ok_or(Lie::Unasked { piece, begin })?;
        Ok(())
    }

    /// Checks that no block was passed over by one that was asked for much later.
    fn check_passed_over(&self, asked: Asked, now: Instant) -> Result<(), LeechError> {
        let first = self.order.front();
        let Some(first) = first.and_then(|(_, index)| self.flight.get(index)) else {
            return Ok(());
        };
        if asked.at < first.at + self.times.stall {
            return Ok(());
        }
        let waited = now.saturating_duration_since(first.at);
        Err(LeechError::Stalled { waited })
    }

    /// A peer that chokes us forgets what it was asked for, unless it refuses each by name (BEP 6).
    pub(super) fn on_choke(&mut self) {
        self.is_choked = true;
        self.ready();
        if self.greeting.is_some_and(|greeting| greeting.is_fast) {
            return;
        }
        self.forgiven += self.flight.len() as u64;
        for index in std::mem::take(&mut self.flight).into_keys() {
            self.reads.ask_again(index);
        }
        self.trim_order();
    }

    pub(super) fn on_reject(&mut self, block: Block, now: Instant) -> Result<(), LeechError> {
        let Block { piece, begin, .. } = block;
        let index = self.grid.index(piece, begin);
        let Some(index) = index.filter(|index| self.flight.remove(index).is_some()) else {
            return self.forgive(piece, begin);
        };
        self.trim_order();
        self.reads.ask_again(index);
        if self.is_choked {
            return Ok(());
        }
        self.times.pause = Some(now + PAUSE);
        let times = self.refused.entry(index).or_default();
        *times += 1;
        if *times >= MAX_REFUSALS {
            return Err(Lie::Refused { piece, begin }.into());
        }
        Ok(())
    }

    /// Drops what was answered from the front of the order.
    fn trim_order(&mut self) {
        while let Some((number, index)) = self.order.front() {
            if self.is_in_flight(*number, *index) {
                break;
            }
            self.order.pop_front();
        }
        if self.order.len() > self.flight.len() + MAX_ANSWERED {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|(number, index)| self.is_in_flight(*number, *index));
            self.order = order;
        }
    }

    fn is_in_flight(&self, number: u64, index: BlockIndex) -> bool {
        let asked = self.flight.get(&index);
        asked.is_some_and(|asked| asked.number == number)
    }
}
