//! What is asked of whom in a round: pure, randomness is handed in.

use std::collections::{BTreeMap, BTreeSet};

use model::{BlobId, Challenge, EndpointKey, GROUP_BYTES, SpaceId, limits};
use rand::{Rng, RngExt, seq::SliceRandom};

/// A blob that others say they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// CID of the thread it belongs to, or its own.
    pub about: String,
    /// The space of that thread.
    pub space: Option<SpaceId>,
    /// The blob.
    pub blob: BlobId,
    /// Its size, bytes, where somebody said it.
    pub size_bytes: Option<u64>,
    /// Who says so.
    pub holders: BTreeSet<EndpointKey>,
}

/// A challenge to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// To whom.
    pub mirror: EndpointKey,
    /// Place of its subject in the list.
    pub subject: usize,
    /// What is asked.
    pub challenge: Challenge,
}

/// Picks random ranges of random blobs: `each` of every mirror, at most `in_all`, the mirrors by turns.
pub fn plan(
    subjects: &[Subject],
    each: usize,
    in_all: usize,
    rng: &mut (impl Rng + ?Sized),
) -> Vec<Planned> {
    let mut by_mirror: BTreeMap<EndpointKey, Vec<usize>> = BTreeMap::new();
    for (place, subject) in subjects.iter().enumerate() {
        for mirror in &subject.holders {
            by_mirror.entry(*mirror).or_default().push(place);
        }
    }
    let mut mirrors: Vec<_> = by_mirror.into_iter().collect();
    mirrors.shuffle(rng);
    for (_, places) in &mut mirrors {
        places.shuffle(rng);
    }
    let mut planned = Vec::new();
    for turn in 0..each {
        for (mirror, places) in &mirrors {
            if planned.len() < in_all {
                let subject = places[turn % places.len()];
                planned.push(Planned {
                    mirror: *mirror,
                    subject,
                    challenge: challenge(&subjects[subject], rng),
                });
            }
        }
    }
    planned
}

fn challenge(subject: &Subject, rng: &mut (impl Rng + ?Sized)) -> Challenge {
    let mut nonce = [0; limits::NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let most = limits::BLOB_BYTES / GROUP_BYTES - 1;
    let first_group = match subject.size_bytes {
        Some(size_bytes) => {
            rng.random_range(0..=(size_bytes.saturating_sub(1) / GROUP_BYTES).min(most))
        }
        // Behind every end: the last group, which proves the size.
        None => most,
    };
    Challenge {
        blob: subject.blob,
        first_group,
        groups: 1,
        nonce,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn mirror(number: u8) -> EndpointKey {
        EndpointKey::from_bytes([number; 32])
    }

    fn subject(name: &str, size_bytes: Option<u64>, holders: &[u8]) -> Subject {
        Subject {
            about: name.to_owned(),
            space: None,
            blob: BlobId::of(name.as_bytes()),
            size_bytes,
            holders: holders.iter().map(|number| mirror(*number)).collect(),
        }
    }

    #[test]
    fn every_mirror_is_asked_for_ranges_of_what_it_holds() {
        let subjects = [
            subject("a", Some(1 << 20), &[1, 2]),
            subject("b", Some(1), &[2]),
            subject("c", None, &[3]),
            subject("d", Some(u64::MAX), &[3]),
            subject("e", Some(5), &[]),
        ];
        let mut rng = StdRng::seed_from_u64(1);
        let planned = plan(&subjects, 8, 1_000, &mut rng);
        for number in [1, 2, 3] {
            let of: Vec<_> = planned
                .iter()
                .filter(|one| one.mirror == mirror(number))
                .collect();
            assert_eq!(of.len(), 8);
            assert!(
                of.iter()
                    .all(|one| subjects[one.subject].holders.contains(&one.mirror))
            );
        }
        let nonces: BTreeSet<_> = planned.iter().map(|one| one.challenge.nonce).collect();
        assert_eq!(nonces.len(), planned.len());
        let of_first = planned.iter().filter(|one| one.subject == 0);
        let ranges: BTreeSet<_> = of_first.map(|one| one.challenge.first_group).collect();
        assert!(ranges.len() > 4, "{ranges:?}");
        for one in &planned {
            one.challenge.check().unwrap();
            let size = subjects[one.subject].size_bytes;
            if let Some(size_bytes) = size.filter(|size| *size < 1 << 40) {
                assert!(one.challenge.first_group * GROUP_BYTES < size_bytes);
            }
        }
    }

    #[test]
    fn a_round_is_bounded_and_spread() {
        let subjects: Vec<_> = (0..100)
            .map(|place| subject(&format!("{place}"), Some(1 << 30), &[1, 2, 3, 4]))
            .collect();
        let mut rng = StdRng::seed_from_u64(2);
        let planned = plan(&subjects, 100, 40, &mut rng);
        assert_eq!(planned.len(), 40);
        for number in 1..=4 {
            let of = planned.iter().filter(|one| one.mirror == mirror(number));
            assert_eq!(of.count(), 10);
        }
        assert!(plan(&[], 8, 8, &mut rng).is_empty());
    }
}
