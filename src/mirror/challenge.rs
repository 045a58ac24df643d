//! What becomes of a challenge: pure, of what was asked and what was heard.
//!
//! It shows delivery, not storage: that somebody gave the bytes in time, not where they lie.

use blocks::check_slice;
use model::{AuditOutcome, Challenge, EndpointKey, Receipt};

use super::frame::{Answer, Refusal};

/// A challenge under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What was asked.
    pub challenge: Challenge,
    /// Of whom.
    pub mirror: EndpointKey,
    /// An answer after this many milliseconds doesn't count.
    pub deadline_ms: u32,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An answer.
    Answer(Answer),
    /// Something else.
    Garbage,
    /// Nothing for as long as was waited.
    Silence,
    /// No connection.
    NoWay,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How it went.
    pub outcome: AuditOutcome,
    /// What the mirror signed, of right answers only.
    pub receipt: Option<Receipt>,
    /// Size of the blob, where the answer proves it.
    pub size_bytes: Option<u64>,
}

/// Judges what was heard. None when it says nothing about the mirror: it asks to be left alone for now.
pub fn judge(asked: &Asked, heard: &Heard, took_ms: u32) -> Option<Judged> {
    let failed = |outcome| Judged {
        outcome,
        receipt: None,
        size_bytes: None,
    };
    Some(match heard {
        Heard::Answer(Answer::Slice { receipt, slice }) => {
            judge_slice(asked, receipt, slice, took_ms)
        }
        Heard::Answer(Answer::Refused(refusal)) => match refusal {
            Refusal::Busy => return None,
            Refusal::NotHeld => failed(AuditOutcome::NotHeld),
            Refusal::Denied | Refusal::NotShared => failed(AuditOutcome::Refused),
            // What is asked is always within bounds.
            Refusal::Range => failed(AuditOutcome::Garbage),
        },
        Heard::Answer(Answer::Pin(_) | Answer::Holding(_)) | Heard::Garbage => {
            failed(AuditOutcome::Garbage)
        }
        Heard::Silence => failed(AuditOutcome::Silent),
        Heard::NoWay => failed(AuditOutcome::Unreachable),
    })
}

