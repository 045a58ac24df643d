//! Every decoder against 100,000 inputs made from the vectors: none may panic, and what is let
//! through must be what was made. The same inputs in every run.

use serde_json::Value;

use crate::{Entry, Holding, Payload, Ticket, Unverified};

use super::{file, unhex};

const INPUTS: u64 = 100_000;

/// SplitMix64 (Steele, Lea, Flood 2014): enough to choose bytes, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % (end as u64).max(1)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }

    /// One of the corpus, changed in one to four places.
    fn mutated(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = self.byte(),
                2 => bytes.insert(at, self.byte()),
                3 if !bytes.is_empty() => drop(bytes.remove(at)),
                4 => bytes.truncate(at),
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        bytes
    }
}

fn corpus(section: &str, read: impl Fn(&Value) -> Vec<u8>) -> Vec<Vec<u8>> {
    let file = file();
    ["valid", "invalid"]
        .into_iter()
        .flat_map(|kind| file[section][kind].as_array().unwrap().clone())
        .map(|vector| read(&vector))
        .filter(|bytes| bytes.len() <= 4096)
        .collect()
}

fn feed(seed: u64, corpus: &[Vec<u8>], mut decode: impl FnMut(&[u8])) {
    let mut dice = Dice(seed);
    for _ in 0..INPUTS {
        decode(&dice.mutated(corpus));
    }
}

#[test]
fn entries_survive_mutation() {
    feed(
        1,
        &corpus("entries", |vector| unhex(&vector["bytes"])),
        |bytes| {
            if let Ok(entry) = Entry::<Unverified>::decode(bytes) {
                assert_eq!(&entry.bytes()[..], bytes);
            }
        },
    );
}

#[test]
fn payloads_survive_mutation() {
    feed(
        2,
        &corpus("payloads", |vector| unhex(&vector["bytes"])),
        |bytes| {
            if let Ok(payload) = Payload::decode(bytes) {
                assert_eq!(&payload.bytes()[..], bytes);
            }
        },
    );
}

#[test]
fn holdings_survive_mutation() {
    feed(
        3,
        &corpus("holdings", |vector| unhex(&vector["bytes"])),
        |bytes| {
            if let Ok(holding) = Holding::decode(bytes) {
                assert_eq!(holding.bytes(), bytes);
            }
        },
    );
}

#[test]
fn tickets_survive_mutation() {
    let texts = corpus("tickets", |vector| vector["text"].as_str().unwrap().into());
    feed(4, &texts, |bytes| {
        if let Ok(ticket) = String::from_utf8_lossy(bytes).parse::<Ticket>() {
            assert_eq!(ticket.to_string().parse::<Ticket>(), Ok(ticket));
        }
    });
}
