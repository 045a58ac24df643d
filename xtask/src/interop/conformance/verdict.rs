//! What `go test -v` said of the suite.

use std::collections::BTreeSet;
use std::fmt;

/// Names each test that doesn't apply to datt, and says why.
const PAGE: &str = include_str!("../../../../docs/interop.md");

/// The leaves of the tree of tests, counted; a failed test without failed children is a leaf.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Passed.
    pub passed: usize,
    /// Not run, since they are of groups that weren't asked for: their names.
    pub left_out: Vec<String>,
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
                "SKIP" => verdict.left_out.push(name.to_owned()),
                "FAIL" if failed_below.contains(name) => {}
                "FAIL" => verdict.failed.push(name.to_owned()),
                _ => {}
            }
        }
        verdict
    }

    /// Tests that were left out although nothing says why they don't apply.
    pub fn unexplained(&self) -> Vec<&str> {
        self.left_out
            .iter()
            .map(String::as_str)
            .filter(|name| !PAGE.contains(&format!("`{name}`")))
            .collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} don't apply",
            self.passed,
            self.failed.len(),
            self.left_out.len()
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
                left_out: vec!["TestB".to_owned()],
                failed: vec!["TestA/two (odd)/Status_code".to_owned()],
            }
        );
    }

    #[test]
    fn what_does_not_apply_is_explained() {
        let left_out = ["TestTar", "TestNobodyKnows"].map(str::to_owned).to_vec();
        let verdict = Verdict {
            left_out,
            ..Verdict::default()
        };
        assert_eq!(verdict.unexplained(), ["TestNobodyKnows"]);
    }
}
