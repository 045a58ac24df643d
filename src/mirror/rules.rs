//! Rules of what is mirrored, as the configuration names them; each post goes by the first that
//! matches it. Pure.

use gateway::api::types::PinMedia;
use model::{EntryId, IdentityId, SpaceId};
use thiserror::Error;

use crate::config::{AgeError, MirrorRule, parse_age};

/// What a rule asks of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Threads of followed public spaces, ranked by score, then by recency.
    Popular,
    /// Everything in followed public spaces.
    All,
    /// A space, a thread or an identity: which of them tells the post.
    Id(EntryId),
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which posts.
    pub what: Match,
    /// Which media of them.
    pub media: PinMedia,
    /// Room for this rule, bytes; 0: none of its own.
    pub max_bytes: u64,
    /// Lowest score of a thread.
    pub min_score: Option<i64>,
    /// Longest time since a thread's last post, milliseconds.
    pub max_age_ms: Option<u64>,
    /// Enough when so many nodes hold a blob; 0: kept however many do.
    pub replicas: u32,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("rule {number}: {fault}")]
pub struct RuleError {
    /// Which, from 1.
    pub number: usize,
    /// What.
    pub fault: RuleFault,
}

/// A value that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleFault {
    /// What it matches.
    #[error(
        "match = {0:?} is neither popular nor all, nor the CID of a space, a thread or an identity"
    )]
    Match(String),
    /// An age.
    #[error("max_age = {0}")]
    Age(#[from] AgeError),
}

/// What rules ask about a post and its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The space.
    pub space: SpaceId,
    /// The thread.
    pub root: EntryId,
    /// Who wrote the post.
    pub author: IdentityId,
    /// The space, or this thread, is followed.
    pub is_followed: bool,
    /// Only who knows the space's id finds it.
    pub is_unlisted: bool,
    /// Score of the thread.
    pub score: i64,
    /// Last activity of the thread, Unix milliseconds.
    pub last_ms: u64,
}

/// Reads the rules of the configuration.
///
/// # Errors
/// When one says what nobody understands; the error names it.
pub fn read(rules: &[MirrorRule]) -> Result<Vec<Rule>, RuleError> {
    let numbered = rules.iter().zip(1..);
    numbered
        .map(|(rule, number)| Rule::read(rule).map_err(|fault| RuleError { number, fault }))
        .collect()
}

/// The place of the first rule that matches.
pub fn first_match(rules: &[Rule], facts: &Facts, now_ms: u64) -> Option<usize> {
    rules.iter().position(|rule| rule.matches(facts, now_ms))
}

impl Rule {
    fn read(rule: &MirrorRule) -> Result<Self, RuleFault> {
        let what = match rule.what.trim() {
            "popular" => Match::Popular,
            "all" => Match::All,
            id => Match::Id(
                id.parse()
                    .map_err(|_| RuleFault::Match(rule.what.clone()))?,
            ),
        };
        let max_age_ms = rule.max_age.as_deref().map(parse_age).transpose()?;
        Ok(Self {
            what,
            media: rule.media,
            max_bytes: rule.max_bytes,
            min_score: rule.min_score,
            max_age_ms,
            replicas: rule.replicas,
        })
    }

    /// Whether a post goes by this rule, if by none before it. What is unlisted is matched only by
    /// its own id.
    pub fn matches(&self, facts: &Facts, now_ms: u64) -> bool {
        let is_meant = match self.what {
            Match::Popular | Match::All => facts.is_followed && !facts.is_unlisted,
            Match::Id(id) => {
                let is_author = facts.author.entry() == id && !facts.is_unlisted;
                facts.space.entry() == id || facts.root == id || is_author
            }
        };
        is_meant
            && self.min_score.is_none_or(|min| facts.score >= min)
            && self
                .max_age_ms
                .is_none_or(|max_ms| now_ms.saturating_sub(facts.last_ms) <= max_ms)
    }

    /// Worth goes by score before it goes by recency.
    pub fn is_by_score(&self) -> bool {
        self.what == Match::Popular
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(what: &str) -> MirrorRule {
        MirrorRule {
            what: what.to_owned(),
            media: PinMedia::All,
            max_bytes: 0,
            min_score: None,
            max_age: None,
            replicas: 0,
        }
    }

    fn facts() -> Facts {
        Facts {
            space: SpaceId::of(b"space"),
            root: EntryId::of(b"thread"),
            author: IdentityId::of(b"author"),
            is_followed: true,
            is_unlisted: false,
            score: 3,
            last_ms: 1_000,
        }
    }

    #[test]
    fn what_nobody_understands_is_refused_by_number_and_with_the_reason() {
        let error = read(&[written("popular"), written("everything")]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("rule 2") && text.contains("everything"),
            "{text}"
        );
        let mut aged = written("all");
        aged.max_age = Some("30 days".to_owned());
        let text = read(&[aged]).unwrap_err().to_string();
        assert!(text.contains("max_age") && text.contains("30d"), "{text}");
    }

    #[test]
    fn a_rule_matches_what_it_names() {
        let facts = facts();
        let (space, thread) = (facts.space.to_string(), facts.root.to_string());
        let (author, other) = (facts.author.to_string(), EntryId::of(b"other").to_string());
        let table = [
            ("popular", facts, true),
            ("all", facts, true),
            (&space, facts, true),
            (&thread, facts, true),
            (&author, facts, true),
            (&other, facts, false),
        ];
        let unlisted = Facts {
            is_unlisted: true,
            ..facts
        };
        let elsewhere = Facts {
            is_followed: false,
            ..facts
        };
        let more = [
            ("all", unlisted, false),
            ("popular", unlisted, false),
            (&author, unlisted, false),
            (&space, unlisted, true),
            (&thread, unlisted, true),
            ("all", elsewhere, false),
            (&author, elsewhere, true),
        ];
        for (what, facts, expected) in table.into_iter().chain(more) {
            let rules = read(&[written(what)]).unwrap();
            let found = first_match(&rules, &facts, 1_000).is_some();
            assert_eq!(found, expected, "{what} of {facts:?}");
        }
    }

    #[test]
    fn scores_and_ages_bound_and_the_first_match_counts() {
        let mut first = written("all");
        first.min_score = Some(4);
        first.max_age = Some("1h".to_owned());
        let rules = read(&[first, written("popular")]).unwrap();
        let with = |score, now_ms| first_match(&rules, &Facts { score, ..facts() }, now_ms);
        assert_eq!(with(4, 1_000), Some(0));
        assert_eq!(with(3, 1_000), Some(1));
        assert_eq!(with(4, 1_000 + 60 * 60 * 1_000), Some(0));
        assert_eq!(with(4, 1_001 + 60 * 60 * 1_000), Some(1));
        assert_eq!(with(4, 0), Some(0), "a clock behind is no age");
    }
}
