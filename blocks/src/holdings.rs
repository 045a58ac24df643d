//! Who says that he holds what in full: verified statements, until they expire. Pure: the clock
//! comes with each call.
//!
//! Statements live for hours at most, so the book is kept in memory only.

use std::collections::{BTreeMap, BTreeSet};

use model::{EndpointKey, Holding, Item};

/// Statements of one item that are kept: enough to say "by many".
const PER_ITEM: usize = 256;
/// Items of one endpoint that are kept, so that nobody fills the book alone.
const PER_ENDPOINT: usize = 16 * 1024;
/// Statements in the whole book.
const IN_ALL: usize = 256 * 1024;

/// The book of holdings.
#[derive(Debug, Default)]
pub struct HoldingsBook {
    /// Until when, by item and endpoint.
    by_item: BTreeMap<Item, BTreeMap<EndpointKey, u64>>,
    by_endpoint: BTreeMap<EndpointKey, BTreeSet<Item>>,
    /// What ends first, to make room and to forget.
    by_end: BTreeSet<(u64, Item, EndpointKey)>,
}

impl HoldingsBook {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a statement; returns the items that nobody, or not this endpoint, was known to hold.
    /// One that has ended, or was signed further ahead of the clock than `ahead_ms`, says nothing.
    pub fn note(&mut self, holding: &Holding, now_ms: u64, ahead_ms: u64) -> Vec<Item> {
        self.forget_ended(now_ms);
        let until_ms = holding.until_ms();
        if until_ms <= now_ms || holding.time_ms() > now_ms.saturating_add(ahead_ms) {
            return Vec::new();
        }
        let endpoint = holding.endpoint();
        holding
            .items()
            .iter()
            .filter(|item| self.note_item(**item, endpoint, until_ms))
            .copied()
            .collect()
    }

    /// Endpoints that say they hold the item in full now.
    pub fn held_by(&self, item: Item, now_ms: u64) -> BTreeSet<EndpointKey> {
        self.by_item
            .get(&item)
            .into_iter()
            .flatten()
            .filter(|(_, until_ms)| **until_ms > now_ms)
            .map(|(endpoint, _)| *endpoint)
            .collect()
    }

    /// How many endpoints besides `own` hold the item in full now.
    pub fn count(&self, item: Item, own: EndpointKey, now_ms: u64) -> usize {
        let mut held_by = self.held_by(item, now_ms);
        held_by.remove(&own);
        held_by.len()
    }

    /// How many blobs an endpoint says it holds.
    pub fn blobs_of(&self, endpoint: &EndpointKey) -> u64 {
        let items = self.by_endpoint.get(endpoint).into_iter().flatten();
        let blobs = items.filter(|item| matches!(item, Item::Blob(_)));
        blobs.count() as u64
    }

    /// Strikes out what a peer said: it was caught lying, or is blocked.
    pub fn forget_endpoint(&mut self, endpoint: EndpointKey) {
        for item in self.by_endpoint.remove(&endpoint).unwrap_or_default() {
            if let Some(until_ms) = self
                .by_item
                .get_mut(&item)
                .and_then(|of| of.remove(&endpoint))
            {
                self.by_end.remove(&(until_ms, item, endpoint));
            }
            if self.by_item.get(&item).is_some_and(BTreeMap::is_empty) {
                self.by_item.remove(&item);
            }
        }
    }

    /// Strikes out what has ended.
    pub fn forget_ended(&mut self, now_ms: u64) {
        while let Some(&(until_ms, item, endpoint)) = self.by_end.first() {
            if until_ms > now_ms {
                break;
            }
            self.strike(until_ms, item, endpoint);
        }
    }

    /// Statements in the book.
    pub fn len(&self) -> usize {
        self.by_end.len()
    }

    /// Whether nobody is known to hold anything.
    pub fn is_empty(&self) -> bool {
        self.by_end.is_empty()
    }

