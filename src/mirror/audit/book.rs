//! Results of challenges, signed, in `audits.json`: the last ones of each mirror.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Mutex,
};

use data_encoding::{BASE64, HEXLOWER};
use model::{AuditOutcome, AuditResult, BlobId, EndpointKey, SpaceId};
use serde::{Deserialize, Serialize};
use views::data;

use crate::{
    core::Core,
    data_folder::{DataFolder, FolderError},
};

const FILE: &str = "audits.json";
/// Mirrors remembered; the one asked longest ago is forgotten first.
const MIRRORS: usize = 128;
/// Results kept of one mirror.
const OF_MIRROR: usize = 64;
/// A mirror that failed so many times in a row isn't counted among the holders until it answers.
const FAILURES: usize = 3;
/// Proven sizes remembered.
const SIZES: usize = 4_096;

/// A result and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// CID of the thread that the blob belongs to, or the blob's own.
    pub about: String,
    /// The space of that thread.
    pub space: Option<SpaceId>,
    /// The result.
    pub result: AuditResult,
}

/// How a mirror did with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The mirror.
    pub mirror: EndpointKey,
    /// CID of a thread or blob.
    pub about: String,
    /// The thread's space.
    pub space: Option<SpaceId>,
    /// Challenges put.
    pub asked: u64,
    /// Right and in time.
    pub answered: u64,
    /// Right, too late.
    pub late: u64,
    /// Wrong bytes, a wrong signature, or garbage.
    pub wrong: u64,
    /// Not answered, or refused.
    pub unanswered: u64,
    /// The slowest right answer in time, milliseconds.
    pub within_ms: Option<u64>,
    /// When it was asked last, Unix milliseconds.
    pub at_ms: u64,
    /// The deadline of the last one, milliseconds.
    pub deadline_ms: u32,
    /// The last failure, and when it was, Unix milliseconds.
    pub failure: Option<(AuditOutcome, u64)>,
    /// Whether the mirror counts among the holders.
    pub is_counted: bool,
    /// The signed results, base64, oldest first.
    pub records: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    about: String,
    space: Option<SpaceId>,
    record: String,
}

#[derive(Debug, Default)]
struct Book {
    by_mirror: BTreeMap<EndpointKey, VecDeque<Noted>>,
    failing: BTreeSet<EndpointKey>,
    sizes: BTreeMap<BlobId, u64>,
}

impl Book {
    fn note(&mut self, noted: Noted) {
        let facts = noted.result.facts();
        let mirror = facts.mirror;
        let is_new = !self.by_mirror.contains_key(&mirror);
        if is_new && self.by_mirror.len() >= MIRRORS {
            let last_ms = |of: &VecDeque<Noted>| of.back().map(|last| last.result.facts().at_ms);
            let oldest = self.by_mirror.iter().min_by_key(|(_, of)| last_ms(of));
            if let Some(oldest) = oldest.map(|(mirror, _)| *mirror) {
                self.by_mirror.remove(&oldest);
                self.failing.remove(&oldest);
            }
        }
        let of = self.by_mirror.entry(mirror).or_default();
        if of.len() >= OF_MIRROR {
            of.pop_front();
        }
        of.push_back(noted);
        let outcomes = of.iter().rev().take(FAILURES);
        let failed = outcomes.filter(|one| !one.result.facts().outcome.is_answered());
        if failed.count() == FAILURES {
            self.failing.insert(mirror);
        } else if of
            .back()
            .is_some_and(|one| one.result.facts().outcome.is_answered())
        {
            self.failing.remove(&mirror);
        }
    }

    fn stored(&self) -> Vec<Stored> {
        let all = self.by_mirror.values().flatten();
        all.map(|noted| Stored {
            about: noted.about.clone(),
            space: noted.space,
            record: HEXLOWER.encode(noted.result.bytes()),
        })
        .collect()
    }

    fn tallies(&self) -> Vec<Tally> {
        self.sum_up(self.by_mirror.values().flatten())
    }

