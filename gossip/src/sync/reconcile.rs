//! Negentropy over (time, id), with the ids in the order of time that the peer listed them in.

use model::EntryId;
use negentropy::{Id, Negentropy, NegentropyStorageVector, Storage};

use super::PeerFault;
use crate::{Item, bounds};

/// What one round told the initiator.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The next message to send; none at the end.
    pub reply: Option<Vec<u8>>,
    /// Ours, not theirs.
    pub have: Vec<EntryId>,
    /// Theirs, not ours; in the order of their message.
    pub need: Vec<EntryId>,
}

/// One side of a reconciliation.
pub(super) struct Reconcile {
    negentropy: Negentropy<'static, NegentropyStorageVector>,
    rounds: u64,
    seen: u64,
}

impl std::fmt::Debug for Reconcile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconcile")
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}

impl Reconcile {
    /// Over these items.
    pub fn new(items: Vec<Item>) -> Self {
        let mut storage = NegentropyStorageVector::with_capacity(items.len());
        let seen = items.len() as u64;
        for item in items {
            storage
                .insert(item.time_ms, Id::from_byte_array(*item.id.as_bytes()))
                .expect("a storage takes items until it is sealed");
        }
        storage.seal().expect("a storage is sealed once");
        let negentropy = Negentropy::new(Storage::Owned(storage), bounds::RECONCILE_BYTES as u64)
            .expect("the frame limit is above negentropy's least");
        Self {
            negentropy,
            rounds: 0,
            seen,
        }
    }

    /// The initiator's first message.
    pub fn initiate(&mut self) -> Vec<u8> {
        self.negentropy
            .initiate()
            .expect("a sealed storage can be summed up once")
    }

    /// The responder's answer to a message.
    pub fn respond(&mut self, message: &[u8]) -> Result<Vec<u8>, PeerFault> {
        self.count_round()?;
        self.negentropy.reconcile(message).map_err(|_| BROKEN)
    }

    /// What an answer tells the initiator.
    pub fn advance(&mut self, message: &[u8]) -> Result<Round, PeerFault> {
        self.count_round()?;
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let reply = self
            .negentropy
            .reconcile_with_ids(message, &mut have, &mut need)
            .map_err(|_| BROKEN)?;
        self.seen += need.len() as u64;
        let to_id = |id: Id| EntryId::from_bytes(*id.as_bytes());
        // The crate keeps the peer's ids in a hash set: put them back in the message's order, so
        // that parents come before children and every run is the same.
        need.sort_unstable();
        let ordered = listed_ids(message)
            .filter(|id| need.binary_search(&Id::from_byte_array(*id)).is_ok())
            .map(EntryId::from_bytes)
            .collect();
        Ok(Round {
            reply,
            have: have.into_iter().map(to_id).collect(),
            need: ordered,
        })
    }

    /// Every honest round settles ranges or lists ids; one that never ends is a lie.
    fn count_round(&mut self) -> Result<(), PeerFault> {
        self.rounds += 1;
        if self.rounds > bounds::ROUNDS + self.seen / 64 {
            return Err(PeerFault::Endless);
        }
        Ok(())
    }
}

const BROKEN: PeerFault = PeerFault::BrokenFrame {
    what: "a reconciling message that can't be read",
};

/// The ids that a negentropy message lists, in order; stops where it can't be read.
fn listed_ids(message: &[u8]) -> impl Iterator<Item = [u8; 32]> {
    let mut rest = message.get(1..).unwrap_or_default();
    let mut lists: Vec<&[u8]> = Vec::new();
    while !rest.is_empty() {
        let Some(list) = next_list(&mut rest) else {
            break;
        };
        lists.push(list);
    }
    lists
        .into_iter()
        .flat_map(|list| list.as_chunks::<32>().0.iter().copied())
}

/// Reads one range: bound, mode, and what the mode carries; gives the bytes of listed ids.
fn next_list<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    varint(rest);
    let prefix = usize::try_from(varint(rest)).ok()?;
    rest.split_off(..prefix)?;
    match varint(rest) {
        0 => Some(&[]),
        1 => rest
            .split_off(..negentropy::FINGERPRINT_SIZE)
            .map(|_| &[][..]),
        2 => {
            let bytes = usize::try_from(varint(rest)).ok()?.checked_mul(32)?;
            rest.split_off(..bytes)
        }
        _ => None,
    }
}

/// Negentropy's varint: seven bits a byte, the highest first.
fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    while let Some(byte) = rest.split_off_first() {
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    fn items(range: std::ops::Range<u64>) -> Vec<Item> {
        range
            .map(|number| Item {
                time_ms: 1_000 + number / 3,
                id: EntryId::of(&number.to_le_bytes()),
            })
            .collect()
    }

    /// Runs to the end; gives what the initiator has and needs, and the rounds.
    fn run(ours: Vec<Item>, theirs: Vec<Item>) -> (Vec<EntryId>, Vec<EntryId>, u64) {
        let (mut initiator, mut responder) = (Reconcile::new(ours), Reconcile::new(theirs));
        let mut message = initiator.initiate();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        loop {
            let answer = responder.respond(&message).unwrap();
            assert!(answer.len() <= bounds::RECONCILE_BYTES);
            let round = initiator.advance(&answer).unwrap();
            have.extend(round.have);
            need.extend(round.need);
            match round.reply {
                Some(reply) => message = reply,
                None => return (have, need, initiator.rounds),
            }
        }
    }

    #[test]
    fn both_differences_are_found() {
        for (ours, theirs) in [
            (0..0, 0..0),
            (0..0, 0..500),
            (0..500, 0..0),
            (0..900, 300..2_000),
        ] {
            let ids = |range: std::ops::Range<u64>| -> BTreeSet<EntryId> {
                items(range).iter().map(|item| item.id).collect()
            };
            let (a, b) = (ids(ours.clone()), ids(theirs.clone()));
            let (have, need, _) = run(items(ours), items(theirs));
            assert_eq!(have.into_iter().collect::<BTreeSet<_>>(), &a - &b);
            assert_eq!(need.into_iter().collect::<BTreeSet<_>>(), &b - &a);
        }
    }

    #[test]
    fn a_late_joiner_learns_ids_in_the_order_of_time() {
        let mut theirs = items(0..20_000);
        theirs.sort();
        let expected: Vec<EntryId> = theirs.iter().map(|item| item.id).collect();
        let (_, need, rounds) = run(Vec::new(), theirs);
        assert_eq!(need, expected);
        assert!(rounds < 8, "{rounds}");
    }

    #[test]
    fn noise_is_refused_and_never_panics() {
        let mut noise = blake3::Hasher::new().finalize_xof();
        let mut refused = 0;
        for length in 0..500 {
            let mut message = vec![0; length];
            noise.fill(&mut message);
            if length % 2 == 0 && length > 0 {
                message[0] = 0x61;
            }
            let mut initiator = Reconcile::new(items(0..50));
            initiator.initiate();
            refused += usize::from(initiator.advance(&message).is_err());
            let _ = Reconcile::new(items(0..50)).respond(&message);
        }
        assert!(refused > 100, "{refused}");
    }

    #[test]
    fn a_set_that_never_settles_is_a_lie() {
        let mut initiator = Reconcile::new(items(0..100));
        initiator.initiate();
        // A fingerprint of everything that never agrees.
        let mut message = vec![0x61, 0, 0, 1];
        message.extend([9; 16]);
        let fault = (0..10_000).find_map(|_| initiator.advance(&message).err());
        assert_eq!(fault, Some(PeerFault::Endless));
    }
}
