//! What `go test -v` said, and which of the suite's tests are not for datt.

use std::collections::BTreeSet;
use std::fmt;

/// Tests that don't apply, by the beginning of their name; why not, docs/interop.md says.
const NOT_OURS: [&str; 0] = [];

/// The leaves of the tree of tests, counted; a failed test without failed children is a leaf.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Passed.
    pub passed: usize,
    /// Left out by the suite: tests of groups that weren't asked for.
    pub left_out: usize,
    /// Failed, and listed as not for datt.
    pub not_ours: usize,
    /// Failed: their names.
    pub failed: Vec<String>,
}

impl Verdict {
    /// Reads the output of `go test -v`.
    pub fn read(output: &str) -> Self {
        let results: Vec<(&str, &str)> = output.lines().filter_map(result).collect();
        let parents: BTreeSet<&str> = results
            .iter()
            .filter_map(|(_, name)| name.rsplit_once('/').map(|(parent, _)| parent))
            .collect();
        // a test that fails by itself, although none of its children does
        let failed_below: BTreeSet<&str> = results
            .iter()
            .filter(|(word, _)| *word == "FAIL")
            .filter_map(|(_, name)| name.rsplit_once('/').map(|(parent, _)| parent))
            .collect();
        let mut verdict = Self::default();
        for (word, name) in results {
            let is_leaf = !parents.contains(name);
            match word {
                "PASS" if is_leaf => verdict.passed += 1,
                "SKIP" if is_leaf => verdict.left_out += 1,
                "FAIL" if failed_below.contains(name) => {}
                "FAIL" if NOT_OURS.iter().any(|start| name.starts_with(start)) => {
                    verdict.not_ours += 1;
                }
                "FAIL" => verdict.failed.push(name.to_owned()),
                _ => {}
            }
        }
        verdict
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} not for datt, {} of other groups",
            self.passed,
            self.failed.len(),
            self.not_ours,
            self.left_out
        )
    }
}

/// The word and the name in a line such as `    --- PASS: TestA/b (0.00s)`.
fn result(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
    let (name, _) = rest.rsplit_once(" (")?;
    ["PASS", "FAIL", "SKIP"]
        .contains(&word)
        .then_some((word, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_counted_and_failures_named() {
        let output = "=== RUN   TestA\n\
             --- FAIL: TestA (0.01s)\n    \
             --- PASS: TestA/one (0.00s)\n        \
             --- PASS: TestA/one/Status_code (0.00s)\n        \
             --- PASS: TestA/one/Body (0.00s)\n    \
             --- FAIL: TestA/two (odd) (0.00s)\n        \
             --- FAIL: TestA/two (odd)/Status_code (0.00s)\n\
             --- SKIP: TestB (0.00s)\n\
             FAIL\n";
        assert_eq!(
            Verdict::read(output),
            Verdict {
                passed: 2,
                left_out: 1,
                not_ours: 0,
                failed: vec!["TestA/two (odd)/Status_code".to_owned()],
            }
        );
    }

    #[test]
    fn what_is_not_for_datt_is_listed_with_a_reason() {
        let page = include_str!("../../../../docs/interop.md");
        for name in NOT_OURS {
            assert!(page.contains(name), "docs/interop.md doesn't name {name}");
        }
    }
}