    fn sum_up<'a>(&self, results: impl IntoIterator<Item = &'a Noted>) -> Vec<Tally> {
        let mut tallies: BTreeMap<(EndpointKey, &str), Tally> = BTreeMap::new();
        for noted in results {
            let mirror = noted.result.facts().mirror;
            let is_counted = !self.failing.contains(&mirror);
            tallies
                .entry((mirror, &noted.about))
                .or_insert_with(|| Tally::new(mirror, noted, is_counted))
                .add(&noted.result);
        }
        let mut tallies: Vec<_> = tallies.into_values().collect();
        tallies.sort_by_key(|tally| std::cmp::Reverse(tally.at_ms));
        tallies
    }
}

impl Tally {
    fn new(mirror: EndpointKey, noted: &Noted, is_counted: bool) -> Self {
        Self {
            mirror,
            about: noted.about.clone(),
            space: noted.space,
            asked: 0,
            answered: 0,
            late: 0,
            wrong: 0,
            unanswered: 0,
            within_ms: None,
            at_ms: 0,
            deadline_ms: 0,
            failure: None,
            is_counted,
            records: Vec::new(),
        }
    }

    fn add(&mut self, result: &AuditResult) {
        let facts = result.facts();
        self.asked += 1;
        match facts.outcome {
            AuditOutcome::Answered => {
                self.answered += 1;
                self.within_ms = self.within_ms.max(Some(facts.took_ms.into()));
            }
            AuditOutcome::Late => self.late += 1,
            AuditOutcome::WrongBytes | AuditOutcome::WrongSignature | AuditOutcome::Garbage => {
                self.wrong += 1;
            }
            AuditOutcome::Silent
            | AuditOutcome::Unreachable
            | AuditOutcome::NotHeld
            | AuditOutcome::Refused => self.unanswered += 1,
        }
        if !facts.outcome.is_answered() {
            self.failure = Some((facts.outcome, facts.at_ms));
        }
        self.at_ms = facts.at_ms;
        self.deadline_ms = facts.deadline_ms;
        self.records.push(BASE64.encode(result.bytes()));
    }
}

/// The book; what a call noted is on disk when it returns.
#[derive(Debug)]
pub struct Audits {
    book: Mutex<Book>,
}

