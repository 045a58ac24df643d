//! Orders of threads as keys: hot, new and top, of a board and of all boards.

use model::{EntryId, SpaceId};

use super::{MARK_HIDE, MARK_PIN, Sort, ThreadRecord};
use crate::record::{Shown, join};

/// A thread needs ten times the score for each of these, to stay as hot as a newer one, seconds.
const HOT_SECONDS: i64 = 45_000;
/// Steps of hotness in which a factor of ten of the score is counted.
const STEPS: i64 = 1_000_000;

/// What the keys of one list begin with.
pub(crate) fn prefix(space: Option<&SpaceId>, sort: Sort) -> Vec<u8> {
    let sort = [match sort {
        Sort::Hot => 0,
        Sort::New => 1,
        Sort::Top => 2,
    }];
    match space {
        Some(space) => join(&[&[1], space.as_bytes(), &sort]),
        None => join(&[&[0], &sort]),
    }
}

/// Keys of a thread in all its lists; none while it is not listed.
pub(crate) fn keys(root: &EntryId, thread: &ThreadRecord) -> Vec<Vec<u8>> {
    let shown = matches!(thread.shown, Shown::Counted | Shown::Disputed);
    if !shown || thread.marks & MARK_HIDE != 0 {
        return Vec::new();
    }
    let pinned = thread.marks & MARK_PIN != 0;
    let mut keys = Vec::with_capacity(6);
    for sort in [Sort::Hot, Sort::New, Sort::Top] {
        let rank = descending(match sort {
            Sort::Hot => hotness(thread.score, thread.time_ms),
            Sort::New => i64::try_from(thread.time_ms).unwrap_or(i64::MAX),
            Sort::Top => thread.score,
        });
        let newest_first = (!thread.time_ms).to_be_bytes();
        let tail = join(&[&rank, &newest_first, root.as_bytes()]);
        let on_top = [u8::from(!pinned)];
        keys.push(join(&[&prefix(Some(&thread.space), sort), &on_top, &tail]));
        if !thread.unlisted {
            keys.push(join(&[&prefix(None, sort), &[1], &tail]));
        }
    }
    keys
}

/// Never changes with the clock: newer threads simply have more.
fn hotness(score: i64, time_ms: u64) -> i64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a rank in a local list, from a logarithm below 20"
    )]
    let magnitude = ((score.unsigned_abs().max(1) as f64).log10() * STEPS as f64) as i64;
    let seconds = i64::try_from(time_ms / 1000).unwrap_or(i64::MAX / STEPS);
    magnitude * score.signum() + seconds.saturating_mul(STEPS) / HOT_SECONDS
}

fn descending(rank: i64) -> [u8; 8] {
    let unsigned = rank.cast_unsigned() ^ (1 << 63);
    (!unsigned).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_ranks_come_first() {
        let ranks = [i64::MAX, 5, 1, 0, -1, -5, i64::MIN];
        assert!(ranks.map(descending).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn ten_times_the_score_is_worth_12_and_a_half_hours() {
        let day_ms = 86_400_000;
        assert!(hotness(10, day_ms) > hotness(1, day_ms + 44_000_000));
        assert!(hotness(10, day_ms) < hotness(1, day_ms + 46_000_000));
        assert!(hotness(-10, day_ms) < hotness(0, day_ms));
    }
}