fn judge_slice(asked: &Asked, receipt: &Receipt, slice: &[u8], took_ms: u32) -> Judged {
    let mut judged = Judged {
        outcome: AuditOutcome::WrongBytes,
        receipt: None,
        size_bytes: None,
    };
    let challenge = &asked.challenge;
    let range = challenge.bytes(receipt.size_bytes);
    if check_slice(challenge.blob, receipt.size_bytes, &range, slice).is_err() {
        return judged;
    }
    if range.end == receipt.size_bytes {
        judged.size_bytes = Some(receipt.size_bytes);
    }
    if !receipt.is_of(slice) || receipt.verify(asked.mirror, challenge).is_err() {
        judged.outcome = AuditOutcome::WrongSignature;
        return judged;
    }
    judged.receipt = Some(*receipt);
    judged.outcome = if took_ms <= asked.deadline_ms {
        AuditOutcome::Answered
    } else {
        AuditOutcome::Late
    };
    judged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use blocks::{Blobs, BlobsOptions, Keep, Quota};
    use bytes::Bytes;
    use model::{BlobId, SecretKey, limits};

    use super::*;

    const SIZE: usize = 100_000;

    /// A mirror that holds a blob, and slices of it.
    struct Honest {
        _folder: tempfile::TempDir,
        blobs: Blobs,
        blob: BlobId,
        secret: SecretKey,
    }

    impl Honest {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let quota = Quota::new(folder.path(), 1 << 30, 0);
            let options = BlobsOptions {
                quota,
                denied: std::collections::BTreeSet::new(),
                cache_max_bytes: 1 << 30,
                pieces_min_bytes: u64::MAX,
            };
            let blobs = Blobs::open(&folder.path().join("blobs"), options)
                .await
                .unwrap();
            let mut bytes = vec![0; SIZE];
            blake3::Hasher::new().finalize_xof().fill(&mut bytes);
            let imported = blobs.import_bytes(Bytes::from(bytes), &Keep::Cache).await;
            Self {
                blob: imported.unwrap().blob,
                _folder: folder,
                blobs,
                secret: SecretKey::from_bytes(&[7; 32]),
            }
        }

        fn asked(&self, first_group: u64, nonce: u8) -> Asked {
            Asked {
                challenge: Challenge {
                    blob: self.blob,
                    first_group,
                    groups: 2,
                    nonce: [nonce; limits::NONCE_BYTES],
                },
                mirror: EndpointKey::from_bytes(*self.secret.public().as_bytes()),
                deadline_ms: 100,
            }
        }

        async fn slice(&self, challenge: &Challenge) -> Vec<u8> {
            let range = challenge.bytes(SIZE as u64);
            self.blobs.slice(self.blob, range).await.unwrap()
        }
    }

    fn signed(secret: &SecretKey, challenge: &Challenge, size: u64, slice: Vec<u8>) -> Heard {
        Heard::Answer(Answer::Slice {
            receipt: Receipt::sign(secret, challenge, size, &slice),
            slice,
        })
    }

    fn outcome(asked: &Asked, heard: &Heard, took_ms: u32) -> Option<AuditOutcome> {
        judge(asked, heard, took_ms).map(|judged| judged.outcome)
    }

    #[tokio::test]
    async fn an_honest_answer_counts_until_the_deadline() {
        let honest = Honest::new().await;
        for (first_group, proven) in [(0, None), (5, Some(SIZE as u64)), (900, Some(SIZE as u64))] {
            let asked = honest.asked(first_group, 1);
            let slice = honest.slice(&asked.challenge).await;
            let heard = signed(&honest.secret, &asked.challenge, SIZE as u64, slice);
            let judged = judge(&asked, &heard, 100).unwrap();
            assert_eq!(judged.outcome, AuditOutcome::Answered, "{first_group}");
            assert_eq!(judged.size_bytes, proven, "{first_group}");
            assert!(judged.receipt.is_some());
            assert_eq!(outcome(&asked, &heard, 101), Some(AuditOutcome::Late));
        }
        honest.blobs.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn liars_are_told_apart() {
        let honest = Honest::new().await;
        let size = SIZE as u64;
        let asked = honest.asked(1, 1);
        let slice = honest.slice(&asked.challenge).await;
        let elsewhere = honest.slice(&honest.asked(3, 1).challenge).await;
        let mut changed = slice.clone();
        changed[9] ^= 1;
        let longer = [&slice[..], &[0]].concat();
        let (own, own_key) = (&asked.challenge, &honest.secret);
        let earlier = honest.asked(1, 2).challenge;
        let other_key = SecretKey::from_bytes(&[8; 32]);
        let mut swapped = signed(own_key, own, size, elsewhere.clone());
        if let Heard::Answer(Answer::Slice { slice: sent, .. }) = &mut swapped {
            sent.clone_from(&slice);
        }
        let refused = |refusal| Heard::Answer(Answer::Refused(refusal));
        let table = [
            (
                "another range",
                signed(own_key, own, size, elsewhere),
                AuditOutcome::WrongBytes,
            ),
            (
                "changed bytes",
                signed(own_key, own, size, changed),
                AuditOutcome::WrongBytes,
            ),
            (
                "more bytes",
                signed(own_key, own, size, longer),
                AuditOutcome::WrongBytes,
            ),
            (
                "no bytes",
                signed(own_key, own, size, Vec::new()),
                AuditOutcome::WrongBytes,
            ),
            (
                "an empty blob",
                signed(own_key, own, 0, Vec::new()),
                AuditOutcome::WrongBytes,
            ),
            (
                "a small blob",
                signed(own_key, own, 1, slice.clone()),
                AuditOutcome::WrongBytes,
            ),
            (
                "an earlier nonce",
                signed(own_key, &earlier, size, slice.clone()),
                AuditOutcome::WrongSignature,
            ),
            (
                "another's signature",
                signed(&other_key, own, size, slice),
                AuditOutcome::WrongSignature,
            ),
            (
                "signed for other bytes",
                swapped,
                AuditOutcome::WrongSignature,
            ),
            ("lost", refused(Refusal::NotHeld), AuditOutcome::NotHeld),
            ("denied", refused(Refusal::Denied), AuditOutcome::Refused),
            (
                "not shared",
                refused(Refusal::NotShared),
                AuditOutcome::Refused,
            ),
            ("no range", refused(Refusal::Range), AuditOutcome::Garbage),
            (
                "another answer",
                Heard::Answer(Answer::Holding(None)),
                AuditOutcome::Garbage,
            ),
            ("garbage", Heard::Garbage, AuditOutcome::Garbage),
            ("silence", Heard::Silence, AuditOutcome::Silent),
            ("no way", Heard::NoWay, AuditOutcome::Unreachable),
        ];
        for (what, heard, expected) in table {
            let judged = judge(&asked, &heard, 1).unwrap();
            assert_eq!(judged.outcome, expected, "{what}");
            assert_eq!(judged.receipt, None, "{what}");
        }
        assert_eq!(judge(&asked, &refused(Refusal::Busy), 1), None);
        honest.blobs.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn who_lost_the_bytes_can_not_answer() {
        let honest = Honest::new().await;
        let path = honest.blobs.source(honest.blob).await.unwrap();
        let blocks::BlobSource::File { path, .. } = path else {
            panic!("it is large enough for a file");
        };
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20_000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let range = honest.asked(1, 1).challenge.bytes(SIZE as u64);
        let lost = honest.blobs.slice(honest.blob, range).await;
        assert!(
            matches!(lost, Err(blocks::ReadError::Changed(_))),
            "{lost:?}"
        );
        honest.blobs.shutdown().await.unwrap();
    }
}