    /// True if the endpoint wasn't known to hold the item.
    fn note_item(&mut self, item: Item, endpoint: EndpointKey, until_ms: u64) -> bool {
        let of_item = self.by_item.entry(item).or_default();
        if let Some(known_ms) = of_item.get(&endpoint).copied() {
            if until_ms > known_ms {
                of_item.insert(endpoint, until_ms);
                self.by_end.remove(&(known_ms, item, endpoint));
                self.by_end.insert((until_ms, item, endpoint));
            }
            return false;
        }
        let items = self.by_endpoint.entry(endpoint).or_default();
        if of_item.len() >= PER_ITEM || items.len() >= PER_ENDPOINT {
            return false;
        }
        of_item.insert(endpoint, until_ms);
        items.insert(item);
        self.by_end.insert((until_ms, item, endpoint));
        if self.by_end.len() > IN_ALL
            && let Some(&(until_ms, item, endpoint)) = self.by_end.first()
        {
            self.strike(until_ms, item, endpoint);
        }
        true
    }

    fn strike(&mut self, until_ms: u64, item: Item, endpoint: EndpointKey) {
        self.by_end.remove(&(until_ms, item, endpoint));
        if let Some(of_item) = self.by_item.get_mut(&item) {
            of_item.remove(&endpoint);
            if of_item.is_empty() {
                self.by_item.remove(&item);
            }
        }
        if let Some(items) = self.by_endpoint.get_mut(&endpoint) {
            items.remove(&item);
            if items.is_empty() {
                self.by_endpoint.remove(&endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::{BlobId, SecretKey};

    use super::*;

    fn says(seed: u8, blob: &[u8], time_ms: u64, until_ms: u64) -> Holding {
        let secret = SecretKey::from_bytes(&[seed; 32]);
        let item = Item::Blob(BlobId::of(blob));
        Holding::sign(&secret, vec![item], time_ms, until_ms).unwrap()
    }

    #[test]
    fn a_statement_counts_until_it_ends() {
        let mut book = HoldingsBook::new();
        let item = Item::Blob(BlobId::of(b"a"));
        let (first, second) = (says(1, b"a", 0, 100), says(2, b"a", 0, 200));
        assert_eq!(book.note(&first, 10, 0), [item]);
        assert_eq!(book.note(&second, 10, 0), [item]);
        assert_eq!(book.note(&second, 10, 0), []);
        assert_eq!(book.held_by(item, 99).len(), 2);
        assert_eq!(book.held_by(item, 100), [second.endpoint()].into());
        assert_eq!(book.count(item, second.endpoint(), 50), 1);
        assert_eq!(book.blobs_of(&second.endpoint()), 1);
        book.forget_ended(100);
        assert_eq!(book.len(), 1);
        book.forget_endpoint(second.endpoint());
        assert!(book.is_empty() && book.by_item.is_empty() && book.by_endpoint.is_empty());
    }

    #[test]
    fn a_later_statement_extends_and_an_earlier_one_does_not_shorten() {
        let mut book = HoldingsBook::new();
        let item = Item::Blob(BlobId::of(b"a"));
        for until_ms in [100, 300, 200] {
            book.note(&says(1, b"a", 0, until_ms), 10, 0);
        }
        assert_eq!(book.len(), 1);
        assert_eq!(book.held_by(item, 299).len(), 1);
    }

    #[test]
    fn ended_and_future_statements_say_nothing() {
        let mut book = HoldingsBook::new();
        assert_eq!(book.note(&says(1, b"a", 0, 100), 100, 0), []);
        assert_eq!(book.note(&says(1, b"a", 5_000, 6_000), 100, 1_000), []);
        assert!(book.is_empty());
    }

    #[test]
    fn one_item_is_bounded() {
        let mut book = HoldingsBook::new();
        let item = Item::Blob(BlobId::of(b"a"));
        for seed in 0..300u16 {
            let mut bytes = [9; 32];
            bytes[..2].copy_from_slice(&seed.to_be_bytes());
            let secret = SecretKey::from_bytes(&bytes);
            book.note(&Holding::sign(&secret, vec![item], 0, 100).unwrap(), 0, 0);
        }
        assert_eq!(book.len(), PER_ITEM);
    }
}