impl Audits {
    /// Reads the book; empty at the first start. Records that don't stand are left out.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        let stored: Vec<Stored> = folder.read_json(FILE)?.unwrap_or_default();
        let mut book = Book::default();
        for one in stored {
            let record = HEXLOWER.decode(one.record.as_bytes()).ok();
            if let Some(Ok(result)) = record.map(|bytes| AuditResult::decode(&bytes)) {
                book.note(Noted {
                    about: one.about,
                    space: one.space,
                    result,
                });
            }
        }
        Ok(Self {
            book: Mutex::new(book),
        })
    }

    /// Notes results.
    ///
    /// # Errors
    /// When the file can't be written: what was noted counts until the node stops.
    pub fn note(&self, folder: &DataFolder, results: Vec<Noted>) -> Result<(), FolderError> {
        if results.is_empty() {
            return Ok(());
        }
        let mut book = Core::lock(&self.book);
        for noted in results {
            book.note(noted);
        }
        folder.write_json(FILE, &book.stored())
    }

    /// Remembers a size that an answer proved.
    pub fn note_size(&self, blob: BlobId, size_bytes: u64) {
        let mut book = Core::lock(&self.book);
        if book.sizes.len() >= SIZES && !book.sizes.contains_key(&blob) {
            book.sizes.pop_first();
        }
        book.sizes.insert(blob, size_bytes);
    }

    /// The size that an answer proved.
    pub fn size(&self, blob: &BlobId) -> Option<u64> {
        Core::lock(&self.book).sizes.get(blob).copied()
    }

    /// Mirrors that failed the last challenges in a row.
    pub fn failing(&self) -> BTreeSet<EndpointKey> {
        Core::lock(&self.book).failing.clone()
    }

    /// What is told of a mirror in lists: its answers so far.
    pub fn of(&self, mirror: &EndpointKey) -> data::Mirror {
        let book = Core::lock(&self.book);
        let mut told = data::Mirror::default();
        for noted in book.by_mirror.get(mirror).into_iter().flatten() {
            let facts = noted.result.facts();
            told.asked += 1;
            if facts.outcome.is_answered() {
                told.answered += 1;
                told.within_ms = told.within_ms.max(Some(facts.took_ms.into()));
            }
            told.audited_ms = Some(facts.at_ms);
        }
        told
    }

    /// How each mirror did with each item, the last asked first.
    pub fn tallies(&self) -> Vec<Tally> {
        Core::lock(&self.book).tallies()
    }

    /// How each mirror did in these results alone.
    pub fn sum_up(&self, results: &[Noted]) -> Vec<Tally> {
        Core::lock(&self.book).sum_up(results)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::{AuditFacts, Challenge, Receipt, SecretKey, limits};

    use super::*;

    fn noted(mirror: u8, at_ms: u64, outcome: AuditOutcome) -> Noted {
        let secret = SecretKey::from_bytes(&[mirror; 32]);
        let challenge = Challenge {
            blob: BlobId::of(b"b"),
            first_group: 0,
            groups: 1,
            nonce: [0; limits::NONCE_BYTES],
        };
        let came = outcome == AuditOutcome::Answered;
        let receipt = came.then(|| Receipt::sign(&secret, &challenge, 5, b"slice"));
        let own = SecretKey::from_bytes(&[255; 32]);
        let facts = AuditFacts {
            challenger: EndpointKey::from_bytes(*own.public().as_bytes()),
            mirror: EndpointKey::from_bytes(*secret.public().as_bytes()),
            challenge,
            at_ms,
            took_ms: 7 + u32::from(mirror),
            deadline_ms: 1_000,
            outcome,
            receipt,
        };
        Noted {
            about: "thread".to_owned(),
            space: None,
            result: AuditResult::sign(&own, facts).unwrap(),
        }
    }

    #[test]
    fn a_mirror_is_not_counted_from_the_third_failure_until_it_answers() {
        use AuditOutcome::{Answered, NotHeld, Silent, WrongBytes};
        let mut book = Book::default();
        for (outcome, is_failing) in [
            (Answered, false),
            (Silent, false),
            (NotHeld, false),
            (WrongBytes, true),
            (Silent, true),
            (Answered, false),
            (Silent, false),
            (Silent, false),
            (Silent, true),
        ] {
            book.note(noted(1, 1, outcome));
            book.note(noted(2, 1, Answered));
            assert_eq!(book.failing.len(), usize::from(is_failing), "{outcome:?}");
        }
    }

    #[test]
    fn results_survive_a_restart_and_are_summed_up() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        let audits = Audits::open(&folder).unwrap();
        let results = vec![
            noted(1, 10, AuditOutcome::Answered),
            noted(1, 11, AuditOutcome::Silent),
            noted(2, 12, AuditOutcome::Answered),
        ];
        audits.note(&folder, results).unwrap();
        let again = Audits::open(&folder).unwrap();
        let tallies = again.tallies();
        assert_eq!(tallies, audits.tallies());
        let (newer, older) = (&tallies[0], &tallies[1]);
        assert_eq!(
            (newer.asked, newer.answered, newer.within_ms),
            (1, 1, Some(9))
        );
        assert_eq!((older.asked, older.answered, older.unanswered), (2, 1, 1));
        assert_eq!(older.failure, Some((AuditOutcome::Silent, 11)));
        let record = BASE64.decode(newer.records[0].as_bytes()).unwrap();
        assert!(AuditResult::decode(&record).is_ok());
    }

    #[test]
    fn the_book_is_bounded() {
        let mut book = Book::default();
        for at_ms in 0..u64::try_from(OF_MIRROR).unwrap() + 5 {
            book.note(noted(1, at_ms, AuditOutcome::Silent));
        }
        assert_eq!(book.stored().len(), OF_MIRROR);
        for mirror in 0..=200 {
            book.note(noted(
                mirror,
                1_000 + u64::from(mirror),
                AuditOutcome::Silent,
            ));
        }
        assert_eq!(book.by_mirror.len(), MIRRORS);
    }
}
