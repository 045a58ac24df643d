//! What the checks came to, as one table.

use std::fmt;

use anyhow::Result;

/// Longest text of a line's last column, characters; what failed is said in full above the table.
const WORDS: usize = 120;

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With figures or a few words.
    Passed(String),
    /// What went wrong.
    Failed(String),
    /// Why it couldn't be carried out here.
    Skipped(String),
}

impl Outcome {
    /// Of a check that could be carried out.
    pub fn of(result: Result<String>) -> Self {
        match result {
            Ok(figures) => Self::Passed(figures),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "FAILED",
            Self::Skipped(_) => "skipped",
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::Passed(words) | Self::Failed(words) | Self::Skipped(words) => words,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.words())
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Line {
    peer: String,
    check: String,
    outcome: Outcome,
}

impl Line {
    /// A check against a peer, and how it ended.
    pub fn new(peer: &str, check: &str, outcome: Outcome) -> Self {
        Self {
            peer: peer.to_owned(),
            check: check.to_owned(),
            outcome,
        }
    }

    /// Whether the check was carried out and failed.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// Prints the table: peer, check, result, figures. Of a long failure, only the first line.
pub fn print(lines: &[Line]) {
    for row in table(lines) {
        println!("{row}");
    }
}

fn table(lines: &[Line]) -> Vec<String> {
    let head = ["peer", "check", "result", "figures"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(head)
        .chain(lines.iter().map(|line| {
            let first = line.outcome.words().lines().next().unwrap_or_default();
            let words: String = first.chars().take(WORDS).collect();
            [&line.peer, &line.check, line.outcome.word(), &words].map(str::to_owned)
        }))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (peer, check, result) = (width(0), width(1), width(2));
    rows.iter()
        .map(|[a, b, c, d]| format!("{a:peer$}  {b:check$}  {c:result$}  {d}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_takes_one_line() {
        let lines = [
            Line::new("Kubo", "names", Outcome::Passed("9 files".to_owned())),
            Line::new(
                "Kubo",
                "CAR",
                Outcome::Failed("it differs\nhere".to_owned()),
            ),
        ];
        assert_eq!(
            table(&lines),
            [
                "peer  check  result  figures",
                "Kubo  names  passed  9 files",
                "Kubo  CAR    FAILED  it differs",
            ]
        );
        assert!(lines[1].has_failed() && !lines[0].has_failed());
    }
}
